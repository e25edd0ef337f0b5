"""Amounts, blocks and the log's lines, as people read them."""

from __future__ import annotations

import io
import json
import logging
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsps import logs
from lsps.cli import words
from lsps.cli.log_lines import JsonFormatter, LineFormatter, SentenceFormatter, logging_to, quoted
from lsps.units import BlockHeight, Msat, Sat

_log = logging.getLogger("lsps.test")
THIN = "\u202f"


def test_amounts_are_grouped() -> None:
    """Digits must be grouped by thin spaces; msat shown in sat without losing any."""
    assert words.sat(Sat(999)) == "999 sat"
    assert words.sat(Sat(1_234_567)) == f"1{THIN}234{THIN}567 sat"
    assert words.msat(Msat(1_234_567)) == f"1{THIN}234.567 sat"
    assert words.msat(Msat(1_500)) == "1.5 sat"
    assert words.msat(Msat(2_000)) == "2 sat"
    assert words.msat(Msat(1)) == "0.001 sat"


@pytest.mark.parametrize(
    ("blocks", "shown"),
    [
        (0, "0 blocks"),
        (1, "1 block (1 hour)"),
        (6, "6 blocks (1 hour)"),
        (72, "72 blocks (12 hours)"),
        (144, "144 blocks (1 day)"),
        (216, "216 blocks (1.5 days)"),
        (4_320, f"4{THIN}320 blocks (30 days)"),
        (1_440_000, f"1{THIN}440{THIN}000 blocks (10{THIN}000 days)"),
    ],
)
def test_blocks_are_told_in_days(blocks: int, shown: str) -> None:
    """144 blocks are a day; less is told in hours."""
    assert words.blocks(blocks) == shown


def test_when_a_lease_ends() -> None:
    """No lease, a lapsed one and a running one must be told apart; one that ends at the tip is over."""
    tip = BlockHeight(900_000)
    assert words.expiry(BlockHeight(0), tip) == "no lease"
    assert words.expiry(tip, tip) == f"block 900{THIN}000, over"
    assert words.expiry(tip + 4_320, tip) == f"block 904{THIN}320, in 30 days"


def test_moments_are_in_utc() -> None:
    """A time must be shown in UTC whatever zone it comes in; none is nothing."""
    east = datetime(2026, 1, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    assert words.moment(east) == "2025-12-31 23:30 UTC"
    assert words.moment(None) == ""


def test_long_ids_are_cut_in_their_middle() -> None:
    """Both ends of a node id must stay; a short text stays whole."""
    assert words.short("02" + "a" * 60 + "beef") == "02aaaaaaaa…abeef"
    assert words.short("short") == "short"


# --- the log ----------------------------------------------------------------------------------------------------------


def line(*, as_json: bool = False, **fields: object) -> str:
    stream = io.StringIO()
    with logging_to(stream, logging.INFO, JsonFormatter() if as_json else LineFormatter()):
        logs.event(_log, logging.INFO, "happened", **fields)
    return stream.getvalue()


def test_a_line_has_time_level_event_and_fields() -> None:
    """One event must be one line that can be read and split."""
    text = line(peer="02ab", reason="no funds", count=3, node="lnd:///x?a=b")
    time, rest = text.split(" ", 1)
    assert datetime.strptime(time, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC) <= datetime.now(UTC)
    assert rest == 'INFO happened peer=02ab reason="no funds" count=3 node="lnd:///x?a=b"\n'


def test_nothing_breaks_out_of_its_field() -> None:
    """Line ends, escapes, bidi marks, quotes and `=` in a value must not look like anything else."""
    text = line(reason='x\n2026 ERROR fake a="b"\x1b[31m\x9b\u202e', empty="")
    assert text.count("\n") == 1
    assert not any(mark in text for mark in ("\x1b", "\x9b", "\u202e"))
    assert "a=\\" in text
    assert text.rstrip().endswith('empty=""')


@given(st.text())
def test_every_value_stays_on_its_line_and_can_be_read_back(text: str) -> None:
    """A quoted value must be printable, and give the same text back."""
    shown = quoted(text)
    assert shown.isprintable()
    assert (json.loads(shown) if shown.startswith('"') else shown) == text


def test_other_programs_messages_and_tracebacks() -> None:
    """A message that is no event of ours must be a line as well, with its logger; a traceback goes into a field."""
    stream = io.StringIO()
    with logging_to(stream, logging.INFO, LineFormatter()):
        logging.getLogger("asyncio").warning("slow %s", "callback")
        try:
            raise ValueError("two\nlines")
        except ValueError:
            _log.exception("handler_failed", extra={logs.FIELDS: {"peer": "02"}})
        _log.debug("not shown")
    first, second = stream.getvalue().splitlines()
    assert first.endswith('WARNING log logger=asyncio text="slow callback"')
    assert " ERROR handler_failed peer=02 traceback=" in second
    assert r"two\nlines" in second


def test_a_command_warns_in_a_sentence() -> None:
    """A person at a command reads words: level, event, advice, then the fields; nothing of it can forge a line."""
    stream = io.StringIO()
    with logging_to(stream, logging.WARNING, SentenceFormatter()):
        logs.event(_log, logging.WARNING, "using_admin_macaroon", macaroon="/a b", advice="bake\x1b[31m one\nnow")
        logging.getLogger("asyncio").warning("slow")
    first, second = stream.getvalue().splitlines()
    assert first.startswith("warning: using admin macaroon: bake")
    assert first.endswith('now (macaroon="/a b")')
    assert "\x1b" not in first
    assert second == "warning: log: slow (logger=asyncio)"


def test_json_lines() -> None:
    """As JSON, time, level and event must be there, and no field can take their place."""
    event = json.loads(line(as_json=True, peer="02ab", level="fake"))
    assert event["event"] == "happened"
    assert event["level"] == "INFO"
    assert event["peer"] == "02ab"


def test_logging_ends_with_its_block() -> None:
    """Handlers and level of the root logger must be as before."""
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    line()
    assert (list(root.handlers), root.level) == before
