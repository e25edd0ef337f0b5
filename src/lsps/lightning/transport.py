"""BOLT 8 after the handshake: messages in, encrypted frames out, and back. Pure: no I/O.

A frame is the encrypted length (2 bytes and a tag: 18) and the encrypted message (its length and a tag). Each
direction has its own key, which counts its uses by a nonce and rotates at 1000 of them, so every 500 messages.
"""

from __future__ import annotations

from collections.abc import Iterator

from lsps.errors import LspsError
from lsps.lightning.aead import TAG_BYTES, BadTag, Cipher, hkdf

MAX_MESSAGE_BYTES = 65_535
"""BOLT 8: no message is larger, so that its length fits 2 bytes."""
HEADER_BYTES = 2 + TAG_BYTES
_USES_OF_A_KEY = 1000


class TransportBroken(LspsError):
    """Bytes that the peer cannot have sent in this place; nothing that comes after them can be read."""

    def __init__(self) -> None:
        super().__init__(
            "the encrypted stream is broken: bytes were changed, lost or added on the way. Close it and connect again"
        )


class MessageTooLong(LspsError, ValueError):
    """A message that no Lightning connection carries."""

    def __init__(self, length: int) -> None:
        super().__init__(f"a Lightning message has at most {MAX_MESSAGE_BYTES} bytes with its type, not {length}")


class Transport:
    """Both directions of one connection. BOLT 8, Lightning Message Specification."""

    __slots__ = ("_awaited", "_broken", "_buffer", "_receiving", "_sending")

    def __init__(self, *, sending_key: bytes, receiving_key: bytes, chaining_key: bytes) -> None:
        """The keys are what the handshake split; both directions begin with its chaining key."""
        self._sending = _RotatingKey(sending_key, chaining_key)
        self._receiving = _RotatingKey(receiving_key, chaining_key)
        self._buffer = bytearray()
        self._awaited: int | None = None
        """The announced bytes of the message now coming with its tag; None while its header is."""
        self._broken = False

    @property
    def buffered(self) -> int:
        """Bytes kept of a frame that is not complete: fewer than 65,535 + 16 once `receive` was read to its end."""
        return len(self._buffer)

    def encrypt(self, message: bytes) -> bytes:
        """The frame to send next: frames go out in the order they were made. Raises MessageTooLong."""
        if len(message) > MAX_MESSAGE_BYTES:
            raise MessageTooLong(len(message))
        header = self._sending.encrypt(len(message).to_bytes(2, "big"))
        return header + self._sending.encrypt(message)

    def receive(self, data: bytes) -> Iterator[bytes]:
        """The messages that `data` completes, decrypted one by one as they are asked for; what is not asked for comes
        with the next call. How the stream was cut into chunks makes no difference. Raises TransportBroken, then and
        ever after, once those before the broken one were given."""
        if not self._broken:
            self._buffer += data
        return self._messages()

    def _messages(self) -> Iterator[bytes]:
        if self._broken:
            raise TransportBroken
        try:
            while (message := self._next_message()) is not None:
                yield message
        except BadTag:
            self._broken = True
            self._buffer.clear()
            raise TransportBroken from None

    def _next_message(self) -> bytes | None:
        if self._awaited is None:
            header = self._take(HEADER_BYTES)
            if header is None:
                return None
            self._awaited = int.from_bytes(self._receiving.decrypt(header), "big") + TAG_BYTES
        ciphertext = self._take(self._awaited)
        if ciphertext is None:
            return None
        self._awaited = None
        return self._receiving.decrypt(ciphertext)

    def _take(self, length: int) -> bytes | None:
        if len(self._buffer) < length:
            return None
        taken = bytes(self._buffer[:length])
        del self._buffer[:length]
        return taken


class _RotatingKey:
    """A direction's key, its chaining key and its nonce. BOLT 8, Lightning Message Key Rotation."""

    __slots__ = ("_chaining_key", "_cipher", "_key", "_nonce")

    def __init__(self, key: bytes, chaining_key: bytes) -> None:
        self._renew(key, chaining_key)

    def encrypt(self, plaintext: bytes) -> bytes:
        ciphertext = self._cipher.encrypt(self._nonce, plaintext)
        self._count()
        return ciphertext

    def decrypt(self, ciphertext: bytes) -> bytes:
        plaintext = self._cipher.decrypt(self._nonce, ciphertext)
        self._count()
        return plaintext

    def _count(self) -> None:
        self._nonce += 1
        if self._nonce == _USES_OF_A_KEY:
            chaining_key, key = hkdf(self._chaining_key, self._key)
            self._renew(key, chaining_key)

    def _renew(self, key: bytes, chaining_key: bytes) -> None:
        self._key = key
        self._chaining_key = chaining_key
        self._cipher = Cipher(key)
        self._nonce = 0
