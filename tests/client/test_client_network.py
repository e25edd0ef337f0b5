"""The client against our own service, both on SQLite: the whole story once."""

from __future__ import annotations

from lsps.node.contract import ChannelState
from lsps.store.journal import EntryState
from lsps.testing import network
from lsps.units import Sat
from tests.client.fakes import until


async def test_a_channel_is_bought_and_extended_to_its_maximum() -> None:
    """Bought by LSPS1, listed and extended twice by LSPS7, the second time by all that is left; the journal has all."""
    async with network() as net:
        lsp = net.clients[0].lsp(net.lsp_address)
        own = await net.nodes.open_channel(net.nodes.clients[0], net.nodes.lsp, Sat(2_000_000))
        assert own.state is ChannelState.OPEN
        assert await lsp.lsps0.list_protocols() == (1, 7)
        bought = await lsp.lsps1.buy(lsp_balance=Sat(1_000_000), expiry_blocks=4320, max_fee=Sat(100_000))
        assert bought.channel is not None
        net.nodes.mine(1)
        confirmed_at = net.nodes.world.chain.height

        async def lease_is_firm() -> bool:
            listing = await lsp.lsps7.get_extendable_channels()
            return [entry.expiration_block for entry in listing] == [confirmed_at + 4320]

        await until(lease_is_firm)
        [listed] = await lsp.lsps7.get_extendable_channels()
        extended = await lsp.lsps7.extend(listed.short_channel_id, blocks=1000, max_fee=Sat(100_000))
        assert extended.expiration_block == listed.expiration_block + 1000
        assert extended.listed is not None
        rest = extended.listed.max_channel_extension_expiry_blocks
        last = await lsp.lsps7.extend(listed.short_channel_id, blocks=rest, max_fee=Sat(100_000))
        assert last.delivered
        assert list(await lsp.lsps7.get_extendable_channels()) == []
        entries = await net.clients[0].journal.newest(10)
        assert [entry.state for entry in entries] == [EntryState.COMPLETED] * 3
