"""An LSP on a simulated node that speaks raw JSON, so that each of its words can be made wrong."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from dataclasses import replace as replaced
from datetime import timedelta
from typing import Any

from lsps.client.client import Client
from lsps.client.lsp import Lsp
from lsps.client.patience import Patience
from lsps.failpoints import Failpoint, none
from lsps.lightning import bolt11
from lsps.lightning.bolt11 import Invoice
from lsps.node.contract import Channel, InvoiceState, Message, Resumed
from lsps.node.simulated.clock import settle
from lsps.node.simulated.lightning_node import Policy
from lsps.node.simulated.node import SimulatedNode
from lsps.protocol.fields import write_datetime
from lsps.testing import SimulatedNetwork, create_network
from lsps.units import Msat, NodeId, OrderId, Sat
from tests.client.fakes import HurriedClock, MemoryJournal

Json = dict[str, Any]
FEE = 1_000

OPTIONS: Json = {
    "min_required_channel_confirmations": 0,
    "min_funding_confirms_within_blocks": 1,
    "supports_zero_channel_reserve": False,
    "max_channel_expiry_blocks": 20_160,
    "min_initial_client_balance_sat": "0",
    "max_initial_client_balance_sat": "1000000",
    "min_initial_lsp_balance_sat": "20000",
    "max_initial_lsp_balance_sat": "30000000",
    "min_channel_balance_sat": "20000",
    "max_channel_balance_sat": "30000000",
}


class FakeLsp:
    """Honest unless told otherwise.

    `change[method]` alters a result before it goes out; `instead[method]` answers in its place (an error object, bytes,
    or None for silence). `on_held` is what it does with a payment: "deliver", "fail", "keep", "take", "complete"
    (says COMPLETED and delivers, but keeps the payment), "settle and fail".
    """

    def __init__(self, net: SimulatedNetwork[HurriedClock]) -> None:
        self.net = net
        self.node = net.another(net.lsp)
        self.key = net.world.nodes[net.lsp.node_id].key
        self.options = dict(OPTIONS)
        self.listed: list[Json] = []
        self.orders: dict[str, Json] = {}
        self.requests: list[tuple[str, Json]] = []
        self.change: dict[str, Callable[[Json], Any]] = {}
        self.instead: dict[str, Callable[[Json], Any]] = {}
        self.on_held = "deliver"
        self.open_with: Json = {}
        self.lists_extensions = True
        self.takes_onchain = False
        self._preimages: dict[str, bytes] = {}

    def methods(self) -> list[str]:
        return [method for method, _ in self.requests]

    def payment_hash(self, order_id: str) -> bytes:
        return hashlib.sha256(self._preimages[order_id]).digest()

    async def invoice_states(self) -> list[InvoiceState]:
        states = [await self.node.invoices.lookup(self.payment_hash(order_id)) for order_id in self._preimages]
        return [status.state for status in states if status is not None]

    # --- messages ---------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        async for message in self.node.messages.received():
            if isinstance(message, Message) and b'"method"' in message.payload:
                await self._answer(message.peer, json.loads(message.payload))

    async def _answer(self, peer: NodeId, request: Json) -> None:
        method, params = request["method"], request["params"]
        self.requests.append((method, params))
        reply: Json = {"jsonrpc": "2.0", "id": request["id"]}
        if method in self.instead:
            answer = self.instead[method](params)
            payload = answer if answer is None or isinstance(answer, bytes) else json.dumps(reply | answer).encode()
        else:
            result = json.loads(json.dumps(await self._result(method, params)))
            result = self.change[method](result) if method in self.change else result
            payload = json.dumps(reply | {"result": result}).encode()
        if payload is not None:
            await self.node.messages.send(peer, payload)

    async def _result(self, method: str, params: Json) -> Any:
        match method:
            case "lsps1.get_info":
                return self.options
            case "lsps7.get_extendable_channels":
                return {"extendable_channels": self.listed}
            case "lsps1.create_order":
                return await self._create(params, int(params["client_balance_sat"]), {"channel": None})
            case "lsps7.create_order":
                channel = self._entry(params["short_channel_id"])
                blocks = params["channel_extension_expiry_blocks"]
                own = {"channel": channel, "new_channel_expiry_block": channel["expiration_block"] + blocks}
                fields = {name: value for name, value in params.items() if name != "short_channel_id"}
                return await self._create(fields, 0, own)
        return self.orders[params["order_id"]]

    def _entry(self, scid: str) -> Json:
        unlisted = {
            "short_channel_id": scid,
            "max_channel_extension_expiry_blocks": 5_000,
            "expiration_block": self.net.world.chain.height.value,
        }
        return dict(next((entry for entry in self.listed if entry["short_channel_id"] == scid), unlisted))

    async def _create(self, params: Json, client_balance: int, own: Json) -> Json:
        order_id = f"order-{len(self.orders) + 1}"
        preimage = self._preimages[order_id] = self.net.world.random.randbytes(32)
        total = FEE + client_balance
        payment_hash = hashlib.sha256(preimage).digest()
        invoice = await self.node.invoices.add_hold(payment_hash, Sat(total).to_msat(), "order", 3600, 144)
        self.node.invoices.watch(payment_hash)
        now = self.net.clock.now()
        order = {
            **{name: value for name, value in params.items() if name != "refund_onchain_address"},
            "token": params.get("token", ""),
            "order_id": order_id,
            "created_at": write_datetime(now),
            "order_state": "CREATED",
            "payment": {
                "bolt11": {
                    "state": "EXPECT_PAYMENT",
                    "expires_at": write_datetime(now + timedelta(hours=1)),
                    "fee_total_sat": str(FEE),
                    "order_total_sat": str(total),
                    "invoice": invoice,
                }
            },
            **own,
        }
        if self.takes_onchain and (refund_address := params.get("refund_onchain_address")):
            order["payment"]["onchain"] = {
                "state": "EXPECT_PAYMENT",
                "expires_at": write_datetime(now + timedelta(days=1)),
                "fee_total_sat": str(FEE),
                "order_total_sat": str(total),
                "address": await self.node.wallet.new_address(),
                "min_onchain_payment_confirmations": 1,
                "min_fee_for_0conf": None,
                "refund_onchain_address": refund_address,
            }
        self.orders[order_id] = order
        return order

    # --- payments ---------------------------------------------------------------------------------------------------

    async def watch(self) -> None:
        async for update in self.node.invoices.updates():
            if not isinstance(update, Resumed) and update.state is InvoiceState.HELD:
                order_id = next(
                    order_id for order_id in self._preimages if self.payment_hash(order_id) == update.payment_hash
                )
                await self.held(order_id)

    async def held(self, order_id: str) -> None:
        self.state(order_id, "HOLD")
        if self.on_held in {"deliver", "complete"}:
            await self.deliver(order_id)
        if self.on_held in {"deliver", "take", "settle and fail"}:
            await self.take(order_id)
        if self.on_held == "fail":
            await self.give_back(order_id)
        if self.on_held == "settle and fail":
            self.orders[order_id]["order_state"] = "FAILED"

    def state(self, order_id: str, payment_state: str) -> None:
        self.orders[order_id]["payment"]["bolt11"]["state"] = payment_state

    async def take(self, order_id: str) -> None:
        await self.node.invoices.settle(self._preimages[order_id])
        self.state(order_id, "PAID")

    async def give_back(self, order_id: str) -> None:
        await self.node.invoices.cancel(self.payment_hash(order_id))
        self.state(order_id, "REFUNDED")
        self.orders[order_id]["order_state"] = "FAILED"

    async def deliver(self, order_id: str) -> None:
        order = self.orders[order_id]
        if "lsp_balance_sat" in order:
            await self._open(order)
        elif self.lists_extensions:
            for entry in self.listed:
                if entry["short_channel_id"] == order["channel"]["short_channel_id"]:
                    entry["expiration_block"] = order["new_channel_expiry_block"]
                    entry["max_channel_extension_expiry_blocks"] -= order["channel_extension_expiry_blocks"]
            self.listed = [entry for entry in self.listed if entry["max_channel_extension_expiry_blocks"] > 0]
        order["order_state"] = "COMPLETED"

    async def _open(self, order: Json) -> None:
        push = Sat(int(order["client_balance_sat"]))
        wanted: Json = {
            "capacity": Sat(int(order["lsp_balance_sat"])) + push,
            "push": push,
            "private": not order["announce_channel"],
            "zero_conf": order["required_channel_confirmations"] == 0,
        } | self.open_with
        capacity = wanted.pop("capacity")
        channel = await self.net.open_channel(self.node, self.net.clients[0], capacity, **wanted)
        order["channel"] = {
            "funded_at": write_datetime(self.net.clock.now()),
            "funding_outpoint": str(channel.funding),
            "expires_at": write_datetime(self.net.clock.now() + timedelta(days=30)),
        }

    def reinvoice(self, order: Json, **fields: Any) -> Json:
        """The order with another invoice of the LSP's: some of its fields replaced."""
        option = order["payment"]["bolt11"]
        invoice: Invoice = bolt11.decode(option["invoice"])
        key = fields.pop("key", self.key)
        option["invoice"] = bolt11.encode(replaced(invoice, payee=key.node_id, **fields), key)
        return order


@dataclass
class Shop:
    """A client, the LSP it buys from, and a channel between them that the client opened and can pay with."""

    net: SimulatedNetwork[HurriedClock]
    lsp: FakeLsp
    journal: MemoryJournal
    channel: Channel

    @asynccontextmanager
    async def client(
        self, node: SimulatedNode | None = None, failpoint: Failpoint = none, patience: Patience | None = None
    ) -> AsyncIterator[Lsp]:
        """A client process of its own; the journal stays."""
        buyer = Client(
            node or self.net.clients[0],
            self.journal,
            self.net.clock,
            self.net.world.random.randbytes,
            patience=patience,
            failpoint=failpoint,
        )
        async with buyer:
            yield buyer.lsp(f"{self.net.lsp.node_id}@{self.net.lsp.address}")

    def orders_asked(self) -> int:
        return sum(method.endswith(".create_order") for method in self.lsp.methods())

    async def sent(self) -> list[OrderId]:
        """The orders for which the client's node knows a payment, of whatever state."""
        payments = self.net.clients[0].payments
        return [OrderId(order) for order in self.lsp.orders if await payments.lookup(self.lsp.payment_hash(order))]

    async def spent(self) -> Msat:
        """What the client's side of its own channel lost (in the channel that the client pays with)."""
        channels = await self.net.clients[0].channels.list()
        now = next(channel for channel in channels if channel.funding == self.channel.funding)
        return self.channel.local_balance.to_msat() - now.local_balance.to_msat()


@asynccontextmanager
async def shop(policy: Policy | None = None) -> AsyncIterator[Shop]:
    # A test that waits for what never comes must fail, not hang: HurriedClock moves only when there is something near.
    async with asyncio.timeout(30), AsyncExitStack() as stack:
        clock = await stack.enter_async_context(HurriedClock().running())
        net = create_network(clock, policy=policy or Policy(max_pending_channels=5))
        stack.callback(net.world.close)
        client = net.clients[0]
        channel = await net.open_channel(client, net.lsp, Sat(2_000_000), push=Sat(100_000), private=True)
        channel = next(one for one in await client.channels.list() if one.funding == channel.funding)
        lsp = FakeLsp(net)
        lsp.listed.append(
            {
                "short_channel_id": str(channel.scid),
                "max_channel_extension_expiry_blocks": 5_000,
                "expiration_block": net.world.chain.height.value + 100,
            }
        )
        for work in (lsp.run(), lsp.watch()):
            task = asyncio.create_task(work)
            stack.callback(task.cancel)
        await settle()
        yield Shop(net, lsp, MemoryJournal(), channel)
