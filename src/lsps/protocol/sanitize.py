"""Text from a peer, made safe for a terminal or a log (bLIP-50, Error Handling: clients MUST filter it)."""

from __future__ import annotations

import re
import unicodedata

MAX_TEXT_LENGTH = 500

# CSI sequences and ended strings (OSC, DCS …) whole, so that their parameters do not stay behind as text.
_ESCAPE_SEQUENCE = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b[\\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x90-\x9f]*(?:\x07|\x1b\\\\|\x9c)"
)
# Control, format (bidi controls, zero width), surrogate, private use, unassigned, line and paragraph separators.
_UNWANTED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def sanitize(text: str, *, limit: int = MAX_TEXT_LENGTH) -> str:
    """`text` on one line, without control, escape and bidi characters, `<` defused, at most `limit` characters."""
    text = _ESCAPE_SEQUENCE.sub("", text[: 8 * limit])
    if not (text.isascii() and text.isprintable() and "<" not in text):
        text = "".join(_safe(character) for character in text)
    clean = " ".join(text.split())
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def _safe(character: str) -> str:
    if character == "<":  # named by bLIP-50: harmless here, not where the text may be copied to
        return "‹"
    if character.isspace():
        return " "
    return "" if unicodedata.category(character) in _UNWANTED else character
