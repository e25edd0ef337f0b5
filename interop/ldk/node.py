"""One LDK process and what tests say to it. README.md beside this lists its commands and events.

async with ldk_node(key=key, client=True) as ldk:
    await ldk.connect(lsp.node_id, lsp.address)
    options = await ldk.get_info(lsp.node_id)
"""

import asyncio
import contextlib
import json
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from interop.ldk.build import binary

DEADLINE = 20.0
"""Seconds within which anything that is waited for must have happened."""

Event = dict[str, Any]


class LdkError(Exception):
    """LDK refused a command, or did not do in time what was waited for; the text says what it did instead."""


class LdkAnswered(Exception):
    """The LSP answered LDK's request with an error; `error` is what LDK read: code, message and data."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(f"error {error['code']}: {error['message']}")
        self.error = error


class LdkNode:
    """A running process. Peers and node ids are hex; orders, options and payments are JSON as on the wire."""

    def __init__(self, process: Process) -> None:
        self.node_id = ""
        self.address = ""
        self.events: list[Event] = []
        """Every event so far, oldest first, those already waited for too."""
        self._process = process
        self._untaken: list[Event] = []
        self._replies: dict[int, Event] = {}
        self._commands = 0
        self._changed = asyncio.Condition()
        self._ended = False
        self._log: deque[str] = deque(maxlen=40)

    @property
    def uri(self) -> str:
        """PUBKEY@HOST:PORT"""
        return f"{self.node_id}@{self.address}"

    # --- any command, any event ---

    async def command(self, name: str, **fields: Any) -> Any:
        """Gives a command and returns its result. Raises LdkError."""
        self._commands += 1
        number = self._commands
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"id": number, "command": name, **fields}).encode() + b"\n")
        await self._process.stdin.drain()
        async with self._deadline(f"an answer to {name}"), self._changed:
            await self._changed.wait_for(lambda: number in self._replies or self._ended)
        reply = self._replies.pop(number, {"error": "the program ended"})
        if "error" in reply:
            raise LdkError(f"{name}: {reply['error']}\n{self.tail()}")
        return reply["result"]

    async def event(self, *names: str, within: float | None = DEADLINE, **fields: Any) -> Event:
        """The oldest event of one of these names, with these fields, that no call returned before; waits for it, for
        ever if `within` is None."""
        what = f"event {' or '.join(names)} {fields or ''}"

        def wanted(event: Event) -> bool:
            return event["event"] in names and fields.items() <= event.items()

        found = await self._first(self._untaken, wanted, what, within)
        self._untaken.remove(found)
        return found

    async def _first(
        self, events: list[Event], wanted: Callable[[Event], bool], what: str, within: float | None = DEADLINE
    ) -> Event:
        def found() -> Event | None:
            return next((event for event in events if wanted(event)), None)

        async with self._deadline(what, within), self._changed:
            await self._changed.wait_for(lambda: found() is not None or self._ended)
        event = found()
        if event is None:
            raise LdkError(f"the program ended before {what}\n{self.tail()}")
        return event

    def tail(self) -> str:
        """The newest events and log lines."""
        return "\n".join([*(f"  {event}"[:600] for event in self.events[-10:]), *self._log])

    # --- connections ---

    async def connect(self, node_id: str, address: str) -> None:
        """Returns when both have sent their init."""
        self._forget("connected", str(node_id))
        await self.command("connect", node_id=str(node_id), address=address)
        await self.event("connected", peer=str(node_id))

    async def disconnect(self, node_id: str) -> None:
        self._forget("disconnected", str(node_id))
        await self.command("disconnect", node_id=str(node_id))
        await self.event("disconnected", peer=str(node_id))

    def _forget(self, name: str, peer: str) -> None:
        """What happened to earlier connections is not waited for."""
        self._untaken[:] = [it for it in self._untaken if (it["event"], it.get("peer")) != (name, peer)]

    async def peers(self) -> list[str]:
        peers: list[str] = await self.command("peers")
        return peers

    async def send(self, peer: str, payload: str) -> None:
        """Sends a message 37913 that LDK did not make. LDK carries text only, so it is UTF-8 always."""
        await self.command("send", peer=str(peer), payload=payload)

    # --- LDK's client ---

    async def list_protocols(self, peer: str) -> list[int]:
        await self.command("list_protocols", peer=str(peer))
        protocols: list[int] = (await self.event("protocols", peer=str(peer)))["protocols"]
        return protocols

    async def get_info(self, peer: str) -> dict[str, Any]:
        """Raises LdkAnswered."""
        request_id = await self.command("lsps1_get_info", peer=str(peer))
        answer = await self._answer("info", "info_failed", request_id)
        options: dict[str, Any] = answer["options"]
        return options

    async def create_order(
        self, peer: str, order: Mapping[str, Any], refund_onchain_address: str | None = None
    ) -> Event:
        """Event order_created. Raises LdkAnswered."""
        request_id = await self.command(
            "lsps1_create_order", peer=str(peer), order=order, refund_onchain_address=refund_onchain_address
        )
        return await self._answer("order_created", "order_failed", request_id)

    async def get_order(self, peer: str, order_id: str) -> Event:
        """Event order_status. Raises LdkAnswered."""
        request_id = await self.command("lsps1_get_order", peer=str(peer), order_id=order_id)
        return await self._answer("order_status", "order_failed", request_id)

    async def _answer(self, good: str, bad: str, request_id: str) -> Event:
        event = await self.event(good, bad, request_id=request_id)
        if event["event"] == bad:
            raise LdkAnswered(event["error"])
        return event

    # --- LDK's service; `request` is an event request_for_payment_details ---

    async def requested(self) -> Event:
        """The next create_order that LDK took and leaves to the LSP's owner."""
        return await self.event("request_for_payment_details")

    async def send_payment_details(self, request: Event, **options: Mapping[str, Any]) -> str:
        """Answers create_order with these options: bolt11={…}, onchain={…}. Returns the order's id, read off the reply:
        LDK tells it to the customer alone."""
        await self._settle("send_payment_details", request, payment=options)

        def answers(event: Event) -> bool:
            if event["event"] != "sent" or event["peer"] != request["peer"]:
                return False
            return bool(json.loads(event["payload"]).get("id") == request["request_id"])

        reply = await self._first(self.events, answers, "reply to create_order")
        order_id: str = json.loads(reply["payload"])["result"]["order_id"]
        return order_id

    async def invalid_token(self, request: Event) -> None:
        await self._settle("invalid_token", request)

    async def onchain_payments_required(self, request: Event) -> None:
        await self._settle("onchain_payments_required", request)

    async def order_payment_received(self, peer: str, order_id: str, method: str) -> None:
        await self.command("order_payment_received", peer=str(peer), order_id=order_id, method=method)

    async def order_channel_opened(self, peer: str, order_id: str, channel: Mapping[str, Any]) -> None:
        await self.command("order_channel_opened", peer=str(peer), order_id=order_id, channel=channel)

    async def order_failed_and_refunded(self, peer: str, order_id: str) -> None:
        await self.command("order_failed_and_refunded", peer=str(peer), order_id=order_id)

    async def _settle(self, command: str, request: Event, **fields: Any) -> None:
        await self.command(command, peer=request["peer"], request_id=request["request_id"], **fields)

    # --- the process ---

    async def read(self) -> None:
        """Takes in what the program says, until it ends."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            said = json.loads(line)
            async with self._changed:
                if "event" in said:
                    self.events.append(said)
                    self._untaken.append(said)
                elif said["id"] is not None:
                    self._replies[said["id"]] = said
                self._changed.notify_all()
        async with self._changed:
            self._ended = True
            self._changed.notify_all()

    async def read_log(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self._log.append(line.decode(errors="replace").rstrip())

    @asynccontextmanager
    async def _deadline(self, what: str, within: float | None = DEADLINE) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(within):
                yield
        except TimeoutError:
            raise LdkError(f"no {what} within {within:.0f} s; LDK did:\n{self.tail()}") from None


@asynccontextmanager
async def ldk_node(
    *,
    key: bytes,
    network: str = "regtest",
    listen: str = "127.0.0.1:0",
    client: bool = False,
    service: Mapping[str, Any] | None = None,
) -> AsyncIterator[LdkNode]:
    """A running LDK node with this secret key; `service` are the options that it sells, as lsps1.get_info has them."""
    arguments = ["--key", key.hex(), "--network", network, "--listen", listen]
    if client:
        arguments.append("--client")
    if service is not None:
        arguments += ["--service", json.dumps(service)]
    program = await asyncio.to_thread(binary)
    process = await asyncio.create_subprocess_exec(
        program, *arguments, stdin=PIPE, stdout=PIPE, stderr=PIPE, limit=2**20, start_new_session=True
    )
    node = LdkNode(process)
    readers = [asyncio.create_task(node.read()), asyncio.create_task(node.read_log())]
    try:
        ready = await node.event("ready")
        node.node_id, node.address = ready["node_id"], ready["address"]
        yield node
    finally:
        await _end(process)
        await asyncio.gather(*readers)


async def _end(process: Process) -> None:
    """The program ends when its standard input does; should it not, it is killed."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        async with asyncio.timeout(5):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
