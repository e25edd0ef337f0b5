"""What peers can have logged is limited: a new event in code that they reach goes on one side or the other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import lsps
from lsps.cli.log_limit import CAUSED_BY_PEERS

SOURCE = Path(lsps.__file__).parent
REACHED = (
    *(SOURCE / "node" / "bolt8").glob("*.py"),
    SOURCE / "node" / "router.py",
    SOURCE / "service" / "dispatcher.py",
)
RARE = {
    "connections_refused": "a line a second for each limit, with the number of them",
    "few_open_files": "at the start",
    "listening": "at the start",
    "listening_with_another_key": "at the start",
    "reconnecting_failed": "of connections that we make, with pauses that grow",
    "throwaway_identity": "at the start",
}


def events(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            names = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            if called in {"event", "exception"} and names:
                yield names[0]


def test_every_event_that_a_peer_can_cause_is_limited() -> None:
    """Each is among those that have their lines a minute, or is rare for a reason that is given here."""
    logged = {name for path in REACHED for name in events(path)}
    assert len(logged) > 10
    assert logged - CAUSED_BY_PEERS == RARE.keys()
