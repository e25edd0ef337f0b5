"""Ways to pay an order, as one interface. A new way to pay is a Means, a Bill and a Sent, and nothing else changes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import datetime
from typing import ClassVar

from lsps.client.following import Follower
from lsps.client.purchase import D, O
from lsps.client.record import Record
from lsps.client.terms import LightningCost, OnchainCost, PayWith
from lsps.node.contract import Payment
from lsps.protocol.payment import Payment as PaymentObject
from lsps.protocol.payment import PaymentOption
from lsps.protocol.rules import RuleViolation
from lsps.store.journal import OnchainTransaction
from lsps.units import OrderId


class Sent(ABC):
    """A payment that was made, or may have been, by this run or an earlier one. It is never made a second time."""

    @property
    @abstractmethod
    def is_in_flight(self) -> bool:
        """Whether it may still be taken or come back by itself, whatever the LSP says of the order."""

    @property
    def payment(self) -> Payment | None:
        """The payment over Lightning, once it has ended."""
        return None

    @property
    def transaction(self) -> OnchainTransaction | None:
        """The transaction that pays on-chain."""
        return None

    @abstractmethod
    async def follow(self, follower: Follower[O, D]) -> O:
        """The completed order. Raises OrderFailed, PaymentFailed, NotDelivered, PaidNotDelivered. Cancelling it stops
        no payment."""


class NothingSent(Sent):
    """There is nothing (more) to pay: the order is free, or somebody else paid it."""

    @property
    def is_in_flight(self) -> bool:
        return False

    async def follow(self, follower: Follower[O, D]) -> O:
        return await follower.completed()


class Bill(ABC):
    """One order's option to pay, read; nothing was paid yet."""

    option: PaymentOption

    @abstractmethod
    def violations(self, now: datetime) -> Iterator[RuleViolation]:
        """What forbids paying it at this moment."""

    @abstractmethod
    async def price(self) -> LightningCost | OnchainCost:
        """What paying it costs beside the total. Raises StoppedBeforePaying: more than the payer allows, or has."""

    @abstractmethod
    async def check_still_payable(self) -> None:
        """After the payer was asked, who may have taken their time. Raises StoppedBeforePaying."""

    @abstractmethod
    async def pay(self, record: Record) -> Sent:
        """Begin to pay; what a later run needs to know of it is in the journal first. Raises StoppedBeforePaying."""


class Means(ABC):
    """One way to pay, with our own node."""

    name: ClassVar[PayWith]

    @abstractmethod
    def option(self, payment: PaymentObject) -> PaymentOption | None:
        """An order's option for it."""

    @abstractmethod
    def why_not(self, payment: PaymentObject) -> str:
        """Of an order that has no option for it: why, as far as we can tell."""

    @abstractmethod
    async def refund_address(self, given: str | None) -> str:
        """An address of our own when one is needed and none was given, else "". Raises NotSupported when our node
        cannot pay so."""

    @abstractmethod
    def is_as_agreed(self, agreed: PaymentObject, option: PaymentOption) -> bool:
        """Whether an order still wants the payment that it wanted when it was made."""

    @abstractmethod
    async def read(self, order_id: OrderId, option: PaymentOption, *, resumed: bool) -> Bill:
        """Raises RuleViolated when the option cannot be read."""

    @abstractmethod
    async def sent(self, record: Record, agreed: PaymentObject) -> Sent | None:
        """What an earlier run paid so for this order; `agreed` is what it wanted when it was made."""
