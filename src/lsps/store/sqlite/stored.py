"""What every stored JSON object has in common."""

from __future__ import annotations

import msgspec


class Stored(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Unknown fields would be lost at the next write, so they are refused."""
