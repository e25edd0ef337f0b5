"""Structured logging: the message is the event's name, everything else is a field."""

from __future__ import annotations

import logging

FIELDS = "lsps_fields"
"""Attribute of a LogRecord that holds the event's fields."""


def event(logger: logging.Logger, level: int, name: str, /, **fields: object) -> None:
    """Log one event. Fields are plain values (order_id, peer, reason …), never a secret."""
    if logger.isEnabledFor(level):
        logger.log(level, name, extra={FIELDS: fields})
