"""The owner of an LDK node that sells channels: answers what LDK's service leaves to whoever runs it.

LDK's process speaks LSPS; it has no chain and no channels. Those are a simulated node's, which has the same key. The
owner makes the invoice there, tells LDK when it is paid, opens the channel, tells LDK, and takes the payment.
"""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from interop.ldk.node import Event, LdkNode
from lsps.lightning.bech32 import WitnessProgram, encode_address
from lsps.node.contract import InvoiceState, InvoiceStatus, OpenRequest
from lsps.node.simulated.node import SimulatedNode
from lsps.protocol.fields import write_datetime
from lsps.units import Network, NodeId, Sat

FEE = Sat(1_000)
PAYABLE = timedelta(hours=1)
FINAL_CLTV_BLOCKS = 144
CONFIRMATIONS = 1
FEE_FOR_0CONF = 2_500
"""Satoshi per 1000 weight. LDK has no way to leave it out, which bLIP-51 §3.3 asks for beside CONFIRMATIONS above 0."""
SAT_PER_KW = 1_000
BLOCK = timedelta(minutes=10)


class Owner:
    """`ldk` and `node` have one key. `mine` confirms what `node` broadcast."""

    def __init__(self, ldk: LdkNode, node: SimulatedNode, mine: Callable[[], None]) -> None:
        self._ldk = ldk
        self._node = node
        self._mine = mine
        self._sold: dict[bytes, tuple[Event, str, bytes]] = {}
        """By payment hash: LDK's request, its order's id, and the preimage."""

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Answers until the block is left. What goes wrong here is raised there, as an ExceptionGroup."""
        async with asyncio.TaskGroup() as tasks:
            working = [tasks.create_task(self._answer()), tasks.create_task(self._deliver())]
            yield
            for task in working:
                task.cancel()

    async def _answer(self) -> None:
        """Terms for every order; no token was ever issued, so each that is given is invalid (bLIP-51 §2, Errors)."""
        while True:
            request = await self._ldk.event("request_for_payment_details", within=None)
            if request["order"]["token"]:
                await self._ldk.invalid_token(request)
            else:
                await self._sell(request)

    async def _sell(self, request: Event) -> None:
        preimage = secrets.token_bytes(32)
        payment_hash = hashlib.sha256(preimage).digest()
        total = FEE + Sat(int(request["order"]["client_balance_sat"]))
        terms = {
            "state": "EXPECT_PAYMENT",
            "expires_at": write_datetime(datetime.now(UTC) + PAYABLE),
            "fee_total_sat": str(int(FEE)),
            "order_total_sat": str(int(total)),
        }
        invoice = await self._node.invoices.add_hold(
            payment_hash, total.to_msat(), "a channel", int(PAYABLE.total_seconds()) + 60, FINAL_CLTV_BLOCKS
        )
        ways: dict[str, Mapping[str, Any]] = {"bolt11": {**terms, "invoice": invoice}}
        if refund_address := request["refund_onchain_address"]:
            ways["onchain"] = {
                **terms,
                "address": encode_address(WitnessProgram(0, secrets.token_bytes(20)), Network.REGTEST),
                "min_onchain_payment_confirmations": CONFIRMATIONS,
                "min_fee_for_0conf": FEE_FOR_0CONF,
                "refund_onchain_address": refund_address,
            }
        order_id = await self._ldk.send_payment_details(request, **ways)
        self._sold[payment_hash] = (request, order_id, preimage)
        self._node.invoices.watch(payment_hash)  # tells first what is there: a payment that was quicker is not missed

    async def _deliver(self) -> None:
        async for update in self._node.invoices.updates():
            if isinstance(update, InvoiceStatus) and update.state is InvoiceState.HELD:
                await self._open(*self._sold[update.payment_hash])

    async def _open(self, request: Event, order_id: str, preimage: bytes) -> None:
        """In the order that LDK's documentation of its service asks for."""
        peer, order = request["peer"], request["order"]
        await self._ldk.order_payment_received(peer, order_id, "bolt11")
        push = Sat(int(order["client_balance_sat"]))
        utxos = await self._node.wallet.inputs()
        funding = await self._node.channels.open(
            OpenRequest(
                peer=NodeId.parse(peer),
                capacity=Sat(int(order["lsp_balance_sat"])) + push,
                push=push,
                private=not order["announce_channel"],
                zero_conf=False,
                inputs=(utxos[0].outpoint,),
                sat_per_kw=SAT_PER_KW,
                memo=order_id,
            )
        )
        now = datetime.now(UTC)
        channel = {
            "funded_at": write_datetime(now),
            "funding_outpoint": str(funding),
            "expires_at": write_datetime(now + order["channel_expiry_blocks"] * BLOCK),
        }
        await self._ldk.order_channel_opened(peer, order_id, channel)
        await self._node.invoices.settle(preimage)
        self._mine()
