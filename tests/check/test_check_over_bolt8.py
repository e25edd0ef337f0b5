"""The checker over our own BOLT 8 connections, with no node, and what a reconnection gives it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from secrets import token_bytes

import pytest

from lsps.check.catalogue import CHECKS, select
from lsps.check.model import Outcome, Report
from lsps.check.probe import PING, CanDisconnect, Probe
from lsps.check.runner import run_checks
from lsps.clock import Clock, SystemClock
from lsps.compose import open_node
from lsps.node.contract import PeerNotConnected
from lsps.testing import SimulatedNetwork, create_network
from lsps.units import NodeId
from tests.check.faulty import TIMES, Answer, Asked, FaultyMessages, FaultyNode, World, faulty_lsp
from tests.node.bolt8.test_service_over_tcp import lsp_over_tcp

NEEDS_NETWORK = {"L1-10", "L1-12", "L1-18", "L1-73", "L1-90"}


@pytest.fixture
async def net() -> AsyncIterator[SimulatedNetwork[Clock]]:
    """A simulated network on the machine's clock."""
    clock: Clock = SystemClock()
    made = create_network(clock)
    yield made
    made.world.close()


def outcomes(report: Report, outcome: Outcome) -> set[str]:
    return {finding.check.id for finding in report.findings if finding.outcome is outcome}


@pytest.mark.parametrize("url", ["bolt8://", "bolt8://?network=regtest"])
async def test_our_service_passes_over_tcp(net: SimulatedNetwork[Clock], tmp_path: Path, url: str) -> None:
    """With a throwaway identity nothing fails; what needs a network is skipped when none is named."""
    async with lsp_over_tcp(net, tmp_path) as address:
        key, _, place = address.partition("@")
        node = open_node(url, tmp_path, SystemClock())
        report = await run_checks(node, NodeId.parse(key), place, times=TIMES)
        await node.close()
    assert outcomes(report, Outcome.FAIL) == set()
    skipped = outcomes(report, Outcome.SKIPPED) | outcomes(report, Outcome.UNTOLD)
    assert skipped >= NEEDS_NETWORK if url == "bolt8://" else not NEEDS_NETWORK & skipped
    assert len(outcomes(report, Outcome.PASS)) > len(CHECKS) / 2


class SlowToSay(FaultyMessages):
    """A node behind a socket: it says that it sent when the answer is here already."""

    async def send(self, peer: NodeId, payload: bytes) -> None:
        await super().send(peer, payload)
        await asyncio.sleep(0.02)


async def test_an_answer_may_be_quicker_than_the_node() -> None:
    """An answer that comes before the node said that it sent belongs to what it answers, with an id and without."""
    async with faulty_lsp() as (node, lsp, clock):
        node.messages = SlowToSay(node.node, World(node.key), lambda _, asked, message: message, clock)
        checks = select(["bad-payloads", "messages", "L0-10"])
        report = await run_checks(node, lsp, checks=checks, clock=clock, times=replace(TIMES, answer=1))
    assert outcomes(report, Outcome.FAIL) == set()


class Reconnecting(FaultyMessages):
    """Messages that can disconnect, as our own transport's can; the fault is told of it."""

    reconnections = 0

    async def disconnect(self, _peer: NodeId) -> None:
        self.reconnections += 1


async def deaf_after_numeric_id(*, can_disconnect: bool) -> Report:
    """Checked: an LSP that answers nothing after an id that is a number, until it is connected again (as LDK's)."""
    deaf_since: list[int] = []
    async with faulty_lsp() as (node, lsp, clock):
        kind = Reconnecting if can_disconnect else FaultyMessages

        def fault(_world: World, asked: Asked, message: dict[str, object]) -> Answer | None:
            now = getattr(messages, "reconnections", 0)
            if message["id"] is not None and not isinstance(message["id"], str):
                deaf_since.append(now)
            return None if deaf_since and deaf_since[-1] == now else message

        messages = kind(node.node, World(node.key), fault, clock)
        deaf = FaultyNode(node.node, messages, node.key)
        return await run_checks(deaf, lsp, checks=select(["lsps0", "L1-01"]), clock=clock, times=TIMES)


async def test_a_deaf_lsp_is_connected_again() -> None:
    """Where the connection is ours, one request that makes the LSP deaf costs one check."""
    report = await deaf_after_numeric_id(can_disconnect=True)
    assert outcomes(report, Outcome.FAIL) == {"L0-08"}
    assert outcomes(report, Outcome.UNTOLD) == set()


async def test_behind_a_node_a_deaf_lsp_tells_no_more() -> None:
    """Where the node holds the connection, what comes after is not blamed on the LSP: it could not be told."""
    report = await deaf_after_numeric_id(can_disconnect=False)
    assert outcomes(report, Outcome.FAIL) == {"L0-08"}
    assert "L0-10" in outcomes(report, Outcome.UNTOLD)


async def test_an_lsp_that_hangs_up_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is lost and cannot be made again in the middle of it ends no run."""
    async with faulty_lsp() as (node, lsp, clock):
        connect, calls = node.messages.connect, iter(range(100))

        async def once(peer: NodeId, address: str | None = None) -> None:
            if next(calls) > 5:
                raise PeerNotConnected("it hung up")
            await connect(peer, address)

        monkeypatch.setattr(node.messages, "connect", once)
        report = await run_checks(node, lsp, checks=select(["lsps0"]), clock=clock, times=TIMES)
    assert outcomes(report, Outcome.FAIL) == set()
    assert {"it hung up"} == {f.reason for f in report.findings if f.outcome is Outcome.UNTOLD}


async def test_our_own_connection_is_made_again(net: SimulatedNetwork[Clock], tmp_path: Path) -> None:
    """Disconnecting and asking again, as the probe does with a deaf LSP, works over real connections."""
    async with lsp_over_tcp(net, tmp_path) as address:
        key, _, place = address.partition("@")
        node, lsp = open_node("bolt8://", tmp_path, SystemClock()), NodeId.parse(key)
        probe = Probe(node.messages, lsp, SystemClock(), token_bytes, TIMES)
        async with probe.running(place):
            await probe.open()
            assert isinstance(node.messages, CanDisconnect)
            await node.messages.disconnect(lsp)
            assert (await probe.request(PING, {})).code is None
        await node.close()
