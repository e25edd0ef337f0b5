"""Tokens: which are taken, what they change, how their uses are counted (bLIP-51 §2, bLIP-57 §2)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from lsps.protocol.errors import TokenInvalid
from lsps.service.offer import Token
from lsps.service.tokens import Tokens
from lsps.units import Sat
from tests.service.conftest import MakeWorld
from tests.service.ends import DELIVERED, REFUNDED
from tests.service.peers import CHANNEL_ORDER, Peer, quiet, until
from tests.service.world import OFFER

HALF = Token("HALF", discount_percent=50)
STALE = Token("STALE", expires=date(2026, 1, 1))
FRESH = Token("FRESH", expires=date(2026, 1, 2))
SMALL = Token("SMALL", max_lsp_balance=Sat(500_000), max_blocks=100)
TWICE = Token("TWICE", uses=2)
OFFERED = replace(OFFER, tokens=(HALF, STALE, FRESH, SMALL, TWICE))
NOW = datetime(2026, 1, 1, 23, 59, 59, tzinfo=UTC)
TOKENS = Tokens(OFFERED.tokens)


@pytest.mark.parametrize("code", [None, ""])
def test_no_token_is_no_token(code: str | None) -> None:
    """Absent, null and "" name none."""
    assert TOKENS.check(code, lsp_balance=None, blocks=1, now=NOW) is None


@pytest.mark.parametrize("code", ["half", "HALF ", "OTHER", "STALE"])
def test_an_unknown_or_stale_one_is_invalid(code: str) -> None:
    """A token is its exact code, and stale from the day that `expires` names; an invalid one is never ignored."""
    with pytest.raises(TokenInvalid):
        TOKENS.check(code, lsp_balance=None, blocks=1, now=NOW)
    assert TOKENS.check("FRESH", lsp_balance=None, blocks=1, now=NOW) is FRESH


def test_a_token_is_good_up_to_its_bounds() -> None:
    """max_blocks and max_lsp_balance hold to the unit; the balance matters for channels alone."""
    assert TOKENS.check("SMALL", lsp_balance=Sat(500_000), blocks=100, now=NOW) is SMALL
    assert TOKENS.check("SMALL", lsp_balance=None, blocks=100, now=NOW) is SMALL
    for balance, blocks in ((500_001, 100), (500_000, 101)):
        with pytest.raises(TokenInvalid):
            TOKENS.check("SMALL", lsp_balance=Sat(balance), blocks=blocks, now=NOW)


def test_no_repr_shows_a_code() -> None:
    """Codes are secrets: they show in no repr."""
    assert "HALF" not in repr(HALF)
    assert "HALF" not in repr(OFFERED)


async def refusals(alice: Peer, code: str) -> list[int]:
    """The error codes of both create_orders with this token."""
    scid = (await alice.extendable())[0]["short_channel_id"]
    extension = {"short_channel_id": scid, "channel_extension_expiry_blocks": 101, "token": code}
    return [
        (await alice.refused("lsps1.create_order", CHANNEL_ORDER | {"token": code}))["code"],
        (await alice.refused("lsps7.create_order", extension))["code"],
    ]


@pytest.mark.parametrize("code", ["OTHER", "STALE", "SMALL"])
async def test_a_bad_token_is_102_in_both_specifications(make_world: MakeWorld, code: str) -> None:
    """bLIP-51 §2: an invalid token MUST be refused with 102; bLIP-57 names no code, so the same one."""
    async with make_world(offer=OFFERED) as world:
        assert await refusals(world.peers[0], code) == [102, 102]
        assert await world.store.newest_orders(None, 5) == []


async def test_a_token_changes_the_fee_and_is_mirrored(make_world: MakeWorld) -> None:
    """bLIP-51 §2: the token is mirrored; its discount is of the fee, not of the client's balance."""
    async with make_world(offer=OFFERED) as world:
        (alice,) = world.peers
        full, half = await alice.order_channel(), await alice.order_channel(token="HALF")
        assert half["token"] == "HALF"
        fees = [int(order["payment"]["bolt11"]["fee_total_sat"]) for order in (full, half)]
        assert fees[1] == -(-fees[0] // 2)
        assert int(half["payment"]["bolt11"]["order_total_sat"]) == fees[1] + 20_000


async def test_uses_are_reserved_released_and_consumed(make_world: MakeWorld) -> None:
    """A use is reserved with the order, released when the order fails and consumed when it completes; beyond `uses` the
    token is 102, in LSPS1 and LSPS7 alike."""
    async with make_world(offer=OFFERED) as world:
        (alice,) = world.peers

        async def count() -> tuple[int, int]:
            counted = await world.store.token_count("TWICE")
            return counted.reserved, counted.consumed

        first, second = await alice.order_extension(token="TWICE"), await alice.order_channel(token="TWICE")
        assert await count() == (2, 0)
        assert await refusals(alice, "TWICE") == [102, 102]
        await until(alice.pay(first).done)
        await quiet()
        assert await alice.told(first) == DELIVERED
        assert await count() == (1, 1)
        await world.pass_time(3601)
        assert await alice.told(second) == REFUNDED
        assert await count() == (0, 1)
        await until(alice.pay(await alice.order_extension(token="TWICE")).done)
        await quiet()
        assert await count() == (0, 2)
        assert await refusals(alice, "TWICE") == [102, 102]


async def test_the_last_use_goes_to_one_of_two_at_once(make_world: MakeWorld) -> None:
    """Uses are counted in the orders' own commits: two requests at once cannot both have the last."""
    async with make_world(offer=replace(OFFERED, tokens=(replace(TWICE, uses=1),))) as world:
        (alice,) = world.peers
        ids = [await alice.send_request("lsps1.create_order", CHANNEL_ORDER | {"token": "TWICE"}) for _ in range(2)]
        await quiet()
        codes = [alice.replies[request_id][0].get("error", {}).get("code") for request_id in ids]
        assert sorted(codes, key=str) == [102, None]
