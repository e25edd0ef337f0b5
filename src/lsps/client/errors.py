"""What can go wrong for a buyer, by what it means for the money; the first words of every text are ours.

    Unreachable            no answer; after create_order the outcome is unknown, and nothing is paid
    LspRefused             the LSP said no, or would (checked here before asking); nothing is paid
    StoppedBeforePaying    we said no to what the LSP asks; nothing is paid
    PaymentNotMade         the payment failed or was given back; nothing is lost
    NotDelivered           paid (or free), and what was bought is not there (yet)

Errors of our own node are those of node.contract.
"""

from __future__ import annotations

from collections.abc import Sequence

from lsps.errors import LspsError
from lsps.protocol.rules import RuleViolation
from lsps.protocol.sanitize import sanitize
from lsps.units import NodeId, OrderId, Sat


class Unreachable(LspsError):
    """The LSP does not answer. Try again later; a read-only method was tried several times already."""


class NoReply(Unreachable):
    """No answer within the time allowed; the request is forgotten (bLIP-50, Disconnection Handling)."""


class ConnectionLost(Unreachable):
    """The LSP disconnected before it answered."""


class LspUnintelligible(Unreachable):
    """The LSP sent a message that is not LSPS0: nothing more is asked until it reconnects (bLIP-50, Message Payload
    Format)."""


class OutcomeUnknown(Unreachable):
    """create_order was sent and not answered: there may be an order that nobody pays. It expires by itself."""


class LspRefused(LspsError):
    """The LSP answered with an error. `lsp_text` is its explanation, made safe to show, "" when there is none."""

    def __init__(self, text: str, *, code: int, lsp_text: str = "") -> None:
        super().__init__(f"{text}. The LSP's own words: {lsp_text!r}" if lsp_text else text)
        self.code = code
        self.lsp_text = lsp_text


class ClientRejected(LspRefused):
    """Error 1: not us, or not now (bLIP-50)."""


class MethodNotOffered(LspRefused):
    """Error -32601: this LSP does not have the method."""


class ParamsRefused(LspRefused):
    """Error -32602, or found wrong before asking. `property_name` is the parameter, as far as it is known;
    `unrecognized` are parameters that the LSP does not know (bLIP-50)."""

    def __init__(
        self,
        text: str,
        *,
        code: int,
        lsp_text: str = "",
        property_name: str | None = None,
        unrecognized: Sequence[str] = (),
    ) -> None:
        super().__init__(text, code=code, lsp_text=lsp_text)
        self.property_name = property_name
        self.unrecognized = tuple(unrecognized)


class OptionMismatch(LspRefused):
    """Error 100, or found before asking: the order is outside what the LSP offers. `option` names the limit."""

    def __init__(self, text: str, *, code: int, lsp_text: str = "", option: str | None = None) -> None:
        super().__init__(text, code=code, lsp_text=lsp_text)
        self.option = option


class OrderNotFound(LspRefused):
    """Error 101: the LSP has no such order of ours."""


class TokenRefused(LspRefused):
    """Error 102: the token is unknown, stale or used up. The text never shows the token."""


class LspInternalError(LspRefused):
    """Error -32603, or one of -32099 to -32000, which bLIP-50 wants treated alike."""


class UnrecognizedError(LspRefused):
    """Any other error code, or a known one without the data it must have (bLIP-50, Error Handling)."""


class StoppedBeforePaying(LspsError):
    """We did not go on. Nothing was paid; an order that was made expires unpaid."""

    def __init__(self, text: str, *, order_id: OrderId | None = None) -> None:
        super().__init__(text)
        self.order_id = order_id


class RuleViolated(StoppedBeforePaying):
    """The LSP broke rules of its specification, or of ours that protect the payer. Each names its clause."""

    def __init__(self, violations: Sequence[RuleViolation], *, order_id: OrderId | None = None) -> None:
        listed = "; ".join(f"{broken.rule}: {broken.text} ({broken.path}; {broken.clause})" for broken in violations)
        outcome = "" if order_id is None else ", so nothing was paid for this order"
        super().__init__(f"the LSP broke a rule{outcome}: {listed}", order_id=order_id)
        self.violations = tuple(violations)


class FeeTooHigh(StoppedBeforePaying):
    """The LSP's fee is above the limit that was given."""

    def __init__(self, fee: Sat, limit: Sat, *, order_id: OrderId) -> None:
        super().__init__(
            f"the LSP asks for a fee of {fee} sat, more than the limit of {limit} sat: nothing was paid. "
            "Raise the limit if that is worth it",
            order_id=order_id,
        )
        self.fee = fee
        self.limit = limit


class OnchainFeeTooHigh(StoppedBeforePaying):
    """The fee of our own transaction would be above the limit."""

    def __init__(self, fee: Sat, limit: Sat, sat_per_vbyte: float, *, order_id: OrderId) -> None:
        super().__init__(
            f"the transaction that pays would cost {fee} sat ({sat_per_vbyte:g} sat per vbyte), more than the limit of "
            f"{limit} sat: nothing was paid. Raise the limit, wait for lower fees, or pay over Lightning",
            order_id=order_id,
        )
        self.fee = fee
        self.limit = limit


class FundsMissing(StoppedBeforePaying):
    """Our own wallet cannot pay this on-chain now; the text says why."""


class NotPayable(StoppedBeforePaying):
    """The order offers no way to pay that this client can use."""


class Declined(StoppedBeforePaying):
    """The payer was asked, and said no."""


class OrderInFlight(StoppedBeforePaying):
    """An order for the same is being paid for: `order_id`."""

    def __init__(self, order_id: OrderId) -> None:
        super().__init__(
            f"order {sanitize(order_id, limit=64)} for the same is being paid for, so nothing else was paid; "
            "the same call again follows it to its end, unless it asks for a new one",
            order_id=order_id,
        )


class PaymentNotMade(LspsError):
    """The money stayed, or came back."""

    def __init__(self, text: str, *, order_id: OrderId) -> None:
        super().__init__(text)
        self.order_id = order_id


class PaymentFailed(PaymentNotMade):
    """Our node could not make the payment; the text carries its reason."""


class OrderFailed(PaymentNotMade):
    """The LSP says FAILED, and the payment was not taken, or given back."""


class NotDelivered(LspsError):
    """The LSP says COMPLETED, but our own node or the LSP's list does not show what was bought; or it says FAILED and
    has the payment. The same call again looks again; only with `new` it orders again."""

    def __init__(self, text: str, *, lsp: NodeId, order_id: OrderId) -> None:
        super().__init__(f"{text}. Keep this to talk to the LSP: order {sanitize(order_id, limit=64)} at {lsp}")
        self.lsp = lsp
        self.order_id = order_id


class PaidNotDelivered(NotDelivered):
    """Paid, or perhaps paid, and the LSP has not said COMPLETED. The same call again goes on from here."""


class NotRefunded(PaidNotDelivered):
    """Paid on-chain, the LSP says FAILED, and no refund is seen (bLIP-51 §3.3: LSP MUST refund). The same call again
    goes on looking."""
