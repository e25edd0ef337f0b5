"""The answer to one request, as it came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lsps.check.model import Exchange, Untold


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one request, as it came. `message` is its JSON object."""

    message: dict[str, Any]
    exchange: Exchange

    @property
    def result(self) -> Any:
        return self.message.get("result")

    @property
    def error(self) -> dict[str, Any] | None:
        error = self.message.get("error")
        return error if isinstance(error, dict) else None

    @property
    def code(self) -> Any:
        return None if self.error is None else self.error.get("code")

    @property
    def data(self) -> dict[str, Any]:
        """`error.data`; empty when there is none, or none that is an object."""
        data = None if self.error is None else self.error.get("data")
        return data if isinstance(data, dict) else {}

    def require_data(self) -> None:
        """That `error.data`, where it is, is an object, is one check (L0-48). Raises Untold, so that it stays one."""
        data = None if self.error is None else self.error.get("data")
        if data is not None and not isinstance(data, dict):
            raise Untold("error.data is no object: see L0-48")
