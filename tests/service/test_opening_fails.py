"""The life of an LSPS1 order whose channel cannot be opened: its payment goes back (bLIP-51 §4.1)."""

from __future__ import annotations

from lsps.node.contract import PaymentStatus
from lsps.orders.model import State
from lsps.testing import Policy
from lsps.units import Sat
from tests.service.conftest import MakeWorld
from tests.service.ends import DELIVERED, REFUNDED, nothing_opened
from tests.service.peers import Peer, payment_hash, quiet, until
from tests.service.test_lsps1 import offering
from tests.service.world import LspWorld


async def test_a_channel_that_the_peer_refuses_is_given_back(world: LspWorld, alice: Peer) -> None:
    """bLIP-51 §4.1: open failed: FAILED and a refund; one attempt an order; the peer's words are kept defused."""
    order = await alice.order_channel()
    world.faults.refuse_channels(alice.node.node_id, "no \x1b[31m\u202echannels\n today")
    payment = alice.pay(order)
    await nothing_opened(world, alice, order, payment)
    reason = (await world.stored(order)).reason
    assert "no channels today" in reason
    assert reason.isprintable()
    assert world.passed.count("open_channel.before") == 1


async def test_too_many_pending_channels_are_given_back(make_world: MakeWorld) -> None:
    """A peer that takes one pending channel at a time (LND's default) gets the second order's payment back."""
    async with make_world(policy=Policy(max_pending_channels=1)) as world:
        (alice,) = world.peers
        first, second = await alice.order_channel(), await alice.order_channel()
        await until(alice.pay(first).done)
        payment = alice.pay(second)
        await until(payment.done)
        await quiet()
        assert await alice.told(first) == DELIVERED
        assert await alice.told(second) == REFUNDED
        assert len(await world.lsp_channels()) == 1


async def test_a_zero_conf_channel_that_nobody_accepts_is_given_back(world: LspWorld, alice: Peer) -> None:
    """The buyer's node must accept the 0-conf channel; one that does not gets its payment back."""
    order = await alice.order_channel(required_channel_confirmations=0)
    await nothing_opened(world, alice, order, alice.pay(order))


async def test_an_invoice_cancelled_while_the_opening_runs_is_a_recorded_loss(world: LspWorld, alice: Peer) -> None:
    """The opening is never cancelled on the way: delivered but not paid is COMPLETED, REFUNDED, and a loss to
    the operator."""
    order = await alice.order_channel()
    world.faults.delay_next(world.lsp.node_id, "negotiation", 5)
    alice.pay(order)
    await world.pass_time(1)
    await world.lsp.invoices.cancel(payment_hash(order))
    await quiet()
    assert await alice.told(order) == ("CREATED", "REFUNDED")
    await world.pass_time(5)
    assert await alice.told(order) == ("COMPLETED", "REFUNDED")
    assert (await world.stored(order)).state is State.UNPAID


async def test_an_invoice_cancelled_while_the_order_waits_opens_nothing(world: LspWorld, alice: Peer) -> None:
    """The held payment went back before anything irrevocable: FAILED, and no channel later."""
    order = await alice.order_channel()
    world.net.world.take_funds(world.lsp.node_id)
    payment = alice.pay(order)
    await quiet()
    await world.lsp.invoices.cancel(payment_hash(order))
    await quiet()
    world.net.fund(world.lsp, Sat(2_000_000))
    await world.pass_time(60)
    await nothing_opened(world, alice, order, payment)


# --- LSPS1 withdrawn ------------------------------------------------------------------------------------------------


async def test_what_was_begun_is_finished_when_lsps1_is_no_longer_offered(make_world: MakeWorld) -> None:
    """After a restart without [lsps1] an opening that was begun is brought to its end; what was not is given
    back."""
    async with make_world(offer=offering(reserve=Sat(0))) as world:
        (alice,) = world.peers
        begun, waiting = await alice.order_channel(), await alice.order_channel()
        world.faults.hang_next(world.lsp.node_id, "channels.open", before=False)
        payment = alice.pay(begun)
        await until(lambda: "open_channel.before" in world.passed)
        await quiet()
        world.net.world.take_funds(world.lsp.node_id)
        refund = alice.pay(waiting)
        await quiet()
        await world.restart(lsps1=None)
        await until(payment.done)
        await quiet()
        await world.pass_time(1830)
        assert (await world.stored(begun)).state is State.COMPLETED
        assert (await world.stored(waiting)).state is State.FAILED
        assert refund.result().status is PaymentStatus.FAILED
        assert len(await world.lsp_channels()) == 1
