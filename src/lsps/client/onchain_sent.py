"""An order that is paid on-chain, followed until it is delivered or the refund is in a block (bLIP-51 §3.3).

LSP says    our transaction        verdict
COMPLETED   anything               on to what was delivered: it may count before it confirms
FAILED      confirmed              wait for the refund; when it is in a block: OrderFailed, with what came back
FAILED      waits for a block      wait: what arrives late must be given back as well
FAILED      not in the wallet      OrderFailed: nothing was paid; it is not sent again
CREATED     waits for a block      wait, and see that it stays with the network
CREATED     confirmed              wait; from 6 confirmations on it must count
CREATED     never sent, expired    it stays unsent; the LSP must say FAILED
CREATED     replaced by another    PaidNotDelivered until that is buried; then PaymentFailed

Blocks are waited for without end. What the LSP must do once they are there, it has `Patience.onchain` for.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from lsps import logs
from lsps.client.customer import Customer
from lsps.client.errors import NotRefunded, OrderFailed, PaidNotDelivered, PaymentFailed
from lsps.client.following import Follower
from lsps.client.means import Sent
from lsps.client.purchase import D, O, given_refund_address
from lsps.client.record import Record
from lsps.client.sight import Sight, look
from lsps.client.terms import Step
from lsps.errors import LspsError
from lsps.node.contract import NodeUnreachable, Refused, SignedTransaction, Spender, Wallet
from lsps.protocol.payment import OnchainPayment, OrderState, PaymentState
from lsps.protocol.rules import MOST_CONFIRMATIONS
from lsps.protocol.sanitize import sanitize
from lsps.store.journal import OnchainTransaction

_log = logging.getLogger("lsps.client")


async def publish(wallet: Wallet, transaction: OnchainTransaction) -> str:
    """Send it (again). Returns why it may not have gone, "" when it did; what the wallet shows next tells."""
    signed = SignedTransaction(transaction.txid, transaction.raw, transaction.paid, transaction.fee)
    try:
        await wallet.publish(signed)
    except (Refused, NodeUnreachable) as error:
        reason = sanitize(str(error))
        logs.event(_log, logging.INFO, "payment_not_published", txid=transaction.txid, reason=reason)
        return reason
    return ""


class OnchainSent(Sent):
    """`agreed` is the order's option as it was when it was made."""

    def __init__(
        self,
        customer: Customer,
        wallet: Wallet,
        record: Record,
        transaction: OnchainTransaction,
        agreed: OnchainPayment,
    ) -> None:
        self._customer = customer
        self._wallet = wallet
        self._transaction = transaction
        self._agreed = agreed
        self._has_own_refund_address = bool(record.entry.refund_address)
        self._refund_address = record.entry.refund_address or given_refund_address(record.entry.parameters)
        self._was_known = False
        self._away_since: datetime | None = None
        self._confirmations = -1
        self._is_counted = False
        self._refusal = ""
        self._refund_told = False
        self._owed: tuple[str, datetime] | None = None

    @property
    def is_in_flight(self) -> bool:
        """It ends with the LSP's last word: what arrives later is given back to our own wallet."""
        return False

    @property
    def transaction(self) -> OnchainTransaction:
        return self._transaction

    async def follow(self, follower: Follower[O, D]) -> O:
        pauses, order = follower.pauses(), None
        while True:
            order = await follower.poll() or order  # a silent LSP's last word still holds
            option = self._agreed if order is None else order.payment.onchain
            state = OrderState.CREATED if order is None else order.order_state
            if order is not None and state is OrderState.COMPLETED:
                self._tell_counted(follower)
                return order
            if (sight := await self._look(follower)) is not None:
                self._tell(follower, sight, option)
                if state is OrderState.FAILED:
                    self._check_refund(follower, sight)
                elif not _counts(option):
                    await self._keep_going(follower, sight)
                self._check_owed(follower, self._owes(follower, state, option, sight))
            await pauses.sleep()

    # --- our own side -----------------------------------------------------------------------------------------------

    async def _look(self, follower: Follower[O, D]) -> Sight | None:
        """None while our own node is away. Raises PaidNotDelivered when it stays away."""
        try:
            sight = await look(self._customer.node, self._wallet, self._transaction, self._refund_address)
        except NodeUnreachable as away:
            self._away_since = self._away_since or follower.clock.now()
            if follower.clock.now() - self._away_since >= timedelta(seconds=follower.patience.own_node):
                text = f"our own node went away while transaction {self._transaction.txid} was followed: {away}"
                raise follower.undelivered(text) from away
            return None
        self._away_since = None
        self._was_known = self._was_known or sight.is_known
        return sight

    async def _keep_going(self, follower: Follower[O, D], sight: Sight) -> None:
        """Raises PaidNotDelivered, PaymentFailed when something else spent what was to pay."""
        if sight.is_known:
            return
        if sight.rival is not None:
            raise self._replaced(follower, sight, sight.rival)
        # Sent by an earlier run, or not quite, or forgotten by the network. Not after the order has expired: unless it
        # was on its way before, that would only be given back.
        if self._was_known or follower.clock.now() < self._agreed.expires_at:
            refusal = await publish(self._wallet, self._transaction)
            if refusal and refusal != self._refusal:
                follower.tell(Step.CONFIRMING, f"the transaction is not sent yet, and tried again: {refusal}")
            self._refusal = refusal

    def _replaced(self, follower: Follower[O, D], sight: Sight, rival: Spender) -> LspsError:
        text = f"the wallet spent what was to pay this order, transaction {self._transaction.txid}, in {rival.txid}"
        depth = sight.depth(rival.height)
        if depth >= MOST_CONFIRMATIONS:
            return PaymentFailed(f"{text}: nothing was paid", order_id=follower.order_id)
        return follower.undelivered(
            f"{text}; until that has {MOST_CONFIRMATIONS} confirmations (it has {depth}) nothing else is paid"
        )

    # --- after the LSP gave up --------------------------------------------------------------------------------------

    def _check_refund(self, follower: Follower[O, D], sight: Sight) -> None:
        """Raises OrderFailed when all is over."""
        paid, fee, txid = self._transaction.paid, self._transaction.fee, self._transaction.txid
        if sight.is_refund_confirmed:
            refunds = ", ".join(str(refund.outpoint) for refund in sight.refunds)
            lost = max(0, int(paid) - int(sight.refunded))
            raise OrderFailed(
                f"the LSP could not deliver; {sight.refunded} of the {paid} sat came back in {refunds}. Lost are "
                f"{lost} sat, which the refund's fee may explain, and the payment's own fee of {fee} sat",
                order_id=follower.order_id,
            )
        if not sight.is_known:
            raise OrderFailed(
                f"the LSP says FAILED, and the wallet knows of no transaction {txid}: nothing was paid. Should it "
                "confirm all the same, the LSP must give it back (bLIP-51 §3.3)",
                order_id=follower.order_id,
            )
        if sight.refunds:
            if not self._refund_told:
                text = f"the LSP gives {sight.refunded} of {paid} sat back; waiting for a block"
                follower.tell(Step.REFUNDING, text)
            self._refund_told = True
        elif sight.confirmations and not self._has_own_refund_address:
            raise OrderFailed(
                f"the LSP says FAILED; it must give {paid} sat, less a fee, back to {self._refund_address}, which this "
                f"wallet does not see: look there (bLIP-51 §3.3). The payment's own fee of {fee} sat is lost",
                order_id=follower.order_id,
            )

    def _owes(self, follower: Follower[O, D], state: OrderState, option: OnchainPayment | None, sight: Sight) -> str:
        """What the LSP must do next; "" when blocks are waited for."""
        if state is OrderState.FAILED:
            return _REFUND if sight.confirmations and not sight.refunds else ""
        if _counts(option):
            return _DELIVER
        if not self._was_known:
            return _END if follower.clock.now() >= self._agreed.expires_at else ""
        return _COUNT if sight.confirmations >= MOST_CONFIRMATIONS else ""

    def _check_owed(self, follower: Follower[O, D], owed: str) -> None:
        """Raises PaidNotDelivered, or NotRefunded, when the LSP owes the same for too long."""
        now = follower.clock.now()
        if not owed:
            self._owed = None
            return
        if self._owed is None or self._owed[0] != owed:
            self._owed = (owed, now)
        seconds = follower.patience.onchain
        if now - self._owed[1] >= timedelta(seconds=seconds):
            kind = NotRefunded if owed == _REFUND else PaidNotDelivered
            txid = self._transaction.txid
            fact = f"{txid} was never sent, and the order has expired" if owed == _END else f"{txid} pays the order"
            text = f"transaction {fact}; for {seconds:g} seconds the LSP has not {owed}"
            raise follower.undelivered(f"{text}; the same call again goes on waiting", kind)

    # --- progress ---------------------------------------------------------------------------------------------------

    def _tell(self, follower: Follower[O, D], sight: Sight, option: OnchainPayment | None) -> None:
        if _counts(option):
            self._tell_counted(follower)
        if not sight.is_known or sight.confirmations == self._confirmations:
            return
        self._confirmations = sight.confirmations
        wanted = max(self._agreed.min_onchain_payment_confirmations, 1)
        if sight.height is None:
            follower.tell(Step.CONFIRMING, "the payment waits for a block; that takes minutes to hours")
        elif not self._is_counted and sight.confirmations <= wanted:
            text = f"the payment has {sight.confirmations} of {wanted} confirmations"
            follower.tell(Step.CONFIRMING, text)

    def _tell_counted(self, follower: Follower[O, D]) -> None:
        if not self._is_counted:
            self._is_counted = True
            self._customer.failpoint("client_paid")
            follower.tell(Step.PAID, "paid: the LSP counts the payment")


_COUNT = f"counted the payment, which it must with {MOST_CONFIRMATIONS} confirmations (bLIP-51 §3.3)"
_DELIVER = "delivered, nor given up"
_END = "said that it FAILED (bLIP-51 §3.3)"
_REFUND = "given it back, though it says FAILED and must (bLIP-51 §3.3)"


def _counts(option: OnchainPayment | None) -> bool:
    """HOLD is no state of an on-chain payment; LDK's service says it all the same, and means PAID."""
    return option is not None and option.state in {PaymentState.PAID, PaymentState.HOLD}
