"""No repr shows a secret: not of what holds one, and not of what holds that."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import pkgutil
from collections.abc import Iterator

import msgspec
import pytest

import lsps
from lsps.config import tables
from lsps.lightning.keys import SecretKey
from lsps.lightning.messages import CustomMessage
from lsps.node.contract import Message
from lsps.orders.model import TokenChange
from lsps.protocol import jsonrpc, lsps1
from lsps.protocol.methods import decode_params
from lsps.service.offer import Offer, Token
from lsps.service.preimages import Preimages
from lsps.service.tokens import Tokens
from lsps.store.sqlite.body import Body, ExtensionTermsBody
from tests.protocol.examples import example
from tests.security.forms import told

SECRET_NAMES = {"token", "payload", "preimage", "payment_secret", "secret"}
"""What a field is called that holds a secret, or what was said in confidence."""
MODULES = [
    module.name
    for module in pkgutil.walk_packages(lsps.__path__, "lsps.")
    if not module.name.endswith(("__main__", "_pb2"))
]


def classes() -> Iterator[type]:
    for name in MODULES:
        module = importlib.import_module(name)
        for found in vars(module).values():
            if inspect.isclass(found) and found.__module__ == name:
                yield found


def holds(annotation: object) -> bool:
    """Whether the field is the secret itself: a text or bytes; not a table or an object that has its own repr."""
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
    return any(kind in text for kind in ("str", "bytes", "Text"))


def test_fields_that_hold_a_secret_are_in_no_repr() -> None:
    """Every dataclass hides such a field, every struct that has one writes its own repr; new ones must, too."""
    shown = []
    for found in classes():
        if dataclasses.is_dataclass(found):
            fields = dataclasses.fields(found)
            shown += [f"{found}.{f.name}" for f in fields if f.name in SECRET_NAMES and f.repr and holds(f.type)]
        elif issubclass(found, msgspec.Struct) and found.__repr__ is msgspec.Struct.__repr__:
            own = msgspec.structs.fields(found)
            shown += [f"{found}.{f.name}" for f in own if f.name in SECRET_NAMES and holds(f.type)]
    assert shown == []


TOKEN = "S3SAME-Zmlu"
KEY = bytes(range(1, 33))
REQUEST = b'{"method":"lsps1.create_order","id":"1","params":{"token":"%s"}}' % TOKEN.encode()
ORDERED = json.dumps(json.loads(example(51, "create_order-params")) | {"token": TOKEN}).encode()
TERMS = ExtensionTermsBody(
    short_channel_id="1x1x1",
    channel_id="ab" * 32,
    channel_extension_expiry_blocks=1,
    original_order=None,
    extension_order_ids=(),
    max_channel_extension_expiry_blocks=1,
    expiration_block=1,
)
HOLDERS: dict[str, object] = {
    "Token": Token(TOKEN),
    "Tokens": Tokens([Token(TOKEN)]),
    "Offer": Offer(tokens=(Token(TOKEN),)),
    "TokenChange": TokenChange(TOKEN, reserved=1, consumed=0),
    "TokenTable": tables.TokenTable(code=TOKEN),
    "File": tables.File(token=(tables.TokenTable(code=TOKEN),)),
    "node.Message": Message(SecretKey(KEY).node_id, REQUEST),
    "CustomMessage": CustomMessage(37913, REQUEST),
    "jsonrpc.Request": jsonrpc.decode(REQUEST),
    "CreateOrderParams": decode_params(lsps1.CREATE_ORDER, ORDERED),
    "Body": Body(terms=TERMS, token=TOKEN),
    "SecretKey": SecretKey(KEY),
    "Preimages": Preimages(KEY),
}


@pytest.mark.parametrize("holder", HOLDERS.values(), ids=HOLDERS)
def test_what_holds_a_secret_does_not_show_it(holder: object) -> None:
    """Token, identity key and the secret of all preimages, in any form."""
    for text in (repr(holder), str(holder), repr([holder]), repr({"x": holder})):
        assert told(text, {"token": TOKEN, "key": KEY}) == []
