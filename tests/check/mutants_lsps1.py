"""Faults in what bLIP-51 asks for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lsps.check.lsps1 import MIRRORED
from lsps.check.lsps1_refusals import ABSENT, BELOW, INVALID, MISMATCHES, NO_TOKEN, UNKNOWN_FIELD
from lsps.lightning.bech32 import WitnessProgram, encode_address
from lsps.lightning.keys import SecretKey
from lsps.units import Msat, Network
from tests.check.faults import (
    CREATE1,
    GET1,
    GET_INFO,
    MAINNET_ADDRESS,
    MISMATCH,
    REJECTED,
    Edit,
    Mutants,
    When,
    code,
    data,
    drop,
    first_id,
    instead,
    invoice,
    order1,
    orders,
    put,
    result,
    to,
)
from tests.check.faulty import Answer, Asked, Fault, World, add_onchain

mutant = Mutants()


def swap(name: str) -> Edit:
    def edit(info: dict[str, Any]) -> None:
        info[f"min_{name}"], info[f"max_{name}"] = info[f"max_{name}"], info[f"min_{name}"]

    return edit


def info_changes(world: World, asked: Asked, message: dict[str, Any]) -> Answer:
    if asked.method == GET_INFO:
        message["result"]["supports_zero_channel_reserve"] = next(world.count) % 2 == 0
    return message


mutant("an option is missing", result(GET_INFO, drop("supports_zero_channel_reserve")), "L1-01")
mutant("an option is null", result(GET_INFO, put("max_channel_balance_sat", None)), "L1-01")
mutant("a boolean is a text", result(GET_INFO, put("supports_zero_channel_reserve", "no")), "L1-02")
mutant("a uint16 is a text", result(GET_INFO, put("min_required_channel_confirmations", "1")), "L1-02")
mutant("funding within 0 blocks", result(GET_INFO, put("min_funding_confirms_within_blocks", 0)), "L1-03")
# An LSP that says 0 and takes orders breaks its own option, too.
mutant("leases of 0 blocks", result(GET_INFO, put("max_channel_expiry_blocks", 0)), "L1-04", "L1-52")
mutant("client balances swapped", result(GET_INFO, swap("initial_client_balance_sat")), "L1-05", "L1-53")
mutant("LSP balances swapped", result(GET_INFO, swap("initial_lsp_balance_sat")), "L1-06")
mutant("channel balances swapped", result(GET_INFO, swap("channel_balance_sat")), "L1-07")
mutant("get_info changes", info_changes, "L1-08")
PLAIN1: When = lambda asked: (  # noqa: E731
    asked.method == CREATE1 and set(asked.params) == set(MIRRORED.values())
)


def plain_is_refused(error: dict[str, Any]) -> Fault:
    def fault(_world: World, asked: Asked, message: dict[str, Any]) -> Answer:
        if PLAIN1(asked) and "result" in message:
            del message["result"]
            message["error"] = error
        return message

    return fault


mutant("an order without refund address is refused", plain_is_refused(MISMATCH), "L1-10")
mutant("a long order id", order1(put("order_id", "x" * 65)), "L1-11", "L1-13")
mutant("two orders with one id", orders("lsps1", first_id), "L1-12")
mutant("an order id that is no UUID", order1(put("order_id", "order-2")), "L1-13")
mutant("a new order is completed", order1(put("order_state", "COMPLETED")), "L1-14")
mutant("no created_at", order1(drop("created_at")), "L1-15")
mutant("a channel before its time", order1(put("channel", {})), "L1-16")
mutant("no channel at all", order1(drop("channel")), "L1-16")
mutant("token null", order1(put("token", None), full=False), "L1-17")
mutant("an empty token becomes null", order1(put("token", None)), "L1-18")
for _id, _name in MIRRORED.items():
    mutant(f"{_name} is not mirrored", order1(put(_name, "1" if _name.endswith("_sat") else 1)), _id)
mutant("get_order tells something else", result(GET1, put("channel_expiry_blocks", 7)), "L1-30")
mutant("get_order tells another invoice", result(GET1, put("payment.bolt11.invoice", "lnbcrt1")), "L1-30")
mutant("an unknown order is a mismatch", code(to(GET1), 100), "L1-31", "L1-32")
mutant("get_order without id is an internal error", code(to(GET1, {}), -32603), "L1-32")


# --- payment ----------------------------------------------------------------------------------------------------------

HOURS = {"expires_at": "2199-01-01T00:00:00.000Z"}
mutant("an option is a text", order1(put("payment.bolt12", "lno1")), "L1-80")
mutant("an option is null", order1(put("payment.onchain", None), full=False), "L1-81")
mutant("a new order is on hold", order1(put("payment.bolt11.state", "HOLD")), "L1-82")
mutant("it expires when created", order1(lambda o: o["payment"]["bolt11"].update(expires_at=o["created_at"])), "L1-83")
mutant("the sum is wrong", order1(put("payment.onchain.fee_total_sat", "1")), "L1-84")
mutant("an endless invoice", order1(put("payment.bolt11.invoice", "l" * 2049)), "L1-85", "L1-86")
mutant("an invoice that is none", order1(put("payment.bolt11.invoice", "lnbcrt1")), "L1-86")
mutant("another amount", orders("lsps1", invoice(lambda _, i: replace(i, amount=Msat(1)))), "L1-87")
mutant("the option outlives its invoice", order1(lambda o: o["payment"]["bolt11"].update(HOURS)), "L1-88")
mutant("it cannot be held", orders("lsps1", invoice(lambda _, i: replace(i, min_final_cltv_expiry=18))), "L1-89")
mutant("it is held too long", orders("lsps1", invoice(lambda _, i: replace(i, min_final_cltv_expiry=289))), "L1-89")
mutant("another network", orders("lsps1", invoice(lambda _, i: replace(i, network=Network.MAINNET))), "L1-90")
STRANGER = SecretKey(b"\x07" * 32)
mutant("another payee", orders("lsps1", invoice(lambda _, i: replace(i, payee=STRANGER.node_id), STRANGER)), "L1-91")
mutant("an endless offer", order1(put("payment.bolt12.offer", "l" * 2049)), "L1-92")
mutant("on-chain without refund address", order1(add_onchain, full=False), "L1-93")
mutant("a foreign address", order1(put("payment.onchain.address", MAINNET_ADDRESS)), "L1-94")
mutant("no confirmations", order1(drop("payment.onchain.min_onchain_payment_confirmations")), "L1-95")
mutant("a fee for 0-conf", order1(put("payment.onchain.min_onchain_payment_confirmations", 1)), "L1-96")
mutant("another refund address", order1(put("payment.onchain.refund_onchain_address", MAINNET_ADDRESS)), "L1-97")


# --- refusals ---------------------------------------------------------------------------------------------------------


def refused_for(option: str) -> Fault:
    def fault(_world: World, asked: Asked, message: dict[str, Any]) -> Answer:
        error = message.get("error", {})
        if asked.method == CREATE1 and error.get("code") == 100 and error["data"]["property"] == option:
            error["code"] = 1
        return message

    return fault


def named(option: str, other: str) -> Fault:
    def fault(_world: World, asked: Asked, message: dict[str, Any]) -> Answer:
        error = message.get("error", {})
        if asked.method == CREATE1 and error.get("code") == 100 and error["data"]["property"] == option:
            error["data"]["property"] = other
        return message

    return fault


def carries(field: str, value: object) -> When:
    """A create_order that is wrong in this field alone."""

    def when(asked: Asked) -> bool:
        if asked.method != CREATE1:
            return False
        if value is ABSENT:
            return field not in asked.params
        return bool(asked.params.get(field) == value) and type(asked.params[field]) is type(value)

    return when


for _id, _name in MISMATCHES.items():
    mutant(f"{_name} is not kept", refused_for(_name), _id)
    mutant(f"{_name} is called another", named(_name, "supports_zero_channel_reserve"), _id)
mutant("100 names a field of the request", named("max_channel_expiry_blocks", "channel_expiry_blocks"), "L1-59")
mutant(
    "100 without a message",
    data(
        lambda asked: asked.method == CREATE1 and asked.params.get("channel_expiry_blocks") == 52_561, drop("message")
    ),
    "L1-60",
)
for _id, (_what, _name, _given) in INVALID.items():
    mutant(f"an order {_what} is rejected", code(carries(_name, _given), 1), _id)
for _id, (_name, _given) in BELOW.items():
    mutant(f"an order with {_name} {_given} is rejected", code(carries(_name, _given), 1), _id)
mutant("-32602 names nothing", data(carries("announce_channel", "yes"), drop("property")), "L1-70")
mutant("an unknown field is not named", data(carries(UNKNOWN_FIELD, 1), put("unrecognized", [])), "L1-71")
mutant("a bad token is rejected", code(carries("token", NO_TOKEN), 1), "L1-72")
mutant("a foreign refund address is rejected", code(carries("refund_onchain_address", MAINNET_ADDRESS), 1), "L1-73")


# --- what no clause forbids: these must be caught by nothing ----------------------------------------------------------


def seconds_left(world: World, asked: Asked, message: dict[str, Any]) -> Answer:
    """A field that no bLIP defines, and that changes."""
    if asked.method in {CREATE1, GET1} and "result" in message:
        message["result"]["payment"]["bolt11"]["seconds_left"] = 3600 - next(world.count)
    return message


DONE = {"order_state": "COMPLETED", "payment": {}, "channel": {}}
FUTURE_ADDRESS = encode_address(WitnessProgram(2, bytes(32)), Network.REGTEST)
mutant("a field of its own changes", seconds_left)
mutant("an order that costs nothing is done at once", order1(lambda order: order.update(DONE)))
mutant("an address of a later SegWit version", order1(put("payment.onchain.address", FUTURE_ADDRESS)))
mutant("the LSP has no funds", plain_is_refused({"code": -32603, "message": "Internal error"}))
mutant("the LSP rejects this client", instead(to(CREATE1), error=REJECTED))
mutant("a negative balance is outside the options", code(carries("client_balance_sat", "-1"), 100))
