"""Paying an order on-chain from our own node's wallet (bLIP-51 §3.3), with one transaction, ever.

The transaction is signed before the payer is asked, so that its fee is known, and kept in the journal before it is
published. From then on it is this one that pays or none: a later run publishes the very same.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from lsps import logs
from lsps.client import checks
from lsps.client.customer import Customer
from lsps.client.errors import FundsMissing, OnchainFeeTooHigh
from lsps.client.means import Bill, Means, Sent
from lsps.client.onchain_sent import OnchainSent, publish
from lsps.client.record import Record
from lsps.client.terms import OnchainCost, PayWith, Step, Terms
from lsps.node import coins
from lsps.node.contract import NodeInfo, Refused, SignedTransaction, Spend, Wallet, require
from lsps.protocol.payment import OnchainPayment, PaymentOption
from lsps.protocol.payment import Payment as PaymentObject
from lsps.protocol.rules import MOST_CONFIRMATIONS, RuleViolation
from lsps.protocol.sanitize import sanitize
from lsps.store.journal import OnchainTransaction
from lsps.store.orders import InputTaken
from lsps.units import BlockHeight, OrderId, Outpoint, Sat

_log = logging.getLogger("lsps.client")

CONFIRM_WITHIN = 6
"""Blocks, about an hour: what the transaction's feerate is chosen for."""
_WEIGHT_PER_VBYTE = 4
_ATTEMPTS = 5


class Onchain(Means):
    name = PayWith.ONCHAIN

    def __init__(self, customer: Customer, terms: Terms, info: NodeInfo) -> None:
        self._customer = customer
        self._terms = terms
        self._info = info

    @property
    def _wallet(self) -> Wallet:
        return require(self._customer.node.wallet, "paying on-chain")

    def option(self, payment: PaymentObject) -> OnchainPayment | None:
        return payment.onchain

    def why_not(self, payment: PaymentObject) -> str:
        return "it takes no on-chain payments, or none so small"

    async def refund_address(self, given: str | None) -> str:
        # bLIP-51 §3.3: without one there MUST be no on-chain option.
        wallet = self._wallet
        await wallet.inputs()  # nothing is ordered when the node does not let us use its wallet
        return "" if given else await wallet.new_address()

    def is_as_agreed(self, agreed: PaymentObject, option: PaymentOption) -> bool:
        first = agreed.onchain
        if first is None or not isinstance(option, OnchainPayment):
            return False
        return (option.address, option.order_total_sat) == (first.address, first.order_total_sat)

    async def read(self, order_id: OrderId, option: PaymentOption, *, resumed: bool) -> Bill:
        if not isinstance(option, OnchainPayment):
            raise TypeError("not an option of this way to pay")
        return _OnchainBill(option, order_id, self._customer, self._terms, self._info, self._wallet)

    async def sent(self, record: Record, agreed: PaymentObject) -> Sent | None:
        transaction = record.entry.transaction
        if transaction is None:
            return None
        if agreed.onchain is None:
            raise TypeError(f"order {record.order_id} was paid on-chain, without an option for it")
        return OnchainSent(self._customer, self._wallet, record, transaction, agreed.onchain)


@dataclass
class _OnchainBill(Bill):
    option: OnchainPayment
    order_id: OrderId
    customer: Customer
    terms: Terms
    info: NodeInfo
    wallet: Wallet
    _ready: OnchainTransaction | None = field(default=None, init=False)

    def violations(self, now: datetime) -> Iterator[RuleViolation]:
        return checks.onchain_violations(self.option, self.info, now)

    async def price(self) -> OnchainCost:
        wanted = self.option.min_onchain_payment_confirmations
        if wanted > MOST_CONFIRMATIONS:
            text = f"the LSP wants {wanted} confirmations, but must count the payment after {MOST_CONFIRMATIONS}"
            self.terms.tell(Step.NOTICED, f"{text} (bLIP-51 §3.3)", self.order_id)
        sat_per_kw = await self._feerate()
        signed, inputs = await self._sign(sat_per_kw)
        # A person agreed to the fee that was shown.
        agreed = None if self.terms.confirm is None or self._ready is None else self._ready.fee
        limit = agreed or self.terms.onchain_limit(self.option.order_total_sat)
        if signed.fee > limit:
            raise OnchainFeeTooHigh(signed.fee, limit, _per_vbyte(sat_per_kw), order_id=self.order_id)
        since = await self._since(inputs)
        self._ready = OnchainTransaction(signed.txid, signed.raw, signed.paid, signed.fee, inputs, since)
        return OnchainCost(self.option.address, signed.fee, sat_per_kw, wanted)

    async def _feerate(self) -> int:
        sat_per_kw, least = await self.wallet.feerate(CONFIRM_WITHIN), self.option.min_fee_for_0conf
        if least is None or self.option.min_onchain_payment_confirmations > 0:
            return sat_per_kw
        # bLIP-51 §3.3: it counts without a confirmation when it pays more than this.
        return max(sat_per_kw, least + 1)

    async def _sign(self, sat_per_kw: int) -> tuple[SignedTransaction, tuple[Outpoint, ...]]:
        """Raises FundsMissing."""
        total = self.option.order_total_sat
        in_use = await self.customer.journal.inputs_in_use(self.info.node_id)
        free = [utxo for utxo in await self.wallet.inputs() if utxo.outpoint not in in_use]
        inputs = coins.choose(free, total, sat_per_kw)
        if inputs is None:
            have = sum((utxo.amount for utxo in free), Sat(0))
            raise FundsMissing(
                f"the wallet has {have} sat that can be spent now, too little for {total} sat and a fee of "
                f"{_per_vbyte(sat_per_kw):g} sat per vbyte: nothing was paid",
                order_id=self.order_id,
            )
        try:
            return await self.wallet.sign(Spend(inputs, self.option.address, total, False, sat_per_kw)), inputs
        except Refused as refused:
            text = f"the wallet cannot make this payment, so nothing was paid: {sanitize(str(refused))}"
            raise FundsMissing(text, order_id=self.order_id) from None

    async def _since(self, inputs: tuple[Outpoint, ...]) -> BlockHeight:
        """No reading of the wallet from here on misses the inputs, or what spends them."""
        wanted = set(inputs)
        listed = {deposit.outpoint: deposit.height for deposit in await self.wallet.deposits(BlockHeight(0))}
        heights = [height for outpoint in wanted if (height := listed.get(outpoint)) is not None]
        return BlockHeight(max(0, int(min(heights)) - coins.BURIED) if len(heights) == len(wanted) else 0)

    async def check_still_payable(self) -> None:
        free = {utxo.outpoint for utxo in await self.wallet.inputs()}
        if self._ready is not None and not free.issuperset(self._ready.inputs):
            text = "the wallet has spent meanwhile what was to pay this, so nothing was paid; try again"
            raise FundsMissing(text, order_id=self.order_id)

    async def pay(self, record: Record) -> Sent:
        if self._ready is None:
            raise TypeError("a bill is priced before it is paid")
        transaction = await self._keep(record, self._ready)
        self.customer.failpoint("client_signed")
        await publish(self.wallet, transaction)
        self.customer.failpoint("client_published")
        logs.event(_log, logging.INFO, "payment_published", order_id=record.order_id, txid=transaction.txid)
        text = f"transaction {transaction.txid} pays the order"
        self.terms.tell(Step.PUBLISHED, text, record.order_id)
        return OnchainSent(self.customer, self.wallet, record, transaction, self.option)

    async def _keep(self, record: Record, ready: OnchainTransaction) -> OnchainTransaction:
        """Another purchase may have chosen the same inputs at the same time: then others are chosen."""
        for _ in range(_ATTEMPTS):
            try:
                return await record.keep(ready)
            except InputTaken:
                await self.price()
                ready = self._ready or ready
        raise FundsMissing("other payments keep taking what was to pay this: try again later", order_id=self.order_id)


def _per_vbyte(sat_per_kw: int) -> float:
    return sat_per_kw * _WEIGHT_PER_VBYTE / 1000
