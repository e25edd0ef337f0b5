"""Faults in what bLIP-57 asks for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lsps.check.lsps1_refusals import NO_TOKEN, UNKNOWN_FIELD
from lsps.check.lsps7_refusals import UNKNOWN_SCID
from lsps.units import Msat, Network
from tests.check.faults import (
    BLOCKS,
    CREATE7,
    GET7,
    LIST7,
    MAINNET_ADDRESS,
    MAXIMUM,
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
    order7,
    orders,
    put,
    result,
    to,
)
from tests.check.faulty import Fault, add_onchain

mutant = Mutants()
CONFIRMATIONS = "min_onchain_payment_confirmations"


def second_entry(**changes: object) -> Fault:
    """The list has one entry more, with a fault."""

    def edit(listed: dict[str, Any]) -> None:
        entry = {**listed["extendable_channels"][0], "short_channel_id": "9x9x9", **changes}
        listed["extendable_channels"].append(entry)

    return result(LIST7, edit)


def listed_later(listed: dict[str, Any]) -> None:
    listed["extendable_channels"][0]["expiration_block"] += 1_000_000


def add_to(path: str, number: int) -> Edit:
    def edit(order: dict[str, Any]) -> None:
        order[path] = order[path] + number

    return edit


PLAIN7: When = lambda asked: (  # noqa: E731
    asked.method == CREATE7 and set(asked.params) == {"short_channel_id", BLOCKS} and asked.params[BLOCKS] == 144
)

mutant("the list is no array", result(LIST7, put("extendable_channels", {})), "L7-01")
mutant("a SCID with colons", second_entry(short_channel_id="9:9:9"), "L7-02")
mutant("a SCID too large", second_entry(short_channel_id="16777216x1x1"), "L7-02")
mutant("a negative maximum", second_entry(**{MAXIMUM: -5}), "L7-03")
mutant("a maximum of 0", second_entry(**{MAXIMUM: 0}), "L7-04")
mutant("a negative expiration", second_entry(expiration_block=-1), "L7-05")
mutant("an empty original order", second_entry(original_order={}), "L7-06")
mutant("extension ids are numbers", second_entry(extension_order_ids=[1]), "L7-07")
mutant("a channel twice", result(LIST7, lambda r: r["extendable_channels"].extend(r["extendable_channels"])), "L7-08")
mutant("an extension is refused", instead(PLAIN7, error={**MISMATCH, "data": {"property": MAXIMUM}}), "L7-20")
mutant("a long id for an extension", order7(put("order_id", "x" * 65)), "L7-21", "L7-23")
mutant("two extensions with one id", orders("lsps7", first_id), "L7-22")
mutant("an extension's id that is no UUID", order7(put("order_id", "order-2")), "L7-23")
mutant("blocks are not mirrored", order7(put(BLOCKS, 7)), "L7-24")
mutant("another channel", order7(put("channel.short_channel_id", "1x1x1")), "L7-25")
mutant("no maximum in the order", order7(drop(f"channel.{MAXIMUM}")), "L7-26")
mutant("the sum of blocks is wrong", order7(add_to("new_channel_expiry_block", 1)), "L7-27")
mutant("the lease does not last", result(LIST7, listed_later), "L7-28")
mutant("an extension's token null", order7(put("token", None), full=False), "L7-29")
mutant("a new extension is completed", order7(put("order_state", "COMPLETED")), "L7-30")
mutant("no created_at for an extension", order7(drop("created_at")), "L7-31")
mutant("an extension's option is a text", order7(put("payment.bolt12", "lno1")), "L7-32")
mutant("a new extension is on hold", order7(put("payment.bolt11.state", "HOLD")), "L7-33")
mutant("an extension's sum is wrong", order7(put("payment.bolt11.fee_total_sat", "1")), "L7-34")
mutant("an extension's invoice is none", order7(put("payment.bolt11.invoice", "lnbcrt1")), "L7-35")
mutant("an extension's amount", orders("lsps7", invoice(lambda _, i: replace(i, amount=Msat(1)))), "L7-36")
mutant("an extension on-chain without refund address", order7(add_onchain, full=False), "L7-37")
mutant("an extension's option is null", order7(put("payment.bolt12", None)), "L7-50")
mutant(
    "an extension expires when created",
    order7(lambda o: o["payment"]["bolt11"].update(expires_at=o["created_at"])),
    "L7-51",
)
mutant("an extension's endless invoice", order7(put("payment.bolt11.invoice", "l" * 2049)), "L7-35", "L7-52")
mutant("an extension's foreign address", order7(put("payment.onchain.address", MAINNET_ADDRESS)), "L7-53")
mutant("an extension without confirmations", order7(drop(f"payment.onchain.{CONFIRMATIONS}")), "L7-54")
mutant("an extension's fee for 0-conf", order7(put(f"payment.onchain.{CONFIRMATIONS}", 1)), "L7-55")
mutant(
    "an extension's other refund address",
    order7(put("payment.onchain.refund_onchain_address", MAINNET_ADDRESS)),
    "L7-56",
)
mutant(
    "an extension's other network", orders("lsps7", invoice(lambda _, i: replace(i, network=Network.MAINNET))), "L7-57"
)
mutant("get_order tells another extension", result(GET7, put(BLOCKS, 7)), "L7-38")
mutant("an unknown extension is an internal error", code(to(GET7), -32603), "L7-39")


def extension(**given: object) -> When:
    return lambda asked: asked.method == CREATE7 and all(asked.params.get(name) == given[name] for name in given)


UNLISTED = extension(short_channel_id=UNKNOWN_SCID, **{BLOCKS: 1})
TOO_LONG: When = lambda asked: asked.method == CREATE7 and asked.params.get(BLOCKS, 0) > 144  # noqa: E731
WITHOUT_BLOCKS: When = lambda asked: asked.method == CREATE7 and BLOCKS not in asked.params  # noqa: E731
mutant("too long an extension is rejected", code(TOO_LONG, 1), "L7-40")
mutant("an unknown channel is rejected", code(UNLISTED, 1), "L7-41")
mutant("100 names a field of the extension's request", data(TOO_LONG, put("property", BLOCKS)), "L7-42")
mutant("0 blocks are rejected", code(extension(**{BLOCKS: 0}), 1), "L7-43")
mutant("a malformed SCID is rejected", code(extension(short_channel_id="1:2:3"), 1), "L7-44")
mutant("an extension without blocks is rejected", code(WITHOUT_BLOCKS, 1), "L7-45")
mutant("-32602 names another field", data(extension(short_channel_id="1:2:3"), put("property", BLOCKS)), "L7-46")
mutant("a bad token is ignored", instead(extension(token=NO_TOKEN), result={}), "L7-47")
mutant("an extension's unknown field", code(extension(**{UNKNOWN_FIELD: 1}), 1), "L7-48")


# --- what no clause forbids: these must be caught by nothing ----------------------------------------------------------

INVALID_SCID = {"unrecognized": [], "property": "short_channel_id", "message": "unknown"}
mutant(
    "an unknown channel is an invalid field",
    instead(UNLISTED, error={**MISMATCH, "code": -32602, "data": INVALID_SCID}),
)
mutant("the LSP has no funds to extend", instead(PLAIN7, error={"code": -32603, "message": "Internal error"}))
mutant("the LSP rejects this client's extensions", instead(to(CREATE7), error=REJECTED))
mutant("what is left of a lease moves", result(GET7, put(f"channel.{MAXIMUM}", 7)))
mutant("what is optional is null", second_entry(original_order=None, extension_order_ids=None))
