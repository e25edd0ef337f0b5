"""What an invariant finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """The invariant that was broken, by its name, and how."""

    invariant: str
    text: str


Fail = Callable[[str, str], None]
"""(invariant, text): it is broken."""
