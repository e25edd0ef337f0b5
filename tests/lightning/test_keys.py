"""Keys, signatures, ECDH and signed messages."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsps.errors import LspsError
from lsps.lightning import keys, zbase32
from lsps.lightning.keys import InvalidKey, InvalidSignature, SecretKey
from lsps.units import NodeId

MESSAGES: list[dict[str, str]] = json.loads(
    (Path(__file__).parent.parent / "vectors" / "signed_messages.json").read_text("utf-8")
)
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
KEY = SecretKey(bytes.fromhex("e126f68f7eafcc8b74f54d269fe206be715000f94dac067d1c04a8ca3b2db734"))
NODE = NodeId("03e7156ae33b0a208d0744199163177e909e80176e55d97a2f221ede0f934dd9ad")
"""The key and the node of BOLT 11's examples."""
DIGEST = sha256(b"a digest").digest()
NO_POINT = NodeId("02" + "00" * 31 + "05")
"""x = 5 has no point on secp256k1."""

secret_keys = st.integers(1, ORDER - 1).map(lambda number: SecretKey(number.to_bytes(32, "big")))
digests = st.binary(min_size=32, max_size=32)


def with_high_s(signature: bytes) -> bytes:
    """The other signature of the same key and digest; its recovery id is odd for even and even for odd."""
    s = ORDER - int.from_bytes(signature[32:64], "big")
    return signature[:32] + s.to_bytes(32, "big") + bytes(recovery_id ^ 1 for recovery_id in signature[64:])


def test_public_key() -> None:
    """BOLT 11's private key belongs to BOLT 11's node."""
    assert KEY.node_id == NODE
    assert KEY.to_bytes()[:2] == b"\xe1\x26"


@pytest.mark.parametrize(
    "secret", [b"", bytes(31), bytes(32), bytes(33), b"\1" * 33, ORDER.to_bytes(32, "big"), b"\xff" * 32]
)
def test_bad_secret_keys(secret: bytes) -> None:
    """A secret key is 32 bytes from 1 to the order less 1; the error shows none of them."""
    with pytest.raises(InvalidKey) as caught:
        SecretKey(secret)
    assert isinstance(caught.value, LspsError)
    assert "ff" not in str(caught.value).split()


def test_secret_key_is_hidden() -> None:
    """Neither str nor repr shows a secret key, nor has it attributes that a dump would show."""
    shown = f"{KEY} {KEY!r} {[KEY]}"
    assert KEY.to_bytes().hex() not in shown
    assert repr(KEY.to_bytes()) not in shown
    assert not hasattr(KEY, "__dict__")
    assert str(NODE) in shown


def test_secret_keys_compare() -> None:
    """Secret keys are equal by their bytes, and never equal to those bytes."""
    twin, other = SecretKey(KEY.to_bytes()), SecretKey(b"\1" * 32)
    assert twin == KEY != other
    assert len({KEY, twin, other}) == 2
    assert KEY.to_bytes() != KEY


@given(secret_keys, digests)
def test_sign_verify_recover(key: SecretKey, digest: bytes) -> None:
    """A signature is of low S, verifies for its key and digest, and gives its key back."""
    signature = key.sign_recoverable(digest)
    assert len(signature) == 65
    assert keys.is_low_s(signature)
    assert key.sign(digest) == signature[:64]
    assert keys.verify(signature[:64], digest, key.node_id)
    assert not keys.verify(signature[:64], sha256(digest).digest(), key.node_id)
    assert keys.recover(signature, digest) == key.node_id


def test_sign_is_rfc6979() -> None:
    """BOLT 11's first example: its digest has exactly its signature, the nonce by RFC 6979."""
    digest = bytes.fromhex("6daf4d488be41ce7cbb487cab1ef2975e5efcea879b20d421f0ef86b07cbb987")
    assert KEY.sign_recoverable(digest).hex() == (
        "8d3ce9e28357337f62da0162d9454df827f83cfe499aeb1c1db349d4d8112742"
        "5e434ca29929406c23bba1ae8ac6ca32880b38d4bf6ff874024cac34ba9625f1"
        "01"
    )


@given(secret_keys, digests)
def test_high_s(key: SecretKey, digest: bytes) -> None:
    """A high S is told, never verifies, but gives its key back (BOLT 11 needs all three)."""
    signature = with_high_s(key.sign_recoverable(digest))
    assert not keys.is_low_s(signature)
    assert not keys.verify(signature[:64], digest, key.node_id)
    assert keys.recover(signature, digest) == key.node_id


@given(st.binary(min_size=64, max_size=64), digests)
def test_strange_signatures(signature: bytes, digest: bytes) -> None:
    """No 64 bytes verify by chance or make `verify` fail; `recover` raises InvalidSignature or finds some other key."""
    assert not keys.verify(signature, digest, NODE)
    try:
        assert keys.recover(signature + b"\1", digest) != NODE
    except InvalidSignature:
        return


@pytest.mark.parametrize("r", [0, 1, ORDER - 1, ORDER, 2**256 - 1])
@pytest.mark.parametrize("s", [0, 1, ORDER, 2**256 - 1])
def test_numbers_out_of_range(r: int, s: int) -> None:
    """R and S of 0, or past the order, are no signature."""
    assert not keys.verify(r.to_bytes(32, "big") + s.to_bytes(32, "big"), DIGEST, NODE)


@pytest.mark.parametrize("length", [0, 63, 64, 66])
def test_signatures_of_other_lengths(length: int) -> None:
    """A recoverable signature has 65 bytes, a compact one 64."""
    with pytest.raises(InvalidSignature, match="65 bytes"):
        keys.recover(bytes(length), DIGEST)
    if length != 64:
        with pytest.raises(InvalidSignature, match="64 bytes"):
            keys.verify(bytes(length), DIGEST, NODE)


@pytest.mark.parametrize("recovery_id", [4, 31, 255])
def test_recovery_id_out_of_range(recovery_id: int) -> None:
    """A recovery id is from 0 to 3 (BOLT 11)."""
    with pytest.raises(InvalidSignature):
        keys.recover(KEY.sign(DIGEST) + bytes([recovery_id]), DIGEST)


def test_digest_of_other_length() -> None:
    """Only a digest of 32 bytes is signed, verified, or recovered from."""
    signature = KEY.sign_recoverable(DIGEST)
    with pytest.raises(InvalidSignature, match="32 bytes"):
        KEY.sign(b"not hashed")
    with pytest.raises(InvalidSignature, match="32 bytes"):
        keys.verify(signature[:64], b"not hashed", NODE)
    with pytest.raises(InvalidSignature, match="32 bytes"):
        keys.recover(signature, b"not hashed")


def test_points() -> None:
    """A node id off the curve is told, wherever it is used (bLIP-50 LSPS0.pubkey: readers SHOULD validate)."""
    keys.check_node_id(NODE)
    with pytest.raises(InvalidKey):
        keys.check_node_id(NO_POINT)
    with pytest.raises(InvalidKey):
        keys.verify(KEY.sign(DIGEST), DIGEST, NO_POINT)
    with pytest.raises(InvalidKey):
        KEY.ecdh(NO_POINT)


def test_ecdh_vector() -> None:
    """BOLT 8, Initiator Tests, act one: the shared secret of the ephemeral key and the responder's static key."""
    responder = NodeId("028d7500dd4c12685d1f568b4c2b5048e8534b873319f3a8daa612b469132ec7f7")
    assert SecretKey(b"\x12" * 32).ecdh(responder).hex() == (
        "1e2fb3c8fe8fb9f262f649f64d26ecf0f2c0a805a767cf02dc2d77a6ef1fdcc3"
    )


@given(secret_keys, secret_keys)
def test_ecdh_is_mutual(mine: SecretKey, theirs: SecretKey) -> None:
    """Both sides find the same secret."""
    assert mine.ecdh(theirs.node_id) == theirs.ecdh(mine.node_id)


@pytest.mark.parametrize("vector", MESSAGES)
def test_signed_messages_of_lnd(vector: dict[str, str]) -> None:
    """Signatures that users made with lnd and published lead to their nodes (bLIP-50 LSPS0.ln_signature)."""
    signer = keys.recover_message_signer(vector["message"].encode(), vector["signature"])
    assert signer == NodeId(vector["node_id"])


@given(secret_keys, st.binary(max_size=100))
def test_sign_message(key: SecretKey, message: bytes) -> None:
    """A signed message has 104 characters, leads to its signer, and does not for another message."""
    signature = keys.sign_message(message, key)
    assert len(signature) == 104
    assert keys.recover_message_signer(message, signature) == key.node_id
    assert keys.recover_message_signer(message + b".", signature) != key.node_id


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "y" * 104,
        MESSAGES[0]["signature"][:-1],
        MESSAGES[0]["signature"] + "yy",
        MESSAGES[0]["signature"].upper(),
        zbase32.encode(bytes([30]) + KEY.sign(DIGEST)),
        zbase32.encode(bytes([35]) + KEY.sign(DIGEST)),
        zbase32.encode(bytes([31]) + bytes(64)),
    ],
)
def test_signed_message_refused(signature: str) -> None:
    """A signature of another form, or by no key, raises InvalidSignature."""
    with pytest.raises(InvalidSignature):
        keys.recover_message_signer(b"hi", signature)
