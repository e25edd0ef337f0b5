"""Amounts, heights and identifiers."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsps.errors import LspsError
from lsps.units import (
    MAX_UINT32,
    MAX_UINT64,
    BlockHeight,
    ChannelId,
    InvalidUnit,
    Msat,
    NodeId,
    Outpoint,
    Sat,
    Scid,
)

TXID = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
NODE = "02eec7245d6b7d2ccb30380bfbe2a3648cd7a942653f5aa340edcea1f283686619"

HUGE = pytest.param(10**5000, id="huge")
NEGATIVE_HUGE = pytest.param(-(10**5000), id="negative-huge")
"""More digits than Python turns into text."""

amounts = st.integers(0, MAX_UINT64)
scids = st.builds(Scid, st.integers(0, 2**24 - 1), st.integers(0, 2**24 - 1), st.integers(0, 2**16 - 1))
outpoints = st.builds(Outpoint, st.binary(min_size=32, max_size=32).map(bytes.hex), st.integers(0, 2**16 - 1))


@pytest.mark.parametrize("unit", [Sat, Msat])
@pytest.mark.parametrize("value", [0, 1, MAX_UINT64])
def test_amount_in_range(unit: type[Sat] | type[Msat], value: int) -> None:
    """Every unsigned 64-bit integer is an amount, and comes back as int, as text and in the repr (bLIP-50)."""
    amount = unit(value)
    assert (int(amount), str(amount), repr(amount)) == (value, str(value), f"{unit.__name__}({value})")
    assert bool(amount) is (value != 0)


@pytest.mark.parametrize("unit", [Sat, Msat])
@pytest.mark.parametrize("value", [-1, MAX_UINT64 + 1, HUGE, NEGATIVE_HUGE, True, 1.0, "1", None])
def test_amount_out_of_range(unit: type[Sat] | type[Msat], value: Any) -> None:
    """Nothing but an integer from 0 to 2^64-1 is an amount; the error is typed, short and names the unit."""
    with pytest.raises(InvalidUnit, match=unit.__name__) as caught:
        unit(value)
    assert isinstance(caught.value, LspsError)
    assert len(str(caught.value)) < 120


@given(amounts, amounts)
def test_amount_arithmetic(a: int, b: int) -> None:
    """Amounts of one unit add, subtract, multiply and compare as their numbers do."""
    low, high = sorted((a // 2, b // 2))
    assert Sat(low) + Sat(high) == Sat(low + high)
    assert Sat(high) - Sat(low) == Sat(high - low)
    assert Msat(low // 3) * 3 == Msat(low // 3 * 3)
    assert (Sat(low) < Sat(high)) is (low < high)
    assert (Sat(low) == Sat(high)) is (low == high)


@pytest.mark.parametrize(
    "compute",
    [
        lambda: Sat(MAX_UINT64) + Sat(1),
        lambda: Sat(1) - Sat(2),
        lambda: Msat(1) * -1,
        lambda: Sat(MAX_UINT64).to_msat(),
        lambda: BlockHeight(MAX_UINT32) + 1,
        lambda: BlockHeight(1) + -2,
    ],
)
def test_results_out_of_range(compute: Callable[[], object]) -> None:
    """Arithmetic that leaves the unit's range raises InvalidUnit instead of wrapping."""
    with pytest.raises(InvalidUnit):
        compute()


STRANGERS = [(Sat(1), Msat(1)), (Msat(1), Sat(1)), (Sat(1), 1), (1, Msat(1)), (BlockHeight(1), Sat(1))]


@pytest.mark.parametrize(("left", "right"), STRANGERS)
@pytest.mark.parametrize("mix", [operator.add, operator.sub, operator.lt, operator.ge])
def test_units_do_not_mix(left: Any, right: Any, mix: Callable[[Any, Any], object]) -> None:
    """A Sat, an Msat, a height and an int neither add nor subtract nor compare with each other."""
    with pytest.raises(TypeError):
        mix(left, right)


@pytest.mark.parametrize(("left", "right"), STRANGERS)
def test_units_are_not_equal(left: object, right: object) -> None:
    """Amounts of different units are different keys and values, even with the same number."""
    assert left != right
    assert len({left, right}) == 2


@pytest.mark.parametrize("factor", [Sat(2), 1.5, True])
def test_amount_times_anything_but_int(factor: Any) -> None:
    """An amount is multiplied by an int only."""
    with pytest.raises(TypeError):
        Sat(2) * factor


@pytest.mark.parametrize(("msat", "floor", "ceil"), [(0, 0, 0), (1, 0, 1), (999, 0, 1), (1000, 1, 1), (1001, 1, 2)])
def test_msat_to_sat(msat: int, floor: int, ceil: int) -> None:
    """Millisatoshi become satoshi only by a named rounding."""
    assert (Msat(msat).to_sat_floor(), Msat(msat).to_sat_ceil()) == (Sat(floor), Sat(ceil))


@given(st.integers(0, MAX_UINT64 // 1000))
def test_sat_to_msat_and_back(value: int) -> None:
    """Satoshi survive the way to millisatoshi and back."""
    assert Sat(value).to_msat().to_sat_ceil() == Sat(value) == Sat(value).to_msat().to_sat_floor()


@given(st.integers(0, MAX_UINT32), st.integers(0, MAX_UINT32))
def test_block_heights(a: int, b: int) -> None:
    """A height and blocks give a height; two heights give blocks, negative from a lower one."""
    blocks = BlockHeight(a).blocks_since(BlockHeight(b))
    assert blocks == a - b
    assert BlockHeight(b) + blocks == BlockHeight(a)
    assert (str(BlockHeight(a)), repr(BlockHeight(a))) == (str(a), f"BlockHeight({a})")


@pytest.mark.parametrize("value", [-1, MAX_UINT32 + 1, HUGE, True, 1.0])
def test_block_height_out_of_range(value: Any) -> None:
    """A height is an unsigned 32-bit integer."""
    with pytest.raises(InvalidUnit, match="block height"):
        BlockHeight(value)


def test_scid_example() -> None:
    """bLIP-50 LSPS0.scid: the blob 083a8400034d0001 is written 539268x845x1."""
    scid = Scid.from_int(0x083A8400034D0001)
    assert scid == Scid(539268, 845, 1)
    assert str(scid) == "539268x845x1"
    assert repr(scid) == "Scid('539268x845x1')"


@given(scids, scids)
def test_scid_round_trip(scid: Scid, other: Scid) -> None:
    """A SCID survives its text and its 64 bits, and both forms order SCIDs alike."""
    assert Scid.parse(str(scid)) == scid == Scid.from_int(int(scid))
    assert (scid < other) is (int(scid) < int(other))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1x2",
        "1x2x3x4",
        "1X2X3",
        "1x2x-3",
        "+1x2x3",
        "01x2x3",
        " 1x2x3",
        "1x2x3\n",
        "1:2:3",
        "1x2x٣",
        "16777216x0x0",
        "0x16777216x0",
        "0x0x65536",
        "9" * 5000 + "x1x1",
    ],
)
def test_scid_refused(text: str) -> None:
    """Only BBBxTTTxOOO in plain decimal, with parts of 24, 24 and 16 bits, is a SCID (bLIP-50 LSPS0.scid)."""
    with pytest.raises(InvalidUnit):
        Scid.parse(text)


@given(st.text(alphabet="0123456789xX- ", max_size=24) | st.text())
def test_scid_parse_is_total(text: str) -> None:
    """No text makes the parser raise anything but InvalidUnit, and what it reads, it writes back the same."""
    try:
        scid = Scid.parse(text)
    except InvalidUnit:
        return
    assert str(scid) == text


@pytest.mark.parametrize("value", [-1, 2**64])
def test_scid_from_int_out_of_range(value: int) -> None:
    """A SCID is 64 bits (BOLT 7)."""
    with pytest.raises(InvalidUnit):
        Scid.from_int(value)


def test_outpoint_example() -> None:
    """bLIP-50 LSPS0.outpoint's example is read, although in upper case, and shown in lower case."""
    text = "F27C97F46ED7281A3EFA7287410082EBA0CD1424D72703A217E435EA840957B0:0"
    assert str(Outpoint.parse(text)) == text.lower()
    assert repr(Outpoint.parse(text)) == f"Outpoint('{text.lower()}')"


@given(outpoints)
def test_outpoint_round_trip(outpoint: Outpoint) -> None:
    """An outpoint survives its text, and its channel id is lowercase hex."""
    assert Outpoint.parse(str(outpoint)) == outpoint
    assert outpoint.channel_id() == ChannelId(str(outpoint.channel_id()))


@pytest.mark.parametrize(
    "text",
    ["", TXID, f"{TXID}:", f"{TXID}:65536", f"{TXID}:-1", f"{TXID}:01", f"{TXID}:1:1", f"{TXID[:-1]}:1", f"{TXID}: 1"],
)
def test_outpoint_refused(text: str) -> None:
    """Only TXID:INDEX with an index to 65535 is an outpoint (bLIP-50 LSPS0.output_index)."""
    with pytest.raises(InvalidUnit):
        Outpoint.parse(text)


@pytest.mark.parametrize(("txid", "index"), [(TXID.upper(), 0), (TXID, 65536), (TXID, -1), (TXID[2:], 0)])
def test_outpoint_parts_refused(txid: str, index: int) -> None:
    """An outpoint's txid is kept in lower case only, so that equal outpoints compare equal."""
    with pytest.raises(InvalidUnit):
        Outpoint(txid, index)


@pytest.mark.parametrize(
    ("index", "channel_id"),
    [
        (0, "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"),
        (1, "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221101"),
        (0x0203, "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221303"),
        (0xFFFF, "ffeeddccbbaa99887766554433221100ffeeddccbbaa9988776655443322eeff"),
    ],
)
def test_channel_id(index: int, channel_id: str) -> None:
    """BOLT 2: a channel id is the funding txid in its own byte order, the last two bytes XORed with the index."""
    assert Outpoint(TXID, index).channel_id() == ChannelId(channel_id)


@pytest.mark.parametrize("text", ["", TXID.upper(), TXID[2:], TXID + "00", "g" * 64])
def test_channel_id_refused(text: str) -> None:
    """A channel id is 64 lowercase hex digits."""
    with pytest.raises(InvalidUnit):
        ChannelId(text)


def test_node_id() -> None:
    """bLIP-50 LSPS0.pubkey: hex in either case is read; it is shown in lower case, and its bytes are the 33 bytes."""
    assert NodeId.parse(NODE.upper()) == NodeId(NODE)
    assert (str(NodeId(NODE)), repr(NodeId(NODE))) == (NODE, f"NodeId('{NODE}')")
    assert bytes(NodeId(NODE)).hex() == NODE


@pytest.mark.parametrize("text", ["", NODE[2:], "04" + NODE[2:], NODE + "00", NODE[:-1] + "g", NODE + "\n", " " + NODE])
def test_node_id_refused(text: str) -> None:
    """A node id is 33 bytes of hex that begin with 02 or 03."""
    with pytest.raises(InvalidUnit):
        NodeId.parse(text)
