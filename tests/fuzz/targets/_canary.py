"""A bug on purpose. A fuzzer that is guided by coverage finds it in a moment, one that is not never does."""

from __future__ import annotations

from tests.fuzz.target import Target


def check(data: bytes) -> None:
    """Fails for what begins with LSPS and a 7."""
    for place, letter in enumerate(b"LSPS7"):
        if len(data) <= place or data[place] != letter:
            return
    raise LookupError("the canary sings")


TARGET = Target(check, (b"",), max_bytes=64)
