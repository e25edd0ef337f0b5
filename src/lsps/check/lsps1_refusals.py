"""bLIP-51 §2: what create_order must refuse, with which error, and what the error must name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lsps.check.lsps1 import expect_code
from lsps.check.model import Broken, CheckFunction, Clauses, Skipped, Untold, expect
from lsps.check.reply import Reply
from lsps.check.subject import OPTIONS, REFUND_PROGRAM, Subject
from lsps.check.values import shown
from lsps.lightning.bech32 import WitnessProgram, encode_address
from lsps.protocol.errors import CLIENT_REJECTED, INVALID_PARAMS, OPTION_MISMATCH, UNRECOGNIZED_OR_STALE_TOKEN
from lsps.units import MAX_UINT32, Network

clauses = Clauses("lsps1-refusals")

_SECTION = "bLIP-51 §2, Errors"
_METHOD = "lsps1.create_order"
UNKNOWN_FIELD = "lsps_check_unknown"
NO_TOKEN = "lsps-check-no-such-token"  # noqa: S105  # one that nobody issued


# --- outside the LSP's options ----------------------------------------------------------------------------------------

MISMATCHES = {
    "L1-50": "min_required_channel_confirmations",
    "L1-51": "min_funding_confirms_within_blocks",
    "L1-52": "max_channel_expiry_blocks",
    "L1-53": "min_initial_client_balance_sat",
    "L1-54": "max_initial_client_balance_sat",
    "L1-55": "min_initial_lsp_balance_sat",
    "L1-56": "max_initial_lsp_balance_sat",
    "L1-57": "min_channel_balance_sat",
    "L1-58": "max_channel_balance_sat",
}
_FIELD_OF = {
    "min_required_channel_confirmations": "required_channel_confirmations",
    "min_funding_confirms_within_blocks": "funding_confirms_within_blocks",
    "max_channel_expiry_blocks": "channel_expiry_blocks",
    "min_initial_client_balance_sat": "client_balance_sat",
    "max_initial_client_balance_sat": "client_balance_sat",
    "min_initial_lsp_balance_sat": "lsp_balance_sat",
    "max_initial_lsp_balance_sat": "lsp_balance_sat",
}


@dataclass(frozen=True, slots=True)
class Mismatch:
    """An order outside an option, and all the options that it is outside of."""

    params: dict[str, Any]
    options: frozenset[str]


async def mismatch(lsp: Subject, option: str) -> Mismatch:
    """Raises Skipped when no order can be outside this option alone."""
    params, options = await lsp.channel_request(), await lsp.options()
    if option == "min_channel_balance_sat":
        lowest = max(options["min_initial_lsp_balance_sat"], 1)
        params["lsp_balance_sat"] = str(lowest)
        params["client_balance_sat"] = str(options["min_initial_client_balance_sat"])
    elif option == "max_channel_balance_sat":
        params["lsp_balance_sat"] = str(options["max_initial_lsp_balance_sat"])
        params["client_balance_sat"] = str(options["max_initial_client_balance_sat"])
    else:
        field = _FIELD_OF[option]
        value = options[option] + (1 if option.startswith("max_") else -1)
        lowest = 1 if field == "lsp_balance_sat" else 0
        if not lowest <= value <= _largest(field):
            raise Skipped(f"{option} is {options[option]}: every order is inside it")
        params[field] = str(value) if field.endswith("_sat") else value
    outside = frozenset(name for name in OPTIONS if name in options and _is_outside(name, params, options))
    if option not in outside:
        raise Skipped(f"{option} is {options[option]}: no order within the other options is outside it")
    return Mismatch(params, outside)


def _largest(field: str) -> int:
    if field.endswith("_sat"):
        return 2**64 - 1
    return MAX_UINT32 if field == "channel_expiry_blocks" else 2**16 - 1


def _is_outside(option: str, params: dict[str, Any], options: dict[str, int]) -> bool:
    if option in _FIELD_OF:
        value = int(params[_FIELD_OF[option]])
    else:
        value = int(params["lsp_balance_sat"]) + int(params["client_balance_sat"])
    return value < options[option] if option.startswith("min_") else value > options[option]


async def expect_refused(lsp: Subject, service: str, reply: Reply, *codes: int) -> None:
    """Error 1 tells nothing where the LSP rejects this client's good orders as well: it MAY (bLIP-50)."""
    if reply.code == CLIENT_REJECTED and await lsp.is_rejected(service):
        raise Untold(f"it rejects this client now: {shown(reply.error)}")
    expect_code(reply, *codes)


def _is_refused_for(option: str) -> CheckFunction:
    async def check(lsp: Subject) -> None:
        case = await mismatch(lsp, option)
        reply = await lsp.ask(_METHOD, case.params)
        await expect_refused(lsp, "lsps1", reply, OPTION_MISMATCH)
        named = reply.data.get("property")
        if named in OPTIONS:  # that it is one of them at all is a check of its own
            expect(named in case.options, f"it names {shown(named)}, which the order keeps")

    return check


for _id, _option in MISMATCHES.items():
    clauses.must(_id, _SECTION, f"an order outside {_option} is refused with 100")(_is_refused_for(_option))


@clauses.must("L1-59", _SECTION, "error 100's data.property is the name of one of get_info's options")
async def names_an_option(lsp: Subject) -> None:
    await _ask_all(lsp, [_is_refused_for(option) for option in MISMATCHES.values()])
    for reply in _errors(lsp, OPTION_MISMATCH):
        reply.require_data()
        named = reply.data.get("property")
        if named not in OPTIONS:
            raise Broken(f"data.property is {shown(named)}", reply.exchange)


@clauses.should("L1-60", _SECTION, "errors 100 and -32602 have a text for people in data.message")
async def has_a_message(lsp: Subject) -> None:
    await _ask_all(lsp, [_is_refused_for("max_channel_expiry_blocks"), _is_invalid("L1-61")])
    for reply in _errors(lsp, OPTION_MISMATCH, INVALID_PARAMS):
        reply.require_data()
        text = reply.data.get("message")
        if not isinstance(text, str):
            raise Broken(f"data.message is {shown(text)}", reply.exchange)


async def _ask_all(lsp: Subject, checks: list[CheckFunction]) -> None:
    """Have the replies there, whatever other checks think of them."""
    await lsp.channel_request()
    for check in checks:
        try:
            await check(lsp)
        except (Broken, Skipped, Untold):
            continue


def _errors(lsp: Subject, *codes: int) -> list[Reply]:
    """Raises Untold when there is none, so that nothing passes that was not seen."""
    found = [reply for reply in lsp.replies(_METHOD) if reply.code in codes]
    lsp.probe.looked_at = [reply.exchange for reply in found]
    if not found:
        raise Untold(f"no error {' or '.join(map(str, codes))} came")
    return found


# --- invalid fields ---------------------------------------------------------------------------------------------------

ABSENT = object()
INVALID: dict[str, tuple[str, str, object]] = {
    "L1-61": ("without channel_expiry_blocks", "channel_expiry_blocks", ABSENT),
    "L1-62": ("with announce_channel a text", "announce_channel", "yes"),
    "L1-63": ('with lsp_balance_sat "12.5"', "lsp_balance_sat", "12.5"),
    "L1-65": ("with required_channel_confirmations above 16 bits", "required_channel_confirmations", 2**16),
    "L1-66": ("with funding_confirms_within_blocks a text", "funding_confirms_within_blocks", "6"),
    "L1-67": ("with a refund_onchain_address that is none", "refund_onchain_address", "lsps-check-no-address"),
}
BELOW: dict[str, tuple[str, object]] = {
    "L1-64": ("client_balance_sat", "-1"),
    "L1-68": ("lsp_balance_sat", "0"),
    "L1-69": ("channel_expiry_blocks", 0),
}
"""Below the field's own bound, and below get_info's as well: which of the two an LSP looks at first, is not said."""


async def invalid_request(lsp: Subject, field: str, value: object) -> dict[str, Any]:
    params = {**await lsp.channel_request(), field: value}
    if (field, value) == ("lsp_balance_sat", "0"):  # all of a channel that is large enough is then the client's
        options = await lsp.options()
        least = min(options["min_channel_balance_sat"], options["max_initial_client_balance_sat"])
        params["client_balance_sat"] = str(max(int(params["client_balance_sat"]), least))
    return {name: given for name, given in params.items() if given is not ABSENT}


def _is_invalid(check_id: str) -> CheckFunction:
    _, field, value = INVALID[check_id]

    async def check(lsp: Subject) -> None:
        reply = await lsp.ask(_METHOD, await invalid_request(lsp, field, value))
        await expect_refused(lsp, "lsps1", reply, INVALID_PARAMS)

    return check


def _is_below(field: str, value: object) -> CheckFunction:
    async def check(lsp: Subject) -> None:
        reply = await lsp.ask(_METHOD, await invalid_request(lsp, field, value))
        await expect_refused(lsp, "lsps1", reply, INVALID_PARAMS, OPTION_MISMATCH)

    return check


for _id, _case in INVALID.items():
    clauses.must(_id, _SECTION, f"an order {_case[0]} is refused with -32602")(_is_invalid(_id))
for _id, (_bounded, _least) in BELOW.items():
    clauses.must(_id, "bLIP-51 §2", f"an order with {_bounded} {_least} is refused with -32602 or 100")(
        _is_below(_bounded, _least)
    )


@clauses.must("L1-70", _SECTION, "-32602's data.property is the request's field that is invalid")
async def names_the_field(lsp: Subject) -> None:
    await lsp.channel_request()
    told = False
    for check_id, (_, field, value) in INVALID.items():
        try:
            await _is_invalid(check_id)(lsp)
        except (Broken, Untold):
            continue
        told = True
        reply = await lsp.ask(_METHOD, await invalid_request(lsp, field, value))
        reply.require_data()
        if reply.data.get("property") != field:
            raise Broken(f"data.property is {shown(reply.data.get('property'))}; {field} is invalid", reply.exchange)
    if not told:
        raise Untold(f"no error {INVALID_PARAMS} came")


@clauses.must(
    "L1-71", "bLIP-50, LSPS Extension And Versioning", "create_order with an unknown field is refused, naming it"
)
async def unknown_field(lsp: Subject) -> None:
    reply = await lsp.ask(_METHOD, {**await lsp.channel_request(), UNKNOWN_FIELD: 1})
    await expect_refused(lsp, "lsps1", reply, INVALID_PARAMS)
    reply.require_data()
    expect(reply.data.get("unrecognized") == [UNKNOWN_FIELD], f"error is {shown(reply.error)}")


@clauses.must("L1-72", _SECTION, "a token that nobody issued is refused with 102")
async def unknown_token(lsp: Subject) -> None:
    reply = await lsp.ask(_METHOD, {**await lsp.channel_request(), "token": NO_TOKEN})
    await expect_refused(lsp, "lsps1", reply, UNRECOGNIZED_OR_STALE_TOKEN)


@clauses.should("L1-73", "lsps's own measure", "a refund address of another network is refused with -32602")
async def foreign_refund_address(lsp: Subject) -> None:
    other = Network.TESTNET if lsp.network is Network.MAINNET else Network.MAINNET
    address = encode_address(WitnessProgram(0, REFUND_PROGRAM), other)
    reply = await lsp.ask(_METHOD, {**await lsp.channel_request(), "refund_onchain_address": address})
    await expect_refused(lsp, "lsps1", reply, INVALID_PARAMS)


CHECKS = tuple(sorted(clauses.all(), key=lambda check: check.id))
