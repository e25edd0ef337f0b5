"""What lnd's errors become."""

from __future__ import annotations

import grpc
import pytest

from lsps.node.contract import NodeError, NodeUnreachable, PermissionMissing, Refused
from lsps.node.lnd.errors import LndRefused, explain

Code = grpc.StatusCode
PATH = "/lnrpc.Lightning/SendCustomMessage"


@pytest.mark.parametrize(
    ("code", "detail", "kind"),
    [
        (Code.UNAVAILABLE, "failed to connect to all addresses", NodeUnreachable),
        (Code.DEADLINE_EXCEEDED, "Deadline Exceeded", NodeUnreachable),
        (Code.CANCELLED, "", NodeUnreachable),
        (Code.INTERNAL, "stream reset", NodeUnreachable),
        (Code.UNIMPLEMENTED, "unknown service invoicesrpc.Invoices", NodeUnreachable),
        (Code.UNKNOWN, "wallet locked, unlock it to enable full RPC access", NodeUnreachable),
        (Code.UNKNOWN, "the RPC server is in the process of starting up, but not yet ready", NodeUnreachable),
        (Code.UNKNOWN, "cannot get macaroon: macaroon store is locked", NodeUnreachable),
        (Code.UNKNOWN, "cannot retrieve macaroon: cannot get macaroon: database not open", NodeUnreachable),
        (Code.UNKNOWN, "cannot get macaroon: root key bucket not found", NodeUnreachable),
        (Code.UNKNOWN, "cannot get macaroon: root key with id 7 doesn't exist", PermissionMissing),
        (Code.UNKNOWN, "permission denied", PermissionMissing),
        (Code.UNKNOWN, "verification failed: signature mismatch after caveat verification", PermissionMissing),
        (Code.PERMISSION_DENIED, "no", PermissionMissing),
        (Code.UNKNOWN, "Number of pending channels exceed maximum", Refused),
        (Code.NOT_FOUND, "peer is not connected", Refused),
        (Code.INVALID_ARGUMENT, "bad hash", Refused),
        (Code.ALREADY_EXISTS, "invoice is already paid", Refused),
    ],
)
def test_every_status_has_a_meaning(code: grpc.StatusCode, detail: str, kind: type[NodeError]) -> None:
    """Refused only when lnd's handler said no; anything else that may have been carried out is NodeUnreachable."""
    assert isinstance(explain(code, detail, PATH, "127.0.0.1:10009"), kind)


def test_a_missing_permission_is_named_as_lncli_takes_it() -> None:
    """The text of PermissionMissing carries the permission to bake, uri: and path."""
    assert "uri:/lnrpc.Lightning/SendCustomMessage" in str(explain(Code.UNKNOWN, "permission denied", PATH, "here:1"))


def test_a_locked_wallet_comes_with_advice() -> None:
    """The text for a locked wallet says how to unlock it."""
    assert "lncli unlock" in str(explain(Code.UNKNOWN, "wallet locked, unlock it", PATH, "here:1"))


def test_a_wrong_certificate_is_told_as_such() -> None:
    """A TLS failure names the option that is probably wrong."""
    detail = "Ssl handshake failed: SSL_ERROR_SSL: error: CERTIFICATE_VERIFY_FAILED"
    assert "tls_cert" in str(explain(Code.UNAVAILABLE, detail, PATH, "here:1"))


def test_a_peers_text_is_made_safe() -> None:
    """Control characters in lnd's text, which may come from a peer, do not reach ours; `detail` stays raw, to match."""
    refusal = explain(Code.UNKNOWN, "received funding error from peer: \x1b[31mno", PATH, "here:1")
    assert isinstance(refusal, LndRefused)
    assert "\x1b" not in str(refusal)
    assert "\x1b" in refusal.detail
