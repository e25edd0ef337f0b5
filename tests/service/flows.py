"""The ways an order can go, each as one story that must end in one way, wherever the process dies or the node fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from lsps.node.contract import Payment, PaymentStatus
from lsps.service.offer import Token
from lsps.units import Sat
from tests.service.ends import DELIVERED, REFUNDED
from tests.service.onchain import audit, confirmed, price, selling
from tests.service.peers import CHANNEL_ORDER, Json, Peer, quiet, until
from tests.service.world import LspWorld, lsp_world

FREE = Token("FREE", discount_percent=100, uses=5)
BLOCKS = 144


@dataclass(frozen=True)
class Flow:
    """`before` makes the circumstances after the order was made; `passes` are the failpoints of the story."""

    method: str
    delivers: bool
    passes: frozenset[str]
    before: Callable[[LspWorld, Peer], Awaitable[None]] | None = None
    paid: bool = True
    free: bool = False
    onchain: int | None = None
    """Paid on-chain, and by how many satoshi too much."""

    @property
    def goes_back(self) -> bool:
        """Whether a refund is sent."""
        return self.onchain is not None and (self.onchain > 0 or not self.delivers)


async def close_the_channel(world: LspWorld, peer: Peer) -> None:
    channel = next(c for c in await world.lsp.channels.list() if int(c.capacity) == DOOMED)
    world.net.world.graph.close(channel.channel_id)
    await quiet()


async def refuse_channels(world: LspWorld, peer: Peer) -> None:
    world.faults.refuse_channels(peer.node.node_id)


async def lose_the_list(world: LspWorld, peer: Peer) -> None:
    """The channel list cannot be read for some seconds."""
    feed = world.net.world.nodes[world.lsp.node_id].channels_feed
    feed.cut()
    world.faults.fail_next(world.lsp.node_id, "channels.list", times=3)
    feed.mend()
    await quiet()


async def forget_to_expire(world: LspWorld, peer: Peer) -> None:
    """The node does not cancel its expired invoices by itself, or later than the order expires."""
    world.net.world.timers.close()


DOOMED = 700_000
"""The capacity of the channel that is extended, beside the one that pays."""

_CREATED = {"create_order.committed", "create_order.replied"}
_HELD = _CREATED | {"invoice.held", "invoice.held.committed"}
_SETTLED = {"settle_invoice.before", "settle_invoice.after", "settle_invoice.committed"}
_CHECKED = {"check_channel.committed"}
_CANCELLED = {"cancel_invoice.before", "cancel_invoice.after", "cancel_invoice.committed"}
_TRIED = {"choose_inputs.committed", "open_channel.before", "open_channel.committed"}
_OPENED = _TRIED | {"open_channel.after"}
BACK = {f"{effect}_refund.{place}" for effect in ("sign", "publish") for place in ("before", "after", "committed")}
_ONCHAIN = _CREATED | _CANCELLED

EXTEND, OPEN = "lsps7.create_order", "lsps1.create_order"
FLOWS = {
    "extension": Flow(EXTEND, True, frozenset(_HELD | _SETTLED)),
    "extension that waits": Flow(EXTEND, True, frozenset(_HELD | _SETTLED | _CHECKED), lose_the_list),
    "extension of a closing channel": Flow(EXTEND, False, frozenset(_HELD | _CANCELLED), close_the_channel),
    "extension unpaid": Flow(EXTEND, False, frozenset(_CREATED | _CANCELLED), forget_to_expire, paid=False),
    "extension free": Flow(EXTEND, True, frozenset(_CREATED), free=True),
    "channel": Flow(OPEN, True, frozenset(_HELD | _OPENED | _SETTLED)),
    "channel refused": Flow(OPEN, False, frozenset(_HELD | _TRIED | _CANCELLED), refuse_channels),
    "channel unpaid": Flow(OPEN, False, frozenset(_CREATED | _CANCELLED), forget_to_expire, paid=False),
    "channel free": Flow(OPEN, True, frozenset(_CREATED | _OPENED), free=True),
    "channel free but refused": Flow(OPEN, False, frozenset(_CREATED | _TRIED), refuse_channels, free=True),
    "extension on-chain": Flow(EXTEND, True, frozenset(_ONCHAIN), onchain=0),
    "extension on-chain that waits": Flow(EXTEND, True, frozenset(_ONCHAIN | _CHECKED), lose_the_list, onchain=0),
    "extension overpaid": Flow(EXTEND, True, frozenset(_ONCHAIN | BACK), onchain=9_000),
    "extension on-chain of a closing channel": Flow(
        EXTEND, False, frozenset(_ONCHAIN | BACK), close_the_channel, onchain=0
    ),
    "channel on-chain": Flow(OPEN, True, frozenset(_ONCHAIN | _OPENED), onchain=0),
    "channel overpaid": Flow(OPEN, True, frozenset(_ONCHAIN | _OPENED | BACK), onchain=9_000),
    "channel on-chain but refused": Flow(OPEN, False, frozenset(_ONCHAIN | _TRIED | BACK), refuse_channels, onchain=0),
}


@asynccontextmanager
async def stage(directory: Path) -> AsyncIterator[LspWorld]:
    """The world of the stories; its service is started."""
    async with lsp_world(directory, offer=replace(selling(), tokens=(FREE,)), price=price) as world:
        await world.open_channel(world.peers[0], DOOMED, 100_000)
        yield world


async def play(world: LspWorld, flow: Flow, deaths: Callable[[], bool] = lambda: False) -> Story:
    """The whole story. Whenever the process is dead another is started; `deaths` says whether it may die again."""
    (peer,) = world.peers
    doomed = next(c for c in await world.lsp.channels.list() if int(c.capacity) == DOOMED)
    if flow.method == EXTEND:
        params: Json = {"short_channel_id": str(doomed.scid), "channel_extension_expiry_blocks": BLOCKS}
    else:
        params = CHANNEL_ORDER | {"client_balance_sat": "0" if flow.free else "20000"}
    refund_address = world.net.world.payer.new_address()
    if flow.onchain is not None:
        params |= {"refund_onchain_address": refund_address}
    extended_to = world.tip + BLOCKS
    if flow.free and flow.before is not None:
        await flow.before(world, peer)
    request_id = await peer.send_request(flow.method, params | ({"token": "FREE"} if flow.free else {}))
    await until(lambda: bool(peer.replies[request_id]) or world.dead.is_set())
    await quiet()
    await _revive(world, deaths)
    # The reply may be lost, the order may not: it was durable before.
    (stored,) = await world.store.newest_orders(None, 5)
    order = await peer.call(flow.method.replace("create", "get"), {"order_id": stored.id})
    payment: asyncio.Task[Payment] | None = None
    if not flow.free:
        if flow.before is not None:
            await flow.before(world, peer)
        if flow.onchain is not None:
            option = order["payment"]["onchain"]
            world.net.pay(option["address"], Sat(int(option["order_total_sat"]) + flow.onchain))
        else:
            payment = peer.pay(order) if flow.paid else None
    for _ in range(40):
        if flow.onchain is not None:
            world.mine()
        await world.pass_time(5 if flow.paid else 100)
        await _revive(world, deaths)
    return Story(world, peer, flow, order, payment, extended_to, confirmed(world, refund_address))


async def _revive(world: LspWorld, deaths: Callable[[], bool]) -> None:
    while world.dead.is_set():
        await world.restart(again=deaths())
        await quiet()


@dataclass(frozen=True)
class Story:
    """How it went. `ended_well` says that it ended exactly once, right."""

    world: LspWorld
    peer: Peer
    flow: Flow
    order: Json
    payment: asyncio.Task[Payment] | None
    extended_to: int
    came_back: list[int]
    """What blocks paid to the refund address, each."""

    async def delivered(self) -> bool:
        """Whether the node and the list show what was ordered, once. Anything between once and not at all fails."""
        if self.flow.method == OPEN:
            channels = await self.world.lsp_channels()
            assert len(channels) <= 1
            return len(channels) == 1
        leases = await self.world.store.open_leases(None, 10)
        assert [int(lease.expiration_block) for lease in leases] in ([], [self.extended_to])
        assert [lease.extension_order_ids for lease in leases] in ([], [(self.order["order_id"],)])
        return len(leases) == 1

    async def ended_well(self) -> None:
        """Delivered and paid, or neither; and that is what is told and counted."""
        delivered = await self.delivered()
        now = await self.peer.order(self.order)
        assert now["order_state"] == ("COMPLETED" if delivered else "FAILED")
        if self.flow.free:
            assert now["payment"] == {}
            count = await self.world.store.token_count("FREE")
            assert (count.reserved, count.consumed) == (0, int(delivered))
        else:
            method = "bolt11" if self.flow.onchain is None else "onchain"
            told = (now["order_state"], now["payment"][method]["state"])
            assert told == (DELIVERED if delivered else REFUNDED)
        assert len(self.came_back) == int(self.flow.goes_back)
        await audit(self.world)
        if self.payment is not None:
            assert self.payment.done()
            paid = self.payment.result().status is PaymentStatus.SUCCEEDED
            assert paid == delivered
        assert await self.world.store.reserved_inputs() == frozenset()
        assert await self.world.store.next_due(self.world.clock.now()) is None
        assert (await self.world.store.unpaid(self.peer.node.node_id)).of_principal == 0
