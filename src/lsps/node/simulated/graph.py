"""All channels of the world, from funding to close, and what blocks do to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsps.node.contract import ChannelGone, ChannelState, Refused
from lsps.node.simulated.chain import Block, Output, Transaction
from lsps.node.simulated.channels import FUNDING_OUTPUT, SimulatedChannel, Splice
from lsps.node.simulated.transactions import dust_limit
from lsps.units import ChannelId, Msat, NodeId, Outpoint, Sat, Scid

if TYPE_CHECKING:
    from lsps.node.simulated.lightning_node import LightningNode
    from lsps.node.simulated.network import World
    from lsps.node.simulated.payments import Htlc

_FIRST_ALIAS_BLOCK = 16_000_000
"""LND takes its aliases from here on, where no confirmed channel can be."""


class ChannelGraph:
    """The channels by their transactions; each node has its own by their ids."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._aliases = 0
        self._funded: dict[str, SimulatedChannel] = {}
        """By the funding transaction, that of a splice too."""
        self._mined: dict[str, Scid] = {}
        """Where a funding transaction stands in the chain."""
        self._ripening: dict[ChannelId, SimulatedChannel] = {}
        """Those that wait for confirmations."""
        self._closing: dict[str, SimulatedChannel] = {}

    def add(self, channel: SimulatedChannel) -> None:
        """A channel whose funding transaction was broadcast."""
        self._wait_for(channel.funding, channel)
        for node in self._ends(channel):
            node.channels[channel.channel_id] = channel
        if channel.zero_conf:
            channel.state = ChannelState.OPEN
        self._tell(channel)

    def new_alias(self) -> Scid:
        self._aliases += 1
        return Scid(_FIRST_ALIAS_BLOCK + (self._aliases >> 24), self._aliases & 0xFFFFFF, 0)

    def close(self, channel_id: ChannelId) -> None:
        """Close a channel together: it is CLOSING until a block is mined. Raises Refused."""
        channel = self._idle(channel_id)
        self._close(channel, channel.opener)

    def force_close(self, channel_id: ChannelId, side: NodeId) -> None:
        """One side closes alone. What is in flight goes on-chain: from there the receiver takes what is settled, and
        the sender after its expiry what is not (BOLT 5). Nobody's output is delayed here. Raises Refused."""
        channel = self._open(channel_id)
        transaction = self._close(channel, side)
        first = len(transaction.outputs) - len(channel.in_flight)
        channel.on_chain = {htlc: transaction.outpoint(first + index) for index, htlc in enumerate(channel.in_flight)}
        self._world.look_again(channel.opener, channel.peer)

    def claim(self, channel: SimulatedChannel, htlc: Htlc, receiver: NodeId) -> None:
        """Take an HTLC's output to the receiver's wallet."""
        outpoint = (channel.on_chain or {})[htlc]
        output = self._world.chain.output(outpoint)
        wallet = self._world.nodes[receiver].wallet
        amount = Sat(0) if output is None else output.amount
        taken = Output(amount, wallet.new_address())
        wallet.keep_sending(self._world.chain.new_transaction((outpoint,), (taken,), bumped=True))

    def _close(self, channel: SimulatedChannel, side: NodeId) -> Transaction:
        """Its outputs: each side's balance if there is any, then what is in flight. Raises Refused: it stays open."""
        paid = {node_id: Msat(balance).to_sat_floor() for node_id, balance in channel.balances.items()}
        wallets = {node.node_id: node.wallet for node in self._ends(channel)}
        outputs = tuple(Output(amount, wallets[side].new_address()) for side, amount in paid.items() if amount)
        held = tuple(
            Output(amount.to_sat_floor(), self._world.payer.new_address()) for amount in channel.in_flight.values()
        )
        transaction = self._world.chain.new_transaction((channel.funding,), (*outputs, *held), bumped=True)
        wallets[side].send(transaction)
        channel.state = ChannelState.CLOSING
        self._closing[transaction.txid] = channel
        self._tell(channel)
        return transaction

    def splice(self, channel_id: ChannelId, side: NodeId, sat: int) -> str:
        """A side adds to its balance from its wallet, or takes out to it (negative). When the transaction is as deep as
        the channel needs, funding, capacity and SCID change; the channel id stays (BOLT 2, splicing). Returns the
        transaction's id. Raises Refused."""
        channel = self._idle(channel_id)
        if channel.splice is not None or channel.scid is None:
            raise Refused(f"channel {channel_id} is unconfirmed, or being spliced already")
        wallet, chain = self._world.nodes[side].wallet, self._world.chain
        if sat <= 0 and channel.balances[side] + sat * 1000 <= 0:
            raise Refused(f"the balance is less than {-sat} sat")
        inputs, left = [channel.funding], -sat
        for coin in wallet.coins() if sat > 0 else ():
            if left < 0:
                inputs.append(coin.outpoint)
                left += coin.amount.value
        if left < 0:
            raise Refused(f"the wallet has less than {sat} sat")
        funding = Output(Sat(channel.capacity.value + sat), self._world.payer.new_address())
        change = Output(Sat(left), wallet.new_address())
        outputs = (funding, change) if left >= dust_limit(change.address).value else (funding,)
        transaction = chain.new_transaction(tuple(inputs), outputs, bumped=True)
        wallet.send(transaction)
        channel.splice = Splice(transaction.outpoint(FUNDING_OUTPUT), side, sat)
        self._wait_for(channel.splice.funding, channel)
        return transaction.txid

    def usable(self, channel: SimulatedChannel) -> bool:
        return channel.state is ChannelState.OPEN and self._world.connected(channel.opener, channel.peer)

    def confirm(self, block: Block) -> None:
        """What a new block opens, splices and closes."""
        for index, transaction in enumerate(block.transactions):
            if transaction.txid in self._funded:
                self._mined[transaction.txid] = Scid(block.height.value, block.position(index), FUNDING_OUTPUT)
            if closed := self._closing.get(transaction.txid):
                self._forget(closed)
        for channel in list(self._ripening.values()):
            self._ripen(channel)

    def rewind(self, block: Block) -> None:
        """A block was taken away: what it funded is unconfirmed, what it closed is closing. Nodes that said
        channel_ready go on using a channel; its SCID is known again once it is as deep as before."""
        for transaction in block.transactions:
            if self._mined.pop(transaction.txid, None):
                channel = self._funded[transaction.txid]
                self._ripening[channel.channel_id] = channel
                if channel.funding.txid == transaction.txid and channel.scid is not None:
                    channel.scid = None
                    self._tell(channel)
            if closed := self._closing.get(transaction.txid):
                for node in self._ends(closed):
                    node.channels[closed.channel_id] = closed
                self._tell(closed)

    def _ripen(self, channel: SimulatedChannel) -> None:
        scid = self._ripe(channel.funding, channel)
        if channel.scid is None and scid is not None:
            channel.scid = scid
            if channel.state is ChannelState.PENDING:
                channel.state = ChannelState.OPEN
            self._tell(channel)
        if splice := channel.splice:
            scid = self._ripe(splice.funding, channel)
            if scid is not None:
                channel.splice, channel.scid, channel.funding = None, scid, splice.funding
                channel.capacity = Sat(channel.capacity.value + splice.added)
                channel.balances[splice.side] += splice.added * 1000
                self._tell(channel)
            elif self._is_impossible(splice.funding):
                channel.splice = None
        if channel.scid is not None and channel.splice is None:
            del self._ripening[channel.channel_id]
        elif channel.scid is None and self._is_impossible(channel.funding):
            self._forget(channel)

    def _ripe(self, funding: Outpoint, channel: SimulatedChannel) -> Scid | None:
        """Its place in the chain, once deep enough."""
        scid = self._mined.get(funding.txid)
        if scid is None or self._world.chain.height.value - scid.block + 1 < channel.confirmations:
            return None
        return scid

    def _is_impossible(self, funding: Outpoint) -> bool:
        """Another transaction that spends the same was mined, so this one never will be."""
        transaction = self._world.chain.transaction(funding.txid)
        return transaction is not None and self._world.chain.is_impossible(transaction)

    def _wait_for(self, funding: Outpoint, channel: SimulatedChannel) -> None:
        self._funded[funding.txid] = channel
        self._ripening[channel.channel_id] = channel

    def _forget(self, channel: SimulatedChannel) -> None:
        self._ripening.pop(channel.channel_id, None)
        for node in self._ends(channel):
            del node.channels[channel.channel_id]
            node.channels_feed.publish(ChannelGone(channel.channel_id))

    def _tell(self, channel: SimulatedChannel) -> None:
        for node in self._ends(channel):
            node.channels_feed.publish(channel.seen_by(node.node_id))

    def _ends(self, channel: SimulatedChannel) -> tuple[LightningNode, LightningNode]:
        return self._world.nodes[channel.opener], self._world.nodes[channel.peer]

    def _idle(self, channel_id: ChannelId) -> SimulatedChannel:
        channel = self._open(channel_id)
        if channel.in_flight:
            raise Refused(f"channel {channel_id} has payments in flight")
        return channel

    def _open(self, channel_id: ChannelId) -> SimulatedChannel:
        for node in self._world.nodes.values():
            channel = node.channels.get(channel_id)
            if channel is not None and channel.state is ChannelState.OPEN:
                return channel
        raise Refused(f"there is no open channel {channel_id}")
