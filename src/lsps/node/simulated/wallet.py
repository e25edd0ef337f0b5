"""The on-chain wallet of one node: its addresses, what was paid to them, and what it spends."""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING

from lsps.lightning import bech32
from lsps.lightning.keys import SecretKey
from lsps.node.contract import Deposit, Refused, SignedTransaction, Spend, Spender, Utxo, WalletChanged
from lsps.node.simulated.mempool import Rejected
from lsps.node.simulated.streams import Feed
from lsps.node.simulated.transactions import (
    Block,
    InvalidTransaction,
    Output,
    Transaction,
    dust_limit,
    fee_of,
    transaction_weight,
)
from lsps.units import BlockHeight, Network, Outpoint, Sat

if TYPE_CHECKING:
    from lsps.node.simulated.chain import Chain
    from lsps.node.simulated.lightning_node import LightningNode


class WalletBook:
    """What of the chain is this wallet's. Whether an output is there now, the chain knows; what the wallet itself sent
    counts as spent until another transaction is mined instead, though the mempool may have forgotten it."""

    def __init__(self, node: LightningNode) -> None:
        self.feed: Feed[WalletChanged] = Feed()
        self._node = node
        self._addresses = 0
        self._received: dict[Outpoint, Output] = {}
        self._sent: dict[str, None] = {}
        self._unconfirmed: dict[str, Transaction] = {}

    def new_address(self) -> str:
        """A taproot address."""
        self._addresses += 1
        secret = sha256(self._node.key.to_bytes() + self._addresses.to_bytes(8, "big")).digest()
        address = taproot_address(SecretKey(secret), self._node.world.network)
        self._node.world.owners[address] = self._node.node_id
        return address

    # --- what there is ----------------------------------------------------------------------------------------------

    def coins(self) -> list[Utxo]:
        """Confirmed, unspent, and not locked by a negotiation."""
        return [
            Utxo(outpoint, output.amount, output.address)
            for outpoint, output in self._received.items()
            if self._is_unspent(outpoint) and not self._node.openings.is_locked(outpoint)
        ]

    def spendable(self, outpoint: Outpoint) -> Sat | None:
        """The amount of such a coin; None when it is none."""
        output = self._received.get(outpoint)
        if output is None or not self._is_unspent(outpoint) or self._node.openings.is_locked(outpoint):
            return None
        return output.amount

    def spender(self, outpoint: Outpoint) -> str | None:
        """The id of the transaction that spends it: in a block, or sent by this wallet, which nobody else can."""
        return self._chain.confirmed_spender(outpoint) or next(
            (sent.txid for sent in self._unconfirmed.values() if outpoint in sent.inputs), None
        )

    def deposits(self, since: BlockHeight) -> list[Deposit]:
        chain, found = self._chain, []
        for outpoint, output in self._received.items():
            height = chain.height_of(outpoint.txid)
            if not chain.knows(outpoint.txid) or (height is not None and height < since):
                continue
            spender = self.spender(outpoint)
            found.append(
                Deposit(
                    outpoint=outpoint,
                    address=output.address,
                    amount=output.amount,
                    height=height,
                    sat_per_kw=self._sat_per_kw(outpoint.txid) if self._node.policy.sees_fees else None,
                    spent_by=None if spender is None else Spender(spender, chain.height_of(spender)),
                )
            )
        return found

    # --- spending ---------------------------------------------------------------------------------------------------

    def sign(self, spend: Spend) -> SignedTransaction:
        """Raises Refused."""
        available = self._check(spend)
        payment, change = Output(spend.amount, spend.address), self.new_address()
        inputs, amount = len(spend.inputs), spend.amount.value
        kept: tuple[Output, ...] = ()
        fee = fee_of(transaction_weight(inputs, (payment, Output(Sat(0), change))), spend.sat_per_kw)
        left = available - amount - (0 if spend.fee_from_amount else fee)
        if left >= dust_limit(change).value:
            kept = (Output(Sat(left), change),)
        else:
            fee = fee_of(transaction_weight(inputs, (payment,)), spend.sat_per_kw)
        paid = amount - fee if spend.fee_from_amount else amount
        needed = amount if spend.fee_from_amount else amount + fee
        if available < needed or paid < dust_limit(spend.address).value:
            raise Refused(f"the inputs have {available} sat: too little to pay {amount} sat with a fee of {fee} sat")
        transaction = self._chain.new_transaction(spend.inputs, (Output(Sat(paid), spend.address), *kept))
        return SignedTransaction(transaction.txid, transaction.encode(), Sat(paid), Sat(self._chain.fee(transaction)))

    def publish(self, signed: SignedTransaction) -> None:
        """Raises Refused."""
        try:
            transaction = Transaction.decode(signed.raw)
        except InvalidTransaction as error:
            raise Refused(str(error)) from None
        if transaction.txid != signed.txid:
            raise Refused(f"the transaction's id is {transaction.txid}, not {signed.txid}")
        self.send(transaction)

    def send(self, transaction: Transaction) -> None:
        """Broadcast it, and again after each block until it or another one confirms. Raises Refused."""
        try:
            self._chain.broadcast(transaction)
        except Rejected as error:
            raise Refused(f"transaction rejected: {error}") from None
        if self._chain.height_of(transaction.txid) is None:
            for other in list(self._unconfirmed.values()):
                if not set(other.inputs).isdisjoint(transaction.inputs):
                    del self._unconfirmed[other.txid]
            self._unconfirmed[transaction.txid] = transaction
        self._sent[transaction.txid] = None

    def keep_sending(self, transaction: Transaction) -> None:
        """As `send`, also when it cannot be taken in yet since what it spends has been forgotten."""
        self._unconfirmed[transaction.txid] = transaction
        self._sent[transaction.txid] = None
        self.rebroadcast()

    def rebroadcast(self) -> None:
        """As LND does after each block and at its start."""
        for transaction in self._unconfirmed.values():
            if not self._chain.knows(transaction.txid):
                with suppress(Rejected):
                    self._chain.broadcast(transaction)

    # --- what the world tells ---------------------------------------------------------------------------------------

    def receive(self, outpoint: Outpoint, output: Output) -> None:
        self._received[outpoint] = output

    def on_block(self, block: Block) -> None:
        for transaction in block.transactions:
            self._unconfirmed.pop(transaction.txid, None)
        for transaction in list(self._unconfirmed.values()):
            if self._chain.is_impossible(transaction):
                del self._unconfirmed[transaction.txid]

    def on_disconnected(self, block: Block) -> None:
        back = {sent.txid: sent for sent in block.transactions if sent.txid in self._sent}
        self._unconfirmed = back | self._unconfirmed  # parents first

    def _check(self, spend: Spend) -> int:
        """What the inputs have, in satoshi. Raises Refused."""
        try:
            bech32.decode_address(spend.address, self._node.world.network)
        except bech32.InvalidAddress as error:
            raise Refused(str(error)) from None
        if not spend.inputs or len(set(spend.inputs)) != len(spend.inputs):
            raise Refused("a transaction spends inputs that are named once each")
        total = 0
        for outpoint in spend.inputs:
            output = self._received.get(outpoint)
            if output is None or self._chain.height_of(outpoint.txid) is None:
                raise Refused(f"{outpoint} is no confirmed output of this wallet")
            if self._chain.confirmed_spender(outpoint) is not None:
                raise Refused(f"{outpoint} is spent")
            total += output.amount.value
        return total

    def _is_unspent(self, outpoint: Outpoint) -> bool:
        return self._chain.height_of(outpoint.txid) is not None and self.spender(outpoint) is None

    def _sat_per_kw(self, txid: str) -> int | None:
        transaction = self._chain.transaction(txid)
        return None if transaction is None else self._chain.sat_per_kw_of(transaction)

    @property
    def _chain(self) -> Chain:
        return self._node.world.chain


def taproot_address(key: SecretKey, network: Network) -> str:
    """The taproot address whose output key this is."""
    return bech32.encode_address(bech32.WitnessProgram(1, bytes(key.node_id)[1:]), network)
