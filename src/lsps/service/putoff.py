"""An effect that cannot be carried out yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

LONGEST = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class PutOff:
    """To be tried again later. `reason` is for the log, and for the operator."""

    reason: str


def backoff(attempt: int) -> timedelta:
    """How long to wait after so many attempts: 1 s, doubling, at most half a minute."""
    return min(timedelta(seconds=2 ** min(attempt, 10)), LONGEST)
