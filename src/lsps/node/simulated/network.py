"""The simulated world: a chain, nodes, and the connections that carry their messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from random import Random

from lsps.clock import Clock
from lsps.lightning.keys import SecretKey
from lsps.node.contract import PeerNotConnected, PeerOffline, PeerOnline, Refused, WalletChanged
from lsps.node.simulated.chain import Block, Chain, Output, Transaction
from lsps.node.simulated.connections import Connection
from lsps.node.simulated.faults import Faults
from lsps.node.simulated.graph import ChannelGraph
from lsps.node.simulated.lightning_node import LightningNode, Policy
from lsps.node.simulated.payer import Payer
from lsps.node.simulated.timers import Timers
from lsps.units import BlockHeight, Network, NodeId, Sat

MAX_PAYLOAD = 65_533
"""BOLT 8 carries 65,535 bytes, of which BOLT 1 takes two for the type."""


START = BlockHeight(600)
"""Of the chain. Regtest has segwit by then."""


class World:
    """Everything there is. It moves by the clock, by blocks, and by what its nodes are asked to do.

    A hop of a payment by a direct channel is free; each forwarding node takes what its Policy says.
    """

    def __init__(
        self,
        clock: Clock,
        random: Random,
        *,
        network: Network = Network.REGTEST,
        height: BlockHeight = START,
    ) -> None:
        self.clock = clock
        self.random = random
        self.network = network
        self.chain = Chain(random, height)
        self.timers = Timers(clock)
        self.faults = Faults()
        self.nodes: dict[NodeId, LightningNode] = {}
        self.owners: dict[str, NodeId] = {}
        """Whose wallet an address belongs to; nobody's are not here."""
        self.payer = Payer(self.chain, random, network)
        self.graph = ChannelGraph(self)
        self._connections: dict[tuple[NodeId, NodeId], Connection] = {}
        self._on_connect: dict[tuple[NodeId, NodeId], list[Callable[[], None]]] = {}
        self._on_height: list[tuple[BlockHeight, Callable[[], None]]] = []
        self.chain.on_seen(self._receive)
        self.chain.on_block(self._update_wallets)
        self.chain.on_block(self.graph.confirm)
        self.chain.on_block(self._live_on)
        self.chain.on_disconnected(self._rewind_wallets)
        self.chain.on_disconnected(self.graph.rewind)
        self.chain.on_disconnected(self._tell_height)

    def add_node(self, alias: str, policy: Policy | None = None) -> LightningNode:
        """A new running node with a key of its own and nothing else."""
        key = SecretKey(self.random.randbytes(32))
        address = f"127.0.0.1:{9735 + len(self.nodes)}"
        node = LightningNode(self, key, alias, address, policy or Policy())
        self.nodes[node.node_id] = node
        return node

    # --- the chain --------------------------------------------------------------------------------------------------

    def mine(self, blocks: int = 1) -> None:
        self.chain.mine(blocks)

    def reorg(
        self, depth: int, *, dropped: Sequence[str] = (), double_spent: Sequence[str] = (), empty: bool = True
    ) -> None:
        """The newest `depth` blocks give way to one more. What was in them waits again, or is mined at once unless
        `empty`. The `dropped` transactions are forgotten with all that spends them (their wallets send them again with
        the next block); payments of foreign payers that are `double_spent` never were: the coin went back to the payer
        instead. Raises TooDeep, Refused."""
        back: dict[str, Transaction] = {}
        for txid in double_spent:
            again = self.payer.again(txid, [], self.chain.sat_per_kw)
            spender = self.chain.confirmed_spender(again.inputs[0])
            confirmed = None if spender is None else self.chain.height_of(spender)
            if confirmed is not None and self.chain.height.blocks_since(confirmed) >= depth:
                raise Refused(f"the coin of {txid} was spent more than {depth} blocks ago: nothing can take it back")
            back[again.txid] = again
        self.chain.disconnect(depth, dropped)
        self.chain.mine_only(*back.values())
        for _ in range(depth):
            if empty:
                self.chain.mine_only()
            else:
                self.chain.mine()

    def pay(self, address: str, amount: Sat, sat_per_kw: int | None = None) -> str:
        """A foreign payer pays; its output 0 is the payment. At the estimated feerate unless told. Returns the
        transaction's id. Raises Refused."""
        return self.payer.pay([Output(amount, address)], sat_per_kw or self.chain.sat_per_kw).txid

    def replace(self, txid: str, sat_per_kw: int, *, address: str | None = None, amount: Sat | None = None) -> str:
        """The foreign payer of an unconfirmed payment replaces it (BIP 125): a higher fee, and another address or
        amount if given. Returns the new transaction's id. Raises Refused when it pays too little to replace it."""
        old = self.chain.transaction(txid)
        if old is None:
            raise Refused(f"there is no transaction {txid}")
        first = Output(amount or old.outputs[0].amount, address or old.outputs[0].address)
        return self.payer.replace(txid, [first, *old.outputs[1:-1]], sat_per_kw).txid

    def evict(self, txid: str) -> None:
        """The mempool forgets a transaction and all that spends it. A node's own come back with the next block."""
        self.chain.evict(txid)

    def fund(self, node_id: NodeId, amount: Sat, outputs: int = 1) -> None:
        """Send so many outputs of this amount to a node's wallet; they count when a block is mined."""
        wallet = self.nodes[node_id].wallet
        paid = [Output(amount, wallet.new_address()) for _ in range(outputs)]
        self.payer.pay(paid, max(self.chain.sat_per_kw, self.chain.least_sat_per_kw))

    def take_funds(self, node_id: NodeId) -> None:
        """Empty a node's wallet: another program that shares it spent everything that is not locked, nor spent already
        by what the wallet does not know of."""
        wallet = self.nodes[node_id].wallet
        for coin in wallet.coins():
            if self.chain.spent_by(coin.outpoint) is not None:
                continue
            elsewhere = Output(coin.amount, self.payer.new_address())
            wallet.send(self.chain.new_transaction((coin.outpoint,), (elsewhere,), bumped=True))

    # --- connections ------------------------------------------------------------------------------------------------

    def connect(self, one: NodeId, other: NodeId) -> None:
        """Connect two running nodes. Raises PeerNotConnected."""
        if self.connected(one, other):
            return
        for node_id in (one, other):
            if not self.nodes[node_id].running:
                raise PeerNotConnected(f"{self.nodes[node_id].address} does not answer: the node is stopped")
        self.nodes[one].known_addresses[other] = self.nodes[other].address
        self.nodes[other].known_addresses[one] = self.nodes[one].address
        key = _pair(one, other)
        self._connections[key] = Connection(self.nodes[one], self.nodes[other])
        self.nodes[one].peers_feed.publish(PeerOnline(other))
        self.nodes[other].peers_feed.publish(PeerOnline(one))
        self.look_again(one, other)

    def disconnect(self, one: NodeId, other: NodeId) -> None:
        """Cut a connection; messages on their way are lost. Nothing reconnects it but `connect`, or a restart."""
        connection = self._connections.pop(_pair(one, other), None)
        if connection is not None:
            connection.close()
            self.nodes[one].peers_feed.publish(PeerOffline(other))
            self.nodes[other].peers_feed.publish(PeerOffline(one))

    def disconnect_all(self, node_id: NodeId) -> None:
        for one, other in list(self._connections):
            if node_id in (one, other):
                self.disconnect(one, other)

    def connected(self, one: NodeId, other: NodeId) -> bool:
        return _pair(one, other) in self._connections

    def when_connected(self, pairs: Callable[[], Iterable[tuple[NodeId, NodeId]]], action: Callable[[], None]) -> None:
        """Act as soon as all these pairs (asked for anew each time) are connected at once, now or later."""
        for one, other in pairs():
            if not self.connected(one, other):
                waiting = self._on_connect.setdefault(_pair(one, other), [])
                waiting.append(lambda: self.when_connected(pairs, action))
                return
        action()

    def look_again(self, one: NodeId, other: NodeId) -> None:
        """What waits for this connection may not need it any more."""
        for action in self._on_connect.pop(_pair(one, other), ()):
            action()

    def when_at(self, height: BlockHeight, action: Callable[[], None]) -> None:
        """Act as soon as the chain is that high, now or later."""
        if height <= self.chain.height:
            action()
        else:
            self._on_height.append((height, action))

    def send(self, sender: NodeId, receiver: NodeId, payload: bytes) -> None:
        """Raises PeerNotConnected, and Refused for more than 65,533 bytes."""
        if len(payload) > MAX_PAYLOAD:
            raise Refused(f"a message carries at most {MAX_PAYLOAD} bytes (BOLT 1, BOLT 8), not {len(payload)}")
        connection = self._connections.get(_pair(sender, receiver))
        if connection is None:
            raise PeerNotConnected(f"{receiver} is not connected; connect to it first")
        connection.send(sender, payload)

    def close(self) -> None:
        """Stop every node and timer."""
        for node in self.nodes.values():
            node.stop()
        self.timers.close()

    def _receive(self, transaction: Transaction) -> None:
        for index, output in enumerate(transaction.outputs):
            if owner := self.owners.get(output.address):
                self.nodes[owner].wallet.receive(transaction.outpoint(index), output)
        self._tell_wallets([transaction])

    def _update_wallets(self, block: Block) -> None:
        for node in self.nodes.values():
            node.wallet.on_block(block)
        self._tell_wallets(block.transactions)

    def _rewind_wallets(self, block: Block) -> None:
        for node in self.nodes.values():
            node.wallet.on_disconnected(block)

    def _tell_wallets(self, transactions: Sequence[Transaction]) -> None:
        """A hint to each wallet that is paid or pays. Nobody is told of what is replaced, evicted or reorganised away:
        the contract promises no more."""
        concerned: dict[NodeId, None] = {}
        for transaction in transactions:
            spent = [self.chain.output(outpoint) for outpoint in transaction.inputs]
            for output in (*transaction.outputs, *spent):
                owner = None if output is None else self.owners.get(output.address)
                if owner is not None:
                    concerned[owner] = None
        for owner in concerned:
            self.nodes[owner].wallet.feed.publish(WalletChanged())

    def _live_on(self, block: Block) -> None:
        for node in self.nodes.values():
            if node.running:
                node.invoices.cancel_due(block.height)
                node.wallet.rebroadcast()
        due = [action for height, action in self._on_height if height <= block.height]
        self._on_height = [entry for entry in self._on_height if entry[0] > block.height]
        for action in due:
            action()
        self._tell_height(block)

    def _tell_height(self, _: Block) -> None:
        for node in self.nodes.values():
            node.tips_feed.publish(self.chain.height)


def _pair(one: NodeId, other: NodeId) -> tuple[NodeId, NodeId]:
    return (one, other) if one < other else (other, one)
