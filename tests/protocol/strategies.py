"""Hypothesis strategies for units, and for every message as it is written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from lsps.protocol import lsps0, lsps1, lsps7
from lsps.protocol.fields import OnchainAddress
from lsps.protocol.message import Message
from lsps.protocol.methods import NoParams
from lsps.protocol.payment import (
    Bolt11Payment,
    Bolt12Payment,
    OnchainPayment,
    OrderState,
    Payment,
    PaymentState,
)
from lsps.units import BlockHeight, OrderId, Outpoint, Sat, Scid

uint16 = st.integers(0, 2**16 - 1)
uint32 = st.integers(0, 2**32 - 1)
sats = st.builds(Sat, st.integers(0, 2**64 - 1))
heights = st.builds(BlockHeight, uint32)
scids = st.builds(Scid, st.integers(0, 2**24 - 1), st.integers(0, 2**24 - 1), uint16)
txids = st.binary(min_size=32, max_size=32).map(bytes.hex)
outpoints = st.builds(Outpoint, txids, uint16)
texts = st.text(st.characters(codec="utf-8"), max_size=40)
given_texts = st.none() | texts.filter(bool)
addresses = st.none() | st.just(OnchainAddress("bc1qvmsy0f3yyes6z9jvddk8xqwznndmdwapvrc0xrmhd3vqj5rhdrrq6hz49h"))
order_ids = st.builds(OrderId, texts)
# Whole milliseconds: what is written holds no more.
datetimes = st.integers(0, 253402300799999).map(
    lambda milliseconds: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
)
payment_states = st.sampled_from(PaymentState)
order_states = st.sampled_from(OrderState)

bolt11_payments = st.builds(
    Bolt11Payment,
    state=payment_states,
    expires_at=datetimes,
    fee_total_sat=sats,
    order_total_sat=sats,
    invoice=texts,
)
bolt12_payments = st.builds(
    Bolt12Payment, state=payment_states, expires_at=datetimes, fee_total_sat=sats, order_total_sat=sats, offer=texts
)
onchain_payments = st.builds(
    OnchainPayment,
    state=payment_states,
    expires_at=datetimes,
    fee_total_sat=sats,
    order_total_sat=sats,
    address=st.builds(OnchainAddress, texts),
    min_onchain_payment_confirmations=uint16,
    min_fee_for_0conf=st.none() | uint32,
    refund_onchain_address=addresses,
)
payments = st.builds(
    Payment,
    bolt11=st.none() | bolt11_payments,
    bolt12=st.none() | bolt12_payments,
    onchain=st.none() | onchain_payments,
)
options = st.builds(
    lsps1.Options,
    min_required_channel_confirmations=uint16,
    min_funding_confirms_within_blocks=uint16,
    supports_zero_channel_reserve=st.booleans(),
    max_channel_expiry_blocks=uint32,
    min_initial_client_balance_sat=sats,
    max_initial_client_balance_sat=sats,
    min_initial_lsp_balance_sat=sats,
    max_initial_lsp_balance_sat=sats,
    min_channel_balance_sat=sats,
    max_channel_balance_sat=sats,
)
channel_order_params = st.builds(
    lsps1.CreateOrderParams,
    lsp_balance_sat=sats,
    client_balance_sat=sats,
    required_channel_confirmations=uint16,
    funding_confirms_within_blocks=uint16,
    channel_expiry_blocks=uint32,
    announce_channel=st.booleans(),
    token=given_texts,
    refund_onchain_address=addresses,
)
channels = st.builds(lsps1.Channel, funded_at=datetimes, funding_outpoint=outpoints, expires_at=datetimes)
channel_orders = st.builds(
    lsps1.ChannelOrder,
    order_id=order_ids,
    lsp_balance_sat=sats,
    client_balance_sat=sats,
    required_channel_confirmations=uint16,
    funding_confirms_within_blocks=uint16,
    channel_expiry_blocks=uint32,
    token=texts,
    created_at=datetimes,
    announce_channel=st.booleans(),
    order_state=order_states,
    payment=payments,
    channel=st.none() | channels,
)
original_orders = st.builds(lsps7.OriginalOrder, id=st.none() | texts, service=st.none() | texts)
extendable_channels = st.builds(
    lsps7.ExtendableChannel,
    original_order=st.none() | original_orders,
    extension_order_ids=st.none() | st.lists(texts, max_size=3).map(tuple),
    short_channel_id=scids,
    max_channel_extension_expiry_blocks=uint32,
    expiration_block=heights,
)
extension_order_params = st.builds(
    lsps7.CreateOrderParams,
    short_channel_id=scids,
    channel_extension_expiry_blocks=uint32,
    token=given_texts,
    refund_onchain_address=addresses,
)
extension_orders = st.builds(
    lsps7.ExtensionOrder,
    order_id=order_ids,
    channel_extension_expiry_blocks=uint32,
    new_channel_expiry_block=heights,
    token=texts,
    created_at=datetimes,
    order_state=order_states,
    payment=payments,
    channel=extendable_channels,
)

PARAMS: dict[str, st.SearchStrategy[Message]] = {
    lsps0.LIST_PROTOCOLS.name: st.builds(NoParams),
    lsps1.GET_INFO.name: st.builds(NoParams),
    lsps1.CREATE_ORDER.name: channel_order_params,
    lsps1.GET_ORDER.name: st.builds(lsps1.GetOrderParams, order_id=order_ids),
    lsps7.GET_EXTENDABLE_CHANNELS.name: st.builds(NoParams),
    lsps7.CREATE_ORDER.name: extension_order_params,
    lsps7.GET_ORDER.name: st.builds(lsps7.GetOrderParams, order_id=order_ids),
}
RESULTS: dict[str, st.SearchStrategy[Message]] = {
    lsps0.LIST_PROTOCOLS.name: st.builds(lsps0.ListProtocolsResult, protocols=st.lists(uint32, max_size=5).map(tuple)),
    lsps1.GET_INFO.name: options,
    lsps1.CREATE_ORDER.name: channel_orders,
    lsps1.GET_ORDER.name: channel_orders,
    lsps7.GET_EXTENDABLE_CHANNELS.name: st.builds(
        lsps7.ExtendableChannels, extendable_channels=st.lists(extendable_channels, max_size=3).map(tuple)
    ),
    lsps7.CREATE_ORDER.name: extension_orders,
    lsps7.GET_ORDER.name: extension_orders,
}
