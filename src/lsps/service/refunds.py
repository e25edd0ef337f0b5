"""Giving on-chain payments back (bLIP-51 §3.3), each from its own outpoint, so that none can go back twice.

A refund is signed, stored, and then published; one that does not confirm is replaced by one that spends the same
outpoint. Every call here may have been made before, by a process that died: a transaction that was signed and not
stored is known to nobody, and publishing again is harmless.
"""

from __future__ import annotations

from dataclasses import dataclass

from lsps.failpoints import Failpoint
from lsps.node.contract import Refused, SignedTransaction, Spend, Wallet
from lsps.orders import pending
from lsps.orders.events import Event, RefundLeft, RefundPublished, RefundSigned
from lsps.orders.model import Deposit, Order, Refund
from lsps.protocol.sanitize import sanitize
from lsps.service.putoff import PutOff

CONFIRM_WITHIN = 6
"""Blocks: what bLIP-51 §3.3 calls a reasonable feerate."""
WEIGHT = 700
"""No less than a transaction with one input and two outputs weighs."""
NOTHING_TO_DO = PutOff("the refund is not wanted any more")


@dataclass(frozen=True, slots=True)
class Refunds:
    wallet: Wallet
    failpoint: Failpoint

    async def sign(self, order: Order) -> Event | PutOff:
        deposit = pending.refund_to_sign(order)
        if deposit is None or order.onchain is None:
            return NOTHING_TO_DO
        sat_per_kw = await self._feerate(deposit)
        fee = -(-sat_per_kw * WEIGHT // 1000)
        if not deposit.refunds and 2 * fee > int(deposit.excess):
            return RefundLeft(deposit.outpoint, f"its fee, about {fee} sat, would be most of it")
        self.failpoint("sign_refund.before")
        try:
            signed = await self.wallet.sign(
                Spend((deposit.outpoint,), order.onchain.refund_address, deposit.excess, True, sat_per_kw)
            )
        except Refused as refused:
            if deposit.refunds:
                return PutOff(sanitize(str(refused)))
            return RefundLeft(deposit.outpoint, f"the node cannot sign its refund: {sanitize(str(refused))}")
        self.failpoint("sign_refund.after")
        return RefundSigned(deposit.outpoint, Refund(signed.txid, signed.raw, signed.paid, signed.fee, sat_per_kw))

    async def publish(self, order: Order) -> Event | PutOff:
        deposit = pending.refund_to_publish(order)
        if deposit is None:
            return NOTHING_TO_DO
        refund = deposit.refunds[-1]
        self.failpoint("publish_refund.before")
        try:
            await self.wallet.publish(SignedTransaction(refund.txid, refund.raw, refund.paid, refund.fee))
        except Refused as refused:
            # Another transaction spends the deposit, maybe an older refund: the next reading of the wallet tells.
            return PutOff(sanitize(str(refused)))
        self.failpoint("publish_refund.after")
        return RefundPublished(deposit.outpoint, refund.txid)

    async def _feerate(self, deposit: Deposit) -> int:
        """BIP 125: a replacement pays more for itself and for what it replaces; a quarter more is enough for both."""
        sat_per_kw = await self.wallet.feerate(CONFIRM_WITHIN)
        if not deposit.refunds:
            return sat_per_kw
        last = deposit.refunds[-1].sat_per_kw
        return max(sat_per_kw, last + max(last // 4, 300))
