"""Reading what an LSP wrote, as it wrote it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from lsps.protocol.fields import read_datetime
from lsps.protocol.sanitize import sanitize

DATETIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z", re.ASCII)
AMOUNT = re.compile(r"0|[1-9]\d{0,19}", re.ASCII)
SCID = re.compile(r"(?:0|[1-9]\d*)x(?:0|[1-9]\d*)x(?:0|[1-9]\d*)", re.ASCII)
OUTPOINT = re.compile(r"[0-9a-fA-F]{64}:(?:0|[1-9]\d{0,4})", re.ASCII)
UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_LONGEST_AMOUNT = 20


def is_uint(value: object, bits: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**bits


def as_amount(value: object) -> int | None:
    """A number from 0 on, written as a number or as text; None for all else."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= _LONGEST_AMOUNT:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def as_datetime(value: object) -> datetime | None:
    try:
        return read_datetime(value)
    except ValueError:
        return None


def at(value: object, path: str) -> Any:
    """What stands at a dotted path; None when nothing does."""
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def fields(value: object) -> Iterator[tuple[str, str, object]]:
    """Every field at any depth: its dotted path, its own name, its value. An LSP may nest as deep as it likes."""
    ways = [_entries(value, "")]
    while ways:
        entry = next(ways[-1], None)
        if entry is None:
            ways.pop()
            continue
        path, name, inner = entry
        if name is not None:
            yield path, name, inner
        ways.append(_entries(inner, f"{path}."))


def _entries(value: object, before: str) -> Iterator[tuple[str, str | None, object]]:
    """What a value holds itself; an item of a list has no name."""
    if isinstance(value, dict):
        yield from ((f"{before}{name}", str(name), inner) for name, inner in value.items())
    elif isinstance(value, list):
        yield from ((f"{before}{index}", None, inner) for index, inner in enumerate(value))


def shown(value: object) -> str:
    """A value from the LSP, short and safe to show."""
    return sanitize(repr(value), limit=80)
