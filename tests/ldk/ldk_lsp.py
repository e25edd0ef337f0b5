"""LDK's service as an LSP in a simulated world: LDK speaks LSPS1; the tests are its owner, with a node of the same key.
Our client is the customer: its messages go over our own BOLT 8 transport, its payments through that world."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from interop.ldk.node import Event, LdkNode, ldk_node
from lsps.client.lsp import Lsp
from lsps.clock import Clock, SystemClock
from lsps.compose import connect
from lsps.node.contract import InvoiceState, Messages, OpenRequest
from lsps.node.overlay import WithMessages
from lsps.node.simulated.node import SimulatedNode
from lsps.protocol.fields import write_datetime
from lsps.protocol.lsps1 import CreateOrderParams
from lsps.testing import QUICK, SAT_PER_KW, SimulatedNetwork, create_network
from lsps.units import Msat, Outpoint, Sat
from tests.node.bolt8.environment import host
from tests.node.contract.environment import eventually

Json = dict[str, Any]

OPTIONS: Json = {
    "min_required_channel_confirmations": 0,
    "min_funding_confirms_within_blocks": 1,
    "supports_zero_channel_reserve": False,
    "max_channel_expiry_blocks": 52_560,
    "min_initial_client_balance_sat": "0",
    "max_initial_client_balance_sat": "5000000",
    "min_initial_lsp_balance_sat": "100000",
    "max_initial_lsp_balance_sat": "10000000",
    "min_channel_balance_sat": "100000",
    "max_channel_balance_sat": "15000000",
}
ORDER = CreateOrderParams(
    lsp_balance_sat=Sat(1_000_000),
    client_balance_sat=Sat(20_000),
    required_channel_confirmations=1,
    funding_confirms_within_blocks=6,
    channel_expiry_blocks=1_000,
    announce_channel=False,
)
FEE = 1_000
ADDRESS = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
"""Where on-chain payments go, and refunds."""
PAY_WITHIN = timedelta(hours=1)


@dataclass(frozen=True)
class Invoiced:
    """A way to pay that the owner made: what LDK is given of it, and the owner's secret."""

    option: Json
    preimage: bytes

    @property
    def payment_hash(self) -> bytes:
        return sha256(self.preimage).digest()


@dataclass(frozen=True)
class Owner:
    """Who runs the LSP: does on its node what LDK leaves to it, and tells LDK."""

    net: SimulatedNetwork[Clock]
    ldk: LdkNode

    @property
    def node(self) -> SimulatedNode:
        return self.net.lsp

    @property
    def customer(self) -> str:
        return str(self.net.clients[0].node_id)

    async def invoice(self, request: Event) -> Invoiced:
        """A hold invoice of the LSP's node, as BOLT 11 payment details."""
        preimage = self.net.world.random.randbytes(32)
        total = FEE + int(request["order"]["client_balance_sat"])
        text = await self.node.invoices.add_hold(
            sha256(preimage).digest(), Msat(total * 1000), "a channel", int(PAY_WITHIN.total_seconds()), 144
        )
        return Invoiced(self._option(total, "invoice", text), preimage)

    def address(self, request: Event) -> Json:
        """On-chain payment details. Nobody pays there: LDK only passes them on."""
        total = FEE + int(request["order"]["client_balance_sat"])
        option = self._option(total, "address", ADDRESS)
        return option | {
            "min_onchain_payment_confirmations": 1,
            "min_fee_for_0conf": 253,
            "refund_onchain_address": request["refund_onchain_address"],
        }

    async def held(self, invoiced: Invoiced) -> None:
        """Returns when the node holds the payment."""

        async def check() -> bool:
            status = await self.node.invoices.lookup(invoiced.payment_hash)
            return status is not None and status.state is InvoiceState.HELD

        await eventually("the payment is held", check)

    async def open_channel(self, request: Event) -> Json:
        """Opens what was ordered, unconfirmed, and gives the channel as LDK is told of it."""
        order = request["order"]
        pushed = Sat(int(order["client_balance_sat"]))
        funding = await self.node.channels.open(
            OpenRequest(
                peer=self.net.clients[0].node_id,
                capacity=Sat(int(order["lsp_balance_sat"])) + pushed,
                push=pushed,
                private=not order["announce_channel"],
                zero_conf=False,
                inputs=tuple(utxo.outpoint for utxo in await self.node.wallet.inputs()),
                sat_per_kw=SAT_PER_KW,
                memo="",
            )
        )
        return channel(self.net.clock.now(), funding)

    def _option(self, total: int, name: str, value: str) -> Json:
        return {
            "state": "EXPECT_PAYMENT",
            "expires_at": write_datetime(self.net.clock.now() + PAY_WITHIN),
            "fee_total_sat": str(FEE),
            "order_total_sat": str(total),
            name: value,
        }


def channel(funded_at: datetime, funding: Outpoint) -> Json:
    return {
        "funded_at": write_datetime(funded_at),
        "funding_outpoint": str(funding),
        "expires_at": write_datetime(funded_at + timedelta(days=7)),
    }


@dataclass(frozen=True)
class LdkLsp:
    """`lsp` is what our client sees of it, `transport` our end of the TCP connection."""

    net: SimulatedNetwork[Clock]
    ldk: LdkNode
    owner: Owner
    lsp: Lsp
    transport: Messages

    @property
    def customer(self) -> SimulatedNode:
        return self.net.clients[0]


@asynccontextmanager
async def ldk_lsp(directory: Path) -> AsyncIterator[LdkLsp]:
    """LDK serves OPTIONS; the customer has a channel to pay by, and is not yet connected over TCP."""
    async with AsyncExitStack() as stack:
        clock: Clock = SystemClock()  # LDK goes by the machine's
        net = create_network(clock)
        stack.callback(net.world.close)
        await net.open_channel(net.clients[0], net.lsp, Sat(5_000_000), push=Sat(1_000_000))
        keys = {node.node_id: net.world.nodes[node.node_id].key for node in (net.lsp, net.clients[0])}
        ldk = await stack.enter_async_context(ldk_node(key=keys[net.lsp.node_id].to_bytes(), service=OPTIONS))
        ours = await stack.enter_async_context(host(key=keys[net.clients[0].node_id], clock=clock))
        wallet = WithMessages(net.clients[0], ours.messages)
        client = await stack.enter_async_context(connect(wallet, journal=directory / "client.db", patience=QUICK))
        yield LdkLsp(net, ldk, Owner(net, ldk), client.lsp(ldk.uri), ours.messages)
