"""contract.Node on one node of the simulated world."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager

from lsps.node.contract import (
    Channel,
    ChannelGone,
    Deposit,
    InvoiceState,
    InvoiceStatus,
    Message,
    NodeInfo,
    NotOpened,
    Opened,
    OpenRequest,
    Payment,
    Peer,
    PeerNotConnected,
    PeerOffline,
    PeerOnline,
    Resumed,
    SignedTransaction,
    Spend,
    Undecided,
    Utxo,
    WalletChanged,
)
from lsps.node.simulated.access import Access
from lsps.node.simulated.lightning_node import LightningNode
from lsps.node.simulated.streams import Subscription
from lsps.units import BlockHeight, Msat, NodeId, Outpoint, Sat

MIN_SAT_PER_KW = 253
"""What nodes relay at least."""


class SimulatedNode:
    """One user's connection to a simulated node. Make a second one for a second user, or after `close`."""

    def __init__(self, node: LightningNode) -> None:
        self._access = Access(node)
        self.messages = SimulatedMessages(self._access)
        self.invoices = SimulatedInvoices(self._access)
        self.payments = SimulatedPayments(self._access)
        self.channels = SimulatedChannels(self._access)
        self.wallet = SimulatedWallet(self._access)

    @property
    def node_id(self) -> NodeId:
        return self._access.node.node_id

    @property
    def address(self) -> str:
        """HOST:PORT, for `messages.connect` of another node."""
        return self._access.node.address

    async def info(self) -> NodeInfo:
        node = self._access.node
        return await self._access.call(
            "info",
            lambda: NodeInfo(
                node_id=node.node_id,
                network=node.world.network,
                alias=node.alias,
                height=node.world.chain.height,
                features=node.features,
                synced=True,
            ),
        )

    def tips(self) -> AsyncIterator[Resumed | BlockHeight]:
        node = self._access.node
        return self._access.stream(node.tips_feed, Subscription(lambda: (node.world.chain.height,)))

    async def close(self) -> None:
        self._access.close()
        self.channels.end_offers()


class SimulatedMessages:
    def __init__(self, access: Access) -> None:
        self._access = access

    async def send(self, peer: NodeId, payload: bytes) -> None:
        node = self._access.node
        await self._access.call("messages.send", lambda: node.world.send(node.node_id, peer, payload))

    def received(self) -> AsyncIterator[Resumed | Message]:
        return self._access.stream(self._access.node.messages_feed, Subscription())

    async def connect(self, peer: NodeId, address: str | None = None) -> None:
        await self._access.call("messages.connect", lambda: self._connect(peer, address))

    async def peer(self, peer: NodeId) -> Peer | None:
        node = self._access.node

        def find() -> Peer | None:
            if not node.world.connected(node.node_id, peer):
                return None
            return Peer(peer, node.world.nodes[peer].features)

        return await self._access.call("messages.peer", find)

    def peer_events(self) -> AsyncIterator[Resumed | PeerOnline | PeerOffline]:
        return self._access.stream(self._access.node.peers_feed, Subscription())

    def _connect(self, peer: NodeId, address: str | None) -> None:
        node = self._access.node
        if node.world.connected(node.node_id, peer):
            return
        address = address or node.known_addresses.get(peer)
        if address is None:
            raise PeerNotConnected(f"no address of {peer} is known: give one as HOST:PORT")
        other = node.world.nodes.get(peer)
        if other is None or other.address != address:
            raise PeerNotConnected(f"{peer} does not answer at {address}")
        node.world.connect(node.node_id, peer)


class SimulatedInvoices:
    def __init__(self, access: Access) -> None:
        self._access = access
        self._book = access.node.invoices
        self._watched: dict[bytes, None] = {}
        self._listener: Subscription[InvoiceStatus] | None = None

    async def add_hold(
        self, payment_hash: bytes, amount: Msat, description: str, expiry_seconds: int, min_final_cltv_expiry: int
    ) -> str:
        return await self._access.call(
            "invoices.add_hold",
            lambda: self._book.add(payment_hash, amount, description, expiry_seconds, min_final_cltv_expiry),
        )

    async def settle(self, preimage: bytes) -> None:
        await self._access.call("invoices.settle", lambda: self._book.settle(preimage))

    async def cancel(self, payment_hash: bytes) -> None:
        await self._access.call("invoices.cancel", lambda: self._book.cancel(payment_hash))

    async def lookup(self, payment_hash: bytes) -> InvoiceStatus | None:
        return await self._access.call("invoices.lookup", lambda: self._book.status(payment_hash))

    def watch(self, payment_hash: bytes) -> None:
        self._watched[payment_hash] = None
        if self._listener is not None:
            self._book.feed.push_to(self._listener, self._present(payment_hash))

    def unwatch(self, payment_hash: bytes) -> None:
        self._watched.pop(payment_hash, None)

    async def updates(self) -> AsyncIterator[Resumed | InvoiceStatus]:
        self._listener = Subscription(self._all_present)
        events = self._access.stream(self._book.feed, self._listener)
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Resumed):
                    yield event
                elif event.payment_hash in self._watched:
                    if event.state in (InvoiceState.SETTLED, InvoiceState.CANCELLED):
                        self.unwatch(event.payment_hash)
                    yield event

    def _all_present(self) -> Iterable[InvoiceStatus]:
        return [self._present(payment_hash) for payment_hash in self._watched]

    def _present(self, payment_hash: bytes) -> InvoiceStatus:
        unknown = InvoiceStatus(payment_hash, InvoiceState.CANCELLED, Msat(0), None)
        return self._book.status(payment_hash) or unknown


class SimulatedPayments:
    def __init__(self, access: Access) -> None:
        self._access = access

    async def pay(self, invoice: str, max_fee: Msat) -> Payment:
        book = self._access.node.payments
        return await self._access.call_and_wait("payments.pay", lambda: book.start(invoice, max_fee))

    async def lookup(self, payment_hash: bytes) -> Payment | None:
        return await self._access.call("payments.lookup", lambda: self._access.node.payments.find(payment_hash))


class SimulatedChannels:
    def __init__(self, access: Access) -> None:
        self._access = access
        self._offers: dict[object, None] = {}

    async def list(self) -> Sequence[Channel]:
        node = self._access.node
        return await self._access.call(
            "channels.list", lambda: [channel.seen_by(node.node_id) for channel in node.channels.values()]
        )

    def events(self) -> AsyncIterator[Resumed | Channel | ChannelGone]:
        return self._access.stream(self._access.node.channels_feed, Subscription())

    async def open(self, request: OpenRequest) -> Outpoint:
        openings = self._access.node.openings
        return await self._access.call_and_wait("channels.open", lambda: openings.start(request))

    async def fate(
        self, peer: NodeId, inputs: tuple[Outpoint, ...], since: BlockHeight
    ) -> Opened | NotOpened | Undecided:
        return await self._access.call("channels.fate", lambda: self._access.node.openings.fate(peer, inputs))

    @asynccontextmanager
    async def accept_zero_conf(self, peer: NodeId, capacity: Sat) -> AsyncIterator[None]:
        offers, offer = self._access.node.zero_conf_offers, object()

        def enter() -> None:
            offers[offer] = (peer, capacity)
            self._offers[offer] = None

        try:
            await self._access.call("channels.accept_zero_conf", enter)
            yield
        finally:
            offers.pop(offer, None)
            self._offers.pop(offer, None)

    def end_offers(self) -> None:
        """This user is gone: nobody answers for it any more."""
        for offer in self._offers:
            self._access.node.zero_conf_offers.pop(offer, None)


class SimulatedWallet:
    def __init__(self, access: Access) -> None:
        self._access = access
        self._book = access.node.wallet

    @property
    def sees_fees(self) -> bool:
        return self._access.node.policy.sees_fees

    async def inputs(self) -> Sequence[Utxo]:
        return await self._access.call("wallet.inputs", self._book.coins)

    async def feerate(self, target_blocks: int) -> int:
        chain = self._access.node.world.chain
        return await self._access.call("wallet.feerate", lambda: max(MIN_SAT_PER_KW, chain.sat_per_kw))

    async def new_address(self) -> str:
        return await self._access.call("wallet.new_address", self._book.new_address)

    async def deposits(self, since: BlockHeight) -> Sequence[Deposit]:
        return await self._access.call("wallet.deposits", lambda: self._book.deposits(since))

    def changes(self) -> AsyncIterator[Resumed | WalletChanged]:
        return self._access.stream(self._book.feed, Subscription())

    async def sign(self, spend: Spend) -> SignedTransaction:
        return await self._access.call("wallet.sign", lambda: self._book.sign(spend))

    async def publish(self, transaction: SignedTransaction) -> None:
        await self._access.call("wallet.publish", lambda: self._book.publish(transaction))
