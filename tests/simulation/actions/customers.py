"""What customers do, honest ones and others."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Self

from lsps.client.terms import PayWith
from lsps.node.contract import ChannelState
from lsps.node.simulated.channels import SimulatedChannel
from lsps.node.simulated.lightning_node import LightningNode
from lsps.units import Sat, Scid
from tests.simulation.actions.action import Action, among
from tests.simulation.strangers import CHANNEL_ORDER
from tests.simulation.wallets import Extension, Purchase

if TYPE_CHECKING:
    from tests.simulation.stage import Stage

TOKENS = (None, None, None, "FREE", "HALF", "NONE")
MEANS = (PayWith.BOLT11, PayWith.BOLT11, PayWith.ONCHAIN)
CHANNELS = (0, 0, 0, 1, 2, 3)
"""Often the same one, so that orders meet."""
GARBAGE = (
    b"",
    b"\xff\xfe",
    b"[]",
    b"{}",
    b'{"jsonrpc":"2.0","method":"lsps0.list_protocols","id":null}',
    b'{"jsonrpc":"2.0","method":"lsps1.get_info","params":[],"id":"array"}',
    b'{"jsonrpc":"2.0","method":"lsps9.steal","params":{},"id":"unknown"}',
    b'{"jsonrpc":"2.0","method":"lsps7.create_order","params":{"short_channel_id":7},"id":"types"}',
    b'{"jsonrpc":"2.0","id":"nobody","result":{}}',
    b'{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"what?"}}',
    b'{"jsonrpc":"2.0","method":"lsps1.get_order","params":{"order_id":"'
    + b"x" * 70
    + b'"},"id":12345678901234567890}',
    b"[" * 5000,
)


def channel_of(node: LightningNode, number: int) -> SimulatedChannel | None:
    channels = [channel for channel in node.channels.values() if channel.state is ChannelState.OPEN]
    return among(number, channels) if channels else None


def scid_of(channel: SimulatedChannel, node: LightningNode, number: int) -> Scid:
    """One of the names that its customer knows the channel by."""
    names = [channel.scid, channel.aliases[node.node_id], channel.aliases[channel.other(node.node_id)]]
    return among(number, [name for name in names if name is not None])


@dataclass(frozen=True)
class WalletExtends(Action):
    wallet: int
    channel: int
    token: str | None
    pay_with: PayWith

    @classmethod
    def draw(cls, random: Random, turns: int) -> Self:
        return cls(turns, random.randrange(60), random.choice(CHANNELS), random.choice(TOKENS), random.choice(MEANS))

    def play(self, stage: Stage) -> str:
        wallet = among(self.wallet, stage.wallets)
        channel = channel_of(wallet.node, self.channel)
        if channel is None:
            return ""
        wish = Extension(scid_of(channel, wallet.node, self.channel), stage.some_blocks(), self.token, self.pay_with)
        wallet.wish_for(wish)
        return f"{wallet.name} wants to {wish}"


@dataclass(frozen=True)
class WalletBuys(Action):
    wallet: int
    balance: int
    client_balance: int
    zero_conf: bool
    token: str | None
    pay_with: PayWith

    @classmethod
    def draw(cls, random: Random, turns: int) -> Self:
        balance = random.choice((100_000, 1_000_000, 3_500_000, 5_000_000))
        client_balance = random.choice((0, 0, 20_000))
        token, means = random.choice(TOKENS), random.choice(MEANS)
        return cls(turns, random.randrange(60), balance, client_balance, random.random() < 0.4, token, means)

    def play(self, stage: Stage) -> str:
        wallet = among(self.wallet, stage.wallets)
        sizes = Sat(self.balance), Sat(self.client_balance)
        wish = Purchase(*sizes, stage.some_blocks(), self.zero_conf, self.token, self.pay_with)
        wallet.wish_for(wish)
        return f"{wallet.name} wants to {wish}"


@dataclass(frozen=True)
class StrangerOrders(Action):
    """`repeat` uses an id again that this stranger has used before."""

    stranger: int
    channel: int | None
    token: str | None
    repeat: bool
    refund: bool
    """Whether it names a refund address, so that it may be paid on-chain."""

    @classmethod
    def draw(cls, random: Random, turns: int) -> Self:
        channel = random.choice(CHANNELS) if random.random() < 0.6 else None
        token, repeat, refund = random.choice(TOKENS), random.random() < 0.1, random.random() < 0.7
        return cls(turns, random.randrange(60), channel, token, repeat, refund)

    def play(self, stage: Stage) -> str:
        stranger = among(self.stranger, stage.strangers)
        request_id: object = f"{stranger.name}-{stranger.asked}" if self.repeat else None
        more: dict[str, object] = {} if self.token is None else {"token": self.token}
        if self.refund:
            more["refund_onchain_address"] = stage.world.payer.new_address()
        if self.channel is None:
            params = {**CHANNEL_ORDER, "channel_expiry_blocks": stage.some_blocks(), **more}
            request_id = stranger.request("lsps1.create_order", params, request_id=request_id)
            return f"{stranger.name} orders a channel (request {request_id})"
        channel = channel_of(stranger.node, self.channel)
        if channel is None:
            return ""
        scid, blocks = scid_of(channel, stranger.node, self.channel), stage.some_blocks()
        params = {"short_channel_id": str(scid), "channel_extension_expiry_blocks": blocks, **more}
        request_id = stranger.request("lsps7.create_order", params, request_id=request_id)
        return f"{stranger.name} orders {blocks} more blocks for {scid} (request {request_id})"


@dataclass(frozen=True)
class StrangerPays(Action):
    """Any order that any stranger made, also one that is paid already."""

    stranger: int
    order: int
    percent: int

    @classmethod
    def draw(cls, random: Random, turns: int) -> Self:
        return cls(turns, random.randrange(60), random.randrange(4), random.choice((100, 100, 100, 60)))

    def play(self, stage: Stage) -> str:
        stranger = among(self.stranger, stage.strangers)
        payable = [known for known in stranger.known if known.invoice is not None]
        if not payable:
            return ""
        order = payable[max(-len(payable), -1 - self.order)]
        stranger.pay(order, percent=self.percent)
        how = "" if self.percent == 100 else f" {self.percent} % of"
        return f"{stranger.name} pays{how} order {order.order_id}"


@dataclass(frozen=True)
class StrangerAsks(Action):
    stranger: int
    what: str
    order: int

    @classmethod
    def draw(cls, random: Random, turns: int) -> Self:
        methods = ("lsps0.list_protocols", "lsps1.get_info", "lsps7.get_extendable_channels", "get_order", "get_order")
        return cls(turns, random.randrange(60), random.choice(methods), random.randrange(4))

    def play(self, stage: Stage) -> str:
        stranger = among(self.stranger, stage.strangers)
        if self.what != "get_order":
            stranger.request(self.what, {})
            return f"{stranger.name} asks {self.what}"
        if not stranger.known:
            return ""
        order = stranger.known[max(-len(stranger.known), -1 - self.order)]
        stranger.request(f"{order.service}.get_order", {"order_id": order.order_id})
        return f"{stranger.name} asks for order {order.order_id}"


@dataclass(frozen=True)
class StrangerSendsGarbage(Action):
    stranger: int
    what: int

    @classmethod
    def draw(cls, random: Random, turns: int) -> Self:
        return cls(turns, random.randrange(60), random.randrange(len(GARBAGE)))

    def play(self, stage: Stage) -> str:
        stranger = among(self.stranger, stage.strangers)
        payload = among(self.what, GARBAGE)
        stranger.send(payload)
        return f"{stranger.name} sends {payload[:60]!r}"


@dataclass(frozen=True)
class StrangerFloods(Action):
    """More requests at once than may be in work, some of them with one id."""

    stranger: int
    times: int
    same_id: bool
    order: bool

    @classmethod
    def draw(cls, random: Random, turns: int) -> Self:
        return cls(turns, random.randrange(60), random.randint(3, 30), random.random() < 0.3, random.random() < 0.5)

    def play(self, stage: Stage) -> str:
        stranger = among(self.stranger, stage.strangers)
        method, params = "lsps7.get_extendable_channels", {}
        channel = channel_of(stranger.node, 0)
        if self.order and channel is not None:
            scid = scid_of(channel, stranger.node, 0)
            method = "lsps7.create_order"
            params = {"short_channel_id": str(scid), "channel_extension_expiry_blocks": stage.some_blocks()}
        for _ in range(self.times):
            stranger.request(method, params, request_id=f"{stranger.name} floods" if self.same_id else None)
        return f"{stranger.name} floods with {self.times} {method}{' of one id' if self.same_id else ''}"
