"""What of an order is in no column of its own: JSON, in a form of its own that outlives changes of the model.

Amounts are JSON numbers, since an SQLite integer could not hold 2^64-1. A field added later needs a default; whatever
else changes needs a migration.
"""

from __future__ import annotations

import msgspec

from lsps.orders.model import (
    Bolt11Option,
    ChannelTerms,
    ExtensionTerms,
    FundedChannel,
    Funding,
    Order,
    OriginalOrder,
    PaymentMethod,
    Service,
)
from lsps.store.sqlite.body_onchain import OnchainBody
from lsps.store.sqlite.stored import Stored
from lsps.store.sqlite.times import from_micros, to_micros, to_micros_or_none
from lsps.units import BlockHeight, ChannelId, Msat, OrderId, Outpoint, Sat, Scid


class ChannelTermsBody(Stored, frozen=True, tag_field="service", tag="LSPS1"):
    lsp_balance: int
    client_balance: int
    required_channel_confirmations: int
    funding_confirms_within_blocks: int
    channel_expiry_blocks: int
    announce_channel: bool

    @classmethod
    def of(cls, terms: ChannelTerms) -> ChannelTermsBody:
        return cls(
            lsp_balance=int(terms.lsp_balance),
            client_balance=int(terms.client_balance),
            required_channel_confirmations=terms.required_channel_confirmations,
            funding_confirms_within_blocks=terms.funding_confirms_within_blocks,
            channel_expiry_blocks=terms.channel_expiry_blocks,
            announce_channel=terms.announce_channel,
        )

    def value(self) -> ChannelTerms:
        return ChannelTerms(
            lsp_balance=Sat(self.lsp_balance),
            client_balance=Sat(self.client_balance),
            required_channel_confirmations=self.required_channel_confirmations,
            funding_confirms_within_blocks=self.funding_confirms_within_blocks,
            channel_expiry_blocks=self.channel_expiry_blocks,
            announce_channel=self.announce_channel,
        )


class ExtensionTermsBody(Stored, frozen=True, tag_field="service", tag="LSPS7"):
    short_channel_id: str
    channel_id: str
    channel_extension_expiry_blocks: int
    original_order: tuple[OrderId, Service] | None
    extension_order_ids: tuple[OrderId, ...]
    max_channel_extension_expiry_blocks: int
    expiration_block: int

    @classmethod
    def of(cls, terms: ExtensionTerms) -> ExtensionTermsBody:
        original = terms.original_order
        return cls(
            short_channel_id=str(terms.short_channel_id),
            channel_id=terms.channel_id.hex,
            channel_extension_expiry_blocks=terms.channel_extension_expiry_blocks,
            original_order=None if original is None else (original.id, original.service),
            extension_order_ids=terms.extension_order_ids,
            max_channel_extension_expiry_blocks=terms.max_channel_extension_expiry_blocks,
            expiration_block=int(terms.expiration_block),
        )

    def value(self) -> ExtensionTerms:
        return ExtensionTerms(
            short_channel_id=Scid.parse(self.short_channel_id),
            channel_id=ChannelId(self.channel_id),
            channel_extension_expiry_blocks=self.channel_extension_expiry_blocks,
            original_order=None if self.original_order is None else OriginalOrder(*self.original_order),
            extension_order_ids=self.extension_order_ids,
            max_channel_extension_expiry_blocks=self.max_channel_extension_expiry_blocks,
            expiration_block=BlockHeight(self.expiration_block),
        )


class Bolt11Body(Stored, frozen=True, omit_defaults=True):
    """The payment hash is a column."""

    invoice: str
    expires_at: int
    fee_total: int
    order_total: int
    cancelled: bool = False
    cancelling: bool = False
    held: int = 0
    earliest_expiry: int | None = None

    @classmethod
    def of(cls, option: Bolt11Option) -> Bolt11Body:
        return cls(
            invoice=option.invoice,
            expires_at=to_micros(option.expires_at),
            fee_total=int(option.fee_total),
            order_total=int(option.order_total),
            cancelled=option.cancelled,
            cancelling=option.cancelling,
            held=int(option.held),
            earliest_expiry=None if option.earliest_expiry is None else int(option.earliest_expiry),
        )

    def value(self, payment_hash: bytes) -> Bolt11Option:
        return Bolt11Option(
            payment_hash=payment_hash,
            invoice=self.invoice,
            expires_at=from_micros(self.expires_at),
            fee_total=Sat(self.fee_total),
            order_total=Sat(self.order_total),
            cancelled=self.cancelled,
            cancelling=self.cancelling,
            held=Msat(self.held),
            earliest_expiry=None if self.earliest_expiry is None else BlockHeight(self.earliest_expiry),
        )


class FundingBody(Stored, frozen=True):
    inputs: tuple[str, ...]
    sat_per_kw: int
    since: int

    @classmethod
    def of(cls, funding: Funding) -> FundingBody:
        inputs = tuple(str(outpoint) for outpoint in funding.inputs)
        return cls(inputs=inputs, sat_per_kw=funding.sat_per_kw, since=int(funding.since))

    def value(self) -> Funding:
        return Funding(tuple(map(Outpoint.parse, self.inputs)), self.sat_per_kw, BlockHeight(self.since))


class FundedChannelBody(Stored, frozen=True):
    funding_outpoint: str
    funded_at: int
    expires_at: int

    @classmethod
    def of(cls, channel: FundedChannel) -> FundedChannelBody:
        return cls(
            funding_outpoint=str(channel.funding_outpoint),
            funded_at=to_micros(channel.funded_at),
            expires_at=to_micros(channel.expires_at),
        )

    def value(self) -> FundedChannel:
        outpoint = Outpoint.parse(self.funding_outpoint)
        return FundedChannel(outpoint, from_micros(self.funded_at), from_micros(self.expires_at))


class Body(Stored, frozen=True, omit_defaults=True):
    terms: ChannelTermsBody | ExtensionTermsBody
    token: str = ""
    counts_token_use: bool = False
    bolt11: Bolt11Body | None = None
    onchain: OnchainBody | None = None
    paid_by: PaymentMethod | None = None
    give_up_at: int | None = None
    funding: FundingBody | None = None
    channel: FundedChannelBody | None = None
    reason: str = ""

    def __repr__(self) -> str:
        return f"Body({self.terms!r}, …)"  # the token is a secret


_DECODER = msgspec.json.Decoder(Body)


def encode(order: Order) -> str:
    terms = order.terms
    body = Body(
        terms=ChannelTermsBody.of(terms) if isinstance(terms, ChannelTerms) else ExtensionTermsBody.of(terms),
        token=order.token,
        counts_token_use=order.counts_token_use,
        bolt11=None if order.bolt11 is None else Bolt11Body.of(order.bolt11),
        onchain=None if order.onchain is None else OnchainBody.of(order.onchain),
        paid_by=order.paid_by,
        give_up_at=to_micros_or_none(order.give_up_at),
        funding=None if order.funding is None else FundingBody.of(order.funding),
        channel=None if order.channel is None else FundedChannelBody.of(order.channel),
        reason=order.reason,
    )
    return msgspec.json.encode(body).decode()


def decode(text: str) -> Body:
    """Raises msgspec.MsgspecError."""
    return _DECODER.decode(text)
