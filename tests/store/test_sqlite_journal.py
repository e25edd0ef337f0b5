"""The client's journal: durable entries, found again as the same wish, shared by processes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsps.store.journal import Entry, EntryState, Journal
from lsps.store.orders import StoreError, StoreUnavailable
from lsps.store.sqlite.journal import open_journal
from lsps.units import OrderId
from tests.store import strategies
from tests.store.contract import FEW
from tests.store.opened import PROJECT, by_hand
from tests.store.samples import LSP, OTHER_LSP, PEER, START, after

WISH = Entry(
    node=PEER,
    lsp=LSP,
    method="lsps7.create_order",
    parameters='{"short_channel_id":"1x1x1"}',
    state=EntryState.ASKED,
    created_at=START,
    updated_at=START,
)
ENTRIES = st.builds(
    Entry,
    node=strategies.node_ids,
    lsp=strategies.node_ids,
    lsp_address=st.text(max_size=50),
    method=st.text(max_size=20),
    parameters=st.text(max_size=200),
    state=st.sampled_from(EntryState),
    created_at=strategies.moments,
    updated_at=strategies.moments,
    expires_at=st.none() | strategies.moments,
    order_id=st.none() | strategies.order_ids,
    order=st.binary(max_size=200),
    payment_hash=st.none() | strategies.hashes,
    note=st.text(max_size=50),
)


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    journal = open_journal(tmp_path / "client.db")
    yield journal
    await journal.close()


@FEW
@given(first=ENTRIES, second=ENTRIES)
async def test_any_entry_is_read_back_as_it_was_written(journal: Journal, first: Entry, second: Entry) -> None:
    """Every field survives adding and updating; the number is the journal's."""
    added = await journal.add(first)
    assert added == replace(first, number=added.number)
    assert added.number > 0
    assert await journal.newest(1) == [added]
    changed = replace(second, number=added.number)
    await journal.update(changed)
    assert await journal.newest(1) == [changed]


async def test_unfinished_entries_of_the_same_wish(journal: Journal) -> None:
    """Ordered, paying, or asked without a reply, of that node, LSP, method and parameters alone; the newest first."""
    kept = []
    for state in EntryState:
        entry = await journal.add(replace(WISH, state=state))
        if state in (EntryState.ASKED, EntryState.ORDERED, EntryState.PAYING):
            kept.append(entry)
    await journal.add(replace(WISH, order_id=OrderId("known")))
    others = [{"node": LSP}, {"lsp": OTHER_LSP}, {"method": "lsps1.create_order"}, {"parameters": "{}"}]
    for other in others:
        await journal.add(replace(WISH, **other))  # type: ignore[arg-type]
    assert await journal.unfinished(PEER, LSP, WISH.method, WISH.parameters) == kept[::-1]
    await journal.update(replace(kept[2], state=EntryState.COMPLETED))
    assert await journal.unfinished(PEER, LSP, WISH.method, WISH.parameters) == kept[1::-1]


async def test_newest_entries_first(journal: Journal) -> None:
    """As many as asked, the newest first."""
    entries = [await journal.add(replace(WISH, created_at=after(-number))) for number in range(5)]
    assert await journal.newest(3) == entries[:1:-1]


async def test_only_what_is_there_can_be_updated(journal: Journal) -> None:
    """Updating an entry that was never added, or adding one twice, is refused."""
    entry = await journal.add(WISH)
    with pytest.raises(StoreError, match="no entry 999"):
        await journal.update(replace(entry, number=999))
    with pytest.raises(StoreError, match="update it"):
        await journal.add(entry)
    assert await journal.newest(10) == [entry]


ADD = """
import asyncio, sys
from pathlib import Path
from lsps.store.sqlite.journal import open_journal
from tests.store.test_sqlite_journal import WISH
async def main():
    journal = open_journal(Path(sys.argv[1]))
    for _ in range(20):
        await journal.add(WISH)
    await journal.close()
asyncio.run(main())
"""


async def test_several_processes_use_one_journal(tmp_path: Path) -> None:
    """Three processes that open a new journal at once and write to it: every entry is there, each with its number."""
    path = tmp_path / "client.db"
    command = [sys.executable, "-c", ADD, str(path)]
    processes = [await asyncio.create_subprocess_exec(*command, cwd=PROJECT) for _ in range(3)]
    assert [await process.wait() for process in processes] == [0, 0, 0]
    journal = open_journal(path)
    assert [entry.number for entry in await journal.newest(100)] == list(range(60, 0, -1))
    await journal.close()


async def test_a_journal_that_cannot_be_written(tmp_path: Path) -> None:
    """Another program's lock gives StoreUnavailable with advice; reading goes on; a closed journal says so."""
    path = tmp_path / "client.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lsps.store.sqlite.connection.WRITE_PATIENCE_MS", 0)
        journal = open_journal(path)
    with by_hand(path) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="another program"):
            await journal.add(WISH)
        assert await journal.newest(10) == []
        other.execute("ROLLBACK")
    await journal.add(WISH)
    await journal.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await journal.newest(10)
