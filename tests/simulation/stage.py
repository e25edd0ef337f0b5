"""Where a story plays: a chain, nodes, an LSP, wallets and strangers, all of it made of one seed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

from lsps.node.contract import OpenRequest, PaymentStatus
from lsps.node.simulated.chain import Block
from lsps.node.simulated.lightning_node import LightningNode, Policy
from lsps.node.simulated.node import SimulatedNode
from lsps.orders import pending
from lsps.orders.model import FINAL, ChannelTerms, Order, State
from lsps.store.sqlite.connection import open_for_writing
from lsps.store.sqlite.files import make_private
from lsps.store.sqlite.schema import ORDERS, migrate
from lsps.units import Sat
from tests.simulation import process
from tests.simulation.books import Books
from tests.simulation.clock import SimulatedClock
from tests.simulation.disk import Disk
from tests.simulation.invariants.judge import Judge
from tests.simulation.loop import MICRO, SimulatedLoop
from tests.simulation.lsp import OFFER, Lsp
from tests.simulation.strangers import CHANNEL_ORDER, Known, Stranger
from tests.simulation.trace import Trace
from tests.simulation.wallets import Wallet, Wish
from tests.simulation.weather import WeatheredWorld

_COIN = Sat(4_000_000)
_COINS = 8
_CHANNEL = Sat(3_000_000)
_PUSH = Sat(1_000_000)
_SAT_PER_KW = 1000
WALLETS = 2
STRANGERS = 2
CHANNELS = 2
"""Of each customer at the beginning, opened by it."""


class Stage:
    """`judge` has found something as soon as `judge.verdict` is not None."""

    def __init__(self, seed: int, directory: Path, *, keep: bool = False) -> None:
        self.random = Random(seed)
        self._blocks = 9
        self._newest_block = 0
        self.payments: list[str] = []
        """The ids of foreign payers' transactions, the newest last."""
        self.loop = SimulatedLoop()  # type: ignore[abstract]
        self.loop.on_task = process.adopt
        self.trace = Trace(self.loop, keep=keep)
        self._running = self.loop.running()
        self._running.__enter__()
        self.world = WeatheredWorld(SimulatedClock(self.loop), self.random, self.loop)
        policy = Policy(max_pending_channels=3, sees_fees=False)
        self.lsp_node = self.world.add_node("lsp", policy)
        customers = [self.world.add_node(f"customer {n}", policy) for n in range(1, WALLETS + STRANGERS + 1)]
        for node in (self.lsp_node, *customers):
            self.world.fund(node.node_id, _COIN, _COINS)
        self.world.mine()
        for node in customers:
            self.world.connect(self.lsp_node.node_id, node.node_id)
            for _ in range(CHANNELS):
                self._open_channel(node)
        self.world.mine()
        self.first_height = int(self.world.chain.height)
        path = directory / "lsp.db"
        make_private(path)
        writes = open_for_writing(path)
        migrate(writes, path, ORDERS)
        writes.close()
        self.books = Books(path, self.lsp_node.node_id)
        self.judge = Judge(self.loop, self.world, self.lsp_node, self.books, self.trace, self.is_well)
        self.loop.on_error = self.judge.on_loop_error
        self.world.chain.on_seen(self.judge.on_transaction)
        self.world.chain.on_block(self._on_block)
        self.disk = Disk(self.loop, self.judge.on_commit)
        self.lsp = Lsp(
            self.loop,
            self.lsp_node,
            path,
            self.disk,
            SimulatedClock(self.loop),
            self.random,
            self.judge,
            self.judge.on_crash,
            self.judge.on_death,
        )
        self.wallets = [
            Wallet(
                self.loop,
                f"wallet {number}",
                node,
                self.lsp_node.node_id,
                self.lsp_node.address,
                directory / f"wallet-{number}.db",
                SimulatedClock(self.loop),
                self.random,
                self._found,
                self.judge.payers,
            )
            for number, node in enumerate(customers[:WALLETS], start=1)
        ]
        known: list[Known] = []
        self.strangers = [
            Stranger(self.loop, f"stranger {number}", node, self.lsp_node, known)
            for number, node in enumerate(customers[WALLETS:], start=1)
        ]
        for wallet in self.wallets:
            wallet.start()
        for stranger in self.strangers:
            stranger.start()
        self.lsp.start()
        self.loop.settle()

    def _on_block(self, _: Block) -> None:
        self._newest_block = self.loop.micros

    def _found(self, invariant: str, text: str) -> None:
        """What a wallet says of the LSP; not that it counts from an older tip, while it cannot know of the newest."""
        tip_is_old = self.loop.micros - self._newest_block > 120 * MICRO
        if "too_short" not in text or (self.lsp.knows_tip and tip_is_old):
            self.judge.fail(invariant, text)

    def later(self, seconds: float, what: Callable[[], None]) -> None:
        """Let it happen so much later, by itself."""
        self.loop.call_later(seconds, what)

    def some_blocks(self) -> int:
        """A number of blocks that no order has asked for before."""
        self._blocks += 1
        return self._blocks

    def heal(self) -> None:
        """All faults are over: whatever is down comes up, and stays up."""
        self.world.clear_up()
        self.world.chain.sat_per_kw = _SAT_PER_KW
        self.world.chain.least_sat_per_kw = 0
        for node in (self.lsp_node, *self.customers):
            self.world.faults.clear(node.node_id)
        self.disk.heal()
        self.disk.latency = 0.0
        # What hangs at a node hangs until the node is started again.
        for node in (self.lsp_node, *self.customers):
            node.stop()
        for node in (self.lsp_node, *self.customers):
            node.start()
        self.judge.streams_cut = False
        for node in self.customers:
            self.world.connect(self.lsp_node.node_id, node.node_id)
        self.world.fund(self.lsp_node.node_id, _COIN, 4)
        self.world.mine()
        self.lsp.start()
        for wallet in self.wallets:
            wallet.fail_before = wallet.fail_after = 0
            wallet.start()

    def is_at_rest(self) -> bool:
        """Whether nothing is under way any more that time would end."""
        books = self.books
        return (
            all(order.state in FINAL for order in books.orders.values())
            and not books.effects()
            and not any(self._waiting(wallet) for wallet in self.wallets)
            and not any(
                self._is_paying(node, payment_hash) for node in self.customers for payment_hash in books.by_hash
            )
            and all(pending.deposits_until(order) != pending.NEVER for order in books.orders.values())
            and all(pending.due_at(order) is None for order in books.orders.values())
        )

    def _waiting(self, wallet: Wallet) -> list[Wish]:
        """Wishes that should have ended, or will: not those whose refund is left to the LSP's operator."""
        left = {
            wish_blocks(order)
            for order in self.books.orders.values()
            if order.principal == wallet.node.node_id
            and order.onchain is not None
            and any(deposit.left for deposit in order.onchain.deposits)
        }
        return [wish for wish in wallet.unfulfilled if wish.blocks not in left]

    @staticmethod
    def _is_paying(node: LightningNode, payment_hash: bytes) -> bool:
        """In flight: on-chain, too, where a channel was closed by force and its payment times out."""
        payment = node.payments.find(payment_hash)
        return payment is not None and payment.status is PaymentStatus.IN_FLIGHT

    def say_goodbye(self) -> None:
        """Every customer is served once more, to the limit: nothing of it is used up by what is over."""
        most = OFFER.limits.requests_per_peer
        for stranger in self.strangers:
            # All in work at once: the first is answered when the last has long been asked.
            self.world.faults.delay_next(self.lsp_node.node_id, "messages.send", 1, times=most)
            self._expect(stranger, most, "lsps0.list_protocols", {})
            for _ in range(most):
                # One after the other: an order that is being made counts twice for the moment between its commit and
                # its reply, so that the last of several at once may be refused.
                self._expect(stranger, 1, "lsps1.create_order", CHANNEL_ORDER)
        for wallet in self.wallets:
            paid = [
                wish_blocks(order)
                for order in self.books.orders.values()
                if order.principal == wallet.node.node_id and order.state is State.COMPLETED and not order.is_free
            ]
            for wish in wallet.wishes:
                if paid.count(wish.blocks) > 1:
                    self.judge.fail("a wish is paid once", f"{wallet.name} wanted to {wish}, and paid for it twice")
            for wish in self._waiting(wallet):
                self.judge.fail("every purchase ends", f"{wallet.name} still wants to {wish}")

    def _expect(self, stranger: Stranger, times: int, method: str, params: dict[str, object]) -> None:
        before = len(stranger.heard)
        for _ in range(times):
            stranger.request(method, params)
        self.loop.advance(5 * MICRO)
        self.loop.settle()
        replies = stranger.heard[before:]
        if len(replies) != times or not all("result" in reply for reply in replies):
            self.judge.fail("limits", f"{stranger.name} may ask {method} {times} times at once, and gets {replies}")

    def is_well(self) -> bool:
        """Whether the LSP can do all that it should: it serves, its node runs and tells it, its disk takes writes."""
        node = self.lsp_node
        calls_answer = not self.world.faults.wait_at(node.node_id)
        return self.lsp.ready and self.disk.well and node.running and calls_answer and not self.judge.streams_cut

    @property
    def customers(self) -> list[LightningNode]:
        return [wallet.node for wallet in self.wallets] + [stranger.node for stranger in self.strangers]

    def _open_channel(self, opener: LightningNode) -> None:
        node = SimulatedNode(opener)
        request = OpenRequest(
            peer=self.lsp_node.node_id,
            capacity=_CHANNEL,
            push=_PUSH,
            private=False,
            zero_conf=False,
            inputs=(opener.wallet.coins()[0].outpoint,),
            sat_per_kw=_SAT_PER_KW,
            memo="",
        )
        self.loop.finish(self.loop.create_task(node.channels.open(request)))

    def close(self) -> None:
        """Ends everything, however it stands."""
        try:
            self.lsp.kill(written=False)
            for wallet in self.wallets:
                wallet.kill()
            for stranger in self.strangers:
                stranger.kill()
            self.books.close()
            self.world.close()
            self.loop.drop_everything()
        finally:
            self._running.__exit__(None, None, None)


def wish_blocks(order: Order) -> int:
    """The number of blocks that tells the wish an order was made for."""
    terms = order.terms
    return terms.channel_expiry_blocks if isinstance(terms, ChannelTerms) else terms.channel_extension_expiry_blocks
