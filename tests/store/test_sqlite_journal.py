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

from lsps.store.journal import Entry, EntryState, Journal, OnchainTransaction
from lsps.store.orders import InputTaken, StoreError, StoreUnavailable
from lsps.store.sqlite.journal import open_journal
from lsps.store.sqlite.schema import JOURNAL, migrations
from lsps.units import OrderId, Outpoint, Sat
from tests.store import strategies
from tests.store.contract import FEW
from tests.store.opened import PROJECT, by_hand
from tests.store.samples import LSP, OTHER_LSP, PEER, START, TIP, after

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
    refund_address=st.text(max_size=50),
)
TRANSACTIONS = st.builds(
    OnchainTransaction,
    txid=strategies.hashes.map(bytes.hex),
    raw=st.binary(min_size=1, max_size=200),
    paid=st.integers(0, 21 * 10**14).map(Sat),
    fee=st.integers(0, 21 * 10**14).map(Sat),
    inputs=st.lists(strategies.outpoints, min_size=1, max_size=4, unique=True).map(tuple),
    since=strategies.heights,
)
PAYS = OnchainTransaction(
    "11" * 32, b"\x01", Sat(20_000), Sat(600), (Outpoint("aa" * 32, 0), Outpoint("bb" * 32, 1)), TIP
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


async def test_unfinished_entries(journal: Journal) -> None:
    """Ordered, paying, or asked without a reply, of that node, LSP and method alone; the newest first."""
    kept = []
    for state in EntryState:
        entry = await journal.add(replace(WISH, state=state))
        if state in (EntryState.ASKED, EntryState.ORDERED, EntryState.PAYING):
            kept.append(entry)
    await journal.add(replace(WISH, order_id=OrderId("known")))
    others = [{"node": LSP}, {"lsp": OTHER_LSP}, {"method": "lsps1.create_order"}]
    for other in others:
        await journal.add(replace(WISH, **other))  # type: ignore[arg-type]
    assert await journal.unfinished(PEER, LSP, WISH.method) == kept[::-1]
    await journal.update(replace(kept[2], state=EntryState.COMPLETED))
    assert await journal.unfinished(PEER, LSP, WISH.method) == kept[1::-1]


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


async def test_an_entry_ends_unpaid_only_while_nobody_pays(journal: Journal) -> None:
    """ASKED and ORDERED end; what another process moved on stays as it is, and the caller hears so."""
    for state in EntryState:
        entry = await journal.add(replace(WISH, state=state, note="before"))
        done = await journal.end_unpaid(replace(entry, state=EntryState.ABANDONED, note="declined"))
        [now] = await journal.newest(1)
        assert done is (state in {EntryState.ASKED, EntryState.ORDERED})
        assert now == (replace(entry, state=EntryState.ABANDONED, note="declined") if done else entry)


# --- what pays on-chain ---------------------------------------------------------------------------------------------


@FEW
@given(entry=ENTRIES, changed=ENTRIES, kept=TRANSACTIONS, late=TRANSACTIONS)
async def test_a_transaction_is_kept_once_and_for_good(
    journal: Journal, entry: Entry, changed: Entry, kept: OnchainTransaction, late: OnchainTransaction
) -> None:
    """The first is the entry's: a second gets the first as an answer, and no update takes it away."""
    for other in await journal.newest(1_000):
        await journal.update(replace(other, state=EntryState.COMPLETED))
    number = (await journal.add(entry)).number
    assert await journal.keep_transaction(number, kept) == kept
    assert await journal.keep_transaction(number, late) == kept
    changed = replace(changed, number=number, state=EntryState.FAILED)
    await journal.update(changed)
    assert await journal.newest(1) == [replace(changed, transaction=kept)]


async def test_an_entry_with_a_transaction_is_being_paid(journal: Journal) -> None:
    """It is PAYING from then on, and a process that does not know of it cannot abandon it; its end can come."""
    stale = await journal.add(replace(WISH, state=EntryState.ORDERED, order_id=OrderId("one")))
    await journal.keep_transaction(stale.number, PAYS)
    await journal.update(replace(stale, state=EntryState.ABANDONED, note="declined"))
    [entry] = await journal.unfinished(PEER, LSP, WISH.method)
    assert (entry.state, entry.transaction) == (EntryState.PAYING, PAYS)
    await journal.update(replace(entry, state=EntryState.FAILED))
    assert (await journal.newest(1))[0].state is EntryState.FAILED
    await journal.update(replace(await journal.add(WISH), state=EntryState.ABANDONED))
    assert (await journal.newest(1))[0].state is EntryState.ABANDONED


async def test_no_two_unfinished_entries_spend_the_same(journal: Journal) -> None:
    """An input of another unfinished entry of the same node is refused, and nothing is written; a finished one's is
    free, and so is another node's."""
    one, other, foreign = await journal.add(WISH), await journal.add(WISH), await journal.add(replace(WISH, node=LSP))
    overlapping = replace(PAYS, txid="22" * 32, inputs=(Outpoint("cc" * 32, 0), PAYS.inputs[1]))
    await journal.keep_transaction(one.number, PAYS)
    assert await journal.inputs_in_use(PEER) == set(PAYS.inputs)
    assert await journal.inputs_in_use(LSP) == set()
    with pytest.raises(InputTaken):
        await journal.keep_transaction(other.number, overlapping)
    assert [entry.transaction for entry in await journal.newest(3)] == [None, None, PAYS]
    await journal.keep_transaction(foreign.number, overlapping)
    await journal.update(replace(one, state=EntryState.COMPLETED))
    assert await journal.inputs_in_use(PEER) == set()
    assert await journal.keep_transaction(other.number, overlapping) == overlapping


async def test_a_transaction_belongs_to_an_entry(journal: Journal) -> None:
    """None is kept for an entry that was never added."""
    with pytest.raises(StoreError, match="no entry 7"):
        await journal.keep_transaction(7, PAYS)


async def test_a_journal_from_before_on_chain_payments(tmp_path: Path) -> None:
    """Its entries are as they were, without refund address and transaction."""
    path = tmp_path / "client.db"
    with by_hand(path) as file:
        file.executescript(migrations(JOURNAL)[0])
        file.execute(f"PRAGMA application_id = {JOURNAL.application_id}")
        file.execute("PRAGMA user_version = 1")
        file.execute(
            "INSERT INTO entries VALUES (1, ?, ?, '', ?, ?, 'paying', 0, 0, NULL, 'one', NULL, '', x'')",
            (PEER.hex, LSP.hex, WISH.method, WISH.parameters),
        )
    journal = open_journal(path)
    [entry] = await journal.newest(10)
    assert (entry.order_id, entry.state) == (OrderId("one"), EntryState.PAYING)
    assert (entry.refund_address, entry.transaction) == ("", None)
    assert await journal.keep_transaction(entry.number, PAYS) == PAYS
    await journal.close()


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
