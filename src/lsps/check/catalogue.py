"""All checks, in the order in which they run, and how some of them are picked."""

from __future__ import annotations

from collections.abc import Sequence

from lsps.check import (
    bad_payloads,
    conversation,
    lsps0,
    lsps1,
    lsps1_info,
    lsps1_payment,
    lsps1_refusals,
    lsps7,
    lsps7_order,
    lsps7_payment,
    lsps7_refusals,
    paid,
)
from lsps.check.model import Check
from lsps.errors import LspsError

CHECKS: tuple[Check, ...] = (
    *lsps0.CHECKS,
    *lsps1_info.CHECKS,
    *lsps1.CHECKS,
    *lsps1_payment.CHECKS,
    *lsps1_refusals.CHECKS,
    *lsps7.CHECKS,
    *lsps7_order.CHECKS,
    *lsps7_payment.CHECKS,
    *lsps7_refusals.CHECKS,
    *paid.CHECKS,
    # An LSP that one bad payload makes deaf can be told nothing more; what holds for all messages, is seen at the end.
    *bad_payloads.CHECKS,
    *conversation.CHECKS,
)
GROUPS = tuple(dict.fromkeys(check.group for check in CHECKS))


class UnknownCheck(LspsError):
    """There is neither a check nor a group of this name."""


def select(names: Sequence[str]) -> tuple[Check, ...]:
    """The checks that are named, by id or by group; all when none is. Raises UnknownCheck."""
    known = {check.id for check in CHECKS} | set(GROUPS)
    for name in names:
        if name not in known:
            raise UnknownCheck(f"there is no check or group {name!r:.40}; the groups are {', '.join(GROUPS)}")
    wanted = set(names)
    return tuple(check for check in CHECKS if not wanted or check.id in wanted or check.group in wanted)
