"""The handshake state of BOLT 8: the hash of all that was said, the chaining key, and the key of the moment."""

from __future__ import annotations

from hashlib import sha256

from lsps.lightning.aead import Cipher, hkdf
from lsps.lightning.keys import SecretKey
from lsps.units import NodeId

_PROTOCOL_NAME = b"Noise_XK_secp256k1_ChaChaPoly_SHA256"
_PROLOGUE = b"lightning"
POINT_BYTES = 33


class HandshakeState:
    """`h`, `ck` and `temp_k1` to `temp_k3` of BOLT 8. Both sides take the same steps, one writing, one reading."""

    def __init__(self, responder: NodeId) -> None:
        self.chaining_key = sha256(_PROTOCOL_NAME).digest()
        self._hash = self.chaining_key
        self._cipher: Cipher
        self._mix_hash(_PROLOGUE)
        self._mix_hash(bytes(responder))

    def write_ephemeral(self, ephemeral: SecretKey, other: NodeId) -> bytes:
        """Acts one and two, the sender's part: our ephemeral key, and a tag that proves the shared secret. Raises
        InvalidKey when `other` is no point."""
        point = bytes(ephemeral.node_id)
        self._mix_hash(point)
        self.mix_key(ephemeral.ecdh(other))
        return point + self.seal(0, b"")

    def read_ephemeral(self, message: bytes, ours: SecretKey) -> NodeId:
        """Acts one and two, the receiver's part. Raises InvalidUnit and InvalidKey for what is no point, BadTag."""
        point, tag = message[:POINT_BYTES], message[POINT_BYTES:]
        theirs = NodeId(point.hex())
        self._mix_hash(point)
        self.mix_key(ours.ecdh(theirs))
        self.open(0, tag)
        return theirs

    def mix_key(self, shared_secret: bytes) -> None:
        """The next chaining key and the next intermediate key."""
        self.chaining_key, key = hkdf(self.chaining_key, shared_secret)
        self._cipher = Cipher(key)

    def seal(self, n: int, plaintext: bytes) -> bytes:
        """Encrypts under the intermediate key and all that was said; the ciphertext becomes part of that."""
        ciphertext = self._cipher.encrypt(n, plaintext, self._hash)
        self._mix_hash(ciphertext)
        return ciphertext

    def open(self, n: int, ciphertext: bytes) -> bytes:
        """The inverse of `seal`. Raises BadTag."""
        plaintext = self._cipher.decrypt(n, ciphertext, self._hash)
        self._mix_hash(ciphertext)
        return plaintext

    def split(self) -> tuple[bytes, bytes]:
        """The key for what the initiator sends, and the one for what the responder sends."""
        return hkdf(self.chaining_key, b"")

    def _mix_hash(self, data: bytes) -> None:
        self._hash = sha256(self._hash + data).digest()
