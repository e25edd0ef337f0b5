"""Which of a wallet's outputs to spend, and from when on they are there to stay."""

from __future__ import annotations

from collections.abc import Iterable

from lsps.node.contract import Utxo
from lsps.units import Outpoint, Sat

BURIED = 144
"""Blocks after which a reorganisation is not reckoned with."""
INPUT_WEIGHT = 272
"""A P2WPKH input; a Taproot one is lighter."""
OTHER_WEIGHT = 560
"""Everything else of a transaction that pays to one address: overhead, its output (of a channel, too), change."""


def choose(free: Iterable[Utxo], wanted: Sat, sat_per_kw: int, reserve: Sat = Sat(0)) -> tuple[Outpoint, ...] | None:
    """The largest outputs first, so that inputs are few: enough for `wanted` and the fee, leaving `reserve` in all.
    None when there is not enough."""
    coins = sorted(free, key=lambda utxo: (-int(utxo.amount), utxo.outpoint))
    total = sum(int(utxo.amount) for utxo in coins)
    chosen: list[Outpoint] = []
    amount = 0
    for utxo in coins:
        chosen.append(utxo.outpoint)
        amount += int(utxo.amount)
        fee = -(-sat_per_kw * (OTHER_WEIGHT + INPUT_WEIGHT * len(chosen)) // 1000)
        if amount >= int(wanted) + fee:
            return tuple(chosen) if total - int(wanted) - fee >= int(reserve) else None
    return None
