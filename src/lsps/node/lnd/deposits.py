"""What lnd's list of transactions says was paid to the wallet.

lnd (v0.21.2-beta) forgets a transaction in no block as soon as another one of this wallet that spends the same output
is in one. Until then it lists both; and for ever, or until lnd restarts, when the other does not touch this wallet. So
of several in no block that spend one output, we take the newest, which replaced the others (BIP 125).
"""

from __future__ import annotations

from collections.abc import Iterable

from lsps.node.contract import Deposit, Spender
from lsps.node.lnd import lnd_pb2 as pb
from lsps.units import BlockHeight, Outpoint, Sat


def deposits(transactions: Iterable[pb.Transaction]) -> list[Deposit]:
    """All outputs of these transactions that are the wallet's; their spenders are looked for among these as well."""
    standing = _standing(list(transactions))
    spenders = {one.outpoint: tx for tx in standing for one in tx.previous_outpoints}
    return [
        _deposit(tx, output, spenders.get(f"{tx.tx_hash}:{output.output_index}"))
        for tx in standing
        for output in tx.output_details
        if output.is_our_address
    ]


def height_of(tx: pb.Transaction) -> BlockHeight | None:
    return BlockHeight(tx.block_height) if tx.block_height > 0 else None


def _deposit(tx: pb.Transaction, output: pb.OutputDetail, spender: pb.Transaction | None) -> Deposit:
    return Deposit(
        outpoint=Outpoint(tx.tx_hash, output.output_index),
        address=output.address,
        amount=Sat(output.amount),
        height=height_of(tx),
        sat_per_kw=None,
        spent_by=None if spender is None else Spender(spender.tx_hash, height_of(spender)),
    )


def _standing(transactions: list[pb.Transaction]) -> list[pb.Transaction]:
    """Those in blocks, and those of the others that nothing else here has replaced."""
    standing = [tx for tx in transactions if tx.block_height > 0]
    taken = {one.outpoint for tx in standing for one in tx.previous_outpoints}
    for tx in sorted((tx for tx in transactions if tx.block_height <= 0), key=_newest_first):
        spent = {one.outpoint for one in tx.previous_outpoints}
        if taken.isdisjoint(spent):
            taken |= spent
            standing.append(tx)
    return standing


def _newest_first(tx: pb.Transaction) -> tuple[int, int]:
    """Within one second: a replacement of the same inputs pays more, so its outputs have less."""
    return -tx.time_stamp, sum(output.amount for output in tx.output_details)
