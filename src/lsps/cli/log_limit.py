"""A log that peers cannot fill: what they can cause at will is written so often a minute and then only counted.

The store may lie on the same disk. What an order or money does is always written.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from typing import TextIO

from lsps.logs import FIELDS

LINES_A_MINUTE = 100
CAUSED_BY_PEERS = frozenset(
    {
        "bad_message",
        "connection_ended",
        "handler_failed",
        "list_cut",
        "peer_complains",
        "peer_connected",
        "peer_could_not_parse",
        "peer_disconnected",
        "refused",
        "reply_nobody_waits_for",
        "reply_not_delivered",
        "store_failed",
    }
)
ASYNCIO = "asyncio"
"""Its own lines, as a whole. When the process has no file left to open, there is one for every attempt to accept."""


class LimitedHandler(logging.StreamHandler[TextIO]):
    """Each event of CAUSED_BY_PEERS, and asyncio, has LINES_A_MINUTE; the next minute begins with what was left out."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._minute = 0
        self._lines: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        minute = int(record.created // 60)
        if minute != self._minute:
            self._minute = minute
            self._tell_left_out(record)
        name = ASYNCIO if record.name == ASYNCIO else record.msg
        if name == ASYNCIO or name in CAUSED_BY_PEERS:
            self._lines[name] += 1
            if self._lines[name] > LINES_A_MINUTE:
                return
        super().emit(record)

    def _tell_left_out(self, now: logging.LogRecord) -> None:
        for name, lines in self._lines.items():
            if lines > LINES_A_MINUTE:
                super().emit(_left_out(now, {"of": name, "count": lines - LINES_A_MINUTE}))
        self._lines.clear()


def _left_out(now: logging.LogRecord, fields: Mapping[str, object]) -> logging.LogRecord:
    return logging.makeLogRecord(
        {
            "msg": "lines_left_out",
            "levelno": logging.WARNING,
            "levelname": "WARNING",
            "created": now.created,
            FIELDS: fields,
        }
    )
