"""Programs that take minutes to build are built once and kept in the user's cache."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path


class BuildError(Exception):
    """The programs cannot be built here; the text says what to install or what the compiler said."""


def cache() -> Path:
    """The directory that holds all of them."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "lsps"


def kept(target: Path, programs: list[str], build: Callable[[Path], None]) -> Path:
    """`target`, a directory that holds `programs`; unless it does already, `build(directory)` makes them first.

    Safe to call from several processes at once: one builds, the others wait. Raises what `build` raises.
    """
    if _complete(target, programs):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / "build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _complete(target, programs):  # another process built it while this one waited
            return target
        # Built beside the target and renamed, so that an interrupted build never looks like a finished one.
        with tempfile.TemporaryDirectory(dir=target.parent, prefix="building-") as scratch:
            built = Path(scratch) / "bin"
            built.mkdir()
            build(built)
            if target.exists():
                shutil.rmtree(target)  # incomplete: someone removed a program
            built.rename(target)
    return target


def _complete(directory: Path, programs: list[str]) -> bool:
    return all(os.access(directory / name, os.X_OK) for name in programs)
