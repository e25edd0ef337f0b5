"""The arithmetic of leases, done a second time: every change of an expiration is explained by what was paid for."""

from __future__ import annotations

from lsps.node.simulated.lightning_node import LightningNode
from lsps.orders.model import ChannelTerms, Extension, ExtensionTerms, Lease
from lsps.units import BlockHeight, ChannelId
from tests.simulation.books import Books, Changes
from tests.simulation.invariants.verdict import Fail

NAME = "the lease's arithmetic"


class Leases:
    def __init__(self, lsp: LightningNode, books: Books, fail: Fail) -> None:
        self._lsp = lsp
        self._books = books
        self._fail = fail
        self._confirmed: dict[ChannelId, set[int]] = {}
        self._late: set[ChannelId] = set()
        """Channels that were gone when the opening's outcome was learnt: their leases end at the next reading."""
        # A block may confirm a channel and be taken back before the next step.
        lsp.world.chain.on_block(lambda _: self.on_step())

    def on_commit(self, changes: Changes) -> None:
        extended: dict[ChannelId, list[Extension]] = {}
        for extension in changes.extensions:
            extended.setdefault(extension.channel_id, []).append(extension)
            self._on_extension(extension)
        for before, after in changes.leases:
            if before is not None and (
                after.expiration_block < before.expiration_block or (before.ended and not after.ended)
            ):
                self._fail("an expiration never decreases", f"{_shown(before)} became {_shown(after)}")
            elif after.channel_id in extended:
                self._on_extended(before, after, extended[after.channel_id])
            elif before is None:
                self._on_begun(after)
            else:
                self._on_change(before, after)

    def _on_extension(self, extension: Extension) -> None:
        terms = self._books.orders[extension.order_id].terms
        if not isinstance(terms, ExtensionTerms):
            self._fail(NAME, f"order {extension.order_id} extended a lease and bought a channel")
            return
        start = max(extension.previous, terms.expiration_block)
        if extension.new != start + terms.channel_extension_expiry_blocks:
            wanted = f"{start} + {terms.channel_extension_expiry_blocks}"
            self._fail(NAME, f"order {extension.order_id} should end the lease at {wanted}, not {extension.new}")

    def _on_extended(self, before: Lease | None, after: Lease, extensions: list[Extension]) -> None:
        """Each extension goes on where the one before it ended, and the lease ends where the last one does."""
        if before is not None and before.ended:
            self._fail("leases follow their channels", f"{_shown(before)} was extended")
        end, left = BlockHeight(0) if before is None else before.expiration_block, list(extensions)
        while following := next((extension for extension in left if extension.previous == end), None):
            left.remove(following)
            end = following.new
        if left or after.expiration_block != end:
            self._fail(NAME, f"{_shown(after)} is not what {extensions} make of {before and _shown(before)}")

    def _on_begun(self, lease: Lease) -> None:
        """bLIP-51 §4: channel_expiry_blocks, counted from the tip until the channel confirms."""
        if lease.channel_id not in self._lsp.channels:
            self._late.add(lease.channel_id)
        original = lease.original_order
        order = None if original is None else self._books.orders.get(original.id)
        if order is None or not isinstance(order.terms, ChannelTerms) or lease.provisional_from is None:
            self._fail(NAME, f"{_shown(lease)} began without an order")
        elif lease.expiration_block != lease.provisional_from + order.terms.channel_expiry_blocks:
            self._fail(NAME, f"{_shown(lease)} does not last {order.terms.channel_expiry_blocks} blocks")

    def _on_change(self, before: Lease, after: Lease) -> None:
        """Without an extension: the channel confirmed, maybe once more after a reorganisation, or it ended."""
        self.on_step()
        gained = after.expiration_block.blocks_since(before.expiration_block)
        counted_from, height = before.confirmed_at or before.provisional_from, after.confirmed_at
        waited = 0
        if counted_from is not None and height is not None and height != before.confirmed_at:
            waited = max(0, height.blocks_since(counted_from))
            heights = self._confirmed.get(after.channel_id, set())
            if max(int(height), int(counted_from)) not in {max(one, int(counted_from)) for one in heights}:
                self._fail(NAME, f"{_shown(after)} counts from {height}, where its channel never confirmed: {heights}")
        if gained != waited:
            self._fail(NAME, f"{_shown(before)} became {_shown(after)}, though the channel confirmed {waited} later")

    def on_step(self) -> None:
        """Where channels confirmed; a reorganisation may move them."""
        for channel_id, channel in self._lsp.channels.items():
            if channel.scid is not None:
                self._confirmed.setdefault(channel_id, set()).add(channel.scid.block)

    def at_the_end(self) -> None:
        """The promise of every extension that was delivered: at least until new_channel_expiry_block (bLIP-57 §2)."""
        for lease in self._books.leases.values():
            if lease.ended == (lease.channel_id in self._lsp.channels) and lease.channel_id not in self._late:
                self._fail("leases follow their channels", f"{_shown(lease)}, whose channel is something else")
        paid: dict[object, int] = {}
        for extension in self._books.extensions.values():
            terms = self._books.orders[extension.order_id].terms
            lease = self._books.leases[extension.channel_id]
            if not isinstance(terms, ExtensionTerms):
                continue
            if lease.expiration_block < terms.new_channel_expiry_block:
                self._fail(
                    NAME, f"order {extension.order_id} was promised {terms.new_channel_expiry_block}: {_shown(lease)}"
                )
            paid[lease.channel_id] = paid.get(lease.channel_id, 0) + terms.channel_extension_expiry_blocks
        for lease in self._books.leases.values():
            original = None if lease.original_order is None else self._books.orders[lease.original_order.id]
            if original is None or not isinstance(original.terms, ChannelTerms) or original.funding is None:
                continue
            least = original.funding.since + original.terms.channel_expiry_blocks + paid.get(lease.channel_id, 0)
            if lease.expiration_block < least:
                self._fail(NAME, f"{_shown(lease)} is less than was paid for: {least}")


def _shown(lease: Lease) -> str:
    return f"the lease of {lease.channel_id.hex[:8]} until {lease.expiration_block}{' (ended)' if lease.ended else ''}"
