"""Tokens: which one an order may use, and what it changes (bLIP-51 §2 and bLIP-57 §2, `token`)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from lsps.protocol.errors import TokenInvalid
from lsps.service.offer import Token
from lsps.units import Sat


class Tokens:
    """The operator's tokens by code. Uses are counted by the store, in the order's own commits."""

    def __init__(self, tokens: Iterable[Token]) -> None:
        self._by_code = {token.code: token for token in tokens}

    def check(self, code: str | None, *, lsp_balance: Sat | None, blocks: int, now: datetime) -> Token | None:
        """The token of a request; None when it names none. Raises TokenInvalid: an invalid one is never ignored."""
        if not code:
            return None
        token = self._by_code.get(code)
        if token is None or (token.expires is not None and now.date() >= token.expires):
            raise TokenInvalid
        if token.max_blocks is not None and blocks > token.max_blocks:
            raise TokenInvalid(f"this token is good for at most {token.max_blocks} blocks")
        if token.max_lsp_balance is not None and lsp_balance is not None and lsp_balance > token.max_lsp_balance:
            raise TokenInvalid(f"this token is good for at most {token.max_lsp_balance} sat of LSP balance")
        return token
