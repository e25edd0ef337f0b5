"""What customers are told: one reply a request, only what is true, and nothing that was told is ever taken back."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from lsps.node.contract import InvoiceState
from lsps.node.simulated.lightning_node import LightningNode
from lsps.orders.model import ExtensionTerms, Order
from lsps.orders.wire import order_state
from lsps.protocol import jsonrpc
from lsps.protocol.errors import INTERNAL_ERROR
from lsps.protocol.jsonrpc import BadMessageFormat, Request
from lsps.service import desk
from lsps.units import NodeId, OrderId
from tests.simulation.books import Books, Changes
from tests.simulation.invariants.money import DELIVERED
from tests.simulation.invariants.verdict import Fail

Json = Any

_ORDER_RANK = {"CREATED": 0, "COMPLETED": 1, "FAILED": 1}
_PAYMENT_RANK = {"EXPECT_PAYMENT": 0, "HOLD": 1, "PAID": 2, "REFUNDED": 2}
_ONCHAIN_RANK = {"EXPECT_PAYMENT": 0, "PAID": 1, "REFUNDED": 2}
"""bLIP-51 §3.3: never HOLD; what counted may go back, when the order cannot be delivered."""
_ONCHAIN_FIXED = ("address", "order_total_sat", "fee_total_sat", "expires_at", "refund_onchain_address")
_FIXED = ("created_at", "new_channel_expiry_block", "channel_expiry_blocks", "lsp_balance_sat", "token")
"""What an order says of itself at its creation, and then for ever."""


@dataclass(slots=True)
class _Asked:
    """A request that the service took in; `since` counts what had been told by then."""

    method: str
    since: int
    times: int = 1
    answers: int = 0


class Wire:
    def __init__(self, lsp: LightningNode, books: Books, fail: Fail) -> None:
        self._lsp = lsp
        self._books = books
        self._fail = fail
        self._asked: dict[tuple[NodeId, object], _Asked] = {}
        self._garbage: Counter[NodeId] = Counter()
        self._count = 0
        self._told: dict[object, list[tuple[int, Any]]] = {}

    # --- one reply a request --------------------------------------------------------------------------------------

    def on_request(self, peer: NodeId, payload: bytes) -> None:
        try:
            message = jsonrpc.decode(payload)
        except BadMessageFormat:
            self._garbage[peer] += 1
            return
        if not isinstance(message, Request):
            return
        asked = self._asked.get((peer, message.id))
        if asked is None:
            self._asked[peer, message.id] = _Asked(message.method, self._count)
        else:
            asked.times += 1

    def on_reply(self, peer: NodeId, payload: bytes) -> None:
        reply = json.loads(payload)
        if reply["id"] is None:
            self._garbage[peer] -= 1
            if self._garbage[peer] < 0:
                self._fail("one reply a request", f"a parse error is reported twice: {reply}")
            return
        asked = self._asked.get((peer, reply["id"]))
        if asked is None:
            self._fail("one reply a request", f"nobody asked for this: {reply}")
            return
        asked.answers += 1
        if asked.answers > asked.times:
            self._fail("one reply a request", f"asked {asked.times} times, answered {asked.answers} times: {reply}")
        if "error" in reply:
            if reply["error"]["code"] == INTERNAL_ERROR:
                self._fail("no internal error", f"{asked.method} is answered {reply['error']}")
            return
        self._count += 1
        # By what it says: an id may be used again for another method.
        if "extendable_channels" in reply["result"]:
            self._on_list(peer, reply["result"], asked.since)
        elif "order_id" in reply["result"]:
            self._on_order(peer, reply["result"], asked)

    def on_crash(self) -> None:
        """Nobody answers any more what the dead process was asked."""
        self._asked = {key: asked for key, asked in self._asked.items() if asked.answers}
        self._garbage.clear()

    def at_the_end(self) -> None:
        for (_, request_id), asked in self._asked.items():
            if not asked.answers:
                self._fail("one reply a request", f"{asked.method} with id {request_id!r} was never answered")
        for peer, count in self._garbage.items():
            if count:
                self._fail("one reply a request", f"{count} undecodable messages of {peer} were never answered")

    def on_commit(self, changes: Changes) -> None:
        """What would be told now, if somebody asked, is true as well."""
        for _, order in changes.orders:
            if order.bolt11 is not None:
                told = desk.bolt11_state(order, order.bolt11)  # type: ignore[attr-defined]  # as the desk knows it
                self._is_true(order, order_state(order).value, told.value)

    # --- what is told is true, and stays so -------------------------------------------------------------------------

    def _on_list(self, peer: NodeId, result: Json, since: int) -> None:
        for entry in result["extendable_channels"]:
            scid, expiration = entry["short_channel_id"], entry["expiration_block"]
            # After a deep reorganisation another channel may go by the same short channel id.
            channel = entry.get("original_order", {}).get("id", scid)
            self._never_less(("list", peer, channel), expiration, since, "an expiration never decreases")
            if entry["max_channel_extension_expiry_blocks"] < 1:
                self._fail("limits", f"the list offers {entry}")

    def _on_order(self, peer: NodeId, result: Json, asked: _Asked) -> None:
        order = self._books.orders.get(OrderId(result["order_id"]))
        if order is None:
            self._fail("durable before told", f"{asked.method} tells of an order that is not stored: {result}")
            return
        if order.principal != peer:
            self._fail("orders are private", f"{asked.method} tells {peer} of an order of {order.principal}")
        if asked.method.endswith("create_order") and order.bolt11 is not None:
            status = self._lsp.invoices.status(order.bolt11.payment_hash)
            if status is None:
                self._fail("durable before told", f"order {order.id} is told, and its invoice cannot be paid")
        option = result["payment"].get("bolt11")
        payment_state = "" if option is None else option["state"]
        self._is_true(order, result["order_state"], payment_state)
        self._stays(order, result, payment_state, asked.since)

    def _is_true(self, order: Order, order_state: str, payment_state: str) -> None:
        invoice = None if order.bolt11 is None else self._lsp.invoices.status(order.bolt11.payment_hash)
        state = None if invoice is None else invoice.state
        if order_state == "COMPLETED" and order.state not in DELIVERED:
            self._fail("durable before told", f"COMPLETED is told of order {order.id}, which is {order.state.value}")
        if payment_state == "PAID" and state is not InvoiceState.SETTLED:
            self._fail("PAID is what the node says", f"PAID is told of order {order.id}; its invoice is {state}")
        gone = payment_state == "REFUNDED" or (order_state == "FAILED" and order.bolt11 is not None)
        if gone and state not in (None, InvoiceState.CANCELLED):
            text = f"{order_state}, {payment_state} are told of order {order.id}; its invoice is {state}"
            self._fail("REFUNDED is what the node says", text)

    def _stays(self, order: Order, result: Json, payment_state: str, since: int) -> None:
        name = "what is told never goes back"
        self._never_less((order.id, "order"), _ORDER_RANK[result["order_state"]], since, name)
        self._final((order.id, "final"), result["order_state"], _ORDER_RANK, name)
        if payment_state:
            self._never_less((order.id, "payment"), _PAYMENT_RANK[payment_state], since, name)
            self._final((order.id, "paid"), payment_state, _PAYMENT_RANK, name)
            for field in ("order_total_sat", "fee_total_sat", "invoice", "expires_at"):
                self._same((order.id, field), result["payment"]["bolt11"][field], name)
        if (onchain := result["payment"].get("onchain")) is not None:
            self._never_less((order.id, "onchain"), _ONCHAIN_RANK.get(onchain["state"], -1), since, name)
            if onchain["state"] not in _ONCHAIN_RANK:
                self._fail(name, f"order {order.id} tells {onchain['state']} of a payment on-chain")
            for field in _ONCHAIN_FIXED:
                self._same((order.id, "onchain", field), onchain.get(field), name)
        for field in _FIXED:
            if field in result:
                self._same((order.id, field), result[field], name)
        if isinstance(order.terms, ExtensionTerms):
            self._same((order.id, "channel"), result["channel"], name)
        elif result["channel"] is not None:
            self._same((order.id, "outpoint"), result["channel"]["funding_outpoint"], name)
            text = "an expiration never decreases"
            self._never_less((order.id, "expires_at"), result["channel"]["expires_at"], since, text)

    def _never_less(self, key: object, value: Any, since: int, name: str) -> None:
        """At least what had been told before this was asked: replies that are under way together may cross."""
        told = self._told.setdefault(key, [])
        before = [earlier for count, earlier in told if count <= since]
        if before and value < max(before):
            self._fail(name, f"{key}: {value} is told after {max(before)}")
        told.append((self._count, value))

    def _final(self, key: object, value: str, ranks: dict[str, int], name: str) -> None:
        """Of two last words only one is ever told."""
        if ranks[value] == max(ranks.values()):
            self._same(key, value, name)

    def _same(self, key: object, value: Any, name: str) -> None:
        told = self._told.setdefault(key, [(0, value)])
        if told[0][1] != value:
            self._fail(name, f"{key}: {value} is told after {told[0][1]}")
