"""The log on standard error: one line an event, `time LEVEL event key=value …`, or one JSON object; for a person at a
command, a sentence."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TextIO

from lsps.cli.log_limit import LimitedHandler
from lsps.logs import FIELDS
from lsps.protocol.sanitize import sanitize

_SENTENCE_LENGTH = 1_000
_BARE = re.compile(r"[\w./:+@,-]+", re.ASCII)


class _Events(logging.Formatter):
    @staticmethod
    def time(record: logging.LogRecord) -> str:
        return f"{datetime.fromtimestamp(record.created, UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"

    def fields(self, record: logging.LogRecord) -> dict[str, object]:
        """The event's own; of a message that is no event of ours, its text and its logger."""
        own: dict[str, object] | None = getattr(record, FIELDS, None)
        fields = dict(own or {})
        if own is None:
            fields |= {"logger": record.name, "text": record.getMessage()}
        if record.exc_info and record.exc_info[0] is not None:
            fields["traceback"] = self.formatException(record.exc_info)
        return fields

    @staticmethod
    def name(record: logging.LogRecord) -> str:
        return record.getMessage() if hasattr(record, FIELDS) else "log"


class LineFormatter(_Events):
    def format(self, record: logging.LogRecord) -> str:
        pairs = "".join(f" {name}={quoted(value)}" for name, value in self.fields(record).items())
        return f"{self.time(record)} {record.levelname} {self.name(record)}{pairs}"


class JsonFormatter(_Events):
    def format(self, record: logging.LogRecord) -> str:
        fields = {name: str(value) for name, value in self.fields(record).items()}
        head = {"time": self.time(record), "level": record.levelname, "event": self.name(record)}
        return json.dumps({**fields, **head})


class SentenceFormatter(_Events):
    """`warning: using admin macaroon: it can spend everything … (macaroon=…)`."""

    def format(self, record: logging.LogRecord) -> str:
        fields = self.fields(record)
        said = [str(fields.pop(name)) for name in ("text", "advice", "reason") if name in fields]
        pairs = " ".join(f"{name}={quoted(value)}" for name, value in fields.items())
        parts = [record.levelname.lower(), self.name(record).replace("_", " "), *said]
        return sanitize(": ".join(parts), limit=_SENTENCE_LENGTH) + (f" ({pairs})" if pairs else "")


def quoted(value: object) -> str:
    """A value that cannot be taken for anything else: in quotes unless it is one plain word, control characters,
    line ends and bidi marks escaped."""
    text = str(value)
    if _BARE.fullmatch(text):
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())


@contextmanager
def logging_to(stream: TextIO, level: int, formatter: logging.Formatter) -> Iterator[None]:
    """What is logged goes to `stream` meanwhile, a flood of it in part."""
    handler = LimitedHandler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(level)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
