"""Orders that are paid on-chain, as a customer of bare messages makes and follows them, and as lnd's wallets tell.

order = await place(line, lsp, "lsps7", short_channel_id=scid, channel_extension_expiry_blocks=100, refund=address)
await send(bob, order.address, order.total)
await order.until(line, "COMPLETED", "PAID")
deposit = await order.deposit(shop)          # as `lsps orders --service` lists it
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from interop.lnd.node import Node
from interop.lnd.regtest import Regtest, eventually
from tests.e2e import truth
from tests.e2e.shop import Shop
from tests.e2e.wire import Wire

PAYMENT = {"onchain": True, "min_onchain_payment_sat": 1_000, "min_refund_sat": 1_000}
"""[payment] of a shop that takes on-chain payments."""
PRICE = {"open_base_sat": 20_000, "extend_base_sat": 20_000}
"""[price]: enough for a payment on-chain to be worth its fee."""


@dataclass(frozen=True)
class OnchainOrder:
    """What create_order promised."""

    lsp: Node
    service: str
    order_id: str
    address: str
    total: int

    async def told(self, line: Wire) -> dict[str, Any]:
        reply = await line.call(self.lsp, f"{self.service}.get_order", order_id=self.order_id)
        return dict(reply["result"])

    async def until(self, line: Wire, order_state: str, payment_state: str, timeout: float = 90) -> dict[str, Any]:
        """The order as get_order tells it, once both states are these."""
        told: dict[str, Any] = {}

        async def reached() -> bool:
            told.update(await self.told(line))
            return (told["order_state"], told["payment"]["onchain"]["state"]) == (order_state, payment_state)

        try:
            await eventually(f"order {self.order_id} is {order_state}, {payment_state}", reached, timeout)
        except Exception as error:
            raise AssertionError(f"{error}: {told}") from error
        return told

    async def row(self, shop: Shop) -> dict[str, Any]:
        """As the operator sees it."""
        return next(each for each in await shop.book() if each["order_id"] == self.order_id)

    async def deposits(self, shop: Shop) -> list[dict[str, Any]]:
        return list((await self.row(shop))["onchain"]["deposits"])

    async def until_deposits(self, shop: Shop, *expected: int | None) -> list[dict[str, Any]]:
        """Once the deposits that are not gone have these heights."""
        found: list[dict[str, Any]] = []

        async def reached() -> bool:
            found[:] = [each for each in await self.deposits(shop) if not each["gone"]]
            return [each["height"] for each in found] == list(expected)

        try:
            await eventually(f"the deposits of order {self.order_id} are at {expected}", reached, 90)
        except Exception as error:
            raise AssertionError(f"{error}: {found}") from error
        return found


async def place(line: Wire, lsp: Node, service: str, *, refund: str, **params: object) -> OnchainOrder:
    """Order, and check the option (bLIP-51 §3.3): EXPECT_PAYMENT, an address, and the refund address kept."""
    reply = await line.call(lsp, f"{service}.create_order", refund_onchain_address=refund, **params)
    option = reply["result"]["payment"]["onchain"]
    assert option["state"] == "EXPECT_PAYMENT"
    assert option["refund_onchain_address"] == refund
    return OnchainOrder(lsp, service, reply["result"]["order_id"], option["address"], int(option["order_total_sat"]))


async def send(net: Regtest, payer: Node, address: str, amount: int) -> str:
    """Pays from the node's wallet, as people do; returns the transaction's id once btcd has it."""
    sent = await payer.lncli("sendcoins", "--force", f"--addr={address}", f"--amt={amount}")
    await net.in_mempool(sent["txid"])
    return str(sent["txid"])


async def until_received(node: Node, address: str, confirmed: bool) -> truth.Received:
    """The only output at the address of this node's wallet, as soon as it is there, and in a block if that is asked."""
    found: list[truth.Received] = []

    async def there() -> bool:
        found[:] = await truth.received(node, address)
        return len(found) == 1 and (found[0].confirmations > 0) == confirmed

    await eventually(f"{node.name} got one payment at {address}", there)
    return found[0]


async def nudge(net: Regtest, lsp: Node) -> None:
    """Something happens in the LSP's wallet, so that it is read again at once. (A block that is taken back is told by
    nobody; in earnest another one comes with it.)"""
    await send(net, net["bob"], await lsp.new_address(), 10_000)


class MovableClock:
    """The machine's clock, and what was added to it."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    async def sleep(self, seconds: float) -> None:
        until = self.now() + timedelta(seconds=seconds)
        while (left := (until - self.now()).total_seconds()) > 0:  # noqa: ASYNC110 - time that jumps has no event
            await asyncio.sleep(min(left, 0.1))

    def forward(self, **duration: float) -> None:
        self._ahead += timedelta(**duration)
