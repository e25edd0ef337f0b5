"""What LND's gRPC errors mean in the words of the node contract.

LND gives most errors as code UNKNOWN with a text (v0.21.2-beta), so some of its texts have to be recognised: those of a
node that starts, stops, or has lost its database or its chain. It answers then out of what is half open or half closed,
and such an answer is no refusal: what the call would have done, or did, is unknown.
"""

from __future__ import annotations

import re
from typing import Any

import grpc

from lsps.node.contract import NodeError, NodeUnreachable, PermissionMissing, Refused
from lsps.node.lnd.rpc import Method
from lsps.protocol.sanitize import sanitize

ALREADY_EXISTS = grpc.StatusCode.ALREADY_EXISTS
NOT_FOUND = grpc.StatusCode.NOT_FOUND

_NO = frozenset(
    {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.OUT_OF_RANGE,
    }
)
"""Codes with which lnd's own handlers refuse. With any other the call may have been carried out."""

_STARTS = "it is starting: try again in a moment"
_STOPS = "it is stopping: try again when it is back"
_SYNCS = "it is syncing with the chain: try again later"
_NO_DATABASE = "its database is busy or away; see its log"
_NO_CHAIN = "btcd or bitcoind, of which it asks the chain, is away"

_NOT_READY = {
    "wallet locked": "unlock it: lncli unlock",
    "wallet not created": "create it: lncli create",
    # Its RPC server is up before the wallet has caught up with the chain, and long before peers are connected.
    "waiting to start": _STARTS,
    "in the process of starting": _STARTS,
    "not started": _STARTS,
    "macaroon store is locked": _STARTS,
    "unable to determine macaroon permissions": _STARTS,
    "currently not registered, not allowing any RPC calls": _STARTS,
    # Its parts stop one after another, the databases last, and its RPC server answers until the end.
    "shutting down": _STOPS,
    "^shutdown$": _STOPS,
    "already shutdown": _STOPS,
    "(?<!peer )exiting": _STOPS,
    r"\b(stopped|quit)\b": _STOPS,
    "context canceled": _STOPS,
    "database not open": _STOPS,
    "database is closed": _STOPS,
    "tx closed": _STOPS,
    "cannot get macaroon": _STOPS,  # but for a key that was deleted, see below
    "database is locked": _NO_DATABASE,
    "bad connection": _NO_DATABASE,
    "failed to connect to `": _NO_DATABASE,
    "channels cannot be created before the wallet is fully synced": _SYNCS,
    "chain backend is still syncing": _SYNCS,
    "wallet is not synchronized": _SYNCS,
    "the client has been (disconnected|shutdown)": _NO_CHAIN,
    "blockchain RPC is inactive": _NO_CHAIN,
    "no chain server client": _NO_CHAIN,
    'Post "http': _NO_CHAIN,
    "error reading json reply": _NO_CHAIN,
}
_NOT_READY_PATTERNS = [(re.compile(text), advice) for text, advice in _NOT_READY.items()]

_PEERS_WORDS = "received funding error from"
"""What follows it says nothing about this node: with it lnd tells that a negotiation has ended."""

_NOT_ALLOWED = re.compile(
    "permission denied|verification failed|expected 1 macaroon|unknown macaroon version|invalid ID$|unmarshal v[12]:"
    "|empty macaroon|cannot determine data format|cannot (retrieve|get) macaroon"
    '|caveat "'
)

_KEY_DELETED = re.compile("cannot get macaroon: root key with id .* doesn't exist")
"""lnd looks up the key that a macaroon was signed with. All but this says something about the keys' store: that it is
not open yet, or closed already."""

NO_INVOICES = "there are no existing invoices"
NO_TRANSACTION = "can not find transaction"
_NOT_THERE = (NO_INVOICES, NO_TRANSACTION)
"""Answers for which lnd has no code: it has never made an invoice, or the wallet does not know the transaction."""


class LndRefused(Refused):
    """A handler of lnd said no. `detail` is its text, to be recognised by; `code` the gRPC status."""

    def __init__(self, method: str, code: grpc.StatusCode, detail: str) -> None:
        super().__init__(f"lnd refused {method}: {sanitize(detail)}")
        self.code = code
        self.detail = detail


def translate(error: grpc.aio.AioRpcError, method: Method[Any, Any], rpc: str) -> NodeError:
    """The contract's error for a failed call of the method on the node at `rpc`."""
    return explain(error.code(), error.details() or "", method, rpc)


def explain(code: grpc.StatusCode, detail: str, method: Method[Any, Any], rpc: str) -> NodeError:
    if (advice := _not_ready(detail)) is not None:
        return NodeUnreachable(f"lnd at {rpc} is not ready: {sanitize(detail)}; {advice}")
    if code in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED) or (
        code is grpc.StatusCode.UNKNOWN and _NOT_ALLOWED.match(detail)
    ):
        return PermissionMissing(
            f"lnd at {rpc} does not allow this macaroon to call {method.name} ({sanitize(detail)}): "
            f"bake one with uri:{method.path}, as docs/lnd.md shows"
        )
    if code is grpc.StatusCode.UNKNOWN and not method.refuses and not detail.startswith(_NOT_THERE):
        return NodeUnreachable(f"lnd at {rpc} cannot answer {method.name} now: {sanitize(detail)}")
    if code in _NO:
        return LndRefused(method.name, code, detail)
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return NodeUnreachable(
            f"lnd at {rpc} has no {method.name} yet: it is starting, or was built without {method.path[1:]}"
        )
    if "handshake" in detail.lower() or "certificate" in detail.lower():
        return NodeUnreachable(
            f"lnd at {rpc} did not prove who it is ({sanitize(detail)}): tls_cert must be this node's own tls.cert, "
            "and the host must be named in it (lnd's tlsextraip, tlsextradomain)"
        )
    return NodeUnreachable(
        f"lnd at {rpc} does not answer {method.name} ({code.name}: {sanitize(detail)}): is it running?"
    )


def _not_ready(detail: str) -> str | None:
    """What to do about a node whose words are those of one that starts or stops."""
    if detail.startswith(_PEERS_WORDS) or _KEY_DELETED.search(detail):
        return None
    return next((advice for pattern, advice in _NOT_READY_PATTERNS if pattern.search(detail)), None)
