"""Scenario 4, our service: customers who hang up, repeat ids, and answer what nobody asked. One reply a request."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.ldk.our_lsp import HeldPrice, OurLsp, our_lsp
from tests.ldk.raw import Json, RawPeer, error, raw_peer
from tests.node.contract.environment import eventually
from tests.service.peers import CHANNEL_ORDER

ORDER = "lsps1.create_order"


async def served(lsp: OurLsp, customer: RawPeer, request_id: object = "still there") -> None:
    """The service still serves this customer; whatever it said before has arrived by then."""
    reply = await customer.ask(lsp.node_id, "lsps0.list_protocols", request_id=request_id)
    assert reply["result"] == {"protocols": [1, 7]}


async def test_a_customer_who_hangs_up_in_mid_request(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """bLIP-50, Disconnection Handling: a reply that cannot be delivered counts as delivered and not followed up: the
    order stands unpaid, nothing is said later, and the customer, back again, is served; so is everybody else."""
    price = HeldPrice()
    caplog.set_level("INFO")
    async with our_lsp(tmp_path, price=price) as lsp, raw_peer(lsp.buyer_key) as customer, raw_peer() as other:
        await customer.call(lsp.node_id, lsp.address)
        await customer.say(lsp.node_id, {"method": ORDER, "params": CHANNEL_ORDER, "id": "cut"})
        await price.asked_times(1)
        await customer.hang_up(lsp.node_id)
        await lsp.offline(customer.node_id)
        price.opened.set()
        await lsp.answered("cut")
        await other.call(lsp.node_id, lsp.address)
        await served(lsp, other)
        await customer.call(lsp.node_id, lsp.address)
        await served(lsp, customer)
        assert await lsp.unpaid(customer.node_id) == 1
        assert customer.with_id("cut") == []
        assert len(lsp.tap.replies("cut")) == 1
    assert [record.message for record in caplog.records].count("reply_not_delivered") == 1
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_a_customer_who_is_back_before_the_reply(tmp_path: Path) -> None:
    """The reply goes, once, to whoever holds the key: on the new connection when the old one is gone."""
    price = HeldPrice()
    async with our_lsp(tmp_path, price=price) as lsp, raw_peer(lsp.buyer_key) as customer:
        await customer.call(lsp.node_id, lsp.address)
        await customer.say(lsp.node_id, {"method": ORDER, "params": CHANNEL_ORDER, "id": "cut"})
        await price.asked_times(1)
        await customer.hang_up(lsp.node_id)
        await lsp.offline(customer.node_id)
        await customer.call(lsp.node_id, lsp.address)
        await lsp.online(customer.node_id)
        price.opened.set()
        (reply,) = await customer.replies("cut", 1)
        await served(lsp, customer)
        assert reply["result"]["order_state"] == "CREATED"
        assert len(customer.with_id("cut")) == len(lsp.tap.replies("cut")) == 1


async def test_an_id_repeated_while_in_work(tmp_path: Path) -> None:
    """The same id sent three times while it is in work, once over a new connection, is one order and one reply; sent
    again after the reply it is another request, with its own order and its own reply."""
    price = HeldPrice()
    async with our_lsp(tmp_path, price=price) as lsp, raw_peer(lsp.buyer_key) as customer:
        again: Json = {"method": ORDER, "params": CHANNEL_ORDER, "id": "again"}
        await customer.call(lsp.node_id, lsp.address)
        await customer.say(lsp.node_id, again, again)
        await price.asked_times(1)
        await customer.hang_up(lsp.node_id)
        await lsp.offline(customer.node_id)
        await customer.call(lsp.node_id, lsp.address)
        await customer.say(lsp.node_id, again)
        await served(lsp, customer)
        price.opened.set()
        await customer.replies("again", 1)
        await served(lsp, customer, "and still")
        assert (price.asked, await lsp.unpaid(customer.node_id)) == (1, 1)
        assert len(lsp.tap.replies("again")) == 1
        await customer.say(lsp.node_id, again)
        first, second = await customer.replies("again", 2)
        assert first["result"]["order_id"] != second["result"]["order_id"]
        assert (price.asked, await lsp.unpaid(customer.node_id)) == (2, 2)


async def test_replies_out_of_order(tmp_path: Path) -> None:
    """Requests that take longer do not hold up the others: they are answered as they are done, each once."""
    price = HeldPrice()
    async with our_lsp(tmp_path, price=price) as lsp, raw_peer(lsp.buyer_key) as customer:
        await customer.call(lsp.node_id, lsp.address)
        await customer.say(
            lsp.node_id,
            {"method": ORDER, "params": CHANNEL_ORDER, "id": "slow"},
            {"method": "lsps1.get_info", "params": {}, "id": "quick"},
            {"method": "lsps1.get_order", "params": {"order_id": "none"}, "id": 7},
        )
        await customer.replies("quick", 1)
        await customer.replies(7, 1)
        assert customer.with_id("slow") == []
        price.opened.set()
        await customer.replies("slow", 1)
        assert Counter(message["id"] for _, message in lsp.tap.said) == {"slow": 1, "quick": 1, 7: 1}


@pytest.mark.parametrize(
    "stray",
    [
        {"id": "nobody asked", "result": {"protocols": [1]}},
        {"id": 12, "result": None},
        error("nobody asked", 100, {"property": "x"}),
        error(None, -32700),
        error(None, 1),
        {"method": "lsps0.notify", "params": {}},
    ],
    ids=["response", "number", "error", "parse error", "error without id", "notification"],
)
async def test_what_is_no_request_is_answered_by_nobody(tmp_path: Path, stray: Json) -> None:
    """bLIP-50: only requests are answered; responses that nobody asked for, errors, also about a message of ours, and
    notifications are not, or two services would answer each other without end."""
    async with our_lsp(tmp_path) as lsp, raw_peer() as customer:
        await customer.call(lsp.node_id, lsp.address)
        await customer.say(lsp.node_id, stray, stray, stray)
        await served(lsp, customer)
        assert [message["id"] for message in customer.heard] == ["still there"]


async def test_more_at_once_than_allowed(tmp_path: Path) -> None:
    """[limits] requests_per_peer: of thirty orders sent in one go ten are taken and twenty refused with error 1; each
    of the thirty gets one reply, and hanging up in between changes nothing for the next connection."""
    price = HeldPrice()
    async with our_lsp(tmp_path, price=price) as lsp, raw_peer(lsp.buyer_key) as customer:
        await customer.call(lsp.node_id, lsp.address)
        ids = [f"order {number}" for number in range(30)]
        await customer.say(lsp.node_id, *({"method": ORDER, "params": CHANNEL_ORDER, "id": one} for one in ids))
        await price.asked_times(10)
        for one in ids[10:]:
            (reply,) = await customer.replies(one, 1)
            assert reply["error"]["code"] == 1
        await customer.hang_up(lsp.node_id)
        await lsp.offline(customer.node_id)
        price.opened.set()
        for one in ids[:10]:
            assert "result" in (await lsp.answered(one))[0]
        await customer.call(lsp.node_id, lsp.address)
        await served(lsp, customer)
        assert Counter(message["id"] for _, message in lsp.tap.said) == dict.fromkeys([*ids, "still there"], 1)
        assert price.asked == await lsp.unpaid(customer.node_id) == 10


async def test_a_customer_who_never_stays(tmp_path: Path) -> None:
    """Fifty times in a row: connect, ask, hang up without listening. Every request is answered once, nothing stays in
    work, and the fifty-first, who stays, is served."""
    async with our_lsp(tmp_path) as lsp, raw_peer() as customer:
        for number in range(50):
            await customer.call(lsp.node_id, lsp.address)
            await customer.say(lsp.node_id, {"method": "lsps1.get_info", "params": {}, "id": number})
            await customer.hang_up(lsp.node_id)

        async def all_came() -> bool:
            return len(lsp.tap.requests("lsps1.get_info")) == 50

        await eventually("all requests arrived", all_came)
        for number in range(50):
            assert len(await lsp.answered(number)) == 1
        await customer.call(lsp.node_id, lsp.address)
        await served(lsp, customer)
