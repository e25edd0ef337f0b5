"""LSPS1's rules (bLIP-51) that message and offer decide; those that need state are the service's and the client's."""

from __future__ import annotations

from collections.abc import Iterator

from lsps.protocol.errors import InvalidParams, OptionMismatch
from lsps.protocol.lsps1 import ChannelOrder, CreateOrderParams, Options
from lsps.protocol.payment import OrderState
from lsps.protocol.rules import RuleViolation, check_order_id, check_payment, mirrored

_PAIRS = ("initial_client_balance_sat", "initial_lsp_balance_sat", "channel_balance_sat")
_MIRRORED = (
    "lsp_balance_sat",
    "client_balance_sat",
    "required_channel_confirmations",
    "funding_confirms_within_blocks",
    "channel_expiry_blocks",
    "announce_channel",
)


def check_options(options: Options) -> Iterator[RuleViolation]:
    """bLIP-51 §1: what get_info may say. `path` is the option's name; a service checks its configuration so."""
    for name in ("min_funding_confirms_within_blocks", "max_channel_expiry_blocks"):
        if getattr(options, name) < 1:
            yield RuleViolation("option_bound", name, "bLIP-51 §1", f"{name} must be 1 or greater")
    for pair in _PAIRS:
        low, high = getattr(options, f"min_{pair}"), getattr(options, f"max_{pair}")
        if low > high:
            text = f"min_{pair} ({low}) is greater than max_{pair} ({high})"
            yield RuleViolation("option_pair", f"min_{pair}", "bLIP-51 §1", text)


def check_create_order(params: CreateOrderParams, options: Options) -> None:
    """That an order can be taken (bLIP-51 §2), but for its refund address, token and funds.

    Raises InvalidParams below an absolute bound, OptionMismatch with the option's name outside the LSP's options.
    """
    # Absolute bounds first: they hold whatever the LSP offers.
    if int(params.lsp_balance_sat) < 1:
        raise InvalidParams("lsp_balance_sat", "lsp_balance_sat must be 1 or greater")
    if params.channel_expiry_blocks < 1:
        raise InvalidParams("channel_expiry_blocks", "channel_expiry_blocks must be 1 or greater")
    lsp, client = int(params.lsp_balance_sat), int(params.client_balance_sat)
    _at_least("min_required_channel_confirmations", params.required_channel_confirmations, options)
    _at_least("min_funding_confirms_within_blocks", params.funding_confirms_within_blocks, options)
    _at_most("max_channel_expiry_blocks", params.channel_expiry_blocks, options)
    _at_least("min_initial_client_balance_sat", client, options)
    _at_most("max_initial_client_balance_sat", client, options)
    _at_least("min_initial_lsp_balance_sat", lsp, options)
    _at_most("max_initial_lsp_balance_sat", lsp, options)
    # Plain ints: two 64-bit balances may add up to more than an amount can hold.
    _at_least("min_channel_balance_sat", lsp + client, options)
    _at_most("max_channel_balance_sat", lsp + client, options)


def _at_least(option: str, value: int, options: Options) -> None:
    if value < int(getattr(options, option)):
        raise OptionMismatch(option, f"{option} is {getattr(options, option)}, the order has {value}")


def _at_most(option: str, value: int, options: Options) -> None:
    if value > int(getattr(options, option)):
        raise OptionMismatch(option, f"{option} is {getattr(options, option)}, the order has {value}")


def check_order_reply(params: CreateOrderParams, order: ChannelOrder) -> Iterator[RuleViolation]:
    """What is wrong with the order that answers `params` (bLIP-51 §2 to §4), without looking into its invoice."""
    yield from check_order_id(order.order_id, "bLIP-51 §2")
    for name in _MIRRORED:
        yield from mirrored(name, getattr(params, name), getattr(order, name), "bLIP-51 §2")
    yield from mirrored("token", params.token or "", order.token, "bLIP-51 §2")
    yield from check_payment(order.payment, params.client_balance_sat, params.refund_onchain_address or None)
    if order.order_state is OrderState.COMPLETED and order.channel is None:
        yield RuleViolation("channel", "channel", "bLIP-51 §2, §4", "the order is completed, but names no channel")
    if order.order_state is OrderState.CREATED and order.channel is not None:
        text = "there is a channel already, but the order is not completed"
        yield RuleViolation("channel", "channel", "bLIP-51 §2, §4", text)
