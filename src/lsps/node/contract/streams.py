"""What every stream of the contract gives first, and after each interruption."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Resumed:
    """A stream's (re)start: events before this moment may have been lost."""
