"""A whole copy of a store, made while it is served, checked before it gets its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lsps.store.orders import StoreError


class CopyRefused(StoreError):
    """The copy was not made, since it would have harmed a file. Nothing was overwritten."""


@dataclass(frozen=True, slots=True)
class Backup:
    """One file, which needs no others beside it, as the store was at one moment.

    `rows`: how many each table holds, in the store at that moment and in the copy.
    """

    of: Path
    file: Path
    size: int
    """In bytes."""
    rows: Mapping[str, int]
    holds_secret: bool
    """Whether the secret that preimages derive from is in it (money rule 6)."""
