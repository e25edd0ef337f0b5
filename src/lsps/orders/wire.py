"""What a client is told of an order's state: the specification's words, derived from ours (bLIP-51 §2, §3.1)."""

from __future__ import annotations

from lsps.orders.model import Bolt11Option, Order, PaymentMethod, State
from lsps.protocol.payment import OrderState, PaymentState

_ORDER_STATE = {
    State.AWAITING_PAYMENT: OrderState.CREATED,
    State.PAID: OrderState.CREATED,
    State.FULFILLING: OrderState.CREATED,
    State.FULFILLED: OrderState.COMPLETED,
    State.COMPLETED: OrderState.COMPLETED,
    State.UNPAID: OrderState.COMPLETED,
    State.CLOSING: OrderState.CREATED,
    State.FAILED: OrderState.FAILED,
}


def order_state(order: Order) -> OrderState:
    return _ORDER_STATE[order.state]


def bolt11_state(order: Order, option: Bolt11Option) -> PaymentState:
    """REFUNDED only once the node confirmed that the invoice is cancelled (money rule 5)."""
    if option.cancelled or order.state in (State.FAILED, State.UNPAID):
        return PaymentState.REFUNDED
    if order.paid_by is not PaymentMethod.BOLT11:
        return PaymentState.EXPECT_PAYMENT
    return PaymentState.PAID if order.state is State.COMPLETED else PaymentState.HOLD


def onchain_state(order: Order) -> PaymentState:
    """bLIP-51 §3.3: PAID from the confirmation on, never HOLD. REFUNDED when the order failed, which is after what was
    paid went back, and when it was delivered for another payment, so that nobody pays again."""
    if order.state is State.FAILED:
        return PaymentState.REFUNDED
    if order.paid_by is PaymentMethod.ONCHAIN:
        return PaymentState.PAID
    delivered = order_state(order) is OrderState.COMPLETED
    return PaymentState.REFUNDED if delivered else PaymentState.EXPECT_PAYMENT
