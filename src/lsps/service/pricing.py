"""What an order costs. The operator's table, or the operator's own function, and a token's discount.

Fees round up to a whole sat.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lsps.clock import Clock, timeout
from lsps.errors import LspsError
from lsps.orders.model import PaymentMethod, Service
from lsps.units import NodeId, Sat

BLOCKS_PER_YEAR = 52_560
OPEN_WEIGHT = 900
"""A usual funding transaction: two segwit inputs, the channel and change, in weight units."""


class PriceUnavailable(LspsError):
    """The price function failed, took too long or gave no amount."""


@dataclass(frozen=True, slots=True)
class PriceRequest:
    """What is to be priced. `size`: the LSP's balance (LSPS1) or the channel's capacity (LSPS7).

    `sat_per_kw`: the on-chain feerate an opening would pay now; None when nothing goes on chain.
    """

    service: Service
    size: Sat
    blocks: int
    method: PaymentMethod
    sat_per_kw: int | None
    principal: NodeId


PriceFunction = Callable[[PriceRequest], Sat | Awaitable[Sat]]
"""Sync (and then quick) or async; a second at most."""


@dataclass(frozen=True, slots=True)
class PriceTable:
    """sat = base + rate_ppm_per_year x size x blocks / 52,560 / 1,000,000; an opening also pays its on-chain fee."""

    open_base: Sat = Sat(2_000)
    open_rate_ppm_per_year: int = 30_000
    extend_base: Sat = Sat(500)
    extend_rate_ppm_per_year: int = 30_000

    def __call__(self, request: PriceRequest) -> Sat:
        if request.service is Service.LSPS1:
            base, rate = self.open_base, self.open_rate_ppm_per_year
        else:
            base, rate = self.extend_base, self.extend_rate_ppm_per_year
        lease = _divide_up(rate * int(request.size) * request.blocks, BLOCKS_PER_YEAR * 1_000_000)
        onchain = 0 if request.sat_per_kw is None else _divide_up(request.sat_per_kw * OPEN_WEIGHT, 1000)
        return base + Sat(lease + onchain)


def discounted(price: Sat, discount_percent: int) -> Sat:
    """The price less the discount, rounded up; 100 is free."""
    return Sat(_divide_up(int(price) * (100 - discount_percent), 100))


async def ask_price(function: PriceFunction, request: PriceRequest, clock: Clock, seconds: float) -> Sat:
    """The function's answer. Raises PriceUnavailable, whatever the operator's function does."""
    try:
        async with timeout(clock, seconds):
            answer = function(request)
            price = await answer if inspect.isawaitable(answer) else answer
    except Exception as error:
        raise PriceUnavailable(f"the price function failed: {type(error).__name__}") from error
    if not isinstance(price, Sat):
        raise PriceUnavailable(f"the price function gave {type(price).__name__} instead of Sat")
    return price


def _divide_up(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)
