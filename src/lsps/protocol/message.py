"""Messages as frozen structs: written to JSON in one way, read from it with the path of what is wrong."""

from __future__ import annotations

import re
from datetime import datetime
from enum import Enum
from typing import ClassVar, TypeVar

import msgspec

from lsps.errors import LspsError
from lsps.protocol.fields import dec_hook, write_datetime
from lsps.protocol.sanitize import sanitize
from lsps.units import BlockHeight, Msat, NodeId, Outpoint, Sat, Scid

M = TypeVar("M", bound="Message")


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """Base of params, results and the objects in them. None is written by leaving the key out."""

    written_as_null: ClassVar[frozenset[str]] = frozenset()
    """Keys that are `null`, not absent, when None."""
    secret: ClassVar[frozenset[str]] = frozenset()
    """Fields that no repr shows."""
    not_written: ClassVar[frozenset[str]] = frozenset()
    """Fields that are ours alone: neither part of the JSON object nor ever read from it."""

    def __repr__(self) -> str:
        shown = (
            f"{name}={'…' if name in self.secret else repr(getattr(self, name))}" for name in self.__struct_fields__
        )
        return f"{type(self).__name__}({', '.join(shown)})"


class WrongShape(LspsError):
    """JSON that does not have a message's shape: `path` is dotted, "" for the whole; `rule` says what was expected."""

    def __init__(self, path: str, rule: str) -> None:
        super().__init__(f"{path}: {rule}" if path else rule)
        self.path = path
        self.rule = rule


def to_json(value: object) -> object:
    """Plain values for msgspec.json.encode: amounts and ids as text, datetimes in UTC with milliseconds."""
    match value:
        case Message():
            return _object(value)
        case Sat() | Msat() | Scid() | Outpoint() | NodeId():
            return str(value)
        case BlockHeight():
            return int(value)
        case datetime():
            return write_datetime(value)
        case Enum():
            return value.value
        case tuple() | list():
            return [to_json(item) for item in value]
    return value


def _object(message: Message) -> dict[str, object]:
    written: dict[str, object] = {}
    for name in message.__struct_fields__:
        value = getattr(message, name)
        if name not in message.not_written and (value is not None or name in message.written_as_null):
            written[name] = to_json(value)
    return written


def read(raw: msgspec.Raw | bytes, kind: type[M]) -> M:
    """`raw` as a `kind`; unknown keys are ignored at every depth. Raises WrongShape, and nothing else."""
    try:
        return msgspec.json.decode(raw, type=kind, dec_hook=dec_hook)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise wrong_shape(error) from None


# msgspec has no structured path: its texts end in " - at `$.a.b[0].c`". Only our own field names and list
# positions appear in it; a text of the peer's can only stand before, so the last one counts.
_PATH = re.compile(r"(.*) - at `(\$[^`]*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `([a-z0-9_]+)`")


def wrong_shape(error: Exception) -> WrongShape:
    """The WrongShape that says what an exception from msgspec says."""
    if isinstance(error, RecursionError):
        return WrongShape("", "nested too deeply")
    rule, path = str(error), "$"
    if match := _PATH.fullmatch(rule):
        rule, path = match[1], match[2]
    path = path.removeprefix("$").replace("[", ".").replace("]", "").removeprefix(".")
    if match := _MISSING.fullmatch(rule):
        return WrongShape(f"{path}.{match[1]}" if path else match[1], "required, but missing")
    # The rule may quote the peer (a value outside an enum).
    return WrongShape(path, sanitize(rule.replace("`", ""), limit=200))
