"""SIGKILL in the middle of writing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.store.opened import PROJECT

KILLS = 200


def test_a_kill_loses_and_halves_nothing(tmp_path: Path) -> None:
    """Killed 200 times in mid-write, the store has every acknowledged commit, each whole: SQLite's integrity check
    holds, and effects, due times, inputs, leases and counts are what the orders themselves say."""
    command = [sys.executable, "-m", "tests.store.crashing", str(tmp_path), str(KILLS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=PROJECT)
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) >= KILLS
