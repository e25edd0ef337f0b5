"""Identity, chain tip, wallet; and what a node that goes away does to calls and streams."""

from __future__ import annotations

import asyncio

import pytest

from lsps.node.contract import (
    InvoiceState,
    InvoiceStatus,
    Message,
    NodeUnreachable,
    PaymentStatus,
    Resumed,
)
from lsps.units import BlockHeight, Msat, Network, Sat
from tests.node.contract.environment import (
    PATIENCE_SECONDS,
    ContractEnvironment,
    listening,
    preimage_and_hash,
)
from tests.node.contract.invoices import add, hold, in_state
from tests.node.contract.payments import final

MIN_SAT_PER_KW = 253


class NodeContract:
    async def test_info_is_the_nodes_own(self, env: ContractEnvironment) -> None:
        """`info` names the node's id, network and tip, and the two nodes agree on the tip."""
        await env.mine()
        seller, buyer = await env.seller.node.info(), await env.buyer.node.info()
        assert (seller.node_id, buyer.node_id) == (env.seller.node_id, env.buyer.node_id)
        assert seller.network is Network.REGTEST
        assert seller.height == buyer.height
        assert seller.synced
        assert seller.features

    async def test_tips_follow_the_chain(self, env: ContractEnvironment) -> None:
        """`tips` gives Resumed, the present height, and then every new one."""
        height = await env.seller.height()
        async with listening(env.seller.node.tips()) as tips:
            heard = await tips.until(lambda heard: len(heard) >= 2)
            assert heard[:2] == [Resumed(), height]
            await env.mine(2)
            await tips.until(lambda heard: height + 2 in heard)

    async def test_the_wallet_shows_what_can_be_spent(self, env: ContractEnvironment) -> None:
        """A new confirmed output is among `inputs`, once, with its amount."""
        outpoint = await env.fund(env.seller, Sat(123_456))
        utxos = [utxo for utxo in await env.seller.wallet.inputs() if utxo.outpoint == outpoint]
        assert [utxo.amount for utxo in utxos] == [Sat(123_456)]

    @pytest.mark.parametrize("target", [1, 6, 144])
    async def test_a_feerate_can_be_relayed(self, env: ContractEnvironment, target: int) -> None:
        """`feerate` is never under 253 sat per 1000 weight."""
        assert await env.seller.wallet.feerate(target) >= MIN_SAT_PER_KW

    async def test_closing_ends_the_streams_and_leaves_the_node(self, env: ContractEnvironment) -> None:
        """`close` ends this object's streams and may be repeated; other programs on the node go on."""
        leaving = await env.another(env.seller)

        async def listen() -> list[object]:
            return [event async for event in leaving.messages.received()]

        hearing = asyncio.create_task(listen())
        tips = leaving.node.tips()
        assert await anext(tips) == Resumed()
        await leaving.node.close()
        await leaving.node.close()
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await hearing in ([], [Resumed()])
            assert all(isinstance(event, BlockHeight) for event in [event async for event in tips])
        assert (await env.seller.node.info()).node_id == env.seller.node_id

    async def test_every_stream_resumes_after_the_node_was_away(self, env: ContractEnvironment) -> None:
        """A stopped node's calls raise NodeUnreachable; its streams stay silent, give Resumed again when it is back,
        with the present state where the contract says so, and go on."""
        _, payment_hash = preimage_and_hash()
        await add(env, payment_hash)
        env.seller.invoices.watch(payment_hash)
        async with (
            listening(env.seller.messages.received()) as messages,
            listening(env.seller.messages.peer_events()) as peers,
            listening(env.seller.invoices.updates()) as invoices,
            listening(env.seller.channels.events()) as channels,
            listening(env.seller.wallet.changes()) as wallet,
            listening(env.seller.node.tips()) as tips,
        ):
            await invoices.until(lambda heard: any(isinstance(event, InvoiceStatus) for event in heard))
            await env.stop(env.seller)
            with pytest.raises(NodeUnreachable):
                await env.seller.node.info()
            with pytest.raises(NodeUnreachable):
                await env.seller.invoices.lookup(payment_hash)
            await env.start(env.seller)
            await channels.until(lambda heard: heard.count(Resumed()) >= 2)
            await peers.until(lambda heard: heard.count(Resumed()) >= 2)
            await messages.until(lambda heard: heard.count(Resumed()) >= 2)
            await wallet.until(lambda heard: heard.count(Resumed()) >= 2)
            heard_tips = await tips.until(lambda heard: heard.count(Resumed()) >= 2 and heard[-1] != Resumed())
            assert isinstance(heard_tips[-1], BlockHeight)
            again = await invoices.until(lambda heard: heard.count(Resumed()) >= 2 and heard[-1] != Resumed())
            assert again[-1] == InvoiceStatus(payment_hash, InvoiceState.OPEN, Msat(0), None)
            await env.buyer.messages.send(env.seller.node_id, b"welcome back")
            await messages.until(lambda heard: Message(env.buyer.node_id, b"welcome back") in heard)
            await env.seller.invoices.cancel(payment_hash)
            await invoices.until(
                lambda heard: InvoiceStatus(payment_hash, InvoiceState.CANCELLED, Msat(0), None) in heard
            )

    async def test_a_held_payment_survives_the_payee(self, env: ContractEnvironment) -> None:
        """A payment that is held when the payee's node is stopped is held afterwards, and can be taken."""
        preimage, payment_hash = preimage_and_hash()
        paying = await hold(env, payment_hash)
        await env.stop(env.seller)
        await env.start(env.seller)
        await in_state(env, payment_hash, InvoiceState.HELD)
        await env.seller.invoices.settle(preimage)
        assert (await paying).status is PaymentStatus.SUCCEEDED

    async def test_a_payers_restart_loses_no_payment(self, env: ContractEnvironment) -> None:
        """When the payer's node is stopped while a payment is held, `pay` raises NodeUnreachable or waits on; the
        payment is in flight afterwards, and its end is known by `lookup`."""
        preimage, payment_hash = preimage_and_hash()
        paying = await hold(env, payment_hash)
        await env.stop(env.buyer)
        await env.start(env.buyer)
        payment = await env.buyer.payments.lookup(payment_hash)
        assert payment is not None
        assert payment.status is PaymentStatus.IN_FLIGHT
        await env.seller.invoices.settle(preimage)
        assert (await final(env.buyer, payment_hash)).status is PaymentStatus.SUCCEEDED
        await asyncio.gather(paying, return_exceptions=True)
