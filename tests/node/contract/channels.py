"""Channels: seen, opened with given inputs, refused, closed."""

from __future__ import annotations

import asyncio
from typing import TypeGuard

import pytest

from lsps.node.contract import (
    Channel,
    ChannelGone,
    ChannelState,
    NodeError,
    NotOpened,
    Opened,
    Opener,
    OpenRequest,
    Refused,
    Resumed,
    Undecided,
)
from lsps.units import BlockHeight, Outpoint, Sat
from tests.node.contract.environment import ContractEnvironment, Side, eventually, listening, open_request

CAPACITY = Sat(300_000)
FUNDS = Sat(500_000)
CONFIRMATIONS = 6


async def decided(side: Side, request: OpenRequest, since: BlockHeight) -> Opened | NotOpened:
    """What became of an opening, as soon as the node is sure."""

    async def check() -> Opened | NotOpened | None:
        fate = await side.channels.fate(request.peer, request.inputs, since)
        return None if isinstance(fate, Undecided) else fate

    return await eventually("the opening is decided", check)


async def in_state(side: Side, funding: Outpoint, state: ChannelState) -> Channel:
    async def check() -> Channel | None:
        channel = await side.channel(funding)
        return channel if channel is not None and channel.state is state else None

    return await eventually(f"the channel is {state.value}", check)


async def named(side: Side, funding: Outpoint) -> Channel:
    """The channel once it is OPEN and the peer has said its alias, which may come a moment later."""

    async def check() -> Channel | None:
        channel = await side.channel(funding)
        return channel if channel is not None and channel.peer_alias is not None else None

    await in_state(side, funding, ChannelState.OPEN)
    return await eventually("the peer's alias is known", check)


class ChannelsContract:
    async def test_both_sides_see_the_same_channel(self, env: ContractEnvironment) -> None:
        """An open channel's fields fit together, seen from its opener and from its peer."""
        funding = await env.open_channel(env.buyer, env.seller, CAPACITY, Sat(100_000))
        ours = await in_state(env.buyer, funding, ChannelState.OPEN)
        theirs = await in_state(env.seller, funding, ChannelState.OPEN)
        assert ours.channel_id == theirs.channel_id == funding.channel_id()
        assert (ours.peer, theirs.peer) == (env.seller.node_id, env.buyer.node_id)
        assert (ours.opener, theirs.opener) == (Opener.US, Opener.PEER)
        assert ours.capacity == theirs.capacity == CAPACITY
        assert ours.pushed == theirs.pushed == Sat(100_000)
        assert theirs.local_balance == ours.remote_balance == Sat(100_000)
        assert not ours.private
        assert not theirs.private
        assert not ours.zero_conf
        assert ours.scid is not None
        assert ours.scid == theirs.scid
        height = ours.confirmed_at()
        assert height is not None
        assert height <= await env.buyer.height()

    async def test_an_opening_is_told_from_pending_to_gone(self, env: ContractEnvironment) -> None:
        """`events`: Resumed, the channel while PENDING, OPEN with its confirmed SCID, and ChannelGone once closed."""
        source = await env.fund(env.seller, FUNDS)
        async with listening(env.buyer.channels.events()) as events:
            assert isinstance(events.heard[0], Resumed)
            funding = await env.seller.channels.open(open_request(env.buyer, CAPACITY, [source], push=50_000))
            await env.mine(CONFIRMATIONS)
            heard = await events.until(lambda heard: any(_is_open(event, funding) for event in heard))
            channels = [event for event in heard if isinstance(event, Channel) and event.funding == funding]
            assert channels[0].state is ChannelState.PENDING
            assert channels[-1].scid is not None
            assert channels[-1].local_balance == Sat(50_000)
            await env.close_channel(funding)
            await events.until(lambda heard: ChannelGone(funding.channel_id()) in heard)
        assert await env.buyer.channel(funding) is None

    async def test_an_opening_spends_its_inputs_once(self, env: ContractEnvironment) -> None:
        """The inputs leave the wallet and fund one channel; every repeat is refused, before and after confirmation,
        and `fate` says which channel it was."""
        sources = [await env.fund(env.seller, FUNDS), await env.fund(env.seller, FUNDS)]
        bystander = await env.fund(env.seller, FUNDS)
        since = await env.seller.height()
        capacity = Sat(700_000)  # more than one of them has
        request = open_request(env.buyer, capacity, sources, push=1_000, private=True)
        funding = await env.seller.channels.open(request)
        spendable = {utxo.outpoint for utxo in await env.seller.wallet.inputs()}
        assert spendable.isdisjoint(sources)
        assert bystander in spendable
        with pytest.raises(Refused):
            await env.seller.channels.open(request)
        assert await decided(env.seller, request, since) == Opened(funding)
        await env.mine(CONFIRMATIONS)
        channel = await in_state(env.seller, funding, ChannelState.OPEN)
        assert (channel.capacity, channel.pushed, channel.private) == (capacity, Sat(1_000), True)
        assert channel.memo == request.memo
        assert channel.opener is Opener.US
        with pytest.raises(Refused):
            await env.seller.channels.open(request)
        assert await decided(env.seller, request, since) == Opened(funding)
        assert sources[0] not in {utxo.outpoint for utxo in await env.seller.wallet.inputs()}

    async def test_openings_at_once_with_the_same_inputs_make_one_channel(self, env: ContractEnvironment) -> None:
        """Of three calls at the same time with one input, one opens a channel and the others are refused."""
        source = await env.fund(env.seller, FUNDS)
        before = {channel.funding for channel in await env.seller.channels.list()}
        request = open_request(env.buyer, CAPACITY, [source])
        answers = await asyncio.gather(*(env.seller.channels.open(request) for _ in range(3)), return_exceptions=True)
        assert sorted(type(answer).__name__ for answer in answers) == ["Outpoint", "Refused", "Refused"]
        await env.mine(CONFIRMATIONS)
        opened = next(answer for answer in answers if isinstance(answer, Outpoint))
        await in_state(env.seller, opened, ChannelState.OPEN)
        assert {channel.funding for channel in await env.seller.channels.list()} - before == {opened}

    async def test_a_killed_caller_leaves_one_truth(self, env: ContractEnvironment) -> None:
        """When the caller of `open` is cancelled at once, `fate` is decided in the end, and is what the wallet and the
        channels show."""
        source = await env.fund(env.seller, FUNDS)
        since = await env.seller.height()
        request = open_request(env.buyer, CAPACITY, [source])
        opening = asyncio.create_task(env.seller.channels.open(request))
        await asyncio.sleep(0.01)
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        fate = await decided(env.seller, request, since)
        if isinstance(fate, NotOpened):
            await env.connect()
            assert source in {utxo.outpoint for utxo in await env.seller.wallet.inputs()}
            fate = Opened(await env.seller.channels.open(request))
        await env.mine(CONFIRMATIONS)
        await in_state(env.seller, fate.funding, ChannelState.OPEN)
        assert await decided(env.seller, request, since) == fate

    async def test_inputs_never_used_opened_nothing(self, env: ContractEnvironment) -> None:
        """The fate of inputs that no `open` ever named is NotOpened."""
        source = await env.fund(env.seller, FUNDS)
        request = open_request(env.buyer, CAPACITY, [source])
        assert isinstance(await decided(env.seller, request, await env.seller.height()), NotOpened)

    @pytest.mark.parametrize("reason", ["too small", "short of funds", "stranger"])
    async def test_a_refused_opening_opened_nothing(self, env: ContractEnvironment, reason: str) -> None:
        """An `open` that cannot be raises, its fate is NotOpened, and its input serves the next one."""
        source = await env.fund(env.seller, FUNDS)
        since = await env.seller.height()
        capacity = {"too small": Sat(1_000), "short of funds": FUNDS}.get(reason, CAPACITY)
        request = open_request(env.buyer, capacity, [source])
        if reason == "stranger":
            request = OpenRequest(env.stranger, CAPACITY, Sat(0), False, False, (source,), 2_500, "")
        with pytest.raises(NodeError):
            await env.seller.channels.open(request)
        assert isinstance(await decided(env.seller, request, since), NotOpened)
        await env.connect()
        funding = await env.seller.channels.open(open_request(env.buyer, CAPACITY, [source]))
        await env.mine(CONFIRMATIONS)
        await in_state(env.seller, funding, ChannelState.OPEN)

    async def test_a_spent_input_opens_nothing(self, env: ContractEnvironment) -> None:
        """An `open` with an input that another channel used is refused, and its own fate stays NotOpened."""
        source, other = await env.fund(env.seller, FUNDS), await env.fund(env.seller, FUNDS)
        since = await env.seller.height()
        await env.seller.channels.open(open_request(env.buyer, CAPACITY, [source]))
        request = open_request(env.buyer, CAPACITY, [source, other])
        with pytest.raises(Refused):
            await env.seller.channels.open(request)
        assert isinstance(await decided(env.seller, request, since), NotOpened)
        await env.mine(CONFIRMATIONS)


class ZeroConfContract:
    async def test_zero_conf_needs_the_peers_consent(self, env: ContractEnvironment) -> None:
        """A 0-conf channel that nobody at the peer accepts is refused, or one that is smaller than accepted."""
        source = await env.fund(env.seller, FUNDS)
        since = await env.seller.height()
        request = open_request(env.buyer, CAPACITY, [source], private=True, zero_conf=True)
        with pytest.raises(Refused):
            await env.seller.channels.open(request)
        assert isinstance(await decided(env.seller, request, since), NotOpened)
        await env.connect()
        async with env.buyer.channels.accept_zero_conf(env.seller.node_id, CAPACITY + Sat(1)):
            with pytest.raises(Refused):
                await env.seller.channels.open(request)
        assert isinstance(await decided(env.seller, request, since), NotOpened)

    async def test_an_accepted_zero_conf_channel_is_usable_at_once(self, env: ContractEnvironment) -> None:
        """While accepted, a 0-conf channel is OPEN before any block, known by its aliases, and by its confirmed SCID
        afterwards."""
        source = await env.fund(env.seller, FUNDS)
        request = open_request(env.buyer, CAPACITY, [source], private=True, zero_conf=True)
        async with env.buyer.channels.accept_zero_conf(env.seller.node_id, CAPACITY):
            funding = await env.seller.channels.open(request)
            ours = await named(env.seller, funding)
        theirs = await named(env.buyer, funding)
        assert ours.zero_conf
        assert theirs.zero_conf
        assert ours.scid is None
        assert ours.confirmed_at() is None
        assert theirs.peer_alias in ours.aliases
        assert ours.peer_alias in theirs.aliases
        async with listening(env.seller.channels.events()) as events:
            await env.mine(CONFIRMATIONS)

            async def confirmed() -> Channel | None:
                channel = await env.seller.channel(funding)
                return channel if channel is not None and channel.scid is not None else None

            channel = await eventually("the channel has a confirmed SCID", confirmed)
            assert set(ours.aliases) <= set(channel.aliases)
            await events.until(lambda heard: any(_is_open(event, funding) and event.scid for event in heard))

    async def test_the_consent_ends_with_the_context(self, env: ContractEnvironment) -> None:
        """A 0-conf channel is refused again once `accept_zero_conf` is left."""
        source = await env.fund(env.seller, FUNDS)
        async with env.buyer.channels.accept_zero_conf(env.seller.node_id, CAPACITY):
            pass
        with pytest.raises(Refused):
            await env.seller.channels.open(open_request(env.buyer, CAPACITY, [source], private=True, zero_conf=True))

    async def test_other_channels_pass_while_zero_conf_is_expected(self, env: ContractEnvironment) -> None:
        """An ordinary channel is accepted as ever while `accept_zero_conf` is entered, and after it is left."""
        source, other = await env.fund(env.seller, FUNDS), await env.fund(env.seller, FUNDS)
        async with env.buyer.channels.accept_zero_conf(env.seller.node_id, CAPACITY):
            funding = await env.seller.channels.open(open_request(env.buyer, CAPACITY, [source]))
            channel = await env.seller.channel(funding)
            assert channel is not None
            assert channel.state is ChannelState.PENDING
            await env.mine(CONFIRMATIONS)
            await in_state(env.seller, funding, ChannelState.OPEN)
        funding = await env.seller.channels.open(open_request(env.buyer, CAPACITY, [other]))
        await env.mine(CONFIRMATIONS)
        await in_state(env.seller, funding, ChannelState.OPEN)


def _is_open(event: object, funding: Outpoint) -> TypeGuard[Channel]:
    return isinstance(event, Channel) and event.funding == funding and event.state is ChannelState.OPEN
