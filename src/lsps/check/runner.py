"""Runs checks against one LSP, one after the other."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Sequence

from lsps import logs
from lsps.check.catalogue import CHECKS
from lsps.check.model import Broken, Check, Exchange, Finding, Outcome, Report, Skipped, Untold
from lsps.check.probe import Probe, Times
from lsps.check.subject import Spending, Subject
from lsps.clock import Clock, SystemClock
from lsps.node.contract import Node, NotSupported, PeerNotConnected, Refused
from lsps.units import Network, NodeId

_log = logging.getLogger("lsps.check")


async def run_checks(
    node: Node,
    lsp: NodeId,
    address: str | None = None,
    *,
    checks: Sequence[Check] = CHECKS,
    spending: Spending | None = None,
    clock: Clock | None = None,
    randomness: Callable[[int], bytes] = secrets.token_bytes,
    times: Times | None = None,
    on_finding: Callable[[Finding], None] | None = None,
) -> Report:
    """What `lsp` keeps, as `node` sees it. Pays nothing without `spending`.

    Orders are created and left unpaid: two of each service. Raises Unreachable, PeerNotConnected, NodeUnreachable.
    """
    probe = Probe(node.messages, lsp, clock or SystemClock(), randomness, times or Times())
    subject = Subject(probe, node, await _network(node), spending)
    findings = []
    async with probe.running(address):
        await probe.open()
        for check in checks:
            finding = await _find(check, subject)
            logs.event(_log, logging.DEBUG, "checked", check=check.id, outcome=finding.outcome.value)
            findings.append(finding)
            if on_finding is not None:
                on_finding(finding)
    return Report(lsp, tuple(findings))


async def _network(node: Node) -> Network | None:
    try:
        return (await node.info()).network
    except NotSupported:  # a connection of our own, on no network in particular
        return None


async def _find(check: Check, subject: Subject) -> Finding:
    probe = subject.probe
    probe.looked_at = []
    try:
        await check.run(subject)
    except Broken as broken:
        seen: tuple[Exchange, ...] = tuple(probe.looked_at) if broken.exchange is None else (broken.exchange,)
        return Finding(check, Outcome.FAIL, str(broken), seen)
    except Skipped as skipped:
        return Finding(check, Outcome.SKIPPED, str(skipped))
    except (Untold, PeerNotConnected, Refused) as untold:
        return Finding(check, Outcome.UNTOLD, str(untold), tuple(probe.looked_at))
    return Finding(check, Outcome.PASS, "", tuple(probe.looked_at))
