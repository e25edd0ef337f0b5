"""Customers who pay on-chain with our client: one transaction a wish, kept before it is sent, followed to its end."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

import msgspec

from lsps.client.errors import NotDelivered, OrderFailed, PaymentFailed
from lsps.errors import LspsError
from lsps.node.contract import SignedTransaction
from lsps.node.simulated.chain import Block
from lsps.node.simulated.network import World
from lsps.protocol.rules import MOST_CONFIRMATIONS
from lsps.store.sqlite.connection import open_for_reading
from lsps.units import Outpoint
from tests.simulation.invariants.verdict import Fail
from tests.simulation.loop import MICRO, SimulatedLoop
from tests.simulation.wallets import Wallet, Wish

_LOOKED = 700 * MICRO
"""So long ago a client may have looked at the chain for what it says now: its calls can be slow."""
_KEPT = "SELECT parameters, txid, inputs, refund_address FROM entries JOIN transactions ON entry = number"


@dataclass(frozen=True, slots=True)
class _Kept:
    """A transaction in a wallet's journal."""

    blocks: int
    txid: str
    inputs: tuple[Outpoint, ...]
    refund_address: str


class Payers:
    """A Watcher of the wallets."""

    def __init__(self, loop: SimulatedLoop, world: World, fail: Fail) -> None:
        self._loop = loop
        self._world = world
        self._fail = fail
        self._sent: dict[tuple[str, int], str] = {}
        """What each wish of a wallet was paid with."""
        self.sent: list[str] = []
        """All of it, the newest last."""
        self._paid: set[str] = set()
        """Addresses that a block paid to, whatever became of it."""
        self._reorganised: int | None = None
        world.chain.on_block(self._on_block)
        world.chain.on_disconnected(self._on_disconnected)

    def _on_block(self, block: Block) -> None:
        self._paid.update(output.address for transaction in block.transactions for output in transaction.outputs)

    def _on_disconnected(self, _: Block) -> None:
        self._reorganised = self._loop.micros

    def on_publish(self, wallet: Wallet, transaction: SignedTransaction) -> None:
        kept = next((one for one in _kept(wallet) if one.txid == transaction.txid), None)
        if kept is None:
            self._fail("kept before it is sent", f"{wallet.name} sends {transaction.txid}, and its journal has it not")
            return
        if kept.txid not in self.sent:
            self.sent.append(kept.txid)
        before = self._sent.setdefault((wallet.name, kept.blocks), kept.txid)
        if before != kept.txid:
            text = f"{wallet.name} pays for its wish of {kept.blocks} blocks with {kept.txid}, and before with {before}"
            self._fail("a wish is paid once", text)
        for outpoint in kept.inputs:
            spender = wallet.node.wallet.spender(outpoint)
            if spender != kept.txid and spender in self.sent:
                self._fail("a coin pays once", f"{wallet.name} pays with {outpoint}, which pays already in {spender}")

    def is_under_way(self, wallet: Wallet, wish: Wish) -> bool:
        """Whether the wallet knows of a transaction that pays for it, in a block or not."""
        return any(
            wallet.node.wallet.spender(outpoint) == kept.txid
            for kept in _kept(wallet)
            if kept.blocks == wish.blocks
            for outpoint in kept.inputs
        )

    def on_end(self, wallet: Wallet, wish: Wish, error: LspsError | None) -> None:
        kept = next((one for one in _kept(wallet) if one.blocks == wish.blocks), None)
        if kept is None or error is None or isinstance(error, NotDelivered):
            return
        known = self.is_under_way(wallet, wish)
        text = f"{wallet.name} wanted to {wish}, and ends it: {type(error).__name__}: {error}"
        if isinstance(error, PaymentFailed):
            recent = self._reorganised is not None and self._loop.micros - self._reorganised <= _LOOKED
            if not recent and not any(self._is_buried_rival(kept, outpoint) for outpoint in kept.inputs):
                self._fail("what may still pay is waited for", text)
        elif isinstance(error, OrderFailed):
            if known and kept.refund_address not in self._paid:
                self._fail("a refund is followed", text)
        elif known:
            self._fail("what was sent is followed", text)

    def _is_buried_rival(self, kept: _Kept, outpoint: Outpoint) -> bool:
        spender = self._world.chain.confirmed_spender(outpoint)
        height = None if spender in (None, kept.txid) else self._world.chain.height_of(str(spender))
        return height is not None and self._world.chain.height.blocks_since(height) + 1 >= MOST_CONFIRMATIONS


def _kept(wallet: Wallet) -> list[_Kept]:
    """As they are on the wallet's disk."""
    with closing(open_for_reading(wallet.path.resolve())) as connection:
        rows = connection.execute(_KEPT).fetchall()
    kept = []
    for parameters, txid, inputs, refund_address in rows:
        fields = msgspec.json.decode(parameters)
        blocks = fields.get("channel_extension_expiry_blocks", fields.get("channel_expiry_blocks"))
        kept.append(_Kept(blocks, txid, tuple(map(Outpoint.parse, inputs.split())), refund_address))
    return kept
