"""ChaCha20-Poly1305 and HKDF-SHA256 as BOLT 8 calls them. All use of `cryptography` is in this file."""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from lsps.errors import LspsError

TAG_BYTES = 16


class BadTag(LspsError):
    """A ciphertext that was not made with this key, nonce and associated data, or was changed since."""

    def __init__(self) -> None:
        super().__init__("the ciphertext's authentication tag is wrong")


class Cipher:
    """One key's ChaCha20-Poly1305 (RFC 8439). The library's object is kept: a new one a call costs twice the time.

    `n` is the nonce's 64-bit counter. No n may encrypt twice under one key: that is the caller's to hold.
    """

    __slots__ = ("_aead",)

    def __init__(self, key: bytes) -> None:
        self._aead = ChaCha20Poly1305(key)

    def encrypt(self, n: int, plaintext: bytes, associated: bytes = b"") -> bytes:
        """BOLT 8 encryptWithAD: the ciphertext, then its 16-byte tag."""
        return self._aead.encrypt(_nonce(n), plaintext, associated)

    def decrypt(self, n: int, ciphertext: bytes, associated: bytes = b"") -> bytes:
        """BOLT 8 decryptWithAD; the library compares the tag in constant time. Raises BadTag."""
        try:
            return self._aead.decrypt(_nonce(n), ciphertext, associated)
        except InvalidTag:
            raise BadTag from None


def hkdf(salt: bytes, key_material: bytes) -> tuple[bytes, bytes]:
    """BOLT 8 HKDF: RFC 5869 with SHA-256 and no info, its 64 bytes in two halves."""
    derived = HKDF(algorithm=SHA256(), length=64, salt=salt, info=b"").derive(key_material)
    return derived[:32], derived[32:]


def _nonce(n: int) -> bytes:
    """32 zero bits, then the counter, little-endian (BOLT 8: against the BOLTs' habit, as Noise has it)."""
    return bytes(4) + n.to_bytes(8, "little")
