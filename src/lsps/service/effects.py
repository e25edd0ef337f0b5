"""Carrying out an order's effects at the node. Each gives the event that tells its outcome, or is put off.

Every call here may have been made before, by a process that died: the node contract makes a repeat harmless.
"""

from __future__ import annotations

from dataclasses import dataclass

from lsps.failpoints import Failpoint
from lsps.node.contract import InvoiceAlreadySettled, InvoiceNotHeld, Invoices, InvoiceState
from lsps.orders.events import ChannelChecked, ChannelStanding, Event, InvoiceCancelled, InvoiceSettled
from lsps.orders.model import Order, PaymentMethod
from lsps.orders.pending import EffectName
from lsps.service.channels import ChannelMirror, standing
from lsps.service.opening import Opening, opened_before
from lsps.service.preimages import Preimages
from lsps.service.putoff import PutOff
from lsps.service.refunds import Refunds
from lsps.store.orders import DueEffect


@dataclass(frozen=True, slots=True)
class Effects:
    invoices: Invoices
    mirror: ChannelMirror
    opening: Opening
    refunds: Refunds
    preimages: Preimages
    failpoint: Failpoint

    async def carry_out(self, order: Order, effect: DueEffect) -> Event | PutOff:
        """Raises NodeError when the node did not do it, or may not have."""
        match effect.name:
            case EffectName.CHECK_CHANNEL:
                return self._check_channel(order)
            case EffectName.SETTLE_INVOICE:
                return await self._settle(order)
            case EffectName.CANCEL_INVOICE:
                return await self._cancel(order)
            case EffectName.CHOOSE_INPUTS:
                return (
                    opened_before(self.mirror, order)
                    or await self._slipped_away(order)
                    or await self.opening.choose_inputs(order)
                )
            case EffectName.OPEN_CHANNEL:
                return await self.opening.open_channel(order, effect)
            case EffectName.SIGN_REFUND:
                return await self.refunds.sign(order)
            case EffectName.PUBLISH_REFUND:
                return await self.refunds.publish(order)

    def _check_channel(self, order: Order) -> Event | PutOff:
        channel = standing(self.mirror, order)
        if channel is ChannelStanding.UNKNOWN:
            return PutOff("the channel list is being read")
        return ChannelChecked(channel)

    async def _slipped_away(self, order: Order) -> Event | PutOff | None:
        """Before anything irrevocable is begun: None if the payment is held, as the order says.

        It is not if the store was put back from an old copy, and the order was delivered and settled since.
        """
        if order.paid_by is not PaymentMethod.BOLT11:
            return None
        status = await self.invoices.lookup(self.preimages.payment_hash(order.id))
        match None if status is None else status.state:
            case InvoiceState.HELD:
                return None
            case InvoiceState.CANCELLED:
                return InvoiceCancelled()
            case InvoiceState.SETTLED:
                return PutOff("its invoice was settled already: the store is older than the node (docs/backup.md)")
        return PutOff("the node holds no payment of its invoice")

    async def _settle(self, order: Order) -> Event:
        self.failpoint("settle_invoice.before")
        try:
            await self.invoices.settle(self.preimages.preimage(order.id))
        except InvoiceNotHeld:
            return InvoiceCancelled()
        self.failpoint("settle_invoice.after")
        return InvoiceSettled()

    async def _cancel(self, order: Order) -> Event:
        self.failpoint("cancel_invoice.before")
        try:
            await self.invoices.cancel(self.preimages.payment_hash(order.id))
        except InvoiceAlreadySettled:
            return InvoiceSettled()
        self.failpoint("cancel_invoice.after")
        return InvoiceCancelled()
