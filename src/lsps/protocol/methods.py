"""A method is one row of data, which client and service both read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from lsps.protocol.errors import InvalidParams, InvalidResult
from lsps.protocol.message import Message, WrongShape, read

P = TypeVar("P", bound=Message)
R = TypeVar("R", bound=Message)
P_co = TypeVar("P_co", bound=Message, covariant=True)
R_co = TypeVar("R_co", bound=Message, covariant=True)

TOLERATED_PARAMS = frozenset({"client_info"})
"""Parameters that no bLIP has, but a popular wallet adds to create_order: ignored, instead of refused."""


@dataclass(frozen=True, slots=True)
class Method(Generic[P_co, R_co]):
    """`errors` are the codes that the bLIP lists for it; `read_result` replaces the plain reading of its result.

    Any row is a `Method[Message, Message]`, for tables of them.
    """

    name: str
    params: type[P_co]
    result: type[R_co]
    errors: tuple[int, ...]
    idempotent: bool
    read_result: Callable[[msgspec.Raw | bytes], R_co] | None = None


class NoParams(Message, frozen=True, kw_only=True):
    """For methods that take none: written `{}`."""


def decode_params(method: Method[P, R], raw: msgspec.Raw | bytes | None) -> P:
    """The params of a request. Absent or null is `{}`. Raises InvalidParams, and nothing else.

    bLIP-50: by-name only; an unrecognized parameter is refused by name, so that a newer client can tell which.
    """
    if raw is None or bytes(raw) == b"null":
        raw = b"{}"
    names = _parameter_names(raw)
    known = TOLERATED_PARAMS.union(method.params.__struct_fields__)
    unrecognized = [name for name in names if name not in known]
    try:
        params = read(raw, method.params)
    except WrongShape as wrong:
        raise InvalidParams(wrong.path or None, str(wrong), unrecognized) from None
    if unrecognized:
        first = InvalidParams(None, "", unrecognized).unrecognized[0]
        raise InvalidParams(first, f"{method.name} has no parameter of this name", unrecognized)
    return params


def _parameter_names(raw: msgspec.Raw | bytes) -> list[str]:
    try:
        return list(msgspec.json.decode(raw, type=dict[str, msgspec.Raw]))
    except (msgspec.MsgspecError, RecursionError, ValueError):
        raise InvalidParams(None, "params must be an object: parameters are given by name, not by position") from None


def decode_result(method: Method[P, R], raw: msgspec.Raw | bytes) -> R:
    """The result of a response. Raises InvalidResult, and nothing else."""
    try:
        return read(raw, method.result) if method.read_result is None else method.read_result(raw)
    except WrongShape as wrong:
        raise InvalidResult(method.name, wrong.path, wrong.rule) from None
