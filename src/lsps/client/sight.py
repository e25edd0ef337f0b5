"""What our own wallet shows of a payment of ours, and of its refund."""

from __future__ import annotations

from dataclasses import dataclass

from lsps.node.contract import Deposit, Node, Spender, Wallet
from lsps.store.journal import OnchainTransaction
from lsps.units import BlockHeight, Sat


@dataclass(frozen=True, slots=True)
class Sight:
    """`is_known`: the wallet lists the payment; `height` of its block. `rival` spends one of its inputs instead.
    `refunds` are deposits at the refund address."""

    tip: BlockHeight
    is_known: bool
    height: BlockHeight | None
    rival: Spender | None
    refunds: tuple[Deposit, ...]

    @property
    def confirmations(self) -> int:
        return self.depth(self.height)

    def depth(self, height: BlockHeight | None) -> int:
        """Confirmations. The wallet may know of a block that the tip does not show yet."""
        return 0 if height is None else max(1, self.tip.blocks_since(height) + 1)

    @property
    def refunded(self) -> Sat:
        return sum((refund.amount for refund in self.refunds), Sat(0))

    @property
    def is_refund_confirmed(self) -> bool:
        return bool(self.refunds) and all(refund.height is not None for refund in self.refunds)


async def look(node: Node, wallet: Wallet, transaction: OnchainTransaction, refund_address: str) -> Sight:
    """Raises NodeError."""
    deposits = await wallet.deposits(transaction.since)
    tip = (await node.info()).height
    inputs = set(transaction.inputs)
    spenders = [deposit.spent_by for deposit in deposits if deposit.outpoint in inputs and deposit.spent_by]
    ours = [spender.height for spender in spenders if spender.txid == transaction.txid]
    # Its change, if there is any, tells as well.
    ours += [deposit.height for deposit in deposits if deposit.outpoint.txid == transaction.txid]
    rivals = [spender for spender in spenders if spender.txid != transaction.txid]
    height = next((height for height in ours if height is not None), None)
    paid_there = (
        deposit
        for deposit in deposits
        if deposit.address == refund_address and deposit.outpoint.txid != transaction.txid
    )
    return Sight(
        tip=tip,
        is_known=bool(ours),
        height=height,
        rival=next(iter(rivals), None),
        # What is older than the payment is no refund of it, at an address that was used before.
        refunds=tuple(one for one in paid_there if one.height is None or (height is not None and one.height >= height)),
    )
