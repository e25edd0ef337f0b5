"""The JSON forms of bLIP-50's common schemas."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsps.protocol.fields import (
    read_datetime,
    read_height,
    read_mirrored_text,
    read_msat,
    read_node_id,
    read_optional_text,
    read_outpoint,
    read_sat,
    read_scid,
    write_datetime,
)
from lsps.units import BlockHeight, InvalidUnit, Msat, NodeId, Outpoint, Sat, Scid

GENERATOR = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
TXID = "F27C97F46ED7281A3EFA7287410082EBA0CD1424D72703A217E435EA840957B0"


def _id(value: object) -> str:
    """A name that is the same in every process."""
    return getattr(value, "__name__", repr(value))[:40]


GOOD: list[tuple[Callable[[object], object], object, object]] = [
    (read_sat, "546", Sat(546)),
    (read_sat, "0", Sat(0)),
    (read_sat, "000546", Sat(546)),
    (read_sat, "0" * 6_000, Sat(0)),
    (read_sat, "18446744073709551615", Sat(2**64 - 1)),
    (read_msat, "546000", Msat(546_000)),
    (read_scid, "539268x845x1", Scid(539268, 845, 1)),
    (read_outpoint, f"{TXID}:0", Outpoint(TXID.lower(), 0)),
    (read_node_id, GENERATOR, NodeId(GENERATOR)),
    (read_node_id, GENERATOR.upper(), NodeId(GENERATOR)),
    (read_height, 0, BlockHeight(0)),
    (read_height, 2**32 - 1, BlockHeight(2**32 - 1)),
    (read_optional_text, None, None),
    (read_optional_text, "", None),
    (read_optional_text, "a", "a"),
    (read_mirrored_text, None, ""),
    (read_mirrored_text, "", ""),
    (read_mirrored_text, "a", "a"),
]
NO_SAT: tuple[object, ...] = (
    *(546, 5.0, None, True, "", " 5", "5 ", "+5", "-5", "-0", "5.0", "5e3", "0x5", "1_000", "٥", "²"),
    *("18446744073709551616", "9" * 21, "9" * 60_000, [], {}),
)
NO_SCID: tuple[object, ...] = (5, None, "", "1x1", "1X1X1", "1x1x1x1", "16777216x0x0", "0x0x65536", "-1x0x0")
NO_OUTPOINT: tuple[object, ...] = (5, None, "", TXID, f"{TXID}:", f"{TXID}:65536", f"{TXID[1:]}:0", "x:0")
NO_NODE_ID: tuple[object, ...] = (5, "", "04" + GENERATOR[2:], GENERATOR[:-2], "02" + "ff" * 32)
NO_HEIGHT: tuple[object, ...] = (-1, 2**32, True, 1.0, "5", None)
NO_TEXT: tuple[object, ...] = (5, [], {}, False)
BAD: list[tuple[Callable[[object], object], object]] = [
    *((read_sat, value) for value in NO_SAT),
    (read_msat, 546),
    *((read_scid, value) for value in NO_SCID),
    *((read_outpoint, value) for value in NO_OUTPOINT),
    *((read_node_id, value) for value in NO_NODE_ID),
    *((read_height, value) for value in NO_HEIGHT),
    *((read_optional_text, value) for value in NO_TEXT),
    *((read_mirrored_text, value) for value in NO_TEXT),
    *(
        (read_datetime, value)
        for value in (
            5,
            None,
            "",
            "2025-01-01",
            "2025-13-01T00:00:00Z",
            "2025-02-29T00:00:00Z",
            "2025-01-01T24:00:00Z",
            "2025-01-01T00:00:60Z",
            "2025-01-01T00:00:00+24:00",
            "2025-01-01T00:00:00.Z",
            "0000-01-01T00:00:00Z",
            "0001-01-01T00:00:00+14:00",
            "9999-12-31T23:59:59-14:00",
            "٢025-01-01T00:00:00Z",
            "2025-01-01T00:00:00." + "1" * 60_000 + "Z",
        )
    ),
]


@pytest.mark.parametrize(("read", "value", "expected"), GOOD, ids=_id)
def test_read(read: Callable[[object], object], value: object, expected: object) -> None:
    """A well-formed value is read as the unit it is."""
    assert read(value) == expected


@pytest.mark.parametrize(("read", "value"), BAD, ids=_id)
def test_refused(read: Callable[[object], object], value: object) -> None:
    """What is not of the form is refused by a ValueError, which msgspec gives a path."""
    with pytest.raises(ValueError, match=r"."):
        read(value)


MOMENTS = {
    "2012-04-23T18:25:43.511Z": 511_000,
    "2012-04-23T18:25:43.511123456Z": 511_123,
    "2012-04-23T18:25:43.5Z": 500_000,
    "2012-04-23T18:25:43Z": 0,
    "2012-04-23T18:25:43z": 0,
    "2012-04-23t18:25:43Z": 0,
    "2012-04-23 18:25:43Z": 0,
    "2012-04-23T18:25:43": 0,
    "2012-04-23T18:25:43+00:00": 0,
    "2012-04-23T20:25:43+02:00": 0,
    "2012-04-23T14:55:43-0330": 0,
}


@pytest.mark.parametrize("text", MOMENTS)
def test_datetime_read_tolerantly(text: str) -> None:
    """Any offset and any fraction is read (LDK's services write nine digits), and comes out in UTC."""
    moment = read_datetime(text)
    assert moment == datetime(2012, 4, 23, 18, 25, 43, MOMENTS[text], UTC)
    assert moment.tzinfo is UTC


def test_datetime_written_in_one_way() -> None:
    """A datetime is written in UTC with three digits of fraction, rounded down (bLIP-50 LSPS0.datetime)."""
    moment = datetime(2012, 4, 23, 20, 25, 43, 511_999, timezone(timedelta(hours=2)))
    assert write_datetime(moment) == "2012-04-23T18:25:43.511Z"
    assert write_datetime(datetime(45, 1, 2, tzinfo=UTC)) == "0045-01-02T00:00:00.000Z"


def test_datetime_without_zone_is_not_written() -> None:
    """A naive datetime is refused, instead of being taken for local time."""
    with pytest.raises(InvalidUnit):
        write_datetime(datetime(2012, 4, 23))  # noqa: DTZ001


@given(st.datetimes(timezones=st.timezones()))
def test_datetime_read_back(moment: datetime) -> None:
    """A written datetime is read back as the same millisecond."""
    try:
        utc = moment.astimezone(UTC)
    except OverflowError:
        return
    assert read_datetime(write_datetime(moment)) == utc.replace(microsecond=utc.microsecond // 1000 * 1000)
