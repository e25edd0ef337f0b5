"""LSPS7 (bLIP-57): extending a channel's lease. Messages and methods; the rules are in lsps7_rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import msgspec

from lsps.protocol.errors import (
    CLIENT_REJECTED,
    INVALID_PARAMS,
    NOT_FOUND,
    OPTION_MISMATCH,
    UNRECOGNIZED_OR_STALE_TOKEN,
)
from lsps.protocol.fields import (
    JsonDatetime,
    JsonHeight,
    JsonScid,
    MirroredText,
    OptionalAddress,
    OptionalText,
    Uint32,
)
from lsps.protocol.message import Message, WrongShape, read
from lsps.protocol.methods import Method, NoParams
from lsps.protocol.payment import OrderState, Payment
from lsps.units import OrderId

MAX_REJECTED_CHANNELS = 1_000
"""A list with more bad entries than that is refused as a whole: 65 kB hold twenty thousand, each costs time."""


class OriginalOrder(Message, frozen=True, kw_only=True):
    """The order that the lease comes from (bLIP-57 §3). Ornament: read as far as it is there."""

    id: str | None = None
    service: str | None = None


class ExtendableChannel(Message, frozen=True, kw_only=True):
    """bLIP-57 §3. `expiration_block` 0: there is no lease; the LSP may close the channel at any time."""

    original_order: OriginalOrder | None = None
    extension_order_ids: tuple[str, ...] | None = None
    short_channel_id: JsonScid
    max_channel_extension_expiry_blocks: Uint32
    expiration_block: JsonHeight


class RejectedChannel(Message, frozen=True, kw_only=True):
    """An entry of the list that is no extendable channel, by its position. An LSP in production sends such."""

    index: int
    path: str
    rule: str


class ExtendableChannels(Message, frozen=True, kw_only=True):
    """The result of lsps7.get_extendable_channels (bLIP-57 §1); one bad entry does not cost the good ones."""

    not_written: ClassVar[frozenset[str]] = frozenset({"rejected"})

    extendable_channels: tuple[ExtendableChannel, ...]
    rejected: tuple[RejectedChannel, ...] = ()

    def __iter__(self) -> Iterator[ExtendableChannel]:
        return iter(self.extendable_channels)


class CreateOrderParams(Message, frozen=True, kw_only=True):
    """bLIP-57 §2, the request. Token and refund address are None when absent, null or empty."""

    secret: ClassVar[frozenset[str]] = frozenset({"token"})

    short_channel_id: JsonScid
    channel_extension_expiry_blocks: Uint32
    token: OptionalText = None
    refund_onchain_address: OptionalAddress = None


class GetOrderParams(Message, frozen=True, kw_only=True):
    """bLIP-57 §2.1."""

    order_id: OrderId


class ExtensionOrder(Message, frozen=True, kw_only=True):
    """An order for an extension: the result of create_order and get_order (bLIP-57 §2)."""

    secret: ClassVar[frozenset[str]] = frozenset({"token"})

    order_id: OrderId
    channel_extension_expiry_blocks: Uint32
    new_channel_expiry_block: JsonHeight
    token: MirroredText = ""
    created_at: JsonDatetime
    order_state: OrderState
    payment: Payment
    channel: ExtendableChannel


class _Entries(Message, frozen=True, kw_only=True):
    extendable_channels: tuple[msgspec.Raw, ...]


def _read_extendable_channels(raw: msgspec.Raw | bytes) -> ExtendableChannels:
    channels: list[ExtendableChannel] = []
    rejected: list[RejectedChannel] = []
    for index, entry in enumerate(read(raw, _Entries).extendable_channels):
        try:
            channels.append(read(entry, ExtendableChannel))
        except WrongShape as wrong:
            if len(rejected) == MAX_REJECTED_CHANNELS:
                raise WrongShape("extendable_channels", f"more than {MAX_REJECTED_CHANNELS} bad entries") from None
            rejected.append(RejectedChannel(index=index, path=wrong.path, rule=wrong.rule))
    return ExtendableChannels(extendable_channels=tuple(channels), rejected=tuple(rejected))


GET_EXTENDABLE_CHANNELS = Method(
    name="lsps7.get_extendable_channels",
    params=NoParams,
    result=ExtendableChannels,
    errors=(),
    idempotent=True,
    read_result=_read_extendable_channels,
)
CREATE_ORDER = Method(
    name="lsps7.create_order",
    params=CreateOrderParams,
    result=ExtensionOrder,
    # bLIP-57's table has no code for a bad token, though it must be refused: the one of bLIP-51.
    errors=(INVALID_PARAMS, CLIENT_REJECTED, OPTION_MISMATCH, UNRECOGNIZED_OR_STALE_TOKEN),
    idempotent=False,
)
GET_ORDER = Method(
    name="lsps7.get_order", params=GetOrderParams, result=ExtensionOrder, errors=(NOT_FOUND,), idempotent=True
)

METHODS = (GET_EXTENDABLE_CHANNELS, CREATE_ORDER, GET_ORDER)
