"""bLIP-51 §1: what get_info says."""

from __future__ import annotations

from lsps.check.model import CheckFunction, Clauses, expect
from lsps.check.subject import OPTIONS, Subject
from lsps.check.values import is_uint, shown

clauses = Clauses("lsps1")

_INFO = "bLIP-51 §1"
_UINT16 = ("min_required_channel_confirmations", "min_funding_confirms_within_blocks")


@clauses.must("L1-01", _INFO, "lsps1.get_info answers with all ten options")
async def has_all_options(lsp: Subject) -> None:
    await lsp.require_protocol(1)
    reply = await lsp.ask("lsps1.get_info", {})
    expect(isinstance(reply.result, dict), f"result is {shown(reply.result)}, error {shown(reply.error)}")
    missing = [name for name in OPTIONS if reply.result.get(name) is None]
    expect(not missing, f"{missing} are missing")


@clauses.must("L1-02", _INFO, "the options that are no amounts have their types: uint16, boolean, uint32")
async def options_have_types(lsp: Subject) -> None:
    info = await lsp.info()
    for name in _UINT16:
        expect(name not in info or is_uint(info[name], 16), f"{name} is {shown(info.get(name))}, no uint16")
    name = "supports_zero_channel_reserve"
    expect(isinstance(info.get(name, False), bool), f"{name} is {shown(info.get(name))}, no boolean")
    name = "max_channel_expiry_blocks"
    expect(is_uint(info.get(name, 1), 32), f"{name} is {shown(info.get(name))}, no uint32")


@clauses.must("L1-03", _INFO, "min_funding_confirms_within_blocks is 1 or greater")
async def funding_blocks_bound(lsp: Subject) -> None:
    await _at_least_one(lsp, "min_funding_confirms_within_blocks")


@clauses.must("L1-04", _INFO, "max_channel_expiry_blocks is 1 or greater")
async def expiry_bound(lsp: Subject) -> None:
    await _at_least_one(lsp, "max_channel_expiry_blocks")


async def _at_least_one(lsp: Subject, name: str) -> None:
    value = (await lsp.options())[name]
    expect(value >= 1, f"{name} is {value}")


def _is_pair(name: str) -> CheckFunction:
    async def check(lsp: Subject) -> None:
        options = await lsp.options()
        low, high = options[f"min_{name}"], options[f"max_{name}"]
        expect(low <= high, f"min_{name} is {low}, max_{name} {high}")

    return check


PAIRS = {"L1-05": "initial_client_balance_sat", "L1-06": "initial_lsp_balance_sat", "L1-07": "channel_balance_sat"}
for _id, _name in PAIRS.items():
    clauses.must(_id, _INFO, f"min_{_name} is not greater than max_{_name}")(_is_pair(_name))


@clauses.should("L1-08", _INFO, "get_info's values do not change from one moment to the next")
async def info_stays(lsp: Subject) -> None:
    first = await lsp.info()
    second = (await lsp.probe.request("lsps1.get_info", {})).result
    expect(first == second, f"at first {shown(first)}, then {shown(second)}")


CHECKS = clauses.all()
