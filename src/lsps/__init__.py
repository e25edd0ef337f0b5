"""Buy, sell and extend Lightning channels: the LSP specifications LSPS0, LSPS1 and LSPS7.

    async with lsps.connect("lnd:///home/me/.lnd?network=regtest") as client:
        lsp = client.lsp("02…@host:9735")
        for channel in await lsp.lsps7.get_extendable_channels():
            print(channel.short_channel_id, channel.expiration_block)
        await lsp.lsps7.extend(scid, blocks=4320, max_fee=lsps.Sat(5_000))

Selling: `lsps.open_service(lsps.load_config(path))`, or `lsps.Service(node, store, offer)` in a program of your own.
Testing: `lsps.testing.network()`. Every name below is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lsps import testing as testing
    from lsps.client.buying import Bought as Bought
    from lsps.client.client import Client as Client
    from lsps.client.errors import FeeTooHigh as FeeTooHigh
    from lsps.client.errors import LspRefused as LspRefused
    from lsps.client.errors import NotDelivered as NotDelivered
    from lsps.client.errors import OrderFailed as OrderFailed
    from lsps.client.errors import OutcomeUnknown as OutcomeUnknown
    from lsps.client.errors import PaidNotDelivered as PaidNotDelivered
    from lsps.client.errors import PaymentFailed as PaymentFailed
    from lsps.client.errors import PaymentNotMade as PaymentNotMade
    from lsps.client.errors import RuleViolated as RuleViolated
    from lsps.client.errors import StoppedBeforePaying as StoppedBeforePaying
    from lsps.client.errors import Unreachable as Unreachable
    from lsps.client.extending import Extended as Extended
    from lsps.client.lsp import Lsp as Lsp
    from lsps.client.patience import Patience as Patience
    from lsps.client.terms import Progress as Progress
    from lsps.compose import connect as connect
    from lsps.compose import open_service as open_service
    from lsps.config.errors import ConfigError as ConfigError
    from lsps.config.file import Config as Config
    from lsps.config.file import load_config as load_config
    from lsps.errors import LspsError as LspsError
    from lsps.node.contract import NodeError as NodeError
    from lsps.node.contract import NodeUnreachable as NodeUnreachable
    from lsps.service.offer import ChannelOffer as ChannelOffer
    from lsps.service.offer import Compat as Compat
    from lsps.service.offer import ExtensionOffer as ExtensionOffer
    from lsps.service.offer import LeaseToRecord as LeaseToRecord
    from lsps.service.offer import Limits as Limits
    from lsps.service.offer import Offer as Offer
    from lsps.service.offer import PaymentTerms as PaymentTerms
    from lsps.service.offer import Token as Token
    from lsps.service.offer import Unleased as Unleased
    from lsps.service.pricing import PriceFunction as PriceFunction
    from lsps.service.pricing import PriceRequest as PriceRequest
    from lsps.service.pricing import PriceTable as PriceTable
    from lsps.service.service import Service as Service
    from lsps.store.orders import StoreError as StoreError
    from lsps.units import BlockHeight as BlockHeight
    from lsps.units import ChannelId as ChannelId
    from lsps.units import Msat as Msat
    from lsps.units import Network as Network
    from lsps.units import NodeId as NodeId
    from lsps.units import OrderId as OrderId
    from lsps.units import Outpoint as Outpoint
    from lsps.units import Sat as Sat
    from lsps.units import Scid as Scid

_MODULES = {
    "FeeTooHigh": "lsps.client.errors",
    "LspRefused": "lsps.client.errors",
    "NotDelivered": "lsps.client.errors",
    "OrderFailed": "lsps.client.errors",
    "OutcomeUnknown": "lsps.client.errors",
    "PaidNotDelivered": "lsps.client.errors",
    "PaymentFailed": "lsps.client.errors",
    "PaymentNotMade": "lsps.client.errors",
    "RuleViolated": "lsps.client.errors",
    "StoppedBeforePaying": "lsps.client.errors",
    "Unreachable": "lsps.client.errors",
    "Bought": "lsps.client.buying",
    "Client": "lsps.client.client",
    "Extended": "lsps.client.extending",
    "Lsp": "lsps.client.lsp",
    "Patience": "lsps.client.patience",
    "Progress": "lsps.client.terms",
    "connect": "lsps.compose",
    "open_service": "lsps.compose",
    "ConfigError": "lsps.config.errors",
    "Config": "lsps.config.file",
    "load_config": "lsps.config.file",
    "LspsError": "lsps.errors",
    "NodeError": "lsps.node.contract",
    "NodeUnreachable": "lsps.node.contract",
    "ChannelOffer": "lsps.service.offer",
    "Compat": "lsps.service.offer",
    "ExtensionOffer": "lsps.service.offer",
    "LeaseToRecord": "lsps.service.offer",
    "Limits": "lsps.service.offer",
    "Offer": "lsps.service.offer",
    "PaymentTerms": "lsps.service.offer",
    "Token": "lsps.service.offer",
    "Unleased": "lsps.service.offer",
    "PriceFunction": "lsps.service.pricing",
    "PriceRequest": "lsps.service.pricing",
    "PriceTable": "lsps.service.pricing",
    "Service": "lsps.service.service",
    "StoreError": "lsps.store.orders",
    "BlockHeight": "lsps.units",
    "ChannelId": "lsps.units",
    "Msat": "lsps.units",
    "Network": "lsps.units",
    "NodeId": "lsps.units",
    "OrderId": "lsps.units",
    "Outpoint": "lsps.units",
    "Sat": "lsps.units",
    "Scid": "lsps.units",
}
"""Where each name is. The imports above tell type checkers the same; a test compares the two."""

__all__ = ["testing", *_MODULES]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name == "testing":
        return importlib.import_module("lsps.testing")
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'lsps' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
