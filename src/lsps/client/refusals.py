"""An LSP's error answer as a typed error, in our own words (bLIP-50, Error Handling)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lsps.client.errors import (
    ClientRejected,
    LspInternalError,
    LspRefused,
    MethodNotOffered,
    OptionMismatch,
    OrderNotFound,
    ParamsRefused,
    TokenRefused,
    UnrecognizedError,
)
from lsps.protocol import errors as codes
from lsps.protocol.errors import RpcError
from lsps.protocol.methods import Method
from lsps.protocol.sanitize import sanitize

_SERVER_ERRORS = range(-32099, -31999)


def refusal(method: Method[Any, Any], error: RpcError) -> LspRefused:
    """A code that the method's own row does not list has no meaning there: 101 from get_info is unrecognized."""
    code, said = error.code, error.human_message()
    if code == codes.METHOD_NOT_FOUND:
        text = f"this LSP does not offer {method.name}; lsps0.list_protocols tells what it does"
        return MethodNotOffered(text, code=code, lsp_text=said)
    if code == codes.INVALID_PARAMS:
        return _params_refused(method, error)
    if code == codes.CLIENT_REJECTED:
        text = f"the LSP does not serve this node now ({method.name}); try again later, or ask its operator"
        return ClientRejected(text, code=code, lsp_text=said)
    if code == codes.INTERNAL_ERROR or code in _SERVER_ERRORS:
        return LspInternalError(f"the LSP failed at {method.name}; try again later", code=code, lsp_text=said)
    if code in method.errors:
        if code == codes.NOT_FOUND:
            return OrderNotFound("the LSP knows no order of this node with this id", code=code, lsp_text=said)
        if code == codes.UNRECOGNIZED_OR_STALE_TOKEN:
            text = "the LSP does not take this token; order without it, or ask for another"
            return TokenRefused(text, code=code, lsp_text=said)
        if code == codes.OPTION_MISMATCH:
            return _option_mismatch(error)
    text = f"the LSP answered {method.name} with an unrecognized error, code {code}"
    return UnrecognizedError(text, code=code, lsp_text=said)


@contextmanager
def as_refusals() -> Iterator[None]:
    """What the protocol's rules refuse before anything is sent, as what the LSP would answer."""
    try:
        yield
    except codes.InvalidParams as wrong:
        text = f"{wrong.text}; nothing was ordered"
        raise ParamsRefused(text, code=wrong.code, property_name=wrong.property_name) from None
    except codes.OptionMismatch as outside:
        text = f"the LSP does not sell this: {outside.text}; nothing was ordered"
        raise OptionMismatch(text, code=outside.code, option=outside.property_name) from None


def _option_mismatch(error: RpcError) -> LspRefused:
    option, said = error.option(), error.human_message()
    # LDK's service puts debug text where the option's name must be.
    which = f"its limit {option!r}" if option else "an option, in an unrecognized form that does not name it"
    return OptionMismatch(
        f"the order is outside what the LSP offers: {which}", code=error.code, lsp_text=said, option=option
    )


def _params_refused(method: Method[Any, Any], error: RpcError) -> LspRefused:
    names = error.data.get("unrecognized") if isinstance(error.data, dict) else None
    listed = names[: codes.MAX_UNRECOGNIZED_NAMES] if isinstance(names, list) else []
    unrecognized = [
        sanitize(name, limit=codes.MAX_UNRECOGNIZED_NAME_LENGTH) for name in listed if isinstance(name, str)
    ]
    property_name = error.option()
    if unrecognized:
        text = f"the LSP does not know these parameters of {method.name}: {', '.join(unrecognized)}"
    elif property_name:
        text = f"the LSP does not accept {property_name!r} as it is in {method.name}"
    else:
        text = f"the LSP does not accept the parameters of {method.name}"
    return ParamsRefused(
        text,
        code=error.code,
        lsp_text=error.human_message(),
        property_name=property_name,
        unrecognized=unrecognized,
    )
