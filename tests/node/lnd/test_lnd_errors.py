"""What lnd's errors become."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from lsps.node.contract import NodeError, NodeUnreachable, PermissionMissing, Refused
from lsps.node.lnd import rpc
from lsps.node.lnd.errors import LndRefused, explain

Code = grpc.StatusCode
HERE = "127.0.0.1:10009"


@pytest.mark.parametrize(
    ("code", "detail", "kind"),
    [
        (Code.UNAVAILABLE, "failed to connect to all addresses", NodeUnreachable),
        (Code.DEADLINE_EXCEEDED, "Deadline Exceeded", NodeUnreachable),
        (Code.CANCELLED, "", NodeUnreachable),
        (Code.INTERNAL, "stream reset", NodeUnreachable),
        (Code.INTERNAL, "internal server error", NodeUnreachable),
        (Code.UNIMPLEMENTED, "unknown service invoicesrpc.Invoices", NodeUnreachable),
        (Code.UNKNOWN, "cannot get macaroon: root key with id 7 doesn't exist", PermissionMissing),
        (Code.UNKNOWN, "permission denied", PermissionMissing),
        (Code.UNKNOWN, "verification failed: signature mismatch after caveat verification", PermissionMissing),
        (
            Code.UNKNOWN,
            'caveat "time-before 2026-01-01T00:00:00Z" not satisfied: macaroon has expired',
            PermissionMissing,
        ),
        (Code.UNKNOWN, "cannot determine data format of binary-encoded macaroon", PermissionMissing),
        (Code.PERMISSION_DENIED, "no", PermissionMissing),
        (Code.UNKNOWN, "Number of pending channels exceed maximum", Refused),
        (Code.NOT_FOUND, "peer is not connected", Refused),
        (Code.UNKNOWN, "peer exiting", Refused),
        (Code.INVALID_ARGUMENT, "bad hash", Refused),
        (Code.ALREADY_EXISTS, "invoice is already paid", Refused),
    ],
)
def test_every_status_has_a_meaning(code: grpc.StatusCode, detail: str, kind: type[NodeError]) -> None:
    """Refused only when lnd's handler said no; anything else that may have been carried out is NodeUnreachable."""
    assert isinstance(explain(code, detail, rpc.SEND_CUSTOM_MESSAGE, HERE), kind)


@pytest.mark.parametrize(
    "detail",
    [
        # starting
        "waiting to start, RPC services not available",
        "wallet not created, create one to enable full RPC access",
        "wallet locked, unlock it to enable full RPC access",
        "the RPC server is in the process of starting up, but not yet ready to accept calls",
        "server is still in the process of starting",
        "chain notifier RPC is still in the process of starting",
        "unable to determine macaroon permissions",
        "cannot retrieve macaroon: cannot get macaroon: macaroon store is locked",
        "cannot get macaroon: macaroon store is locked",
        "cannot get macaroon: root key bucket not found",
        "mandatory middleware 'guard' is currently not registered, not allowing any RPC calls",
        # stopping
        "server is shutting down",
        "server shutting down",
        "routerrpc server shutting down",
        "router shutting down",
        "invoice registry shutting down",
        "htlcswitch shutting down",
        "funding manager shutting down",
        "chain notifier shutting down",
        "chain notifier RPC subserver shutting down",
        "subscription server shutting down",
        "wallet shutting down",
        "mailbox is shutting down",
        "graph builder shutting down",
        "payment lifecycle exiting",
        "TxNotifier is exiting",
        "htlc switch was stopped",
        "htlc switch already shutdown",
        "interceptable switch quit",
        "shutdown",
        "subscription for invoice(pay_hash=07): context canceled",
        "cannot get macaroon: database not open",
        "cannot get macaroon: sql: database is closed",
        "tx closed",
        # without its database or its chain
        "database is locked",
        "driver: bad connection",
        "channels cannot be created before the wallet is fully synced",
        "chain backend is still syncing, server not active yet",
        "the client has been shutdown",
        "the client has been disconnected",
        'Post "http://127.0.0.1:18443": dial tcp 127.0.0.1:18443: connect: connection refused',
        "blockchain RPC is inactive",
    ],
)
@pytest.mark.parametrize("method", [rpc.OPEN_CHANNEL, rpc.SEND_PAYMENT, rpc.TRACK_PAYMENT], ids=lambda one: one.name)
def test_a_node_that_starts_or_stops_refuses_nothing(method: rpc.Method[Any, Any], detail: str) -> None:
    """What lnd says while it starts, stops, or is without its database or chain is no "no", nor a wrong macaroon: the
    outcome is unknown, and the call can be made again."""
    assert isinstance(explain(Code.UNKNOWN, detail, method, HERE), NodeUnreachable)


def test_the_peers_words_are_not_the_nodes() -> None:
    """A peer that refuses a channel because it is stopping refuses it, as far as our node is concerned."""
    detail = "received funding error from 0322: chan_id=07, err=server is shutting down"
    assert isinstance(explain(Code.UNKNOWN, detail, rpc.OPEN_CHANNEL, HERE), LndRefused)


def test_a_question_is_not_refused_in_words() -> None:
    """A call that changes nothing, and that lnd has no reason to refuse, has failed for now when lnd gives no code;
    with a code, or the words for something that is not there, it is answered."""
    for method in (rpc.TRACK_PAYMENT, rpc.LOOKUP_INVOICE, rpc.GET_TRANSACTION, rpc.FINALIZE_PSBT):
        assert isinstance(explain(Code.UNKNOWN, "some trouble", method, HERE), NodeUnreachable)
    assert isinstance(explain(Code.NOT_FOUND, "payment isn't initiated", rpc.TRACK_PAYMENT, HERE), LndRefused)
    assert isinstance(explain(Code.UNKNOWN, "can not find transaction: txid 07", rpc.GET_TRANSACTION, HERE), LndRefused)
    assert isinstance(explain(Code.UNKNOWN, "there are no existing invoices", rpc.LOOKUP_INVOICE, HERE), LndRefused)


def test_a_missing_permission_is_named_as_lncli_takes_it() -> None:
    """The text of PermissionMissing carries the permission to bake, uri: and path."""
    missing = explain(Code.UNKNOWN, "permission denied", rpc.SEND_CUSTOM_MESSAGE, HERE)
    assert "uri:/lnrpc.Lightning/SendCustomMessage" in str(missing)


def test_a_locked_wallet_comes_with_advice() -> None:
    """The text for a locked wallet says how to unlock it."""
    assert "lncli unlock" in str(explain(Code.UNKNOWN, "wallet locked, unlock it", rpc.GET_INFO, HERE))


def test_a_wrong_certificate_is_told_as_such() -> None:
    """A TLS failure names the option that is probably wrong."""
    detail = "Ssl handshake failed: SSL_ERROR_SSL: error: CERTIFICATE_VERIFY_FAILED"
    assert "tls_cert" in str(explain(Code.UNAVAILABLE, detail, rpc.GET_INFO, HERE))


def test_a_peers_text_is_made_safe() -> None:
    """Control characters in lnd's text, which may come from a peer, do not reach ours; `detail` stays raw, to match."""
    refusal = explain(Code.UNKNOWN, "received funding error from peer: \x1b[31mno", rpc.OPEN_CHANNEL, HERE)
    assert isinstance(refusal, LndRefused)
    assert "\x1b" not in str(refusal)
    assert "\x1b" in refusal.detail
