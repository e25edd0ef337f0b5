"""Paths as people write them in URLs and in lsps.toml."""

from __future__ import annotations

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


def others_can_read(path: Path) -> bool:
    """Whether anybody but its owner may read or write the file. Raises OSError."""
    return bool(path.stat().st_mode & 0o077)
