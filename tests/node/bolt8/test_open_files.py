"""Open files, which connections use up."""

from __future__ import annotations

import asyncio
import resource
import sys

import pytest

from lsps.lightning.messages import Init
from lsps.node.bolt8.limits import Limits
from lsps.node.bolt8.open_files import KEPT, within_open_files
from lsps.units import NodeId
from tests.node.bolt8.environment import RawPeer

NO_LIMIT = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("soft", "hard", "raised_to", "connections"),
    [
        (1024, 1_048_576, 1000 + KEPT, 1000),
        (1024, NO_LIMIT, 1000 + KEPT, 1000),
        (1024, 1024, 1024, 1024 - KEPT),
        (256, 1200, 1200, 1200 - KEPT),
        (64, 64, 64, 1),
        (1000 + KEPT, 4096, None, 1000),
        (NO_LIMIT, NO_LIMIT, None, 1000),
    ],
)
def test_connections_leave_files_for_the_store(
    soft: int,
    hard: int,
    raised_to: int | None,
    connections: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The limit of open files is raised to what all connections need and some more; where it may not be, fewer
    connections are taken, and a warning says so."""
    raised: list[tuple[int, tuple[int, int]]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda *arguments: raised.append(arguments))
    assert within_open_files(Limits()).connections == connections
    assert raised == ([] if raised_to is None else [(resource.RLIMIT_NOFILE, (raised_to, hard))])
    assert ("few_open_files" in caplog.messages) == (connections < 1000)


LISTENING = """
import asyncio, resource, sys
from random import Random
from lsps.clock import SystemClock
from lsps.lightning.keys import SecretKey
from lsps.node.bolt8.limits import Limits
from lsps.node.bolt8.listener import Listener
from lsps.node.bolt8.node import Bolt8Node

async def main():
    limits = Limits(connections_per_source=1000)
    node = Bolt8Node(SecretKey(bytes([1] * 32)), network=None, clock=SystemClock(), random=Random(0), limits=limits)
    listener = await Listener.start(node.messages, "127.0.0.1:0")
    resource.setrlimit(resource.RLIMIT_NOFILE, (20, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    print(node.node_id, listener.address, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await node.close()

asyncio.run(main())
"""


class Elsewhere:
    """A listener in another process, as RawPeer.connect wants it."""

    def __init__(self, node_id: NodeId, port: int) -> None:
        self.node_id = node_id
        self.port = port


async def test_a_listener_outlives_a_lack_of_files() -> None:
    """Who takes all open files keeps others out only while they are taken: then peers are served again."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", LISTENING), stdin=-1, stdout=-1, stderr=-1, limit=2**20
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with asyncio.timeout(60):
            node_id, _, address = (await process.stdout.readline()).decode().partition(" ")
            to = Elsewhere(NodeId(node_id), int(address.rpartition(":")[2]))
            crowd = [await asyncio.open_connection("127.0.0.1", to.port) for _ in range(40)]
            while b"Too many open files" not in await process.stderr.readline():
                pass
            drained = asyncio.create_task(process.stderr.read())
            for _, writer in crowd:
                writer.transport.abort()
            peer = await RawPeer.connect(to)  # type: ignore[arg-type]
            await peer.until(Init)
            await peer.close()
            process.stdin.close()
            assert await process.wait() == 0
            await drained
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
