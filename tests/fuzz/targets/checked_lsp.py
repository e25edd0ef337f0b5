"""An LSP under `lsps check` that answers anything: what, the input says by method, as JSON or as a text."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from itertools import count
from typing import Any
from xml.etree import ElementTree

import msgspec

from lsps.check import report
from lsps.check.probe import Times, Unreachable
from lsps.check.runner import run_checks
from lsps.node.contract import Message, NodeInfo, Resumed
from lsps.protocol.errors import INVALID_PARAMS, METHOD_NOT_FOUND, PARSE_ERROR
from lsps.units import BlockHeight, Network, NodeId
from tests.fuzz.json_mutator import json_mutator
from tests.fuzz.target import Target
from tests.lightning.peers import RESPONDER
from tests.protocol.examples import example, names

LSP = RESPONDER.node_id
BAD, UNKNOWN = "bad payload", "unknown method"
TURNS = 10
"""Of the event loop: whatever is sent in answer has come by then."""


def check(data: bytes) -> None:
    """Every check comes to an end, and what it says of the LSP can be shown."""
    try:
        answers = json.loads(data)
    except (ValueError, RecursionError):
        return
    if isinstance(answers, dict):
        asyncio.run(checked(answers))


async def checked(answers: dict[str, Any]) -> None:
    numbers = count(1)
    node = AnyLsp(answers)
    try:
        found = await run_checks(
            node,  # type: ignore[arg-type]  # all of a node that is asked without paying
            LSP,
            clock=Impatient(),
            randomness=lambda length: next(numbers).to_bytes(length, "big"),
            times=Times(quiet=0.0, poll=0.0, polls=2),
        )
    except Unreachable:
        return
    if len(answers) % 2:  # half of them are told as well, which takes longer than all else
        assert all(line.isprintable() and len(line) < 10_000 for line in report.text(found))
        msgspec.json.encode(report.document(found))
        ElementTree.fromstring(report.junit(found))  # noqa: S314  # we wrote it ourselves


class Impatient:
    """A moment is all that anybody waits."""

    def now(self) -> datetime:
        return datetime(2025, 1, 1, tzinfo=UTC)

    async def sleep(self, seconds: float) -> None:
        for _ in range(TURNS if seconds else 1):
            await asyncio.sleep(0)


class AnyLsp:
    """A node with messages, whose only peer answers every request by the input."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self._answers = answers
        self._coming = asyncio.Queue[Message]()
        self.messages = self

    async def info(self) -> NodeInfo:
        return NodeInfo(LSP, Network.MAINNET, "", BlockHeight(839_000), frozenset(), synced=True)

    async def connect(self, peer: NodeId, address: str | None = None) -> None:
        """It is."""

    async def received(self) -> AsyncIterator[Resumed | Message]:
        yield Resumed()
        while True:
            yield await self._coming.get()

    async def send(self, peer: NodeId, payload: bytes) -> None:
        try:
            asked = json.loads(payload)
            method, request_id = asked["method"], asked["id"]
            answer = self._answers.get(method, self._answers.get(UNKNOWN))
        except (ValueError, TypeError, KeyError, RecursionError):
            request_id, answer = None, self._answers.get(BAD)
        for one in answer if isinstance(answer, list) else [answer]:
            whole = {"jsonrpc": "2.0", "id": request_id, **one} if isinstance(one, dict) else one
            text = whole if isinstance(whole, str) else json.dumps(whole)
            self._coming.put_nowait(Message(LSP, text.encode(errors="surrogatepass")))


def answering(**changes: object) -> bytes:
    told: dict[str, object] = {
        BAD: {"error": {"code": PARSE_ERROR, "message": "no"}},
        UNKNOWN: {"error": {"code": METHOD_NOT_FOUND, "message": "no"}},
        "lsps0.list_protocols": {"result": {"protocols": [1, 7]}},
    }
    for blip, service in ((51, "lsps1"), (57, "lsps7")):
        for method in ("get_info", "get_extendable_channels", "create_order"):
            if (blip, f"{method}-result") in names():
                told[f"{service}.{method}"] = {"result": json.loads(example(blip, f"{method}-result"))}
        told[f"{service}.get_order"] = told[f"{service}.create_order"]
    return json.dumps(told | changes).encode()


NO = {"error": {"code": INVALID_PARAMS, "message": "no", "data": {"property": "a", "unrecognized": ["a"]}}}
TARGET = Target(
    check,
    (
        answering(),
        answering(**{"lsps1.create_order": NO, "lsps7.create_order": NO}),
        answering(**{"lsps1.get_info": "[1", BAD: None, "lsps7.get_order": [NO, NO]}),
        answering(**{"lsps7.create_order": {"error": {"code": {}, "message": "no", "data": 1}}}),
        answering(**{"lsps0.list_protocols": {"result": {"protocols": [1, 7], "a": "\u2026"}}}),
        b"{}",
    ),
    mutate=json_mutator(),
    max_bytes=20_000,
)
