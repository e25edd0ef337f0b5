"""The JSON forms of bLIP-50's common schemas: read tolerantly, written in exactly one way.

msgspec would read and write our units as the dataclasses they are, so message fields are declared with the names
below. A type checker sees the unit itself; msgspec sees a type it does not know and asks `dec_hook`. A reader raises
ValueError, with a text that names the rule.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from types import NoneType
from typing import TYPE_CHECKING, Annotated, NewType

from msgspec import Meta

from lsps.lightning.keys import check_node_id
from lsps.units import MAX_UINT32, BlockHeight, InvalidUnit, Msat, NodeId, Outpoint, Sat, Scid

Uint16 = Annotated[int, Meta(ge=0, le=2**16 - 1)]
Uint32 = Annotated[int, Meta(ge=0, le=MAX_UINT32)]
SatPerKiloweight = Annotated[int, Meta(ge=0, le=MAX_UINT32)]
"""A feerate in satoshi per 1000 weight units, a JSON number (bLIP-50 LSPS0.onchain_fee_rate)."""

OnchainAddress = NewType("OnchainAddress", str)
"""A SegWit address (bLIP-50 LSPS0.onchain_address). Whether it is valid depends on the network: see rules."""


def _amount(value: object, unit: str) -> int:
    # bLIP-50 LSPS0.sat: a JSON string with the decimal number. Leading zeros are still that number, and are read;
    # signs, spaces and JSON numbers are not.
    digits = value.lstrip("0") or "0" if isinstance(value, str) and value else ""
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 20):
        raise ValueError(f"expected an amount in {unit} as a string of decimal digits, at most 2^64-1")
    return int(digits)


def read_sat(value: object) -> Sat:
    return Sat(_amount(value, "satoshi"))


def read_msat(value: object) -> Msat:
    return Msat(_amount(value, "millisatoshi"))


def read_scid(value: object) -> Scid:
    return Scid.parse(_text(value))


def read_outpoint(value: object) -> Outpoint:
    return Outpoint.parse(_text(value))


def read_node_id(value: object) -> NodeId:
    node_id = NodeId.parse(_text(value))
    check_node_id(node_id)  # bLIP-50 LSPS0.pubkey: readers SHOULD see that the point is on the curve
    return node_id


def read_height(value: object) -> BlockHeight:
    if type(value) is not int or not 0 <= value <= MAX_UINT32:
        raise ValueError("expected a block height, an integer from 0 to 4294967295")
    return BlockHeight(value)


def read_optional_text(value: object) -> str | None:
    """null and "" are as if absent: LDK sends the one, ZEUS the other."""
    return None if value is None else _text(value) or None


def read_mirrored_text(value: object) -> str:
    """A mirrored token MUST be "" when none was given (bLIP-51 §2); LDK answers null."""
    return "" if value is None else _text(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("expected a string")  # noqa: TRY004 - msgspec adds the path to a ValueError's text
    return value


_DATETIME = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,32})?(?:Z|[+-]\d\d:?\d\d)?", re.ASCII | re.IGNORECASE
)


def read_datetime(value: object) -> datetime:
    """Any offset and any fraction (cut to microseconds); no offset means UTC, as bLIP-50's datetimes always are."""
    text = _text(value)
    if not _DATETIME.fullmatch(text):
        raise ValueError("expected a datetime like 2025-01-01T00:00:00.000Z")
    try:
        moment = datetime.fromisoformat(text.upper())
        if moment.tzinfo is None:
            return moment.replace(tzinfo=UTC)
        return moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("expected a datetime that exists, of the years 1 to 9999") from None


def write_datetime(moment: datetime) -> str:
    """YYYY-MM-DDThh:mm:ss.uuuZ (bLIP-50 LSPS0.datetime), rounded down. Raises InvalidUnit when it has no offset."""
    if moment.tzinfo is None:
        raise InvalidUnit("a datetime without a time zone cannot be sent: give it one, for example datetime.UTC")
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


class _Form(type):
    """A type that only says how a value looks in JSON; its instances are those of the unit."""

    unit: type | tuple[type, ...]
    read: Callable[[object], object]

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, cls.unit)


def _form(name: str, unit: type | tuple[type, ...], read: Callable[[object], object]) -> _Form:
    return _Form(name, (), {"unit": unit, "read": staticmethod(read)})


if TYPE_CHECKING:
    JsonSat = Sat
    JsonMsat = Msat
    JsonScid = Scid
    JsonOutpoint = Outpoint
    JsonNodeId = NodeId
    JsonHeight = BlockHeight
    JsonDatetime = datetime
    OptionalText = str | None
    OptionalAddress = OnchainAddress | None
    MirroredText = str
else:
    JsonSat = _form("JsonSat", Sat, read_sat)
    JsonMsat = _form("JsonMsat", Msat, read_msat)
    JsonScid = _form("JsonScid", Scid, read_scid)
    JsonOutpoint = _form("JsonOutpoint", Outpoint, read_outpoint)
    JsonNodeId = _form("JsonNodeId", NodeId, read_node_id)
    JsonHeight = _form("JsonHeight", BlockHeight, read_height)
    JsonDatetime = _form("JsonDatetime", datetime, read_datetime)
    OptionalText = _form("OptionalText", (str, NoneType), read_optional_text)
    OptionalAddress = OptionalText
    MirroredText = _form("MirroredText", str, read_mirrored_text)


def dec_hook(form: type, value: object) -> object:
    """For msgspec: reads `value` in the form that a field is declared with."""
    if not isinstance(form, _Form):
        raise NotImplementedError(f"{form!r} has no JSON form here")
    return form.read(value)
