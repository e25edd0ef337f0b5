"""Whoever pays on-chain and is no node of the world: an exchange, a person's own wallet, another's channel."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from lsps.lightning.bech32 import InvalidAddress, WitnessProgram, decode_address, encode_address
from lsps.node.contract import Refused
from lsps.node.simulated.chain import Chain, Output, Rejected, Transaction
from lsps.node.simulated.transactions import fee_of
from lsps.units import Network, Outpoint, Sat

_SPARE = 50_000_000
"""What a payer has beyond what it pays, in satoshi: for fees, and for paying again with higher ones."""


class Payer:
    """Each payment is a transaction of one input. Its last output is the payer's change, the others what is paid."""

    def __init__(self, chain: Chain, random: Random, network: Network) -> None:
        self._chain = chain
        self._random = random
        self._network = network
        self._coins: dict[Outpoint, Output] = {}

    def new_address(self) -> str:
        """A valid taproot address that nobody in this world owns."""
        return encode_address(WitnessProgram(1, self._random.randbytes(32)), self._network)

    def pay(self, outputs: Sequence[Output], sat_per_kw: int) -> Transaction:
        """Broadcast a payment. Raises Refused: an address that is none on this network, or too low a feerate."""
        coin = Output(Sat(sum(output.amount.value for output in outputs) + _SPARE), self.new_address())
        outpoint = self._chain.mint(coin)
        self._coins[outpoint] = coin
        return self._send(self._make(outpoint, outputs, sat_per_kw))

    def replace(self, txid: str, outputs: Sequence[Output] | None, sat_per_kw: int) -> Transaction:
        """Spend the same coin again: what was paid before, or other outputs. Raises Refused."""
        return self._send(self.again(txid, outputs, sat_per_kw))

    def again(self, txid: str, outputs: Sequence[Output] | None, sat_per_kw: int) -> Transaction:
        """The transaction that `replace` broadcasts. Raises Refused."""
        old = self._chain.transaction(txid)
        if old is None or old.inputs[0] not in self._coins:
            raise Refused(f"{txid} is no payment of a foreign payer")
        return self._make(old.inputs[0], old.outputs[:-1] if outputs is None else outputs, sat_per_kw)

    def _make(self, coin: Outpoint, outputs: Sequence[Output], sat_per_kw: int) -> Transaction:
        for output in outputs:
            try:
                decode_address(output.address, self._network)
            except InvalidAddress as error:
                raise Refused(str(error)) from None
        source = self._coins[coin]
        weight = self._chain.new_transaction((coin,), (*outputs, source)).weight
        spent = sum(output.amount.value for output in outputs) + fee_of(weight, sat_per_kw)
        if source.amount.value <= spent:
            raise Refused(f"the payer has {source.amount} sat there, and would pay {spent} sat")
        change = Output(source.amount - Sat(spent), source.address)
        return self._chain.new_transaction((coin,), (*outputs, change))

    def _send(self, transaction: Transaction) -> Transaction:
        try:
            self._chain.broadcast(transaction)
        except Rejected as error:
            raise Refused(f"transaction rejected: {error}") from None
        return transaction
