"""LSPS0.ln_signature: z-base-32 of a recoverable signature. The first byte chooses: the text, or what it encodes."""

from __future__ import annotations

from lsps.lightning import keys, zbase32
from lsps.lightning.keys import InvalidKey, InvalidSignature
from lsps.lightning.zbase32 import InvalidZbase32
from tests.fuzz.target import Target, vectors

DIGEST = bytes(range(32))


def check(data: bytes) -> None:
    """Some node signed it, one whose key is on the curve, or InvalidSignature."""
    if not data:
        return
    text = zbase32.encode(data[1:]) if data[0] % 2 else data[1:].decode(errors="replace")
    try:
        assert zbase32.encode(zbase32.decode(text)) == text
    except InvalidZbase32 as error:
        assert str(error)
    try:
        signer = keys.recover_message_signer(b"hi", text)
        keys.check_node_id(signer)
    except InvalidSignature as error:
        assert str(error)
    try:
        signer = keys.recover(data[1:66], DIGEST)
        if keys.is_low_s(data[1:66]):
            assert keys.verify(data[1:65], DIGEST, signer)
    except (InvalidSignature, InvalidKey) as error:
        assert str(error)


SIGNATURES = [case["signature"] for case in vectors("signed_messages")]
TARGET = Target(
    check,
    (
        *(b"\0" + text.encode() for text in SIGNATURES),
        *(b"\1" + zbase32.decode(text) for text in SIGNATURES),
        b"\1" + keys.SecretKey(b"\1" * 32).sign_recoverable(DIGEST),
    ),
    max_bytes=200,
)
