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


def largest_first(utxos: Iterable[Utxo]) -> list[Utxo]:
    return sorted(utxos, key=lambda utxo: (-int(utxo.amount), utxo.outpoint))


def fee(inputs: int, sat_per_kw: int) -> int:
    """In satoshi, rounded up."""
    return -(-sat_per_kw * (OTHER_WEIGHT + INPUT_WEIGHT * inputs) // 1000)


def choose(free: Iterable[Utxo], wanted: Sat, sat_per_kw: int, reserve: Sat = Sat(0)) -> tuple[Outpoint, ...] | None:
    """The largest outputs first, so that inputs are few: enough for `wanted` and the fee, leaving `reserve` in all.
    None when there is not enough."""
    utxos = largest_first(free)
    total = sum(int(utxo.amount) for utxo in utxos)
    chosen: list[Outpoint] = []
    amount = 0
    for utxo in utxos:
        chosen.append(utxo.outpoint)
        amount += int(utxo.amount)
        needed = int(wanted) + fee(len(chosen), sat_per_kw)
        if amount >= needed:
            return tuple(chosen) if total - needed >= int(reserve) else None
    return None
