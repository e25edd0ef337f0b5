"""The envelope (bLIP-50, JSON-RPC 2.0): bytes of a message 37913 in, one typed message out, and the way back."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

import msgspec

from lsps.errors import LspsError
from lsps.protocol.errors import RpcError
from lsps.protocol.message import Message, to_json

MESSAGE_TYPE = 37913
"""The BOLT 8 message id of every LSPS message (bLIP-50)."""
MAX_PAYLOAD_BYTES = 65_533
"""What a BOLT 8 message holds beside its two bytes of type."""
MAX_ID_BYTES = 256

RequestId: TypeAlias = str | int
ErrorShape: TypeAlias = Literal["spec", "ldk"]
"""`error.data` as the object that the bLIPs ask for, or as the string that LDK needs to read the message at all."""


class BadMessageFormat(LspsError):
    """The payload is not one JSON-RPC object (bLIP-50, Message Payload Format). The text names the check."""


class Request(msgspec.Struct, frozen=True):
    """`params` is None when absent; decode_params reads it."""

    id: RequestId
    method: str
    params: msgspec.Raw | None = None


class Response(msgspec.Struct, frozen=True):
    """`result` may be any JSON value; decode_result reads it."""

    id: RequestId
    result: msgspec.Raw


class ErrorResponse(msgspec.Struct, frozen=True):
    """`id` is None when the peer could not read which request it answers."""

    id: RequestId | None
    error: RpcError


class Notification(msgspec.Struct, frozen=True):
    """A method without an id: only LSPs send these."""

    method: str
    params: msgspec.Raw | None = None


_ABSENT = msgspec.Raw()


class _Envelope(msgspec.Struct):
    # All Raw: a duplicate key then simply replaces the earlier one, whatever that was.
    jsonrpc: msgspec.Raw = _ABSENT
    id: msgspec.Raw = _ABSENT
    method: msgspec.Raw = _ABSENT
    params: msgspec.Raw = _ABSENT
    result: msgspec.Raw = _ABSENT
    error: msgspec.Raw = _ABSENT


class _ErrorObject(msgspec.Struct):
    code: int
    message: str | None = None
    data: msgspec.Raw = _ABSENT


def decode(payload: bytes) -> Request | Response | ErrorResponse | Notification:
    """One JSON-RPC message. Raises BadMessageFormat, and nothing else, for any bytes.

    A message with a method and an id is a request, with a method alone a notification. An absent `jsonrpc` is
    tolerated (LDK tolerates it too); any value but "2.0" is not. `"error": null` beside a result, and the other way
    round, are tolerated. What is in `params` and `result` is valid JSON, and not looked at further.
    """
    envelope = _envelope(payload)
    if _present(envelope.jsonrpc) and bytes(envelope.jsonrpc) != b'"2.0"' and _string(envelope.jsonrpc) != "2.0":
        raise BadMessageFormat('jsonrpc must be "2.0"')
    if _present(envelope.method):
        method = _string(envelope.method)
        params = envelope.params if _present(envelope.params) else None
        return Request(_id(envelope.id), method, params) if _present(envelope.id) else Notification(method, params)
    if _present(envelope.error) and not _null(envelope.error):
        if _present(envelope.result) and not _null(envelope.result):
            raise BadMessageFormat("a response has a result or an error, not both")
        unknown = not _present(envelope.id) or _null(envelope.id)
        return ErrorResponse(None if unknown else _id(envelope.id), _error(envelope.error))
    if _present(envelope.result):
        return Response(_id(envelope.id), envelope.result)
    raise BadMessageFormat("neither a request, nor a response, nor a notification: no method, result or error")


def _envelope(payload: bytes) -> _Envelope:
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise BadMessageFormat(f"{len(payload)} bytes: a message has at most {MAX_PAYLOAD_BYTES}")
    try:
        # msgspec looks only into the strings that it builds, and checks everything else of JSON's grammar.
        payload.decode("utf-8")
    except UnicodeDecodeError:
        raise BadMessageFormat("the payload is not UTF-8") from None
    if b"\0" in payload:
        raise BadMessageFormat("the payload contains a 0 byte")
    try:
        return msgspec.json.decode(payload, type=_Envelope)
    except RecursionError:
        raise BadMessageFormat("the payload is nested too deeply") from None
    except ValueError as error:
        raise BadMessageFormat(f"the payload is not one JSON object: {error!s:.100}") from None


def _present(raw: msgspec.Raw) -> bool:
    return bytes(raw) != b""


def _null(raw: msgspec.Raw) -> bool:
    return bytes(raw) == b"null"


def _string(raw: msgspec.Raw) -> str:
    try:
        return msgspec.json.decode(raw, type=str)
    except ValueError:
        raise BadMessageFormat("jsonrpc, method and a textual id must be strings") from None


_INTEGER_ID = re.compile(rb"0|-?[1-9][0-9]{0,19}")


def _id(raw: msgspec.Raw) -> RequestId:
    if bytes(raw).startswith(b'"'):
        text = _string(raw)
        if len(text.encode()) > MAX_ID_BYTES:
            raise BadMessageFormat(f"an id has at most {MAX_ID_BYTES} bytes")
        return text
    if not _INTEGER_ID.fullmatch(bytes(raw)):
        raise BadMessageFormat("an id must be a string, or an integer of at most 20 digits")
    return int(bytes(raw))


def _error(raw: msgspec.Raw) -> RpcError:
    try:
        error = msgspec.json.decode(raw, type=_ErrorObject)
    except (ValueError, RecursionError):
        raise BadMessageFormat("error must be an object with an integer code") from None
    if not -(2**63) <= error.code < 2**63:
        raise BadMessageFormat("error.code is out of range")
    return RpcError(error.code, error.message or "", _data(error.data))


def _data(raw: msgspec.Raw) -> dict[str, object] | str | None:
    # Of any other type, or with numbers that do not fit: it explains nothing, and the error's code still counts.
    try:
        return msgspec.json.decode(raw, type=dict[str, object] | str | None) if _present(raw) else None
    except (ValueError, RecursionError):
        return None


def encode_request(request_id: RequestId, method: str, params: Message) -> bytes:
    """bLIP-50: clients always send an id, and params by name."""
    return _encode({"jsonrpc": "2.0", "method": method, "params": to_json(params), "id": request_id})


def encode_response(request_id: RequestId, result: Message) -> bytes:
    return _encode({"jsonrpc": "2.0", "id": request_id, "result": to_json(result)})


def encode_error(request_id: RequestId | None, error: RpcError, *, shape: ErrorShape = "spec") -> bytes:
    """`shape` "ldk" sends `data` as its human text."""
    data = error.data
    if shape == "ldk" and isinstance(data, dict):
        text = data.get("message")
        data = text if isinstance(text, str) else None
    fields: dict[str, object] = {"code": error.code, "message": error.message}
    if data is not None:
        fields["data"] = data
    return _encode({"jsonrpc": "2.0", "id": request_id, "error": fields})


def _encode(message: dict[str, object]) -> bytes:
    # msgspec escapes only what JSON cannot hold otherwise (bLIP-50: anything else MUST be encoded directly).
    return msgspec.json.encode(message)
