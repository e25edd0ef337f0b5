"""What LND's gRPC errors mean in the words of the node contract.

LND gives most errors as code UNKNOWN with a text, so a few of its texts have to be recognised (lnd v0.21.2-beta).
"""

from __future__ import annotations

import grpc

from lsps.node.contract import NodeError, NodeUnreachable, PermissionMissing, Refused
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

_NOT_READY = {
    "wallet locked": "unlock it: lncli unlock",
    "wallet not created": "create it: lncli create",
    "waiting to start": "it is starting: try again in a moment",
    "the RPC server is in the process of starting up": "it is starting: try again in a moment",
    "server is still in the process of starting": "it is starting: try again in a moment",
    "server is shutting down": "it is stopping",
    "server shutting down": "it is stopping",
    "channels cannot be created before the wallet is fully synced": "it is syncing with the chain: try again later",
    "chain backend is still syncing": "it is syncing with the chain: try again later",
    "the client has been disconnected": "btcd or bitcoind, of which it asks the chain, is away",
    "the client has been shutdown": "btcd or bitcoind, of which it asks the chain, is away",
    'Post "http': "btcd or bitcoind, of which it asks the chain, is away",
    "error reading json reply": "btcd or bitcoind, of which it asks the chain, is away",
}
_NOT_ALLOWED = (
    "permission denied",
    "verification failed",
    "expected 1 macaroon",
)
_KEY_STORE = "cannot get macaroon"
_KEY_DELETED = "root key with id"
"""lnd looks up the key that a macaroon was signed with. All but "root key with id 7 doesn't exist" says something about
its store: not unlocked yet, closed already."""


class LndRefused(Refused):
    """A handler of lnd said no. `detail` is its text, to be recognised by; `code` the gRPC status."""

    def __init__(self, method: str, code: grpc.StatusCode, detail: str) -> None:
        super().__init__(f"lnd refused {method}: {sanitize(detail)}")
        self.code = code
        self.detail = detail


def translate(error: grpc.aio.AioRpcError, path: str, rpc: str) -> NodeError:
    """The contract's error for a failed call of the method at `path` on the node at `rpc`."""
    return explain(error.code(), error.details() or "", path, rpc)


def explain(code: grpc.StatusCode, detail: str, path: str, rpc: str) -> NodeError:
    method = path.rpartition("/")[2]
    for text, advice in _NOT_READY.items():
        if text in detail:
            return NodeUnreachable(f"lnd at {rpc} is not ready: {sanitize(detail)}; {advice}")
    if _KEY_STORE in detail and _KEY_DELETED not in detail:
        return NodeUnreachable(f"lnd at {rpc} is starting or stopping: {sanitize(detail)}; try again in a moment")
    if code in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED) or (
        code is grpc.StatusCode.UNKNOWN and (detail.startswith(_NOT_ALLOWED) or _KEY_STORE in detail)
    ):
        return PermissionMissing(
            f"lnd at {rpc} does not allow this macaroon to call {method} ({sanitize(detail)}): "
            f"bake one with uri:{path}, as docs/lnd.md shows"
        )
    if code in _NO:
        return LndRefused(method, code, detail)
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return NodeUnreachable(f"lnd at {rpc} has no {method} yet: it is starting, or was built without {path[1:]}")
    if "handshake" in detail.lower() or "certificate" in detail.lower():
        return NodeUnreachable(
            f"lnd at {rpc} did not prove who it is ({sanitize(detail)}): tls_cert must be this node's own tls.cert, "
            "and the host must be named in it (lnd's tlsextraip, tlsextradomain)"
        )
    return NodeUnreachable(f"lnd at {rpc} does not answer {method} ({code.name}: {sanitize(detail)}): is it running?")
