"""bLIP-50, Message Payload Format: each kind of payload that is no request, and what must come of it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from lsps.check.model import Broken, CheckFunction, Clauses, Untold, expect
from lsps.check.probe import BAD_ID, PING
from lsps.check.subject import Subject
from lsps.check.values import shown
from lsps.protocol.errors import PARSE_ERROR

clauses = Clauses("bad-payloads")

_SECTION = "bLIP-50, Message Payload Format"


def _request(**changes: object) -> bytes:
    return msgspec.json.encode({"jsonrpc": "2.0", "method": PING, "params": {}, "id": BAD_ID, **changes})


KINDS: Mapping[str, tuple[str, bytes]] = {
    "L0-20": ("an empty payload", b""),
    "L0-21": ("a JSON object that is cut off", _request()[:-1]),
    "L0-22": ("no JSON at all", b"hello"),
    "L0-23": ("two JSON objects, one after the other", _request() + b" " + _request()),
    "L0-24": ("a JSON object with something after it", _request() + b" {"),
    "L0-25": ("a JSON text in place of an object", b'"lsps0.list_protocols"'),
    "L0-26": ("a batch (an array of requests)", b"[" + _request() + b"]"),
    "L0-27": ("a 0 byte after the object", _request() + b"\0"),
    "L0-28": ("an object that is no request: neither method nor id", b"{}"),
    "L0-29": ("a method that is no text", _request(method=42)),
    "L0-30": ("an id that is an object", _request(id={"no": "id"})),
    "L0-31": ("a version of JSON-RPC that there is not", _request(jsonrpc="3.0")),
    "L0-32": ("bytes that are not UTF-8", _request(id=f"{BAD_ID}-\x7f").replace(b"\x7f", b"\xff\xfe")),
}
"""Harmless looking ones first: an LSP that stops to listen after one of them says nothing to those that follow.
L0-31 is no "1.0": JSON-RPC 2.0 §3 has servers consider requests of that version, though bLIP-50 does not."""


def _answers_parse_error(kind: str) -> CheckFunction:
    async def check(lsp: Subject) -> None:
        reply, _ = await lsp.bad_payload(KINDS[kind][1])
        if reply is None:
            raise Broken("no answer came")
        expect(reply.code == PARSE_ERROR, f"error {PARSE_ERROR} was due; it is {shown(reply.error or reply.result)}")
        expect(reply.message.get("id", BAD_ID) is None, "the answer's id must be null")

    return check


for _id, (_what, _) in KINDS.items():
    clauses.must(_id, _SECTION, f"answered with -32700 and id null: {_what}")(_answers_parse_error(_id))


@clauses.must(
    "L0-33", f"{_SECTION}; JSON-RPC 2.0 §5", "a bad payload is ignored: the requests after it are answered as ever"
)
async def goes_on_after_bad_payloads(lsp: Subject) -> None:
    for what, payload in KINDS.values():
        try:
            _, listens = await lsp.bad_payload(payload)
        except Untold:
            if lsp.probe.deaf_after is None:
                raise
            listens = False
        expect(listens, f"it answers nothing more after: {what}")


CHECKS = clauses.all()
