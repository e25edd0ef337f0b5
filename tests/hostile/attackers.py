"""The crowd over real connections, in a process of its own: python -m tests.hostile.attackers PUBKEY@HOST:PORT SECONDS.

A thousand connections from fifty loopback addresses (a source may have twenty). Who is thrown out comes again. At the
end one JSON object on standard output says what was done, by kind.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random

from lsps.lightning.bolt1 import Connection
from lsps.lightning.bolt8 import Initiator
from lsps.lightning.features import CLIENT_INIT
from lsps.lightning.keys import SecretKey
from lsps.lightning.messages import CustomMessage, Init, Ping
from lsps.protocol.jsonrpc import MESSAGE_TYPE
from lsps.units import NodeId
from tests.hostile.payloads import KINDS

CROWD = 1_000
A_SOURCE = 20
PAUSE_SECONDS = 1.0
"""Before somebody who was thrown out comes again."""
READ_BYTES = 2**16
AN_ORDER_SPAMMER_SAYS = 20
"""Messages under one key; then the limit of a peer's orders is reached, and it comes again under another."""

ORDER_SPAM = "order spam"


def new_key() -> SecretKey:
    return SecretKey(secrets.token_bytes(32))


@dataclass
class Line:
    """One hostile connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    connection: Connection
    heard: int = 0

    async def flush(self) -> None:
        self.writer.write(self.connection.bytes_to_send())
        await self.writer.drain()

    async def shake_hands(self) -> None:
        await self.flush()
        while True:
            data = await self.reader.read(READ_BYTES)
            if not data:
                raise ConnectionError
            opened = any(isinstance(event, Init) for event in self.connection.receive(data))
            await self.flush()
            if opened:
                return

    async def say(self, message: CustomMessage | Ping) -> None:
        self.connection.send(message)
        await self.flush()

    async def listen(self) -> None:
        while data := await self.reader.read(READ_BYTES):
            self.heard += sum(isinstance(event, CustomMessage) for event in self.connection.receive(data))
            await self.flush()


@dataclass
class Tally:
    """Of one kind."""

    connections: int = 0
    ended: int = 0
    messages: int = 0
    answers: int = 0


Behaviour = Callable[[Line, Tally, Random], Awaitable[None]]


def talking(kind: str) -> Behaviour:
    """Says what `payloads` has of this kind, and reads the answers."""

    async def behave(line: Line, tally: Tally, random: Random) -> None:
        await line.shake_hands()
        listening, said = asyncio.create_task(line.listen()), 0
        try:
            for payload in KINDS[kind](random):
                if listening.done():
                    return
                await line.say(CustomMessage(MESSAGE_TYPE, payload))
                tally.messages += 1
                said += 1
                if kind == ORDER_SPAM and said == AN_ORDER_SPAMMER_SAYS:
                    await asyncio.sleep(PAUSE_SECONDS)
                    return
                await asyncio.sleep(0)
        finally:
            tally.answers += line.heard
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    return behave


async def silent(line: Line, tally: Tally, random: Random) -> None:
    """Connects and says nothing."""
    await line.reader.read()


async def half_a_handshake(line: Line, tally: Tally, random: Random) -> None:
    """Act one, and never act three."""
    line.writer.write(line.connection.bytes_to_send())
    await line.reader.read()


async def no_handshake(line: Line, tally: Tally, random: Random) -> None:
    """Bytes that are no act at all."""
    line.writer.write(b"GET / HTTP/1.1\r\n\r\n" + random.randbytes(100))
    await line.reader.read()


async def slow_sender(line: Line, tally: Tally, random: Random) -> None:
    """A large message, a byte a second."""
    await line.shake_hands()
    line.connection.send(CustomMessage(MESSAGE_TYPE, bytes(60_000)))
    for byte in line.connection.bytes_to_send():
        line.writer.write(bytes([byte]))
        await line.writer.drain()
        await asyncio.sleep(1)


async def slow_reader(line: Line, tally: Tally, random: Random) -> None:
    """Asks and asks, and reads no answer."""
    await line.shake_hands()
    for payload in KINDS["flood"](random):
        await line.say(CustomMessage(MESSAGE_TYPE, payload))
        tally.messages += 1
        await asyncio.sleep(0)


async def ping_flood(line: Line, tally: Tally, random: Random) -> None:
    """Pings that ask for the longest pongs, which nobody reads."""
    await line.shake_hands()
    while True:
        await line.say(Ping(65_531))
        tally.messages += 1
        await asyncio.sleep(0)


async def coming_and_going(line: Line, tally: Tally, random: Random) -> None:
    """Handshake, goodbye."""
    await line.shake_hands()


WIRE: dict[str, Behaviour] = {
    "silent": silent,
    "half a handshake": half_a_handshake,
    "no handshake": no_handshake,
    "slow sender": slow_sender,
    "slow reader": slow_reader,
    "ping flood": ping_flood,
    "coming and going": coming_and_going,
}
BEHAVIOURS: dict[str, Behaviour] = {**{kind: talking(kind) for kind in KINDS}, **WIRE}


@dataclass
class Crowd:
    lsp: NodeId
    host: str
    port: int
    tallies: dict[str, Tally] = field(default_factory=lambda: {kind: Tally() for kind in BEHAVIOURS})

    async def peer(self, number: int) -> None:
        """One hostile peer, for ever."""
        kinds = list(BEHAVIOURS)
        kind = kinds[number % len(kinds)]
        tally, random, key = self.tallies[kind], Random(number), new_key()
        await asyncio.sleep(number / CROWD * 5 + (10 if kind in WIRE else 0))  # a handshake costs the crowd work, too
        while True:
            writer: asyncio.StreamWriter | None = None
            try:
                source = f"127.0.{1 + number // A_SOURCE}.1"
                reader, writer = await asyncio.open_connection(self.host, self.port, local_addr=(source, 0))
                tally.connections += 1
                key = new_key() if kind == ORDER_SPAM else key
                handshake = Initiator(key, self.lsp, new_key())
                connection = Connection(handshake, features=CLIENT_INIT, networks=set(), custom_types={MESSAGE_TYPE})
                await BEHAVIOURS[kind](Line(reader, writer, connection), tally, random)
            except OSError:
                pass
            finally:
                if writer is not None:
                    tally.ended += 1
                    writer.transport.abort()
            await asyncio.sleep(PAUSE_SECONDS)


async def main() -> None:
    address, seconds = sys.argv[1:]
    lsp, _, place = address.partition("@")
    host, _, port = place.rpartition(":")
    crowd = Crowd(NodeId(lsp), host, int(port))
    tasks = [asyncio.create_task(crowd.peer(number)) for number in range(CROWD)]
    await asyncio.sleep(float(seconds))
    for task in tasks:
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    errors = Counter(type(error).__name__ for error in ended if isinstance(error, Exception))
    told = {kind: vars(tally) for kind, tally in crowd.tallies.items()}
    json.dump({"kinds": told, "errors": errors}, sys.stdout)


if __name__ == "__main__":
    asyncio.run(main())
