"""Small parts of the service: what is in work, how long to wait, which inputs to spend, preimages."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest

from lsps.node.coins import INPUT_WEIGHT, OTHER_WEIGHT, choose
from lsps.node.contract import Utxo
from lsps.service.limits import InWork
from lsps.service.offer import Limits
from lsps.service.preimages import Preimages
from lsps.service.putoff import backoff
from lsps.units import NodeId, OrderId, Outpoint, Sat

ALICE, BOB = NodeId("02" + "11" * 32), NodeId("02" + "12" * 32)


def test_what_is_in_work_is_counted_by_peer_and_in_all() -> None:
    """Full for a peer at its limit, for customers at the limit in all; when one has ended there is room again."""
    work = InWork(Limits(requests_per_peer=2, requests_in_all=3))
    work.begin(ALICE, 1)
    work.begin(ALICE, "1")
    assert work.has(ALICE, 1)
    assert not work.has(BOB, 1)
    assert (work.is_full(ALICE, customer=True), work.is_full(BOB, customer=True)) == (True, False)
    work.begin(BOB, 1)
    assert work.is_full(BOB, customer=True)
    work.end(ALICE, 1)
    assert not work.has(ALICE, 1)
    assert (work.is_full(ALICE, customer=True), work.is_full(BOB, customer=True)) == (False, False)


def test_half_of_the_work_is_kept_for_customers() -> None:
    """Who has no channel finds it full at half of the limit in all, rounded up; who has one does not."""
    for limit, half in ((1, 1), (5, 3), (6, 3)):
        work = InWork(Limits(requests_in_all=limit))
        for number in range(half):
            assert not work.is_full(BOB, customer=False)
            work.begin(NodeId(f"02{number:064x}"), 1)
        assert work.is_full(BOB, customer=False)
        assert work.is_full(BOB, customer=True) == (limit == half)


def test_orders_in_creation_are_counted_by_peer_and_in_all() -> None:
    """Each counts until it is no longer being created."""
    work = InWork(Limits())
    for peer, change in ((ALICE, 1), (ALICE, 1), (BOB, 1), (ALICE, -1)):
        work.creating(peer, change)
    assert (work.orders_in_creation(ALICE), work.orders_in_creation(BOB), work.orders_in_creation_in_all()) == (1, 1, 2)


@pytest.mark.parametrize(("attempt", "seconds"), [(0, 1), (1, 2), (4, 16), (5, 30), (6, 30), (10**9, 30)])
def test_waiting_doubles_up_to_half_a_minute(attempt: int, seconds: int) -> None:
    """An effect that was put off is tried again after 1, 2, 4 … seconds, at most 30."""
    assert backoff(attempt) == timedelta(seconds=seconds)


COINS = [Utxo(Outpoint("ab" * 32, index), Sat(amount), "") for index, amount in enumerate((100_000, 300_000, 200_000))]


def fee(inputs: int) -> int:
    return OTHER_WEIGHT + INPUT_WEIGHT * inputs  # at 1000 sat per 1000 weight


@pytest.mark.parametrize(
    ("wanted", "reserve", "indexes"),
    [
        (300_000 - fee(1), 0, (1,)),
        (300_000 - fee(1) + 1, 0, (1, 2)),
        (600_000 - fee(3), 0, (1, 2, 0)),
        (600_000 - fee(3) + 1, 0, None),
        (300_000 - fee(1), 300_000, (1,)),
        (300_000 - fee(1), 300_001, None),
        (1, 599_999 - fee(1), (1,)),
    ],
)
def test_inputs_are_few_pay_the_fee_and_leave_the_reserve(
    wanted: int, reserve: int, indexes: tuple[int, ...] | None
) -> None:
    """The largest first, enough for channel and fee, and what stays in the wallet is at least the reserve."""
    expected = None if indexes is None else tuple(COINS[index].outpoint for index in indexes)
    assert choose(COINS, Sat(wanted), 1000, Sat(reserve)) == expected


def test_preimages_derive_from_the_secret_and_the_order() -> None:
    """Money rule 6: HMAC-SHA256 of the order id under the store's secret; the secret shows in no repr."""
    preimages = Preimages(b"\x01" * 32)
    first = preimages.preimage(OrderId("a"))
    assert first.hex() == "8fed454e4af2e38d7a0c4f0345a12d8ca418554236df19d57b6a239c212bd8ea"
    assert first == Preimages(b"\x01" * 32).preimage(OrderId("a"))
    assert first not in (preimages.preimage(OrderId("b")), Preimages(b"\x02" * 32).preimage(OrderId("a")))
    assert preimages.payment_hash(OrderId("a")) == hashlib.sha256(first).digest()
    assert (b"\x01" * 32).hex() not in repr(preimages)
