"""From the file's tables to what a service offers, and whether they agree with each other."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import get_args

from lsps.config.errors import ConfigError
from lsps.config.tables import (
    CompatTable,
    File,
    LeaseTable,
    LimitsTable,
    Lsps1Table,
    Lsps7Table,
    PaymentTable,
    PriceKeys,
    TokenTable,
)
from lsps.protocol.jsonrpc import ErrorShape
from lsps.protocol.lsps1 import Options
from lsps.protocol.lsps1_rules import check_options
from lsps.service.offer import (
    ChannelOffer,
    Compat,
    ExtensionOffer,
    LeaseToRecord,
    Limits,
    Offer,
    PaymentTerms,
    Token,
    Unleased,
)
from lsps.service.pricing import PriceTable
from lsps.units import BlockHeight, InvalidUnit, NodeId, Outpoint, Sat

_UNLEASED: Mapping[bool | str, Unleased] = {
    False: Unleased.NONE,
    Unleased.PEER_OPENED.value: Unleased.PEER_OPENED,
    Unleased.ALL.value: Unleased.ALL,
}


def offer_of(file: File) -> Offer:
    """Raises ConfigError."""
    return Offer(
        lsps1=None if file.lsps1 is None else _channel_offer(file.lsps1),
        lsps7=None if file.lsps7 is None else _extension_offer(file.lsps7),
        tokens=_tokens(file.token),
        leases=_leases(file.lease),
        payment=_payment(file.payment),
        limits=_limits(file.limits),
        compat=_compat(file.compat),
    )


def price_of(table: PriceKeys) -> PriceTable | str:
    """Raises ConfigError."""
    if table.function is None:
        defaults = PriceTable()
        return PriceTable(
            open_base=_sat_or(table.open_base_sat, defaults.open_base),
            open_rate_ppm_per_year=_or(table.open_rate_ppm_per_year, defaults.open_rate_ppm_per_year),
            extend_base=_sat_or(table.extend_base_sat, defaults.extend_base),
            extend_rate_ppm_per_year=_or(table.extend_rate_ppm_per_year, defaults.extend_rate_ppm_per_year),
        )
    for name in table.__struct_fields__:
        if name != "function" and getattr(table, name) is not None:
            raise ConfigError("has no meaning beside price.function: keep one of the two", key=f"price.{name}")
    module, colon, name = table.function.partition(":")
    if not colon or not name.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
        raise ConfigError(
            'expected "module:name", a function in a Python module beside this file', key="price.function"
        )
    return table.function


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


def _sat_or(value: int | None, default: Sat) -> Sat:
    return default if value is None else Sat(value)


def _channel_offer(table: Lsps1Table) -> ChannelOffer:
    options = Options(
        min_required_channel_confirmations=table.min_required_channel_confirmations,
        min_funding_confirms_within_blocks=table.min_funding_confirms_within_blocks,
        supports_zero_channel_reserve=table.supports_zero_channel_reserve,
        max_channel_expiry_blocks=table.max_channel_expiry_blocks,
        min_initial_client_balance_sat=Sat(table.min_initial_client_balance_sat),
        max_initial_client_balance_sat=Sat(table.max_initial_client_balance_sat),
        min_initial_lsp_balance_sat=Sat(table.min_initial_lsp_balance_sat),
        max_initial_lsp_balance_sat=Sat(table.max_initial_lsp_balance_sat),
        min_channel_balance_sat=Sat(table.min_channel_balance_sat),
        max_channel_balance_sat=Sat(table.max_channel_balance_sat),
    )
    for violation in check_options(options):
        raise ConfigError(f"{violation.text} ({violation.clause})", key=f"lsps1.{violation.path}")
    for name in ("max_initial_lsp_balance_sat", "max_initial_client_balance_sat"):
        if getattr(table, name) > table.max_channel_balance_sat:
            text = (
                f"is more than lsps1.max_channel_balance_sat ({table.max_channel_balance_sat}): no channel can have it"
            )
            raise ConfigError(text, key=f"lsps1.{name}")
    least = table.min_initial_lsp_balance_sat + table.min_initial_client_balance_sat
    if least > table.max_channel_balance_sat:
        text = f"is less than the smallest balances together ({least}): no order could meet it"
        raise ConfigError(text, key="lsps1.max_channel_balance_sat")
    most = table.max_initial_lsp_balance_sat + table.max_initial_client_balance_sat
    if most < table.min_channel_balance_sat:
        text = f"is more than the largest balances together ({most}): no order could meet it"
        raise ConfigError(text, key="lsps1.min_channel_balance_sat")
    if table.max_initial_lsp_balance_sat < 1:
        raise ConfigError(
            "must be 1 or greater: bLIP-51 §2 allows no order for less", key="lsps1.max_initial_lsp_balance_sat"
        )
    return ChannelOffer(options, Sat(table.reserve_sat), table.max_open_sat_per_vbyte)


def _extension_offer(table: Lsps7Table) -> ExtensionOffer:
    unleased = _UNLEASED.get(table.extend_unleased_channels)
    if unleased is None:
        raise ConfigError('expected false, "peer-opened" or "all"', key="lsps7.extend_unleased_channels")
    return ExtensionOffer(table.max_channel_extension_expiry_blocks, unleased)


def _tokens(tables: tuple[TokenTable, ...]) -> tuple[Token, ...]:
    seen: dict[str, int] = {}
    for index, table in enumerate(tables):
        if seen.setdefault(table.code, index) != index:
            raise ConfigError(f"is the code of token[{seen[table.code]}] as well", key=f"token[{index}].code")
    return tuple(
        Token(
            code=table.code,
            discount_percent=table.discount_percent,
            uses=table.uses,
            expires=table.expires,
            max_lsp_balance=None if table.max_lsp_balance_sat is None else Sat(table.max_lsp_balance_sat),
            max_blocks=table.max_blocks,
        )
        for table in tables
    )


def _leases(tables: tuple[LeaseTable, ...]) -> tuple[LeaseToRecord, ...]:
    leases: dict[Outpoint, LeaseToRecord] = {}
    for index, table in enumerate(tables):
        key = f"lease[{index}].outpoint"
        try:
            outpoint = Outpoint.parse(table.outpoint)
        except InvalidUnit as error:
            raise ConfigError(str(error), key=key) from None
        if outpoint in leases:
            raise ConfigError("there is a lease for this channel already", key=key)
        leases[outpoint] = LeaseToRecord(outpoint, BlockHeight(table.expiration_block))
    return tuple(leases.values())


def _payment(table: PaymentTable) -> PaymentTerms:
    if not table.bolt11 and not table.onchain:
        raise ConfigError("must be true unless payment.onchain is: nothing could be paid", key="payment.bolt11")
    if table.min_refund_sat > table.min_onchain_payment_sat:
        text = (
            f"is more than payment.min_onchain_payment_sat ({table.min_onchain_payment_sat}): too much would stay here"
        )
        raise ConfigError(text, key="payment.min_refund_sat")
    if table.hold_margin_blocks >= table.min_final_cltv_expiry:
        text = (
            f"must be less than payment.min_final_cltv_expiry ({table.min_final_cltv_expiry}): "
            "every payment would be given back at once"
        )
        raise ConfigError(text, key="payment.hold_margin_blocks")
    return PaymentTerms(
        bolt11=table.bolt11,
        onchain=table.onchain,
        onchain_expiry=timedelta(seconds=table.onchain_expiry_seconds),
        min_onchain_payment_confirmations=table.min_onchain_payment_confirmations,
        min_onchain_payment=Sat(table.min_onchain_payment_sat),
        min_refund=Sat(table.min_refund_sat),
        bolt11_expiry=timedelta(seconds=table.bolt11_expiry_seconds),
        min_final_cltv_expiry=table.min_final_cltv_expiry,
        give_up_after=timedelta(seconds=table.give_up_after_seconds),
        hold_margin_blocks=table.hold_margin_blocks,
    )


def _limits(table: LimitsTable) -> Limits:
    return Limits(
        requests_per_peer=table.requests_per_peer,
        requests_in_all=table.requests_in_all,
        unpaid_orders_in_all=table.unpaid_orders_in_all,
        refusals_per_peer=table.refusals_per_peer,
        effects_at_once=table.effects_at_once,
        reply_bytes=table.reply_bytes,
        node_seconds=table.node_seconds,
        price_seconds=table.price_seconds,
        prune_after=timedelta(days=table.prune_after_days),
    )


def _compat(table: CompatTable) -> Compat:
    peers: dict[NodeId, ErrorShape] = {}
    for text, shape in table.peers.items():
        key = f"compat.peers.{text}"
        try:
            peers[NodeId.parse(text)] = _shape(shape, key)
        except InvalidUnit as error:
            raise ConfigError(str(error), key=key) from None
    return Compat(_shape(table.default, "compat.default"), peers)


def _shape(text: str, key: str) -> ErrorShape:
    for shape in get_args(ErrorShape):
        if text == shape:
            known: ErrorShape = shape
            return known
    raise ConfigError(f"expected one of: {', '.join(get_args(ErrorShape))}", key=key)
