"""secp256k1: keys, ECDSA signatures, ECDH, and messages signed by a node. All use of libsecp256k1 is in this file.

A digest is 32 bytes, already hashed. A compact signature is 64 bytes, R then S; a recoverable one is 65, the compact
one and its recovery id (0 to 3), as BOLT 11 writes it.
"""

from __future__ import annotations

import hmac
from hashlib import sha256

from coincurve import PrivateKey, PublicKey

from lsps.errors import LspsError
from lsps.lightning import zbase32
from lsps.units import NodeId

_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_SIGNED_MESSAGE_PREFIX = b"Lightning Signed Message:"
_RECOVERY_HEADER = 31
"""LSPS0.ln_signature's first byte is 31 + recovery id (bLIP-50)."""


class InvalidKey(LspsError, ValueError):
    """Bytes that are no secret key, or a node id that is no point of the curve."""


class InvalidSignature(LspsError, ValueError):
    """A signature that is malformed or belongs to no key."""


class SecretKey:
    """A secret key. Its text never shows it; only `to_bytes` gives it away."""

    __slots__ = ("_key", "_node_id")

    def __init__(self, secret: bytes) -> None:
        """From 32 bytes, a number from 1 to the curve's order less 1. Raises InvalidKey."""
        if len(secret) != 32 or not 0 < int.from_bytes(secret, "big") < _ORDER:
            raise InvalidKey("a secret key is 32 bytes that are neither zero nor past the curve's order")
        self._key = PrivateKey(secret)
        self._node_id = _node_id(self._key.public_key)

    @property
    def node_id(self) -> NodeId:
        """The public key, compressed."""
        return self._node_id

    def to_bytes(self) -> bytes:
        """The 32 secret bytes, for storing."""
        return self._key.secret

    def sign(self, digest: bytes) -> bytes:
        """A compact signature of a 32-byte digest: low S, nonce by RFC 6979."""
        return self.sign_recoverable(digest)[:64]

    def sign_recoverable(self, digest: bytes) -> bytes:
        """A recoverable signature of a 32-byte digest: low S, nonce by RFC 6979."""
        return self._key.sign_recoverable(_checked_digest(digest), hasher=None)

    def ecdh(self, other: NodeId) -> bytes:
        """The 32-byte shared secret of BOLT 8: SHA-256 of the compressed point. Raises InvalidKey."""
        try:
            return self._key.ecdh(bytes(other))
        except ValueError:
            raise _not_a_point(other) from None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretKey) and hmac.compare_digest(self._key.secret, other._key.secret)

    def __hash__(self) -> int:
        return hash(self._node_id)

    def __repr__(self) -> str:
        return f"SecretKey(of node {self._node_id})"


def check_node_id(node_id: NodeId) -> None:
    """Raises InvalidKey unless `node_id` is a point of the curve, so the key of some node."""
    _point(node_id)


def verify(signature: bytes, digest: bytes, node_id: NodeId) -> bool:
    """Whether a compact signature is by `node_id`. A high S is never right (see `is_low_s`). Raises InvalidKey."""
    return _point(node_id).verify(_to_der(_checked_length(signature, 64)), _checked_digest(digest), hasher=None)


def is_low_s(signature: bytes) -> bool:
    """Whether a compact or recoverable signature keeps the low-S rule: S at most half the curve's order."""
    return int.from_bytes(signature[32:64], "big") <= _ORDER // 2


def recover(signature: bytes, digest: bytes) -> NodeId:
    """The key that made a recoverable signature, of high or low S. Raises InvalidSignature."""
    _checked_length(signature, 65)
    _checked_digest(digest)
    try:
        return _node_id(PublicKey.from_signature_and_message(signature, digest, hasher=None))
    except ValueError:
        raise InvalidSignature("no key can have made this signature") from None


def sign_message(message: bytes, key: SecretKey) -> str:
    """LSPS0.ln_signature of a message: what `lncli signmessage` prints."""
    signature = key.sign_recoverable(_message_digest(message))
    return zbase32.encode(bytes([_RECOVERY_HEADER + signature[64]]) + signature[:64])


def recover_message_signer(message: bytes, signature: str) -> NodeId:
    """The node that made an LSPS0.ln_signature. Any well-formed signature has some signer: the caller compares it with
    the node that should have signed. Raises InvalidSignature."""
    try:
        raw = zbase32.decode(signature)
    except zbase32.InvalidZbase32 as error:
        raise InvalidSignature(f"a message's signature is z-base-32: {error}") from None
    if len(raw) != 65 or not 0 <= raw[0] - _RECOVERY_HEADER <= 3:
        raise InvalidSignature("a message's signature is 65 bytes (104 characters) that begin with 31 to 34")
    return recover(raw[1:] + bytes([raw[0] - _RECOVERY_HEADER]), _message_digest(message))


def _message_digest(message: bytes) -> bytes:
    return sha256(sha256(_SIGNED_MESSAGE_PREFIX + message).digest()).digest()


def _node_id(point: PublicKey) -> NodeId:
    return NodeId(point.format().hex())


def _point(node_id: NodeId) -> PublicKey:
    try:
        return PublicKey(bytes(node_id))
    except ValueError:
        raise _not_a_point(node_id) from None


def _not_a_point(node_id: NodeId) -> InvalidKey:
    return InvalidKey(f"{node_id} is no public key (no point of secp256k1); check that it was copied right")


def _checked_digest(digest: bytes) -> bytes:
    if len(digest) != 32:
        raise InvalidSignature(f"a signature covers a digest of 32 bytes, not {len(digest)}")
    return digest


def _checked_length(signature: bytes, length: int) -> bytes:
    if len(signature) != length:
        raise InvalidSignature(f"this signature must be {length} bytes, not {len(signature)}")
    return signature


def _to_der(compact: bytes) -> bytes:
    """DER, the only form in which the binding verifies."""
    r, s = (_der_integer(part) for part in (compact[:32], compact[32:]))
    return b"\x30" + bytes([len(r) + len(s)]) + r + s


def _der_integer(part: bytes) -> bytes:
    value = part.lstrip(b"\0") or b"\0"
    if value[0] & 0x80:
        value = b"\0" + value
    return b"\x02" + bytes([len(value)]) + value
