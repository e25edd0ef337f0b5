"""Issue 4, scenario 3: a real lnd is a plain peer of our own BOLT 8 listener, for minutes, and comes back."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import pytest

from interop.lnd.node import Node
from interop.lnd.regtest import eventually
from tests.e2e.listening import Listening, listening
from tests.e2e.wire import Wire, wire

pytestmark = pytest.mark.asyncio(loop_scope="session")

QUIET_SECONDS = 120
"""lnd pings once a minute, and drops a peer whose pong does not come within half of one (its peer/ping_manager.go)."""


async def seen_by(lnd: Node, ours: Listening) -> dict[str, Any]:
    """What lnd tells of its connection with us."""
    (peer,) = [each for each in (await lnd.lncli("listpeers"))["peers"] if each["pub_key"] == ours.node_id]
    return dict(peer)


async def talk(lnd: Node, line: Wire, ours: Listening) -> None:
    """A message of type 37913 arrives whole in each direction (bLIP-50, Lightning Peer-To-Peer Transport)."""
    payload, answer = secrets.token_bytes(200), secrets.token_bytes(30_000)
    data = f"--data={payload.hex()}"
    await lnd.lncli("sendcustom", f"--peer={ours.node_id}", "--type=37913", data)

    async def we_heard() -> bool:
        return payload in ours.heard

    await eventually("lnd's message is here", we_heard)
    await ours.say(lnd.node_id, answer)

    async def lnd_heard() -> bool:
        return (ours.node_id, answer) in line.heard

    await eventually("our message is at lnd", lnd_heard)


async def connected(lnd: Node, ours: Listening) -> bool:
    return await ours.has(lnd.node_id) and ours.node_id in await lnd.peers()


async def test_lnd_stays_for_minutes_and_comes_back(alice: Node) -> None:
    """lnd connects, both sides talk, ping and answer for two minutes on one connection; dropped by us, and when our
    listener was away and is back on its port, lnd connects by itself, and both sides talk again."""
    async with listening() as ours, wire(alice) as line:
        await alice.lncli("connect", "--perm", ours.uri)
        try:
            await talk(alice, line, ours)
            (first,) = ours.connections
            before = await seen_by(alice, ours)
            await asyncio.sleep(QUIET_SECONDS)
            after = await seen_by(alice, ours)
            assert ours.connections == [first]
            assert (after["address"], after["flap_count"]) == (before["address"], before["flap_count"])
            assert "Closed" not in first.heard
            # BOLT 1, ping and pong: all of ours were answered but the last, which may be on its way; so were lnd's, for
            # its ping_time is that of the last pong (-1 before the first), and for a pong that is missing it hangs up.
            assert first.said["Ping"] >= 2
            assert first.heard["Pong"] in {first.said["Ping"], first.said["Ping"] - 1}
            assert first.heard["Ping"] >= 1
            assert int(before["ping_time"]) == -1
            assert int(after["ping_time"]) > 0
            await talk(alice, line, ours)

            await ours.drop(alice.node_id)

            async def again() -> bool:
                return len(ours.connections) > 1 and await connected(alice, ours)

            await eventually("lnd has come back after it was dropped", again)
            await talk(alice, line, ours)

            await ours.stop()

            async def gone() -> bool:
                return ours.node_id not in await alice.peers()

            await eventually("lnd sees that the listener is away", gone)
            made = len(ours.connections)
            await ours.start()

            async def back() -> bool:
                return len(ours.connections) > made and await connected(alice, ours)

            await eventually("lnd has come back after the restart", back)
            await talk(alice, line, ours)
        finally:
            await alice.lncli("disconnect", ours.node_id)
