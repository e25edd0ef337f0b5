"""SIGKILL in the middle of writing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.store.opened import PROJECT

ROUNDS = 15


def test_a_kill_loses_and_halves_nothing(tmp_path: Path) -> None:
    """Killed again and again, the store has every acknowledged commit, each whole, and passes SQLite's check."""
    command = [sys.executable, "-m", "tests.store.crashing", str(tmp_path), str(ROUNDS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=PROJECT)
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) >= ROUNDS
