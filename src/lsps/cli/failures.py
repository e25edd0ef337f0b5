"""Every error's exit code and the advice that goes with it: one table, read from the top.

0 done · 1 failed or refused · 2 usage · 3 node or LSP unreachable · 4 stopped before paying
5 paid, not (yet) delivered · 130 interrupted
"""

from __future__ import annotations

from dataclasses import dataclass

from lsps.check.catalogue import UnknownCheck
from lsps.check.probe import Unreachable as NoAnswer
from lsps.client.client import InvalidLspAddress
from lsps.client.errors import (
    LspRefused,
    NotDelivered,
    OutcomeUnknown,
    PaidNotDelivered,
    PaymentNotMade,
    StoppedBeforePaying,
    Unreachable,
)
from lsps.compose import AdapterMissing, InvalidUrl
from lsps.config.errors import ConfigError
from lsps.errors import LspsError
from lsps.node.contract import NodeError, NodeUnreachable, PeerNotConnected
from lsps.paths import InvalidPath
from lsps.service.startup import CannotDeliver
from lsps.store.orders import StoreError

DONE = 0
FAILED = 1
USAGE = 2
UNREACHABLE = 3
STOPPED = 4
NOT_DELIVERED = 5


class UsageError(LspsError):
    """The command line asks for what cannot be done."""


@dataclass(frozen=True, slots=True)
class Verdict:
    code: int
    advice: str = ""


_VERDICTS: tuple[tuple[tuple[type[LspsError], ...], Verdict], ...] = (
    (
        (
            UsageError,
            ConfigError,
            CannotDeliver,
            InvalidUrl,
            InvalidPath,
            AdapterMissing,
            InvalidLspAddress,
            UnknownCheck,
        ),
        Verdict(USAGE),
    ),
    (
        (PaidNotDelivered,),
        Verdict(NOT_DELIVERED, "Run the same command again to go on waiting; `lsps orders` shows the order."),
    ),
    (
        (NotDelivered,),
        Verdict(
            NOT_DELIVERED, "The same command looks again, and with --new orders again; `lsps orders` shows the order."
        ),
    ),
    ((StoppedBeforePaying,), Verdict(STOPPED)),
    ((OutcomeUnknown,), Verdict(UNREACHABLE, "Nothing was paid; try again.")),
    ((Unreachable, NoAnswer), Verdict(UNREACHABLE, "Try again later, or ask the LSP's operator.")),
    (
        (PeerNotConnected,),
        Verdict(
            UNREACHABLE,
            "Give an address at which it can be reached, --lsp PUBKEY@HOST:PORT, or connect your node to it.",
        ),
    ),
    ((NodeUnreachable,), Verdict(UNREACHABLE, "Is the node running, and does --node name it?")),
    ((LspRefused, PaymentNotMade, StoreError, NodeError), Verdict(FAILED)),
)


def verdict(error: LspsError) -> Verdict:
    """An adapter's "this URL is none of mine" is a NodeError and a ValueError: usage."""
    if isinstance(error, NodeError) and isinstance(error, ValueError):
        return Verdict(USAGE)
    return next((found for kinds, found in _VERDICTS if isinstance(error, kinds)), Verdict(FAILED))
