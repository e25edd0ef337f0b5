"""Giving on-chain payments back (bLIP-51 §3.3), each from its own outpoint, so that none can go back twice.

A refund is signed, stored, and then published; one that does not confirm is replaced by one that spends the same
outpoint. Every call here may have been made before, by a process that died: a transaction that was signed and not
stored is known to nobody, and publishing again is harmless.
"""

from __future__ import annotations

from dataclasses import dataclass

from lsps.failpoints import Failpoint
from lsps.node.contract import Refused, SignedTransaction, Spend, Wallet
from lsps.orders import deposits, pending
from lsps.orders.events import Event, RefundLeft, RefundPublished, RefundSigned
from lsps.orders.model import Deposit, Order, Refund
from lsps.protocol.sanitize import sanitize
from lsps.service.putoff import PutOff
from lsps.store.orders import OrderStore
from lsps.units import Outpoint

CONFIRM_WITHIN = 6
"""Blocks: what bLIP-51 §3.3 calls a reasonable feerate."""
NOTHING_TO_DO = PutOff("the refund is not wanted any more")


@dataclass(frozen=True, slots=True)
class Refunds:
    wallet: Wallet
    store: OrderStore
    failpoint: Failpoint

    async def sign(self, order: Order) -> Event | PutOff:
        """The first that can be signed: one that cannot be bumped does not keep the others waiting."""
        outcome: Event | PutOff = NOTHING_TO_DO
        for deposit in pending.refunds_to_sign(order):
            outcome = await self._sign(order, deposit)
            if not isinstance(outcome, PutOff):
                break
        return outcome

    async def _sign(self, order: Order, deposit: Deposit) -> Event | PutOff:
        if order.onchain is None:
            return NOTHING_TO_DO
        least, most = deposits.refund_feerates(deposit)
        if most < least:
            return RefundLeft(deposit.outpoint, f"its fee would be more than half of the {deposit.excess} sat")
        if deposit.outpoint in await self.store.reserved_inputs():
            # It was earned when it was chosen, and what is too much of it was too little then to be sent back.
            return PutOff("it is an input of an opening")
        sat_per_kw = min(max(await self.wallet.feerate(CONFIRM_WITHIN), least), most)
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
        """The first that the network takes."""
        outcome: Event | PutOff = NOTHING_TO_DO
        for deposit in pending.refunds_to_publish(order):
            outcome = await self._publish(deposit.outpoint, deposit.refunds[-1])
            if not isinstance(outcome, PutOff):
                break
        return outcome

    async def _publish(self, outpoint: Outpoint, refund: Refund) -> Event | PutOff:
        self.failpoint("publish_refund.before")
        try:
            await self.wallet.publish(SignedTransaction(refund.txid, refund.raw, refund.paid, refund.fee))
        except Refused as refused:
            # Another transaction spends the deposit, maybe an older refund: the next reading of the wallet tells.
            return PutOff(sanitize(str(refused)))
        self.failpoint("publish_refund.after")
        return RefundPublished(outpoint, refund.txid)
