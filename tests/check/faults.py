"""How a fault is written: what it changes, and in which answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from lsps.check.lsps0 import UNKNOWN_PARAMETERS
from lsps.check.probe import PING
from lsps.lightning import bolt11
from lsps.lightning.keys import SecretKey
from lsps.node.contract import Channel, Payment
from tests.check.faulty import Answer, Asked, Fault, World

MAINNET_ADDRESS = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
BLOCKS = "channel_extension_expiry_blocks"
MAXIMUM = "max_channel_extension_expiry_blocks"


@dataclass(frozen=True)
class Mutant:
    name: str
    fault: Fault
    caught_by: frozenset[str]
    change: Callable[[Channel], Channel] | None = None
    outcome: Callable[[Payment], Payment] | None = None
    pays: bool = False
    """Whether it shows only when an order is paid: all checks run then, and with --pay."""


class Mutants:
    """A table of mutants, written line by line."""

    def __init__(self, *, pays: bool = False) -> None:
        self.all: list[Mutant] = []
        self._pays = pays

    def __call__(
        self,
        name: str,
        fault: Fault,
        *caught_by: str,
        change: Callable[[Channel], Channel] | None = None,
        outcome: Callable[[Payment], Payment] | None = None,
    ) -> None:
        self.all.append(Mutant(name, fault, frozenset(caught_by), change, outcome, self._pays))


When = Callable[[Asked], bool]
Edit = Callable[[dict[str, Any]], None]
WorldEdit = Callable[[World, dict[str, Any]], None]


def edits(when: When, edit: Edit) -> Fault:
    """Changes the message in answer to certain requests."""

    def fault(_world: World, asked: Asked, message: dict[str, Any]) -> Answer:
        if when(asked):
            edit(message)
        return message

    return fault


def to(method: str, params: object = ...) -> When:
    return lambda asked: asked.method == method and (params is ... or asked.params == params)


def result(method: str, edit: Edit) -> Fault:
    """Changes the results of a method."""
    return edits(to(method), lambda message: edit(message["result"]) if "result" in message else None)


def orders(service: str, edit: WorldEdit, *, full: bool = True) -> Fault:
    """Changes the order with (`full`) or without refund address, in create_order and in get_order."""
    chosen: set[str] = set()

    def fault(world: World, asked: Asked, message: dict[str, Any]) -> Answer:
        order = message.get("result")
        if isinstance(order, dict) and "order_id" in order and asked.method.startswith(f"{service}."):
            if asked.method.endswith("create_order") and ("refund_onchain_address" in asked.params) == full:
                chosen.add(order["order_id"])
            if order["order_id"] in chosen:
                edit(world, order)
        return message

    return fault


def order1(edit: Edit, *, full: bool = True) -> Fault:
    return orders("lsps1", lambda _, order: edit(order), full=full)


def order7(edit: Edit, *, full: bool = True) -> Fault:
    return orders("lsps7", lambda _, order: edit(order), full=full)


def code(when: When, number: int) -> Fault:
    """Another error code."""

    def edit(message: dict[str, Any]) -> None:
        if "error" in message:
            message["error"]["code"] = number

    return edits(when, edit)


def data(when: When, edit: Edit) -> Fault:
    """Another error.data."""

    def change(message: dict[str, Any]) -> None:
        if "error" in message:
            edit(message["error"]["data"])

    return edits(when, change)


def instead(when: When, **fields: object) -> Fault:
    """A result or an error in place of what was there."""

    def edit(message: dict[str, Any]) -> None:
        message.pop("result", None)
        message.pop("error", None)
        message.update(fields)

    return edits(when, edit)


def swallowed(when: When) -> Fault:
    return lambda _, asked, message: None if when(asked) else message


def after(when: When, *more: Answer) -> Fault:
    """Something more is sent, once, after the right answer."""
    sent: list[bool] = []

    def fault(_world: World, asked: Asked, message: dict[str, Any]) -> Answer | list[Answer]:
        if when(asked) and not sent:
            sent.append(True)
            return [message, *more]
        return message

    return fault


def put(path: str, value: object) -> Edit:
    """Sets a field, by its dotted path."""
    *outer, last = path.split(".")

    def edit(message: dict[str, Any]) -> None:
        for name in outer:
            message = message[name]
        message[last] = value

    return edit


def drop(path: str) -> Edit:
    *outer, last = path.split(".")

    def edit(message: dict[str, Any]) -> None:
        for name in outer:
            message = message[name]
        message.pop(last, None)

    return edit


def invoice(change: Callable[[World, bolt11.Invoice], bolt11.Invoice], key: SecretKey | None = None) -> WorldEdit:
    """The order's invoice, changed and signed again: by the LSP's key, or another."""

    def edit(world: World, order: dict[str, Any]) -> None:
        option = order["payment"]["bolt11"]
        option["invoice"] = bolt11.encode(change(world, bolt11.decode(option["invoice"])), key or world.key)

    return edit


def first_id(world: World, order: dict[str, Any]) -> None:
    """The id that the order before it has."""
    order["order_id"] = world.orders[-1]["order_id"]


INVALID_REQUEST = {"code": -32600, "message": "Invalid Request"}
MISMATCH = {
    "code": 100,
    "message": "Option mismatch",
    "data": {"property": "max_channel_expiry_blocks", "message": "no"},
}
REJECTED = {"code": 1, "message": "Client rejected", "data": {"message": "no"}}
GET_INFO = "lsps1.get_info"
CREATE1, GET1 = "lsps1.create_order", "lsps1.get_order"
CREATE7, GET7, LIST7 = "lsps7.create_order", "lsps7.get_order", "lsps7.get_extendable_channels"
ALWAYS: When = lambda asked: True  # noqa: E731
WITHOUT_PARAMS: When = lambda asked: asked.method == PING and asked.params is None  # noqa: E731
ONE_UNKNOWN = to(PING, {UNKNOWN_PARAMETERS[0]: 1})
TWO_UNKNOWN: When = lambda asked: asked.method == PING and len(asked.params or ()) == 2  # noqa: E731


def with_id(request_id: object) -> When:
    def when(asked: Asked) -> bool:
        return bool(asked.method) and msgspec.json.decode(asked.payload)["id"] == request_id

    return when
