"""An order that is paid on-chain by a customer without lsps, and where its money is: asked of both lnds, and compared
with the LSP's books.

    till = await Till.ordered(shop, alice, "lsps7", short_channel_id=scid, channel_extension_expiry_blocks=144)
    await till.pay(net)                        # in the mempool, not mined
    await till.dies_at_each([("sign_refund.after", "closing", 0)])
    await till.check_delivered(paid)           # or check_refunded(net): one refund transaction, and it confirms
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from interop.lnd.node import Node
from interop.lnd.regtest import Regtest, eventually
from tests.e2e import truth
from tests.e2e.once import Ledger, dies
from tests.e2e.onchain import OnchainOrder, place, send
from tests.e2e.shop import Shop
from tests.e2e.wire import wire

CHANNEL: dict[str, Any] = {
    "lsp_balance_sat": "300000",
    "client_balance_sat": "100000",
    "required_channel_confirmations": 1,
    "funding_confirms_within_blocks": 6,
    "channel_expiry_blocks": 1_008,
    "announce_channel": False,
}
CAPACITY = 400_000
Death = tuple[str, str, int]
"""Failpoint, states of the order in the book (parted by "|"), refund transactions in the network: as it leaves them."""


@dataclass(frozen=True)
class Till:
    """`before` is what both lnds had before the order."""

    shop: Shop
    buyer: Node
    order: OnchainOrder
    refund_address: str
    before: Ledger

    @classmethod
    async def ordered(cls, shop: Shop, buyer: Node, service: str, **params: object) -> Till:
        before, refund = await Ledger.opened(shop, buyer), await buyer.new_address()
        async with wire(buyer) as line:
            order = await place(line, shop.node, service, refund=refund, **params)
        return cls(shop, buyer, order, refund, before)

    async def pay(self, net: Regtest, more: int = 0) -> int:
        """Pays from the buyer's wallet, in no block yet; what was paid."""
        paid = self.order.total + more
        await send(net, self.buyer, self.order.address, paid)
        return paid

    async def entry(self) -> dict[str, Any]:
        """The order in the book."""
        return await self.order.row(self.shop)

    async def until(self, state: str, timeout: float = 60) -> None:
        """Waits until the order in the book is in one of these states (parted by "|")."""

        async def reached() -> bool:
            return (await self.entry())["state"] in state.split("|")

        await eventually(f"order {self.order.order_id} is {state}", reached, timeout)

    async def told(self) -> tuple[str, str]:
        """order_state and the on-chain payment's state, as the customer is told."""
        async with wire(self.buyer) as line:
            told = await self.order.told(line)
        return told["order_state"], told["payment"]["onchain"]["state"]

    async def accounts(self) -> dict[str, int]:
        """The order's line of the ledger in sat, what is not 0."""
        listed = (await self.shop.ledger())["orders"]
        line: dict[str, Any] = next((each for each in listed if each["order_id"] == self.order.order_id), {})
        sums = {name.removesuffix("_msat"): int(line[name]) // 1000 for name in line if name.endswith("_msat")}
        return {name: amount for name, amount in sums.items() if amount}

    async def refunds(self) -> list[truth.Received]:
        """What the buyer's wallet got at the refund address."""
        return await truth.received(self.buyer, self.refund_address)

    async def dies_at_each(self, deaths: list[Death]) -> None:
        """Kills `lsps serve` at each failpoint in turn, each time in a new process that takes up what the one before
        left. The ledger balances at each death."""
        for failpoint, states, refunds in deaths:
            if not self.shop.process.running:
                self.shop.launch(failpoint)
            await dies(self.shop, failpoint)
            assert (await self.entry())["state"] in states.split("|"), failpoint

            async def seen(expected: int = refunds) -> bool:
                return len(await self.refunds()) == expected

            await eventually(f"{failpoint}: {refunds} refunds are in the buyer's wallet", seen)
            await self.shop.ledger()

    async def check_books(self) -> dict[str, int]:
        """The ledger says of this order what the two lnds say: the payments in a block, the refunds, the invoice, which
        is cancelled. Returns its line."""
        await truth.until_state(self.shop.node, (await self.entry())["payment_hash"], "CANCELED")
        assert not await self.before.paid()
        accounts = await self.accounts()
        deposits = await truth.received(self.shop.node, self.order.address)
        assert accounts.get("onchain", 0) == sum(each.amount for each in deposits if each.confirmations > 0)
        assert accounts.get("refunded", 0) == sum(each.amount for each in await self.refunds())
        assert "lightning" not in accounts
        return accounts

    async def check_delivered(self, paid: int) -> str:
        """Delivered once, and paid for; what was paid beyond the total went back in one transaction. Returns the
        channel's outpoint, "" for an extension."""
        await self.until("completed")
        assert await self.told() == ("COMPLETED", "PAID")
        accounts = await self.check_books()
        given_back = accounts.pop("refunded", 0) + accounts.pop("refund_fees", 0)
        assert given_back == paid - self.order.total
        assert accounts.pop("earned") + accounts.pop("delivered", 0) == self.order.total
        assert accounts == {"onchain": paid}
        assert len(await self.refunds()) == (given_back > 0)
        if self.order.service == "lsps1":
            return await self.before.check_one_channel(CAPACITY)
        async with wire(self.buyer) as line:
            listed = (await line.call(self.shop.node, "lsps7.get_extendable_channels"))["result"]["extendable_channels"]
        named = [order_id for each in listed for order_id in each["extension_order_ids"]]
        assert named.count(self.order.order_id) == 1
        await self.before.check_no_channel()
        return ""

    async def check_refunded(self, net: Regtest, paid: int) -> None:
        """Nothing was delivered; all that was paid, but the miners' fee, goes back in one transaction, which is in the
        mempool and then in a block; it spends the very output that was paid (bLIP-51 §3.3)."""
        await self.until("failed")
        await net.connect(self.buyer, self.shop.node)  # a failed opening may end with a disconnect
        assert await self.told() == ("FAILED", "REFUNDED")
        (refund,) = await self.refunds()
        assert refund.txid in await net.btcd.mempool()
        await net.mine(1)

        async def noted() -> bool:
            deposits = (await self.entry())["onchain"]["deposits"]
            return all(each["refunded_at_height"] is not None for each in deposits)

        await eventually(f"the refund of order {self.order.order_id} is in a block", noted)
        (confirmed,) = await self.refunds()
        assert (confirmed.txid, confirmed.amount, confirmed.confirmations) == (refund.txid, refund.amount, 1)
        (deposit,) = (await self.entry())["onchain"]["deposits"]
        assert await truth.spenders(self.shop.node, deposit["outpoint"]) == {refund.txid}
        accounts = await self.check_books()
        assert 0 < accounts["refund_fees"] < 1_000
        assert accounts == {"onchain": paid, "refunded": refund.amount, "refund_fees": paid - refund.amount}
        await self.before.check_no_channel()
