"""The on-chain wallet: what is paid to it, and transactions that are signed before they are sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from lsps.node.contract.streams import Resumed
from lsps.units import BlockHeight, Outpoint, Sat


@dataclass(frozen=True, slots=True)
class Utxo:
    outpoint: Outpoint
    amount: Sat
    address: str


@dataclass(frozen=True, slots=True)
class Spender:
    """A transaction that spends an output; `height` of its block, None while it waits for one."""

    txid: str
    height: BlockHeight | None


@dataclass(frozen=True, slots=True)
class Deposit:
    """An output that pays to an address of this wallet, spent or not.

    `height` of its block, None while it waits for one. `sat_per_kw`: what its transaction pays, None when the wallet
    cannot know (`Wallet.sees_fees`).
    """

    outpoint: Outpoint
    address: str
    amount: Sat
    height: BlockHeight | None
    sat_per_kw: int | None
    spent_by: Spender | None


@dataclass(frozen=True, slots=True)
class WalletChanged:
    """Deposits came, confirmed, were spent or replaced: read them again."""


@dataclass(frozen=True, slots=True)
class Spend:
    """A transaction of the wallet: it spends all of `inputs` and no others, and pays to `address`; what is left comes
    back to the wallet, unless it is dust. The address gets `amount`, or `amount` less the fee with `fee_from_amount`.
    It can be replaced (BIP 125)."""

    inputs: tuple[Outpoint, ...]
    address: str
    amount: Sat
    fee_from_amount: bool
    sat_per_kw: int


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """`paid` is what the address gets."""

    txid: str
    raw: bytes
    paid: Sat
    fee: Sat


class Wallet(Protocol):
    @property
    def sees_fees(self) -> bool:
        """Whether a Deposit tells the feerate its transaction pays."""
        ...

    async def inputs(self) -> Sequence[Utxo]:
        """Confirmed outputs that can be spent now: neither locked nor used by a pending transaction."""
        ...

    async def feerate(self, target_blocks: int) -> int:
        """The feerate, in satoshi per 1000 weight, to confirm within so many blocks. Never under 253."""
        ...

    async def new_address(self) -> str:
        """A SegWit address that was never given before. Raises NodeUnreachable."""
        ...

    async def deposits(self, since: BlockHeight) -> Sequence[Deposit]:
        """All deposits that wait for a block or are in one at or above `since`, as of now. One that is missing here has
        been replaced, evicted or reorganised away, until it is listed again."""
        ...

    def changes(self) -> AsyncIterator[Resumed | WalletChanged]:
        """A hint that `deposits` would answer differently. It may come too often, and not for everything: a
        replacement, an eviction or a reorganisation is found by reading again."""
        ...

    async def sign(self, spend: Spend) -> SignedTransaction:
        """Make and sign a transaction, and send it nowhere. The inputs must be confirmed; they may be spent by an
        unconfirmed transaction of this wallet, which this one is to replace. Nothing is reserved. Raises Refused: an
        input is not the wallet's or is spent for good, or too little would be left to pay."""
        ...

    async def publish(self, transaction: SignedTransaction) -> None:
        """Send it to the network. A repeat is fine, also after it confirmed. Raises Refused for certain (an input is
        spent otherwise, or it pays too little to replace what spends it), NodeUnreachable."""
        ...
