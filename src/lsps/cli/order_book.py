"""`lsps orders --service`: the LSP's order book, read from its store."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping

from lsps.cli import words
from lsps.cli.failures import UsageError
from lsps.cli.output import note, print_entries, print_json
from lsps.cli.shell import Shell
from lsps.compose import default_store, open_store_read_only
from lsps.orders.ledger import left_to_operator
from lsps.orders.model import ChannelTerms, OnchainOption, Order
from lsps.orders.wire import order_state
from lsps.protocol.sanitize import sanitize
from lsps.service.offer import PaymentTerms
from lsps.store.orders import OrderStore
from lsps.units import InvalidUnit, NodeId, OrderId, Outpoint, Sat


def open_book(args: argparse.Namespace, shell: Shell) -> OrderStore:
    """The store that --config and --lsp name, to be read."""
    try:
        lsp = None if args.lsp is None else NodeId.parse(args.lsp)
    except InvalidUnit as error:
        raise UsageError(f"--lsp: {error}") from None
    config = shell.config(args.config)
    url = None if config is None else config.store
    base = shell.directory if config is None else config.directory
    return open_store_read_only(url or default_store(shell.environment), base, lsp)


def min_refund(args: argparse.Namespace, shell: Shell) -> Sat:
    """Below which nothing is sent back by itself, as lsps.toml says."""
    config = shell.config(args.config)
    return (PaymentTerms() if config is None else config.offer.payment).min_refund


async def show(args: argparse.Namespace, shell: Shell) -> None:
    store, least = open_book(args, shell), min_refund(args, shell)
    try:
        before = None if args.before is None else OrderId(args.before)
        orders = await store.newest_orders(before, args.limit)
    finally:
        await store.close()
    more = orders[-1].id if len(orders) == args.limit else None
    if args.json:
        print_json(shell, {"orders": [_order_json(order, least) for order in orders], "next_before": more})
        return
    if not orders:
        note(shell, "There are no orders (any more).")
        return
    print_entries(shell, ((_head(order), _details(order, least)) for order in orders))
    if more is not None:
        note(shell, f"older ones: --before {more}")


def _head(order: Order) -> str:
    return f"{words.moment(order.created_at)}  {_sold(order)}: {order.state.value}"


def _details(order: Order, least: Sat) -> Iterator[str]:
    options = (("", order.bolt11), (" on-chain", order.onchain))
    fees = [f"fee {words.sat(option.fee_total)}{where}" for where, option in options if option is not None]
    yield f"order {order.id}, {' or '.join(fees) or 'free'}"
    yield f"customer {order.principal}"
    if order.onchain is not None and order.onchain.deposits:
        paid = Sat(sum(int(deposit.amount) for deposit in order.onchain.deposits if not deposit.gone))
        yield f"paid on-chain: {words.sat(paid)} of {words.sat(order.onchain.order_total)}; lsps ledger tells more"
    for deposit, _ in left_to_operator(order, least):
        yield f"{words.sat(deposit.excess)} for you to decide: lsps ledger tells why"
    if order.reason:
        yield sanitize(order.reason)


def _sold(order: Order) -> str:
    if isinstance(order.terms, ChannelTerms):
        size = words.sat(order.terms.lsp_balance + order.terms.client_balance)
        return f"channel of {size} for {words.blocks(order.terms.channel_expiry_blocks)}"
    return f"extend {order.terms.short_channel_id} by {words.blocks(order.terms.channel_extension_expiry_blocks)}"


def _order_json(order: Order, least: Sat) -> dict[str, object]:
    """Without the token, which is a secret."""
    terms = order.terms
    if isinstance(terms, ChannelTerms):
        asked: dict[str, object] = {
            "lsp_balance_sat": terms.lsp_balance,
            "client_balance_sat": terms.client_balance,
            "channel_expiry_blocks": terms.channel_expiry_blocks,
            "announce_channel": terms.announce_channel,
        }
    else:
        asked = {
            "short_channel_id": terms.short_channel_id,
            "channel_extension_expiry_blocks": terms.channel_extension_expiry_blocks,
            "new_channel_expiry_block": terms.new_channel_expiry_block,
        }
    left = {deposit.outpoint: reason for deposit, reason in left_to_operator(order, least)}
    option, onchain, channel = order.bolt11, order.onchain, order.channel
    return {
        "order_id": order.id,
        "service": order.service,
        "state": order.state.value,
        "order_state": order_state(order),
        "customer": order.principal,
        "created_at": order.created_at,
        "closed_at": order.closed_at,
        **asked,
        "fee_total_sat": None if option is None else option.fee_total,
        "order_total_sat": None if option is None else option.order_total,
        "payment_hash": None if option is None else option.payment_hash.hex(),
        "onchain": None if onchain is None else _onchain_json(onchain, left),
        "paid_by": order.paid_by,
        "funding_outpoint": None if channel is None else channel.funding_outpoint,
        "reason": order.reason,
    }


def _onchain_json(option: OnchainOption, left: Mapping[Outpoint, str]) -> dict[str, object]:
    return {
        "address": option.address,
        "refund_onchain_address": option.refund_address,
        "fee_total_sat": option.fee_total,
        "order_total_sat": option.order_total,
        "expires_at": option.expires_at,
        "deposits": [
            {
                "outpoint": deposit.outpoint,
                "amount_sat": deposit.amount,
                "height": deposit.height,
                "gone": deposit.gone,
                "kept_sat": deposit.kept,
                "refunds": [
                    {"txid": refund.txid, "paid_sat": refund.paid, "published_at": refund.published_at}
                    for refund in deposit.refunds
                ],
                "refunded_at_height": deposit.refunded_at,
                "left_to_operator": left.get(deposit.outpoint),
            }
            for deposit in option.deposits
        ],
    }
