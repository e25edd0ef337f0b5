"""Hypothesis strategies for any order and any lease, sensible or not: a store keeps what it is given."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any, TypeVar

from hypothesis import strategies as st

from lsps.orders.model import (
    Bolt11Option,
    ChannelTerms,
    Deposit,
    ExtensionTerms,
    FundedChannel,
    Funding,
    Lease,
    OnchainOption,
    Order,
    OriginalOrder,
    PaymentMethod,
    Refund,
    Service,
    State,
)
from lsps.units import MAX_UINT32, MAX_UINT64, BlockHeight, ChannelId, Msat, NodeId, OrderId, Outpoint, Sat, Scid
from tests.store.samples import LSP

T = TypeVar("T")


def complete(kind: type[T], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[T]:
    """Values of a dataclass with every field drawn but the version: a field that is added later is not forgotten."""
    missing = {field.name for field in dataclasses.fields(kind) if field.name != "version"} - fields.keys()  # type: ignore[arg-type]
    if missing:
        raise TypeError(f"the strategy for {kind.__name__} does not draw {', '.join(sorted(missing))}")
    return st.builds(kind, **fields)


sats = st.builds(Sat, st.one_of(st.integers(0, MAX_UINT64), st.just(MAX_UINT64)))
heights = st.builds(BlockHeight, st.integers(0, MAX_UINT32))
blocks = st.integers(0, MAX_UINT32)
moments = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
hashes = st.binary(min_size=32, max_size=32)
channel_ids = st.builds(ChannelId, hashes.map(bytes.hex))
outpoints = st.builds(Outpoint, hashes.map(bytes.hex), st.integers(0, 65_535))
node_ids = st.builds(NodeId, hashes.map(lambda key: "02" + key.hex()))
order_ids = st.builds(OrderId, st.text(min_size=1, max_size=64))
scids = st.builds(Scid, st.integers(0, 2**24 - 1), st.integers(0, 2**24 - 1), st.integers(0, 2**16 - 1))
original_orders = st.builds(OriginalOrder, order_ids, st.sampled_from(Service))
extension_order_ids = st.lists(order_ids, max_size=10).map(tuple)

channel_terms = complete(
    ChannelTerms,
    lsp_balance=sats,
    client_balance=sats,
    required_channel_confirmations=blocks,
    funding_confirms_within_blocks=blocks,
    channel_expiry_blocks=blocks,
    announce_channel=st.booleans(),
)
extension_terms = complete(
    ExtensionTerms,
    short_channel_id=scids,
    channel_id=channel_ids,
    channel_extension_expiry_blocks=blocks,
    original_order=st.none() | original_orders,
    extension_order_ids=extension_order_ids,
    max_channel_extension_expiry_blocks=blocks,
    expiration_block=heights,
)
options = complete(
    Bolt11Option,
    payment_hash=hashes,
    invoice=st.text(max_size=300),
    expires_at=moments,
    fee_total=sats,
    order_total=sats,
    cancelled=st.booleans(),
    cancelling=st.booleans(),
    held=st.builds(Msat, st.integers(0, MAX_UINT64)),
    earliest_expiry=st.none() | heights,
)
refunds = complete(
    Refund,
    txid=hashes.map(bytes.hex),
    raw=st.binary(max_size=300),
    paid=sats,
    fee=sats,
    sat_per_kw=blocks,
    published_at=st.none() | moments,
    height=st.none() | heights,
)
deposits = complete(
    Deposit,
    outpoint=outpoints,
    amount=sats,
    seen_at=moments,
    height=st.none() | heights,
    sat_per_kw=st.none() | blocks,
    gone=st.booleans(),
    kept=sats,
    refund_due=st.booleans(),
    refunds=st.lists(refunds, max_size=2).map(tuple),
    bump=st.booleans(),
    bump_at=st.none() | moments,
    left=st.text(max_size=50),
)
onchain_options = complete(
    OnchainOption,
    address=st.text(min_size=1, max_size=90),
    refund_address=st.text(max_size=90),
    expires_at=moments,
    fee_total=sats,
    order_total=sats,
    min_confirmations=blocks,
    min_fee_for_0conf=st.none() | blocks,
    deposits=st.lists(deposits, max_size=3).map(tuple),
    waits_until=st.none() | moments,
)
fundings = complete(
    Funding,
    inputs=st.lists(outpoints, max_size=4, unique=True).map(tuple),
    sat_per_kw=blocks,
    since=heights,
)
funded_channels = complete(FundedChannel, funding_outpoint=outpoints, funded_at=moments, expires_at=moments)
orders = complete(
    Order,
    id=order_ids,
    lsp=st.just(LSP),
    principal=node_ids,
    terms=channel_terms | extension_terms,
    state=st.sampled_from(State),
    created_at=moments,
    token=st.text(max_size=20),
    counts_token_use=st.booleans(),
    bolt11=st.none() | options,
    onchain=st.none() | onchain_options,
    paid_by=st.none() | st.sampled_from(PaymentMethod),
    give_up_at=st.none() | moments,
    funding=st.none() | fundings,
    channel=st.none() | funded_channels,
    reason=st.text(max_size=50),
    closed_at=st.none() | moments,
)
leases = complete(
    Lease,
    channel_id=channel_ids,
    lsp=st.just(LSP),
    peer=node_ids,
    expiration_block=heights,
    provisional_from=st.none() | heights,
    confirmed_at=st.none() | heights,
    expires_at=st.none() | moments,
    original_order=st.none() | original_orders,
    extension_order_ids=extension_order_ids,
    ended=st.booleans(),
)
