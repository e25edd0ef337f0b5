"""The node contract as bytes: how a process reaches a simulated node of another one (host.py there, remote.py here).

A connection carries one thing. Closing it is giving up the wait, so there are no ids and nothing to cancel.

    call       Request, then one Value or Failure
    stream     Request, then Values without end; `watch` and `unwatch` may be requested meanwhile
    context    Request, then one Value (entered) or Failure; the user's end of file leaves it, the host's tells that

A frame is its length in four bytes and MessagePack. Everything is decoded as the type that the contract names: bytes
from a socket become values of the contract, or BadFrame, and nothing else.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from enum import Enum
from types import GenericAlias, UnionType
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from lsps.node import contract
from lsps.node.contract import Channels, Invoices, Messages, Node, NodeError, Payments, Wallet

LONGEST_FRAME = 2**26
_LENGTH_BYTES = 4

M = TypeVar("M")


class BadFrame(NodeError):
    """Not what this protocol says: another program, or another version of this one."""


class Request(msgspec.Struct, frozen=True, array_like=True):
    """`method` is a key of METHODS."""

    method: str
    arguments: msgspec.Raw


class Value(msgspec.Struct, frozen=True, array_like=True, tag="value"):
    """`alternative`: which one of the types that the method may give."""

    alternative: Annotated[int, msgspec.Meta(ge=0)]
    value: msgspec.Raw


class Failure(msgspec.Struct, frozen=True, array_like=True, tag="failure"):
    """`kind` is a key of ERRORS."""

    kind: str
    text: str


class Kind(Enum):
    CALL = "call"
    STREAM = "stream"
    CONTEXT = "context"
    NOTE = "note"
    """Told, not answered."""


class Method:
    """One method of the contract; its types are what the contract says. `part`: where it is found in a Node."""

    def __init__(self, part: str, function: Callable[..., Any]) -> None:
        types = get_type_hints(function)
        returned = types.pop("return")
        self.name: str = function.__qualname__
        self.kind = _kind_of(function, returned)
        self._attributes = [part, function.__name__] if part else [function.__name__]
        self._arguments: msgspec.msgpack.Decoder[tuple[Any, ...]] = msgspec.msgpack.Decoder(
            GenericAlias(tuple, tuple(types.values()))
        )
        given = get_args(returned)[0] if self.kind in (Kind.STREAM, Kind.CONTEXT) else returned
        self._alternatives = (
            get_args(given) if isinstance(given, UnionType) else (type(None) if given is None else given,)
        )
        self._decoders = [msgspec.msgpack.Decoder(alternative) for alternative in self._alternatives]

    def of(self, node: Node) -> Callable[..., Any]:
        found: Any = node
        for name in self._attributes:
            found = getattr(found, name)
        bound: Callable[..., Any] = found
        return bound

    def request(self, arguments: tuple[object, ...]) -> Request:
        return Request(self.name, msgspec.Raw(msgspec.msgpack.encode(arguments)))

    def arguments(self, request: Request) -> tuple[Any, ...]:
        """Raises BadFrame."""
        return _decoded(self._arguments, request.arguments, f"{self.name}: ")

    def value(self, given: object) -> Value:
        for index, alternative in enumerate(self._alternatives):
            if isinstance(given, get_origin(alternative) or alternative):
                return Value(index, msgspec.Raw(msgspec.msgpack.encode(given)))
        raise BadFrame(f"{self.name} gave a {type(given).__name__}, which the contract does not know")

    def given(self, value: Value) -> Any:
        """Raises BadFrame."""
        if value.alternative >= len(self._decoders):
            raise BadFrame(f"{self.name} gives no alternative {value.alternative}")
        return _decoded(self._decoders[value.alternative], value.value, f"{self.name}: ")


def _kind_of(function: Callable[..., Any], returned: Any) -> Kind:
    if inspect.iscoroutinefunction(function):
        return Kind.CALL
    kinds = {AsyncIterator: Kind.STREAM, AbstractAsyncContextManager: Kind.CONTEXT}
    return kinds.get(get_origin(returned), Kind.NOTE)


_PARTS: Mapping[str, type] = {
    "": Node,
    "messages": Messages,
    "invoices": Invoices,
    "payments": Payments,
    "channels": Channels,
    "wallet": Wallet,
}
METHODS: Mapping[str, Method] = {
    function.__qualname__: Method(part, function)
    for part, protocol in _PARTS.items()
    for name, function in vars(protocol).items()
    if inspect.isfunction(function) and not name.startswith("_") and function is not Node.close
}
"""The whole contract, by names like "Channels.open". A user closes a node by closing its connections."""

ERRORS: Mapping[str, type[NodeError]] = {
    name: kind for name, kind in vars(contract).items() if isinstance(kind, type) and issubclass(kind, NodeError)
}


def failure(error: NodeError) -> Failure:
    """Its own kind, or the nearest one that the contract knows."""
    kind = next(base.__name__ for base in type(error).__mro__ if ERRORS.get(base.__name__) is base)
    return Failure(kind, str(error))


def frame(message: Request | Value | Failure) -> bytes:
    body = msgspec.msgpack.encode(message)
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """None at the end. Raises BadFrame, OSError."""
    return await _read(reader, _REQUEST)


async def read_answer(reader: asyncio.StreamReader) -> Value | Failure | None:
    """None at the end. Raises BadFrame, OSError."""
    return await _read(reader, _ANSWER)


_REQUEST = msgspec.msgpack.Decoder(Request)
_ANSWER: msgspec.msgpack.Decoder[Value | Failure] = msgspec.msgpack.Decoder(Value | Failure)


async def _read(reader: asyncio.StreamReader, decoder: msgspec.msgpack.Decoder[M]) -> M | None:
    try:
        length = int.from_bytes(await reader.readexactly(_LENGTH_BYTES), "big")
        if length > LONGEST_FRAME:
            raise BadFrame(f"a frame of {length} bytes")
        return _decoded(decoder, await reader.readexactly(length))
    except asyncio.IncompleteReadError:
        return None


def _decoded(decoder: msgspec.msgpack.Decoder[M], data: bytes | msgspec.Raw, where: str = "") -> M:
    """Raises BadFrame."""
    try:
        return decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadFrame(f"{where}{error}") from None
