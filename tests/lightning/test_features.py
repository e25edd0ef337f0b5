"""Which feature bits an init may carry (BOLT 9, BOLT 1)."""

from __future__ import annotations

import pytest

from lsps.lightning.features import (
    CLIENT_INIT,
    LSP_INIT,
    OPTION_SUPPORTS_LSPS,
    has_feature,
    init_objection,
    reader_objection,
    writer_objection,
)


def bits(*numbers: int) -> int:
    return sum(1 << number for number in numbers)


LND_INIT = bits(0, 5, 7, 8, 11, 12, 14, 17, 19, 23, 25, 27, 31, 35, 37, 39, 45, 47, 51, 61, 81, 161, 181, 729, 2023)
"""What an LND sets, and more."""


@pytest.mark.parametrize(
    "features",
    [
        0,
        CLIENT_INIT,
        LSP_INIT,
        LND_INIT,
        bits(0, 8, 12, 14, 44),
        bits(14, 16),
        bits(15, 16),
        bits(46, 51),
        bits(26, 60),
        bits(10_001),
    ],
)
def test_accepted(features: int) -> None:
    """BOLT 1: unknown odd bits are ignored; BOLT 9's bits are known, as optional or as compulsory."""
    assert init_objection(features) is None


@pytest.mark.parametrize(
    ("features", "objection"),
    [
        (bits(2), "unknown feature bit 2"),
        (bits(30), "unknown feature bit 30"),
        (bits(48, 14, 16), "unknown feature bit 48"),
        (bits(64, 100), "unknown feature bit 64"),
        (bits(728), "unknown feature bit 728"),
        (bits(728, 729), "unknown feature bit 728"),
        (bits(16), "needs bit 14 or 15"),
        (bits(51), "needs bit 46 or 47"),
        (bits(61, 28), "needs bit 26 or 27"),
    ],
)
def test_refused(features: int, objection: str) -> None:
    """BOLT 1: an unknown even bit, or a known feature without what BOLT 9 says it needs, closes the connection."""
    assert objection in (init_objection(features) or "")


def test_all_bits_of_the_largest_init() -> None:
    """The largest vectors an init can hold are judged, by their lowest unknown bit."""
    assert init_objection((1 << 8 * 65_535) - 1) == "it requires the unknown feature bit 2"
    assert init_objection(bits(524_278)) == "it requires the unknown feature bit 524278"
    assert init_objection(int.from_bytes(b"\xaa" * 65_531, "big")) is None


def test_invoices_are_judged_by_their_own_bits() -> None:
    """BOLT 9: a feature of the init alone is unknown in an invoice: ignored when odd, with no regard to what it needs,
    refused when even."""
    assert reader_objection(bits(51)) is None
    assert reader_objection(bits(50)) == "it requires the unknown feature bit 50"
    assert reader_objection(bits(48)) is None


def test_what_we_say() -> None:
    """bLIP-50: a client MUST NOT set bit 729, an LSP MAY. Both set what BOLT 9 assumes of all, as optional (LDK's whole
    nodes disconnect without it), nothing twice and nothing that we would refuse ourselves."""
    assert not CLIENT_INIT >> OPTION_SUPPORTS_LSPS & 1
    assert LSP_INIT == CLIENT_INIT | 1 << 729
    assert bits(1, 9, 13, 15, 45) == CLIENT_INIT
    assert all(has_feature(CLIENT_INIT, bit) for bit in (0, 8, 12, 14, 44))
    assert writer_objection(CLIENT_INIT) is None
