"""Extending a lease: what must hold before anything is paid, and after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lsps.client.errors import (
    Declined,
    FeeTooHigh,
    NotDelivered,
    NotPayable,
    OptionMismatch,
    OrderFailed,
    ParamsRefused,
    RuleViolated,
)
from lsps.client.terms import LightningCost, Offer, Progress, Step
from lsps.lightning.keys import SecretKey
from lsps.node.contract import PaymentStatus
from lsps.store.journal import EntryState
from lsps.units import BlockHeight, Msat, Network, Sat, Scid
from tests.client.fake_lsp import FEE, FakeLsp, Json, Shop, shop
from tests.client.fakes import patch

BLOCKS = 1_000
LIMIT = Sat(FEE)


def scid(market: Shop) -> Scid:
    assert market.channel.scid is not None
    return market.channel.scid


async def test_an_extension_is_ordered_paid_followed_and_seen() -> None:
    """The list first (bLIP-57 §1), one order, one payment, and the new expiry as the list shows it."""
    async with shop() as market, market.client() as lsp:
        steps: list[Progress] = []
        before = BlockHeight(market.lsp.listed[0]["expiration_block"])
        extended = await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT, on_progress=steps.append)
        assert extended.delivered
        assert extended.expiration_block == before + BLOCKS
        assert extended.listed is not None
        assert extended.payment is not None
        assert extended.payment.status is PaymentStatus.SUCCEEDED
        assert not extended.resumed
        assert await market.spent() == Sat(FEE).to_msat()
        assert market.lsp.methods()[:2] == ["lsps7.get_extendable_channels", "lsps7.create_order"]
        assert market.journal.states() == [EntryState.COMPLETED]
        assert [step.step for step in steps if step.step is not Step.HELD] == [
            Step.ORDERING,
            Step.ORDERED,
            Step.PAYING,
            Step.PAID,
            Step.VERIFYING,
            Step.DELIVERED,
        ]


async def test_the_optional_parameters_are_left_out_or_sent() -> None:
    """bLIP-57 §2: token and refund address MAY be omitted; null is never sent."""
    async with shop() as market, market.client() as lsp:
        await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT, token="", refund_address="")
        _, plain = market.lsp.requests[1]
        assert set(plain) == {"short_channel_id", "channel_extension_expiry_blocks"}
        address = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
        await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT, token="GIFT", refund_address=address)
        asked = [params for method, params in market.lsp.requests if method == "lsps7.create_order"]
        assert asked[1]["token"] == "GIFT"
        assert asked[1]["refund_onchain_address"] == address


# --- rules: each broken alone, and nothing paid ---------------------------------------------------------------------


def bolt11_of(order: Json) -> Json:
    option: Json = order["payment"]["bolt11"]
    return option


def with_(path: str, value: Any) -> Callable[[FakeLsp], Callable[[Json], Json]]:
    """Set the key at a dotted path."""

    def change(order: Json) -> Json:
        *parents, last = path.split(".")
        target = order
        for name in parents:
            target = target[name]
        target[last] = value
        return order

    return lambda _: change


def reinvoiced(**fields: Any) -> Callable[[FakeLsp], Callable[[Json], Json]]:
    return lambda lsp: lambda order: lsp.reinvoice(order, **fields)


def shifted(path: str, blocks: int) -> Callable[[FakeLsp], Callable[[Json], Json]]:
    def change(order: Json) -> Json:
        order[path] += blocks
        return order

    return lambda _: change


def low_promise(_: FakeLsp) -> Callable[[Json], Json]:
    """The sum holds, but starts from an expiration that is lower than the list's."""

    def change(order: Json) -> Json:
        order["channel"]["expiration_block"] -= 100
        order["new_channel_expiry_block"] -= 100
        return order

    return change


BROKEN = [
    ("mirror", with_("channel_extension_expiry_blocks", BLOCKS + 1)),
    ("mirror", with_("channel.short_channel_id", "9x9x9")),
    ("mirror", with_("token", "OTHER")),
    ("sum", shifted("new_channel_expiry_block", 1)),
    ("too_short", low_promise),
    ("order_id", with_("order_id", "x" * 65)),
    ("order_total", with_("payment.bolt11.fee_total_sat", str(FEE - 1))),
    ("invoice_length", with_("payment.bolt11.invoice", "lnbcrt1" + "q" * 2100)),
    ("invoice", with_("payment.bolt11.invoice", "lnbcrt1junk")),
    ("invoice_amount", reinvoiced(amount=Msat(FEE * 1000 + 1))),
    ("invoice_amount", reinvoiced(amount=None)),
    ("invoice_network", reinvoiced(network=Network.MAINNET)),
    ("invoice_expired", reinvoiced(timestamp=1_600_000_000)),
    ("invoice_expired", with_("payment.bolt11.expires_at", "2025-12-31T23:59:59.999Z")),
    ("invoice_cltv", reinvoiced(min_final_cltv_expiry=289)),
    ("payee", reinvoiced(key=SecretKey(b"\x01" * 32))),
    ("payment_state", with_("payment.bolt11.state", "HOLD")),
    ("shape", with_("payment.bolt11.state", "NONSENSE")),
    ("shape", with_("payment.bolt11.fee_total_sat", FEE)),
    ("shape", with_("payment", None)),
    ("shape", with_("order_state", "DONE")),
]


@pytest.mark.parametrize(("rule", "breaks"), BROKEN, ids=[f"{rule}-{index}" for index, (rule, _) in enumerate(BROKEN)])
async def test_an_order_that_breaks_a_rule_is_not_paid(
    rule: str, breaks: Callable[[FakeLsp], Callable[[Json], Json]]
) -> None:
    """Each rule by itself stops the purchase with an error that names it; nothing is sent, the entry is abandoned."""
    async with shop() as market, market.client() as lsp:
        market.lsp.change["lsps7.create_order"] = breaks(market.lsp)
        with pytest.raises(RuleViolated, match="broke a rule") as stopped:
            await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=Sat(FEE * 10))
        assert rule in {violation.rule for violation in stopped.value.violations}
        assert all(violation.clause in str(stopped.value) for violation in stopped.value.violations)
        assert await market.sent() == []
        assert await market.spent() == Msat(0)
        assert market.journal.states() == [EntryState.ABANDONED]


async def test_an_unlisted_order_may_not_exceed_its_own_maximum() -> None:
    """An unlisted channel of ours is checked against the order's channel object (bLIP-57 §2, maximum)."""
    async with shop() as market, market.client() as lsp:
        market.lsp.listed.clear()
        market.lsp.change["lsps7.create_order"] = with_("channel.max_channel_extension_expiry_blocks", 999)(market.lsp)
        with pytest.raises(RuleViolated) as stopped:
            await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT)
        assert [violation.rule for violation in stopped.value.violations] == ["maximum"]
        assert await market.sent() == []


async def test_a_lapsed_lease_is_extended_from_the_tip() -> None:
    """A promise that counts from an expiration in the past is too short, whatever the sum says."""
    async with shop() as market, market.client() as lsp:
        market.lsp.listed[0]["expiration_block"] = 10
        with pytest.raises(RuleViolated) as stopped:
            await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT)
        assert [violation.rule for violation in stopped.value.violations] == ["too_short"]
        assert await market.sent() == []


async def test_an_invoice_that_was_tried_before_is_not_paid() -> None:
    """A fresh order with the invoice of an earlier one would show an old payment as its own."""
    async with shop() as market, market.client() as lsp:
        first = await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT)
        assert first.order.payment.bolt11 is not None
        market.lsp.change["lsps7.create_order"] = with_("payment.bolt11.invoice", first.order.payment.bolt11.invoice)(
            market.lsp
        )
        with pytest.raises(RuleViolated, match="invoice_reused"):
            await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT)
        assert await market.spent() == Sat(FEE).to_msat()


async def test_a_broken_should_can_be_accepted_by_name() -> None:
    """bLIP-57 §2, Client: the sum is a SHOULD."""
    async with shop() as market, market.client() as lsp:
        market.lsp.change["lsps7.create_order"] = shifted("new_channel_expiry_block", 1)(market.lsp)
        market.lsp.change["lsps7.get_extendable_channels"] = raised_once_delivered(market.lsp)
        extended = await lsp.lsps7.extend(
            scid(market), blocks=BLOCKS, max_fee=LIMIT, accept_violation=frozenset({"sum"})
        )
        assert extended.delivered
        assert await market.spent() == Sat(FEE).to_msat()


def raised_once_delivered(lsp: FakeLsp) -> Callable[[Json], Json]:
    """A list that shows one block more than the sum once an order is completed."""

    def change(result: Json) -> Json:
        if any(order["order_state"] == "COMPLETED" for order in lsp.orders.values()):
            result["extendable_channels"][0]["expiration_block"] += 1
        return result

    return change


async def test_a_broken_must_cannot_be_accepted() -> None:
    """Accepting a rule's name helps only against a SHOULD."""
    async with shop() as market, market.client() as lsp:
        market.lsp.change["lsps7.create_order"] = low_promise(market.lsp)
        with pytest.raises(RuleViolated, match="too_short"):
            await lsp.lsps7.extend(
                scid(market), blocks=BLOCKS, max_fee=LIMIT, accept_violation=frozenset({"too_short", "sum"})
            )
        assert await market.sent() == []


async def test_rules_of_a_way_to_pay_that_is_not_used_do_not_stop() -> None:
    """LDK's service gives min_fee_for_0conf always, and null for what it does not offer: told, and paid by BOLT 11."""

    def change(order: Json) -> Json:
        order["payment"] |= {
            "bolt12": None,
            "onchain": {
                "state": "EXPECT_PAYMENT",
                "expires_at": "2027-01-25T19:29:44.612873891Z",
                "fee_total_sat": "9999",
                "order_total_sat": "9999",
                "address": "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080",
                "min_onchain_payment_confirmations": 1,
                "min_fee_for_0conf": 253,
            },
            "unheard_of": {"state": 5},
        }
        return order | {"token": None, "something": "new"}

    async with shop() as market, market.client() as lsp:
        market.lsp.change["lsps7.create_order"] = change
        steps: list[Progress] = []
        await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT, on_progress=steps.append)
        noticed = [step.text for step in steps if step.step is Step.NOTICED]
        assert any("min_fee_for_0conf" in text for text in noticed)
        assert any("refund_address" in text for text in noticed)


# --- limits and consent ---------------------------------------------------------------------------------------------


async def test_a_fee_above_the_limit_is_not_paid() -> None:
    """`max_fee` bounds fee_total_sat; one sat more stops, with both numbers."""
    async with shop() as market, market.client() as lsp:
        with pytest.raises(FeeTooHigh, match="1000 sat, more than the limit of 999 sat") as stopped:
            await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=Sat(FEE - 1))
        assert (stopped.value.fee, stopped.value.limit, stopped.value.order_id) == (Sat(FEE), Sat(FEE - 1), "order-1")
        assert await market.sent() == []
        assert market.journal.states() == [EntryState.ABANDONED]


async def test_the_payer_is_asked_with_everything_that_matters() -> None:
    """Fee, total, blocks, new expiry, payee and routing limit are in the offer; a no pays nothing."""
    asked: list[Offer] = []

    async def no(offer: Offer) -> bool:
        asked.append(offer)
        return False

    async with shop() as market, market.client() as lsp:
        expected = BlockHeight(market.lsp.listed[0]["expiration_block"] + BLOCKS)
        with pytest.raises(Declined):
            await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT, confirm=no)
        [offer] = asked
        assert (offer.fee, offer.order_total, offer.blocks) == (Sat(FEE), Sat(FEE), BLOCKS)
        assert offer.new_expiration == expected
        assert isinstance(offer.cost, LightningCost)
        assert offer.cost.payee == offer.lsp == lsp.node_id
        assert offer.cost.max_routing_fee == Msat(20_000)
        assert offer.violations == ()
        assert await market.sent() == []
        assert market.journal.states() == [EntryState.ABANDONED]


async def test_another_payee_is_shown_to_the_payer_who_is_asked() -> None:
    """Without a question another payee stops; with one the payer sees it, and may decline."""
    asked: list[Offer] = []

    async def no(offer: Offer) -> bool:
        asked.append(offer)
        return False

    async with shop() as market, market.client() as lsp:
        market.lsp.change["lsps7.create_order"] = reinvoiced(key=SecretKey(b"\x01" * 32))(market.lsp)
        with pytest.raises(Declined):
            await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT, confirm=no)
        assert [violation.rule for violation in asked[0].violations] == ["payee"]
        assert isinstance(asked[0].cost, LightningCost)
        assert asked[0].cost.payee == SecretKey(b"\x01" * 32).node_id


async def test_an_invoice_that_expires_while_the_payer_thinks_is_not_paid() -> None:
    """The checks on time are made again after the answer."""
    async with shop() as market, market.client() as lsp:

        async def slow(_: Offer) -> bool:
            for _hundred_seconds in range(40):
                await market.net.clock.sleep(100)
            return True

        with pytest.raises(RuleViolated, match="invoice_expired"):
            await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT, confirm=slow)
        assert await market.sent() == []


async def test_an_order_that_only_takes_other_payments_is_not_payable() -> None:
    """The error names what the LSP takes."""
    async with shop() as market, market.client() as lsp:

        def change(order: Json) -> Json:
            option = bolt11_of(order)
            option["offer"] = option.pop("invoice")
            order["payment"] = {"bolt11": None, "bolt12": option}
            return order

        market.lsp.change["lsps7.create_order"] = change
        with pytest.raises(NotPayable, match="only bolt12"):
            await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT)
        assert market.journal.states() == [EntryState.ABANDONED]


async def test_an_order_that_failed_already_is_not_paid() -> None:
    """FAILED in the reply to create_order: reported, journaled, not paid."""
    async with shop() as market, market.client() as lsp:
        market.lsp.change["lsps7.create_order"] = with_("order_state", "FAILED")(market.lsp)
        with pytest.raises(OrderFailed):
            await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT)
        assert await market.sent() == []
        assert market.journal.states() == [EntryState.FAILED]


# --- before ordering ------------------------------------------------------------------------------------------------


async def test_more_than_the_maximum_is_refused_before_ordering() -> None:
    """bLIP-57 §2: below or equal to max_channel_extension_expiry_blocks; asked of nobody, and journaled nowhere."""
    async with shop() as market, market.client() as lsp:
        with pytest.raises(OptionMismatch, match="5000") as refused:
            await lsp.lsps7.extend(scid(market), blocks=5_001, max_fee=LIMIT)
        assert refused.value.option == "max_channel_extension_expiry_blocks"
        assert market.lsp.methods() == ["lsps7.get_extendable_channels"]
        assert market.journal.entries == {}


@pytest.mark.parametrize("listed", [True, False])
async def test_no_blocks_are_no_extension(listed: bool) -> None:
    """bLIP-57 §2: MUST be 1 or greater, of a listed channel and of one that is not."""
    async with shop() as market, market.client() as lsp:
        market.lsp.listed = market.lsp.listed if listed else []
        with pytest.raises(ParamsRefused, match="1 or greater") as refused:
            await lsp.lsps7.extend(scid(market), blocks=0, max_fee=LIMIT)
        assert refused.value.property_name == "channel_extension_expiry_blocks"
        assert market.orders_asked() == 0


async def test_a_bad_refund_address_is_refused_before_ordering() -> None:
    """Money sent to an address of another network would be lost."""
    async with shop() as market, market.client() as lsp:
        mainnet = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
        with pytest.raises(ParamsRefused) as refused:
            await lsp.lsps7.extend(scid(market), blocks=1, max_fee=LIMIT, refund_address=mainnet)
        assert refused.value.property_name == "refund_onchain_address"
        assert market.orders_asked() == 0


async def test_a_channel_that_is_neither_listed_nor_ours_is_not_ordered_for() -> None:
    """The error says both."""
    async with shop() as market, market.client() as lsp:
        with pytest.raises(OptionMismatch, match="9x9x9") as refused:
            await lsp.lsps7.extend(Scid(9, 9, 9), blocks=1, max_fee=LIMIT)
        assert refused.value.option == "short_channel_id"
        assert market.orders_asked() == 0


async def test_an_unlisted_channel_of_ours_can_be_extended() -> None:
    """A long list may leave channels out; the order's own channel object takes the list's place."""
    async with shop() as market, market.client() as lsp:
        market.lsp.listed.clear()
        extended = await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT)
        assert extended.delivered
        assert extended.listed is None
        assert extended.expiration_block == market.net.world.chain.height + BLOCKS


async def test_a_channel_is_found_by_any_of_its_names() -> None:
    """The LSP may list a channel by another of its SCIDs: it is ordered by that one."""
    async with shop() as market, market.client() as lsp:
        assert market.channel.peer_alias is not None
        extended = await lsp.lsps7.extend(market.channel.peer_alias, blocks=BLOCKS, max_fee=LIMIT)
        assert extended.order.channel.short_channel_id == market.channel.scid


async def test_a_bad_entry_in_the_list_costs_only_itself() -> None:
    """An LSP in production sends negative numbers; the good entries are used, the bad one is told."""
    async with shop() as market, market.client() as lsp:
        market.lsp.listed.insert(0, {"short_channel_id": "1x1x1", "max_channel_extension_expiry_blocks": -5})
        channels = await lsp.lsps7.get_extendable_channels()
        assert [channel.short_channel_id for channel in channels] == [market.channel.scid]
        assert [bad.index for bad in channels.rejected] == [0]


# --- after COMPLETED ------------------------------------------------------------------------------------------------


async def test_an_extension_that_the_list_does_not_show_is_not_delivered() -> None:
    """COMPLETED is not believed: the list must show the new expiry, else NotDelivered names the order."""
    async with shop() as market, market.client() as lsp:
        market.lsp.lists_extensions = False
        with pytest.raises(NotDelivered, match="order order-1") as lost:
            await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT)
        assert lost.value.order_id == "order-1"
        assert type(lost.value) is NotDelivered
        assert market.journal.states() == [EntryState.NOT_DELIVERED]


async def test_a_promise_is_not_lowered_after_paying() -> None:
    """What counts is the expiry of the order as it was paid, not as it is told later."""
    async with shop() as market, market.client() as lsp:
        market.lsp.lists_extensions = False
        market.lsp.change["lsps7.get_order"] = shifted("new_channel_expiry_block", -BLOCKS)(market.lsp)
        with pytest.raises(NotDelivered):
            await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT)


async def test_a_listed_channel_must_not_vanish_from_the_list() -> None:
    """A channel to which blocks can still be added belongs in the list; its absence shows no extension."""
    async with shop() as market, market.client() as lsp:
        deliver = market.lsp.deliver

        async def vanish(order_id: str) -> None:
            await deliver(order_id)
            market.lsp.listed.clear()

        patch(market.lsp, "deliver", vanish)
        with pytest.raises(NotDelivered, match="no longer"):
            await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT)


async def test_a_channel_that_confirms_meanwhile_is_found_by_its_new_name() -> None:
    """A 0-conf channel is ordered for by an alias, confirms, and is listed by its confirmed SCID: it is delivered."""
    async with shop() as market, market.client() as lsp:
        channel = market.net.world.nodes[market.net.clients[0].node_id].channels[market.channel.channel_id]
        confirmed, channel.scid = scid(market), None
        assert market.channel.peer_alias is not None
        market.lsp.listed[0]["short_channel_id"] = str(market.channel.peer_alias)
        deliver = market.lsp.deliver

        async def confirm(order_id: str) -> None:
            await deliver(order_id)
            channel.scid = confirmed
            market.lsp.listed[0]["short_channel_id"] = str(confirmed)

        patch(market.lsp, "deliver", confirm)
        extended = await lsp.lsps7.extend(market.channel.peer_alias, blocks=BLOCKS, max_fee=LIMIT)
        assert extended.listed is not None
        assert extended.listed.short_channel_id == confirmed


async def test_a_channel_that_a_reorganisation_renamed_is_found_by_the_order() -> None:
    """Confirmed anew under another SCID while it is extended: the list says which order extended it."""
    async with shop() as market, market.client() as lsp:
        channel = market.net.world.nodes[market.net.clients[0].node_id].channels[market.channel.channel_id]
        deliver, renamed = market.lsp.deliver, Scid(777, 1, 0)

        async def rename(order_id: str) -> None:
            await deliver(order_id)
            channel.scid = renamed
            channel.aliases = {node_id: market.net.world.graph.new_alias() for node_id in channel.aliases}
            market.lsp.listed[0].update(short_channel_id=str(renamed), extension_order_ids=[order_id])

        patch(market.lsp, "deliver", rename)
        extended = await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT)
        assert extended.listed is not None
        assert extended.listed.short_channel_id == renamed


async def test_a_channel_at_its_maximum_may_leave_the_list() -> None:
    """The list has what can be extended (bLIP-57 §1): a channel that took all it could is delivered all the same."""
    async with shop() as market, market.client() as lsp:
        extended = await lsp.lsps7.extend(scid(market), blocks=5_000, max_fee=LIMIT)
        assert market.lsp.listed == []
        assert extended.delivered
        assert extended.expiration_block == extended.order.new_channel_expiry_block
