"""Faults in what comes of a paid order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lsps.units import Sat
from tests.check.faults import (
    LIST7,
    Edit,
    Mutants,
    put,
    result,
)
from tests.check.faulty import Answer, Asked, Fault, World

mutant = Mutants()


def told(service: str, edit: Edit, when: Callable[[dict[str, Any]], bool] = lambda order: True) -> Fault:
    return result(f"{service}.get_order", lambda order: edit(order) if when(order) else None)


def first_told(service: str, edit: Edit) -> Fault:
    """In the first get_order alone, whatever the order has come to by then."""

    def fault(world: World, asked: Asked, message: dict[str, Any]) -> Answer:
        if asked.method == f"{service}.get_order" and next(world.count) == 0:
            edit(message["result"])
        return message

    return fault


def is_state(state: str) -> Callable[[dict[str, Any]], bool]:
    return lambda order: bool(order["payment"]["bolt11"]["state"] == state)


def is_order_state(state: str) -> Callable[[dict[str, Any]], bool]:
    return lambda order: bool(order["order_state"] == state)


REFUNDED = put("payment.bolt11.state", "REFUNDED")
COMPLETED = is_order_state("COMPLETED")
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
