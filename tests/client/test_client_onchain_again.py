"""The same call again, when the world moved on since it paid: what is paid is followed, and nothing is ordered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lsps.client.errors import OptionMismatch, OrderFailed
from lsps.client.terms import Step
from lsps.store.journal import Entry, EntryState
from lsps.store.orders import StoreUnavailable
from tests.client.fakes import patch
from tests.client.onchain import FEE, market
from tests.client.test_client_onchain import Killed, dies_at


async def extend_and_die(shop: Any, place: str, **wish: Any) -> None:
    with pytest.raises(Killed):
        await shop.extend(dies_at(place), **wish)


async def test_the_refund_of_a_channel_that_is_gone_is_followed(tmp_path: Path) -> None:
    """The channel to extend was closed before the payment counted, and is listed nowhere any more: the same call goes
    on with the order until its refund is in a block. Without such an order it is refused."""
    async with market(tmp_path) as shop:
        await extend_and_die(shop, "client_published")
        shop.net.nodes.world.graph.close(shop.channel.channel_id)
        async with shop.blocks():
            with pytest.raises(OrderFailed, match=f"of the {FEE} sat came back"):
                await shop.extend()
            assert await shop.states() == [EntryState.FAILED]
            with pytest.raises(OptionMismatch, match="nothing was ordered"):
                await shop.extend()
        assert await shop.states() == [EntryState.FAILED]


async def test_an_extension_to_the_maximum_is_seen_by_the_next_run(tmp_path: Path) -> None:
    """Delivered, it leaves less than it asked for to be added: the run after a crash reports it all the same."""
    async with market(tmp_path) as shop, shop.blocks():
        async with shop.client() as lsp:
            [channel] = await lsp.lsps7.get_extendable_channels()
        most = channel.max_channel_extension_expiry_blocks
        await extend_and_die(shop, "client_completed", blocks=most)
        extended = await shop.extend(blocks=most)
        assert (extended.resumed, extended.delivered) == (True, True)
        assert await shop.paid_to_the_lsp() == [FEE]


@pytest.mark.parametrize("written", [True, False])
async def test_a_journal_that_fails_at_the_end_hides_nothing(tmp_path: Path, written: bool) -> None:
    """Delivered is delivered, though the journal's disk is full then: whoever saw an error would buy it again."""

    async with market(tmp_path) as shop, shop.blocks():
        real = shop.journal.update

        async def update(entry: Entry) -> None:
            if entry.state is not EntryState.COMPLETED or written:
                await real(entry)
            if entry.state is EntryState.COMPLETED:
                raise StoreUnavailable("the disk is full")

        patch(shop.journal, "update", update)
        bought = await shop.buy()
        patch(shop.journal, "update", real)
        assert bought.channel is not None
        assert any(step.step is Step.NOTICED and "the disk is full" in step.text for step in shop.steps)
        assert await shop.states() == [EntryState.COMPLETED if written else EntryState.PAYING]
        if not written:
            assert (await shop.buy()).resumed
        assert await shop.paid_to_the_lsp() == [FEE]
