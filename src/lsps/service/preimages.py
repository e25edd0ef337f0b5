"""Preimages derive from a secret of the store and the order id, so a copy of the store is a whole backup."""

from __future__ import annotations

import hashlib
import hmac

from lsps.units import OrderId


class Preimages:
    """HMAC-SHA256 of the order id under the store's secret (money rule 6). The secret shows in no repr."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def preimage(self, order_id: OrderId) -> bytes:
        return hmac.new(self._secret, order_id.encode(), hashlib.sha256).digest()

    def payment_hash(self, order_id: OrderId) -> bytes:
        return hashlib.sha256(self.preimage(order_id)).digest()
