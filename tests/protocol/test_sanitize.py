"""Text from a peer, made safe."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsps.protocol.sanitize import sanitize

TEXTS = {
    "plain": ("No liquidity: try again", "No liquidity: try again"),
    "colours": ("\x1b[1;31mred\x1b[0m", "red"),
    "C1 control sequence": ("\x9b31mred", "red"),
    "window title": ("\x1b]0;title\x07text", "text"),
    "hyperlink": ("\x1b]8;;http://a\x1b\\text\x1b]8;;\x1b\\", "text"),
    "string in C1": ("\x9dtitle\x9ctext", "text"),
    "unfinished string": ("a\x1b_b\x9dc", "a_bc"),
    "unfinished sequence": ("a\x1b[", "a["),
    "zero byte and bell": ("a\0b\x07c", "abc"),
    "lines": ("a\r\nb\tc\u2028d", "a b c d"),
    "bidi": ("pay\u202e001\u2066\u200fx", "pay001x"),
    "zero width": ("a\u200bb\ufeffc", "abc"),
    "surrogate": ("a\ud800b", "ab"),
    "markup": ("<b>", "‹b>"),
    "other scripts": ("Größe 大小 🙂", "Größe 大小 🙂"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_sanitized(name: str) -> None:
    """Control, escape and bidi characters disappear, the words stay (bLIP-50: clients MUST filter error texts)."""
    text, clean = TEXTS[name]
    assert sanitize(text) == clean


def test_cut() -> None:
    """At most 500 characters are left, and one sees that more was there."""
    assert sanitize("a" * 500) == "a" * 500
    assert sanitize("a" * 65_000) == "a" * 499 + "…"
    assert sanitize("\n" * 60_000) == ""


@given(st.text(st.characters(), max_size=60))
def test_nothing_unsafe_is_left(text: str) -> None:
    """Whatever comes in, no control, format, surrogate or separator character but a space comes out."""
    left = sanitize(text)
    assert all(unicodedata.category(character)[0] not in "C" for character in left)
    assert not {"<", "\u2028", "\u2029"} & set(left)
    assert len(left) <= 500
