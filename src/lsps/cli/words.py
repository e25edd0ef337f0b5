"""Amounts, blocks and times for people."""

from __future__ import annotations

from datetime import UTC, datetime

from lsps.units import BlockHeight, Msat, Sat

THIN_SPACE = "\u202f"
"""Narrow and not to be broken at: groups digits in every language."""
BLOCKS_PER_DAY = 144
_BLOCKS_PER_HOUR = 6


def number(value: int) -> str:
    return f"{value:,}".replace(",", THIN_SPACE)


def sat(amount: Sat) -> str:
    return f"{number(int(amount))} sat"


def msat(amount: Msat) -> str:
    """In sat, with as many decimals as it needs."""
    whole, rest = divmod(int(amount), 1000)
    decimals = f".{rest:03}".rstrip("0") if rest else ""
    return f"{number(whole)}{decimals} sat"


def sat_per_vbyte(sat_per_kw: int) -> str:
    """`2.5 sat per vbyte`: four weight units are a vbyte."""
    return f"{sat_per_kw * 4 / 1000:.4g} sat per vbyte"


def duration(blocks: int) -> str:
    """About how long so many blocks take."""
    if blocks < BLOCKS_PER_DAY:
        hours = max(1, round(blocks / _BLOCKS_PER_HOUR))
        return "1 hour" if hours == 1 else f"{hours} hours"
    days = blocks / BLOCKS_PER_DAY
    shown = f"{days:.1f}".removesuffix(".0") if days < 10 else number(round(days))
    return "1 day" if shown == "1" else f"{shown} days"


def blocks(count: int) -> str:
    """`4 320 blocks (30 days)`."""
    unit = "block" if count == 1 else "blocks"
    return f"{number(count)} {unit} ({duration(count)})" if count > 0 else f"{number(count)} {unit}"


def expiry(height: BlockHeight, tip: BlockHeight | None) -> str:
    """When a lease ends, seen from the tip if it is known. Height 0 is no lease (bLIP-57 §3)."""
    if int(height) == 0:
        return "no lease"
    if tip is None:
        return f"block {number(int(height))}"
    left = height.blocks_since(tip)
    if left <= 0:
        return f"block {number(int(height))}, over"
    return f"block {number(int(height))}, in {duration(left)}"


def moment(when: datetime | None) -> str:
    return "" if when is None else f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def short(text: str, keep: int = 10) -> str:
    """A long id, cut in its middle."""
    return text if len(text) <= 2 * keep + 1 else f"{text[:keep]}…{text[-keep // 2 :]}"
