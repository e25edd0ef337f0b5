"""What LSPS1 and LSPS7 orders have in common, and the little in which they differ, as one interface."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import msgspec

from lsps.errors import LspsError
from lsps.protocol.lsps1 import ChannelOrder, CreateOrderParams
from lsps.protocol.lsps7 import CreateOrderParams as ExtendParams
from lsps.protocol.lsps7 import ExtensionOrder
from lsps.protocol.message import Message, read, to_json
from lsps.protocol.methods import Method
from lsps.protocol.rules import RuleViolation
from lsps.units import BlockHeight, OrderId

O = TypeVar("O", bound=ChannelOrder | ExtensionOrder)  # noqa: E741 - an order
D = TypeVar("D")
"""What is delivered."""


class NotThere(LspsError):
    """What was bought is not seen. `final`: what is seen instead will not become it."""

    def __init__(self, text: str, *, final: bool = False) -> None:
        super().__init__(text)
        self.final = final


class Purchase(ABC, Generic[O, D]):
    """One thing to buy from one LSP. An order of it that is paid already is followed without `prepare`: what the LSP
    sells by then is for the next one."""

    create: Method[Any, O]
    params: CreateOrderParams | ExtendParams
    """What is ordered; as far as the payer says before `prepare`."""

    @abstractmethod
    async def prepare(self) -> None:
        """Ask what the LSP sells, and make up `params`. Raises what keeps it from being ordered."""

    @abstractmethod
    def key(self) -> str:
        """The wish, as the journal names it."""

    @abstractmethod
    def is_wish(self, parameters: str) -> bool:
        """Whether a journal's entry was the same wish."""

    @abstractmethod
    def get_order(self, order_id: OrderId) -> tuple[Method[Any, O], Message]:
        """The method and params that ask for the order again."""

    @abstractmethod
    def params_with(self, refund_address: str) -> CreateOrderParams | ExtendParams:
        """The params, with the refund address of our own wallet ("" for none) unless one was given."""

    @abstractmethod
    def violations(self, order: O, refund_address: str) -> Iterator[RuleViolation]:
        """What is wrong with the order that answers `params_with(refund_address)`, but for its invoice."""

    @abstractmethod
    def blocks(self) -> int:
        """How long a lease is paid for."""

    @abstractmethod
    def new_expiration(self, order: O) -> BlockHeight | None: ...

    @abstractmethod
    async def find(self, promised: O, completed: O) -> D:
        """See with own eyes what was delivered; `promised` is the order as it was paid. Raises NotThere."""

    def read_order(self, stored: bytes) -> O:
        return read(stored, self.create.result)


def key(params: CreateOrderParams | ExtendParams) -> str:
    """Canonical JSON of a wish. A token is a secret: its hash tells it from others as well."""
    fields = to_json(params)
    if isinstance(fields, dict) and params.token:
        fields["token"] = "sha256:" + hashlib.sha256(params.token.encode()).hexdigest()
    return msgspec.json.encode(fields, order="sorted").decode()


def stored(order: ChannelOrder | ExtensionOrder) -> bytes:
    """The order as JSON for the journal, without the token that it mirrors."""
    return msgspec.json.encode(to_json(msgspec.structs.replace(order, token="")))


def given_refund_address(parameters: str) -> str:
    """Of a wish, as `key` wrote it; "" when none was given."""
    address = msgspec.json.decode(parameters).get("refund_onchain_address")
    return address if isinstance(address, str) else ""
