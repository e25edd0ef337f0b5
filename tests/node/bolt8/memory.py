"""What an open, idle connection costs the listener's process: python -m tests.node.bolt8.memory [CONNECTIONS].

Peers are in a process of their own. Python's objects are counted in a second run: counting costs memory itself.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import tracemalloc
from pathlib import Path

from lsps.lightning.messages import Init
from lsps.node.bolt8.limits import Limits
from lsps.units import NodeId
from tests.node.bolt8.environment import RawPeer, host
from tests.node.contract.environment import eventually

CONNECTIONS = 400
MODULE = "tests.node.bolt8.memory"
PEERS = "--peers"
WARMING_UP = 20
"""Connections before the first measurement: modules, caches and pools are there by then."""


class Elsewhere:
    """The listener, for a process that only knows its address."""

    def __init__(self, node_id: str, port: str) -> None:
        self.node_id = NodeId(node_id)
        self.port = int(port)


def memory_mb() -> float:
    """Resident, of this process."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


async def be_peers(node_id: str, port: str, connections: str) -> None:
    """So many connections, each through handshake and init, until the end of standard input: its parent's end."""
    to = Elsewhere(node_id, port)
    peers = []
    for _ in range(int(connections)):
        peers.append(await RawPeer.connect(to))  # type: ignore[arg-type]
        await peers[-1].until(Init)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def a_connection_costs(connections: int, *, objects: bool) -> float:
    """Bytes of it: of Python's objects, or of the process."""
    everybody = connections + WARMING_UP
    limits = Limits(connections=everybody, connections_per_source=everybody, half_open=everybody)
    processes: list[asyncio.subprocess.Process] = []
    async with host(limits=limits) as ours:

        async def used_with(number: int) -> float:
            """Once so many more peers are connected."""
            known = ours.messages._peers._by_peer
            wanted = len(known) + number
            arguments = (PEERS, str(ours.node_id), str(ours.port), str(number))
            processes.append(await asyncio.create_subprocess_exec(sys.executable, "-m", MODULE, *arguments, stdin=-1))

            async def all_there() -> bool:
                return len(known) == wanted

            await eventually("all peers are connected", all_there)
            gc.collect()
            return tracemalloc.get_traced_memory()[0] if objects else memory_mb() * 2**20

        if objects:
            tracemalloc.start()
        try:
            before = await used_with(WARMING_UP)
            return (await used_with(connections) - before) / connections
        finally:
            tracemalloc.stop()
            for process in processes:
                process.kill()
                await process.wait()


def main() -> None:
    if PEERS in sys.argv:
        asyncio.run(be_peers(*sys.argv[2:]))
        return
    connections = int(sys.argv[1]) if len(sys.argv) > 1 else CONNECTIONS
    for what, objects in (("of the process", False), ("of Python's objects", True)):
        cost = asyncio.run(a_connection_costs(connections, objects=objects))
        sys.stdout.write(f"an open, idle connection: {cost / 1000:.1f} kB {what} ({connections} connections)\n")


if __name__ == "__main__":
    main()
