"""Bugs in the customer's end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lsps.client.unfinished import Unfinished
from lsps.store.journal import Entry
from tests.simulation.bugs.bug import Patches


def forget_the_journal(patches: Patches) -> None:
    async def entries(_self: Unfinished[Any, Any]) -> Sequence[Entry]:
        return ()

    patches.replace(Unfinished, "entries", entries)
