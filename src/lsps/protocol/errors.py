"""Error codes of JSON-RPC 2.0 and the bLIPs, the error object on the wire, and the errors a service answers with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import msgspec

from lsps.errors import LspsError
from lsps.protocol.sanitize import sanitize

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
CLIENT_REJECTED = 1
OPTION_MISMATCH = 100
NOT_FOUND = 101
UNRECOGNIZED_OR_STALE_TOKEN = 102

MAX_UNRECOGNIZED_NAMES = 32
MAX_UNRECOGNIZED_NAME_LENGTH = 64


class InvalidResult(LspsError):
    """A result breaks its method's shape.

    `path` is dotted ("payment.bolt11.state"; "" is the result itself), `rule` says what was expected there.
    """

    def __init__(self, method: str, path: str, rule: str) -> None:
        super().__init__(f"the LSP's answer to {method} breaks a rule at {path or 'the top'}: {rule}")
        self.method = method
        self.path = path
        self.rule = rule


class RpcError(msgspec.Struct, frozen=True):
    """The `error` object of a response. `data` is as the peer sent it, unfiltered: show `human_message()` instead."""

    code: int
    message: str = ""
    data: dict[str, object] | str | None = None

    def human_message(self) -> str:
        """`data.message`, a textual `data`, or `message`: the first there is, made safe to show or log.

        bLIP-50, Error Handling: clients filter error texts and prefer words of their own.
        """
        text: object = self.data.get("message") if isinstance(self.data, dict) else self.data
        return sanitize(text if isinstance(text, str) and text else self.message)

    def option(self) -> str | None:
        """`data.property`, the option or parameter that the error is about; None if there is none."""
        name = self.data.get("property") if isinstance(self.data, dict) else None
        return sanitize(name) if isinstance(name, str) else None


class ServiceError(LspsError):
    """An error answer. Its text goes to the peer: it never carries a secret."""

    code: ClassVar[int] = INTERNAL_ERROR
    title: ClassVar[str] = "Internal error"

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def data(self) -> dict[str, object]:
        return {"message": self.text}

    def to_rpc(self) -> RpcError:
        """The text goes into `message` and into `data.message`: wallets show one or the other, by method."""
        return RpcError(self.code, f"{self.title}: {self.text}", self.data())


class ParseError(ServiceError):
    """Answered with id null (bLIP-50, Message Payload Format)."""

    code = PARSE_ERROR
    title = "Parse error"


class MethodNotFound(ServiceError):
    """bLIP-50, LSPS Extension And Versioning."""

    code = METHOD_NOT_FOUND
    title = "Method not found"

    def __init__(self, method: str) -> None:
        super().__init__(f"there is no method {sanitize(method, limit=64)!r} here")


class InvalidParams(ServiceError):
    """Wrong type, missing field, absolute bound or unknown parameter (bLIP-50, -32602).

    `property_name` is dotted, None when the params as a whole are wrong. `unrecognized` is cut to 32 names of 64
    characters.
    """

    code = INVALID_PARAMS
    title = "Invalid params"

    def __init__(self, property_name: str | None, text: str, unrecognized: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.property_name = property_name
        self.unrecognized = tuple(name[:MAX_UNRECOGNIZED_NAME_LENGTH] for name in unrecognized[:MAX_UNRECOGNIZED_NAMES])

    def data(self) -> dict[str, object]:
        """`unrecognized` is there even when empty (bLIP-50 MUST); `property` and `message` are bLIP-51's and 57's."""
        data: dict[str, object] = {"unrecognized": list(self.unrecognized), "message": self.text}
        return data if self.property_name is None else {"property": self.property_name, **data}


class OptionMismatch(ServiceError):
    """The order is outside the LSP's options; `property_name` is an option's own name (bLIP-51 §2, bLIP-57 §2)."""

    code = OPTION_MISMATCH
    title = "Option mismatch"

    def __init__(self, property_name: str, text: str) -> None:
        super().__init__(text)
        self.property_name = property_name

    def data(self) -> dict[str, object]:
        return {"property": self.property_name, "message": self.text}


class NotFound(ServiceError):
    """No such order, or not this peer's (bLIP-51 §2.1, bLIP-57 §2.1)."""

    code = NOT_FOUND
    title = "Not found"

    def __init__(self, text: str = "no order with this id") -> None:
        super().__init__(text)


class TokenInvalid(ServiceError):
    """The token is unknown, stale or used up (bLIP-51 §2; for bLIP-57, whose table has no code, the same)."""

    code = UNRECOGNIZED_OR_STALE_TOKEN
    title = "Unrecognized or stale token"

    def __init__(self, text: str = "this token is not valid here, or no longer") -> None:
        super().__init__(text)


class ClientRejected(ServiceError):
    """bLIP-50, Client rejected. The text says why, and when to try again."""

    code = CLIENT_REJECTED
    title = "Client rejected"


class InternalError(ServiceError):
    """Something of ours failed; the text says no more than that."""

    def __init__(self, text: str = "the service failed; try again later") -> None:
        super().__init__(text)
