"""Faults in what comes of a paid order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from lsps.node.contract import PaymentStatus
from lsps.protocol.fields import read_datetime, write_datetime
from lsps.units import Sat
from tests.check.faults import (
    BLOCKS,
    CREATE7,
    LIST7,
    MAXIMUM,
    MISMATCH,
    Edit,
    Mutants,
    put,
    result,
)
from tests.check.faulty import Answer, Asked, Fault, World

mutant = Mutants(pays=True)


def told(service: str, edit: Edit, when: Callable[[dict[str, Any]], bool] = lambda order: True) -> Fault:
    return result(f"{service}.get_order", lambda order: edit(order) if when(order) else None)


def first_told(service: str, edit: Edit) -> Fault:
    """In the first get_order after the payment alone, whatever the order has come to by then."""

    def fault(world: World, asked: Asked, message: dict[str, Any]) -> Answer:
        if asked.method == f"{service}.get_order" and "result" in message and next(world.count) == 1:
            edit(message["result"])
        return message

    return fault


def is_state(state: str) -> Callable[[dict[str, Any]], bool]:
    return lambda order: bool(order["payment"]["bolt11"]["state"] == state)


def is_order_state(state: str) -> Callable[[dict[str, Any]], bool]:
    return lambda order: bool(order["order_state"] == state)


REFUNDED = put("payment.bolt11.state", "REFUNDED")
COMPLETED = is_order_state("COMPLETED")


def in_an_hour(order: dict[str, Any]) -> None:
    channel = order["channel"]
    channel["expires_at"] = write_datetime(read_datetime(channel["funded_at"]) + timedelta(hours=1))


def deaf_once_paid(service: str) -> Fault:
    """It answers the get_order that comes before the payment, and none after."""

    def fault(world: World, asked: Asked, message: dict[str, Any]) -> Answer | None:
        later = asked.method == f"{service}.get_order" and "result" in message and next(world.count) > 0
        return None if later else message

    return fault


no_fault: Fault = lambda _, asked, message: message  # noqa: E731
mutant("a state that there is not", first_told("lsps1", put("payment.bolt11.state", "PENDING")), "LP-01")
mutant("a payment is never taken", told("lsps1", REFUNDED, is_state("PAID")), "LP-01", "LP-02")
mutant("a paid order fails", told("lsps1", put("order_state", "FAILED"), COMPLETED), "LP-03")
mutant("an outpoint that is none", told("lsps1", put("channel.funding_outpoint", "here"), COMPLETED), "LP-04")
mutant(
    "a channel that expires at once",
    told("lsps1", lambda order: order["channel"].update(expires_at=order["channel"]["funded_at"]), COMPLETED),
    "LP-05",
)
mutant("a channel that expires too early", told("lsps1", in_an_hour, COMPLETED), "LP-08")
mutant(
    "PAID, and the payment is not taken",
    no_fault,
    "LP-02",
    "LP-10",
    outcome=lambda payment: replace(payment, status=PaymentStatus.FAILED),
)
mutant("get_order of a paid order is not answered", deaf_once_paid("lsps1"), "LP-01")
mutant("get_order of a paid extension is not answered", deaf_once_paid("lsps7"), "LP-10")
mutant("a channel too small", no_fault, "LP-06", change=lambda channel: replace(channel, capacity=Sat(150_000)))
mutant(
    "nothing is pushed", no_fault, "LP-06", change=lambda channel: replace(channel, pushed=Sat(0), local_balance=Sat(0))
)
mutant("an announced channel", no_fault, "LP-07", change=lambda channel: replace(channel, private=False))
mutant("an extension's payment is never taken", told("lsps7", REFUNDED, is_state("PAID")), "LP-10")
mutant("a paid extension fails", told("lsps7", put("order_state", "FAILED"), COMPLETED), "LP-11")
mutant(
    "an extension is not delivered",
    result(LIST7, lambda listed: listed["extendable_channels"][0].update(expiration_block=0)),
    "LP-12",
)


# --- what no clause forbids: these must be caught by nothing ----------------------------------------------------------


def fails(_world: World, asked: Asked, message: dict[str, Any]) -> Answer:
    """Every order, once paid, is given up, and given back."""
    if asked.method.endswith(".get_order") and "result" in message and is_state("PAID")(message["result"]):
        message["result"]["order_state"] = "FAILED"
        REFUNDED(message["result"])
    return message


def gone_when_extended(world: World, asked: Asked, message: dict[str, Any]) -> Answer:
    """A channel that can be extended by 144 blocks in all, and then is not in the list any more."""
    if asked.method == LIST7:
        (entry,) = message["result"]["extendable_channels"]
        entry[MAXIMUM] = 144
        if next(world.count):
            message["result"]["extendable_channels"] = []
    elif asked.method == CREATE7 and asked.params.get(BLOCKS, 0) > 144 and "result" in message:
        del message["result"]
        message["error"] = {**MISMATCH, "data": {"property": MAXIMUM}}
    return message


mutant(
    "it cannot deliver, and gives back",
    fails,
    outcome=lambda payment: replace(payment, status=PaymentStatus.FAILED, failure="given back"),
)
mutant("what cannot be extended further is not listed", gone_when_extended)
