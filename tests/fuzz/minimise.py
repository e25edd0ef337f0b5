"""Makes an input that fails shorter, as long as it fails in the same way."""

from __future__ import annotations

import time
from traceback import extract_tb

from tests.fuzz.target import Check


def failure(check: Check, data: bytes) -> tuple[str, str, int] | None:
    """What it raises and the line that raises it; None when it passes."""
    try:
        check(data)
    except Exception as error:  # a finding may be of any type
        raised = extract_tb(error.__traceback__)[-1]
        return type(error).__name__, raised.filename, raised.lineno or 0
    return None


def minimised(check: Check, data: bytes, *, seconds: float = 20.0) -> bytes:
    """Parts are left out, larger ones first, until nothing can be or the time is up; then letters become 'a'."""
    wanted, until = failure(check, data), time.monotonic() + seconds
    size = len(data)
    while size >= 1:
        start = 0
        while start < len(data) and time.monotonic() < until:
            shorter = data[:start] + data[start + size :]
            if failure(check, shorter) == wanted:
                data = shorter
            else:
                start += size
        size = size // 2
    for place in range(len(data)):
        plain = data[:place] + b"a" + data[place + 1 :]
        if time.monotonic() < until and failure(check, plain) == wanted:
            data = plain
    return data
