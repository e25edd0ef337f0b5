"""Paths as people write them in URLs and in lsps.toml."""

from __future__ import annotations

import os
from pathlib import Path

from lsps.errors import LspsError


class InvalidPath(LspsError, ValueError):
    """No path that could be; the text says why."""


def seen_from(base: Path, text: str) -> Path:
    """`text` with its ~ or ~user expanded; a relative one is seen from `base`. Raises InvalidPath."""
    if "\0" in text:
        raise InvalidPath("a path cannot contain a zero byte")
    try:
        return base / Path(text).expanduser()
    except RuntimeError:
        raise InvalidPath(f"{text!r:.200}: there is no such user, so ~ means no directory here") from None


def make_directory(path: Path) -> None:
    """The directory and those it lies in, where they do not exist yet, for their owner alone. Raises OSError."""
    for directory in reversed((path, *path.parents)):
        if not directory.exists():
            directory.mkdir(mode=0o700, exist_ok=True)


def others_can_read(file: Path | int) -> bool:
    """Whether anybody but its owner may read or write the file, or the one that is open as this descriptor. Raises
    OSError."""
    return bool(os.stat(file).st_mode & 0o077)  # noqa: PTH116  # a Path has no stat of a descriptor


def others_may_have_written(file: Path) -> bool:
    """Whether it belongs to another user, other than root, or every user may write it. Raises OSError."""
    status = file.stat()
    return status.st_uid not in {os.geteuid(), 0} or bool(status.st_mode & 0o002)
