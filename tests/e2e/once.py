"""That a purchase ended exactly once, right, whatever died on the way: read from both lnds and the LSP's order book.

ledger = await Ledger.opened(shop, alice)          # before the purchase
...
order_id = await ledger.check_sold_once()          # one order, one settled invoice, one payment, nothing held
point = await ledger.check_one_channel(capacity)   # or check_no_channel()
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from interop.lnd.node import Node
from interop.lnd.regtest import eventually
from tests.e2e import truth
from tests.e2e.shop import Shop
from tests.e2e.wire import wire

KILLED = -9
DEATH_SECONDS = 120


@dataclass(frozen=True)
class Ledger:
    """What the two lnds and the order book had before; each check is about what is new since."""

    shop: Shop
    buyer: Node
    orders: frozenset[str]
    invoices: frozenset[str]
    payments: frozenset[str]
    channels: frozenset[str]

    @classmethod
    async def opened(cls, shop: Shop, buyer: Node) -> Ledger:
        return cls(
            shop=shop,
            buyer=buyer,
            orders=frozenset(each["order_id"] for each in await shop.book()),
            invoices=frozenset(await truth.invoices(shop.node)),
            payments=frozenset(await truth.payments(buyer)),
            channels=frozenset(await _channels(shop.node, buyer)),
        )

    async def sold(self) -> list[dict[str, Any]]:
        """The book's new orders, newest first."""
        return [each for each in await self.shop.book() if each["order_id"] not in self.orders]

    async def invoiced(self) -> dict[str, dict[str, Any]]:
        """The new invoices of the LSP's lnd by payment hash."""
        found = await truth.invoices(self.shop.node)
        return {digest: each for digest, each in found.items() if digest not in self.invoices}

    async def paid(self) -> dict[str, dict[str, Any]]:
        """The new payments of the buyer's lnd by payment hash."""
        found = await truth.payments(self.buyer)
        return {digest: each for digest, each in found.items() if digest not in self.payments}

    async def opened_channels(self) -> dict[str, dict[str, Any]]:
        """The new channels between the two by funding outpoint, as the LSP's lnd lists them, open or pending."""
        found = await _channels(self.shop.node, self.buyer)
        return {point: each for point, each in found.items() if point not in self.channels}

    async def stands_at(self, invoice: str, states: str) -> None:
        """The one new invoice of the LSP's lnd is in this state, the one new order of the book in one of these, which
        are parted by "|"."""
        (each,) = (await self.invoiced()).values()
        (order,) = await self.sold()
        assert each["state"] == invoice
        assert order["state"] in states.split("|")
        assert order["payment_hash"] == each["r_hash"]

    async def check_sold_once(self) -> str:
        """One new order, completed; its invoice alone was made, and settled with the order's total; the buyer's lnd has
        one new payment, of that invoice, with one successful attempt; nothing is held. Returns the order's id."""

        async def ended() -> bool:
            return all(each["state"] == "completed" for each in await self.sold())

        await eventually("the order is completed", ended, 60)
        (order,) = await self.sold()
        invoices, payments = await self.invoiced(), await self.paid()
        assert [(digest, each["state"]) for digest, each in invoices.items()] == [(order["payment_hash"], "SETTLED")]
        (invoice,) = invoices.values()
        assert str(invoice["amt_paid_sat"]) == str(order["order_total_sat"])
        assert [htlc["state"] for htlc in invoice["htlcs"]] == ["SETTLED"]
        await truth.until_payment(self.buyer, order["payment_hash"], "SUCCEEDED")
        payments = await self.paid()
        assert list(payments) == [order["payment_hash"]]
        (payment,) = payments.values()
        assert str(payment["value_sat"]) == str(order["order_total_sat"])
        assert [attempt["status"] for attempt in payment["htlcs"]].count("SUCCEEDED") == 1
        assert not await truth.invoices(self.shop.node, "ACCEPTED")
        return str(order["order_id"])

    async def check_given_back(self, order_id: str) -> None:
        """The order's payment was given back, once: its invoice is cancelled, the buyer's payment failed, no channel
        came into being, and the LSP tells the buyer FAILED and REFUNDED (bLIP-51 §3)."""
        (order,) = (each for each in await self.shop.book() if each["order_id"] == order_id)
        await truth.until_state(self.shop.node, order["payment_hash"], "CANCELED")
        await truth.until_payment(self.buyer, order["payment_hash"], "FAILED")
        async with wire(self.buyer) as line:

            async def told() -> bool:
                method = f"{str(order['service']).lower()}.get_order"
                reply = (await line.call(self.shop.node, method, order_id=order_id))["result"]
                return (reply["order_state"], reply["payment"]["bolt11"]["state"]) == ("FAILED", "REFUNDED")

            await eventually("the buyer is told that the payment is back", told)
        await self.check_no_channel()

    async def check_one_channel(self, capacity: int) -> str:
        """There is one new channel between the two, of this size, and both lnds agree. Returns its outpoint."""
        ((point, channel),) = (await self.opened_channels()).items()
        assert int(channel["capacity"]) == capacity
        assert point in await _channels(self.buyer, self.shop.node)
        return point

    async def check_no_channel(self) -> None:
        """There is no new channel between the two, open or pending."""
        assert not await self.opened_channels()


async def die_at_each(shop: Shop, ledger: Ledger, deaths: list[tuple[str, str, str]]) -> None:
    """Kills `lsps serve` at each failpoint in turn, each time in a new process that takes up what the one before left.
    A death is (failpoint, state of the invoice in the LSP's lnd, states of the order in the book) as it leaves them."""
    for failpoint, invoice, states in deaths:
        if not shop.process.running:
            shop.launch(failpoint)
        await dies(shop, failpoint)
        await ledger.stands_at(invoice, states)


async def dies(shop: Shop, failpoint: str) -> None:
    """Waits until `lsps serve` was killed at the failpoint it was started with."""
    assert await shop.ended(DEATH_SECONDS) == KILLED, f"{failpoint}: {shop.process.tail()}"


async def _channels(node: Node, peer: Node) -> dict[str, dict[str, Any]]:
    pending = {str(each["channel_point"]): each for each in await truth.pending_channels(node, peer)}
    return pending | await truth.channels_between(node, peer)
