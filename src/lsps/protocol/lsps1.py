"""LSPS1 (bLIP-51): buying a channel. Messages and methods; the rules are in lsps1_rules."""

from __future__ import annotations

from typing import ClassVar

from lsps.protocol.errors import (
    CLIENT_REJECTED,
    INVALID_PARAMS,
    NOT_FOUND,
    OPTION_MISMATCH,
    UNRECOGNIZED_OR_STALE_TOKEN,
)
from lsps.protocol.fields import (
    JsonDatetime,
    JsonOutpoint,
    JsonSat,
    MirroredText,
    OptionalAddress,
    OptionalText,
    Uint16,
    Uint32,
)
from lsps.protocol.message import Message
from lsps.protocol.methods import Method, NoParams
from lsps.protocol.payment import OrderState, Payment
from lsps.units import OrderId


class Options(Message, frozen=True, kw_only=True):
    """What the LSP sells: the result of lsps1.get_info (bLIP-51 §1)."""

    min_required_channel_confirmations: Uint16
    min_funding_confirms_within_blocks: Uint16
    supports_zero_channel_reserve: bool
    max_channel_expiry_blocks: Uint32
    min_initial_client_balance_sat: JsonSat
    max_initial_client_balance_sat: JsonSat
    min_initial_lsp_balance_sat: JsonSat
    max_initial_lsp_balance_sat: JsonSat
    min_channel_balance_sat: JsonSat
    max_channel_balance_sat: JsonSat


class CreateOrderParams(Message, frozen=True, kw_only=True):
    """bLIP-51 §2, the request. Token and refund address are None when absent, null or empty."""

    secret: ClassVar[frozenset[str]] = frozenset({"token"})

    lsp_balance_sat: JsonSat
    client_balance_sat: JsonSat
    required_channel_confirmations: Uint16
    funding_confirms_within_blocks: Uint16
    channel_expiry_blocks: Uint32
    announce_channel: bool
    token: OptionalText = None
    refund_onchain_address: OptionalAddress = None


class GetOrderParams(Message, frozen=True, kw_only=True):
    """bLIP-51 §2.1."""

    order_id: OrderId


class Channel(Message, frozen=True, kw_only=True):
    """bLIP-51 §4: there once the funding transaction is published."""

    funded_at: JsonDatetime
    funding_outpoint: JsonOutpoint
    expires_at: JsonDatetime


class ChannelOrder(Message, frozen=True, kw_only=True):
    """An order for a channel: the result of create_order and get_order (bLIP-51 §2)."""

    secret: ClassVar[frozenset[str]] = frozenset({"token"})
    written_as_null: ClassVar[frozenset[str]] = frozenset({"channel"})

    order_id: OrderId
    lsp_balance_sat: JsonSat
    client_balance_sat: JsonSat
    required_channel_confirmations: Uint16
    funding_confirms_within_blocks: Uint16
    channel_expiry_blocks: Uint32
    token: MirroredText = ""
    created_at: JsonDatetime
    announce_channel: bool
    order_state: OrderState
    payment: Payment
    channel: Channel | None = None


GET_INFO = Method(name="lsps1.get_info", params=NoParams, result=Options, errors=(), idempotent=True)
CREATE_ORDER = Method(
    name="lsps1.create_order",
    params=CreateOrderParams,
    result=ChannelOrder,
    errors=(INVALID_PARAMS, CLIENT_REJECTED, OPTION_MISMATCH, UNRECOGNIZED_OR_STALE_TOKEN),
    idempotent=False,
)
GET_ORDER = Method(
    name="lsps1.get_order", params=GetOrderParams, result=ChannelOrder, errors=(NOT_FOUND,), idempotent=True
)

METHODS = (GET_INFO, CREATE_ORDER, GET_ORDER)
