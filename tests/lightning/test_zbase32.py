"""z-base-32."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsps.lightning import zbase32
from lsps.lightning.zbase32 import InvalidZbase32


@pytest.mark.parametrize(
    ("data", "text"),
    [(b"", ""), (b"\x00", "yy"), (b"\xf0\xbf\xc7", "6n9hq"), (b"\xd4\x7a\x04", "4t7ye"), (b"\xff", "9h")],
)
def test_examples(data: bytes, text: str) -> None:
    """The examples of the encoding's own description (those of whole bytes), and its ends."""
    assert zbase32.encode(data) == text
    assert zbase32.decode(text) == data


@given(st.binary(max_size=80))
def test_round_trip(data: bytes) -> None:
    """What is encoded is decoded to the same."""
    assert zbase32.decode(zbase32.encode(data)) == data


@given(st.text() | st.text(alphabet="ybndrfg8ejkmcpqxot1uwisza345h769", max_size=20))
def test_decode_is_strict_and_total(text: str) -> None:
    """A text is refused with InvalidZbase32, or it is the one text for its bytes."""
    try:
        data = zbase32.decode(text)
    except InvalidZbase32:
        return
    assert zbase32.encode(data) == text


@pytest.mark.parametrize("text", ["y", "yyy", "yb", "YY", "yl", "y ", "yv", "y0", "y2"])
def test_refused(text: str) -> None:
    """Half bytes, bits left over, capitals and the letters that z-base-32 leaves out are refused."""
    with pytest.raises(InvalidZbase32):
        zbase32.decode(text)
