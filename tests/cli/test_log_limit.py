"""The log under a flood."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from lsps.cli.log_limit import LINES_A_MINUTE, LimitedHandler
from lsps.cli.log_lines import LineFormatter
from lsps.logs import FIELDS


@pytest.fixture
def log() -> Iterator[tuple[LimitedHandler, io.StringIO]]:
    written = io.StringIO()
    handler = LimitedHandler(written)
    handler.setFormatter(LineFormatter())
    yield handler, written
    handler.close()


def record(name: str, at: float) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": name, "levelname": "INFO", "created": at, FIELDS: {"peer": "02ab"}})


def test_a_flood_is_cut_and_counted(log: tuple[LimitedHandler, io.StringIO]) -> None:
    """What a peer can cause at will has its lines a minute; what was left out is told with the next minute's first."""
    handler, written = log
    for _ in range(LINES_A_MINUTE + 7):
        handler.emit(record("bad_message", 600.0))
    assert len(written.getvalue().splitlines()) == LINES_A_MINUTE
    handler.emit(record("refused", 659.0))
    handler.emit(record("bad_message", 660.0))
    *_, refused, left_out, next_one = written.getvalue().splitlines()
    assert [line.split(" ", 2)[2] for line in (refused, left_out, next_one)] == [
        "refused peer=02ab",
        "lines_left_out of=bad_message count=7",
        "bad_message peer=02ab",
    ]
    handler.emit(record("refused", 720.0))
    assert "lines_left_out" not in written.getvalue().splitlines()[-1]


def test_asyncios_lines_are_limited_as_a_whole(log: tuple[LimitedHandler, io.StringIO]) -> None:
    """Whatever asyncio says, a line for every failed accept among it, has its lines a minute, too."""
    handler, written = log
    for number in range(LINES_A_MINUTE + 7):
        handler.emit(logging.makeLogRecord({"name": "asyncio", "msg": f"no file for {number}", "created": 600.0}))
    assert len(written.getvalue().splitlines()) == LINES_A_MINUTE
    handler.emit(record("refused", 660.0))
    assert "lines_left_out of=asyncio count=7" in written.getvalue()


@pytest.mark.parametrize("name", ["store_failed", "handler_failed"])
def test_what_every_request_fails_with_is_cut(name: str, log: tuple[LimitedHandler, io.StringIO]) -> None:
    """A full disk, or a bug of ours, fails as many requests as peers like to send: the log does not grow by each."""
    handler, written = log
    for _ in range(3 * LINES_A_MINUTE):
        handler.emit(record(name, 600.0))
    assert len(written.getvalue().splitlines()) == LINES_A_MINUTE


def test_what_orders_and_money_do_is_always_written(log: tuple[LimitedHandler, io.StringIO]) -> None:
    """No other event is ever left out."""
    handler, written = log
    for _ in range(3 * LINES_A_MINUTE):
        handler.emit(record("order_completed", 600.0))
    assert len(written.getvalue().splitlines()) == 3 * LINES_A_MINUTE
