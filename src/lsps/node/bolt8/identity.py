"""The key that says who we are: kept in a file that only its owner reads, or thrown away after use."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from lsps.lightning.keys import InvalidKey, SecretKey
from lsps.node.contract import NodeError
from lsps.paths import make_directory, others_can_read

_DIGITS = re.compile(rb"[0-9a-fA-F]{64}")
_MOST_BYTES = 1_000


class BadKeyFile(NodeError, ValueError):
    """The file cannot be read, holds no key, or others may read it; the text says what to do."""


def new_key(secret: Callable[[int], bytes]) -> SecretKey:
    """`secret`: so many bytes of a cryptographically secure source."""
    return SecretKey(secret(32))


def kept_key(path: Path, secret: Callable[[int], bytes]) -> SecretKey:
    """The key in the file: 64 hex digits. Made, readable by its owner alone, if there is none. Raises BadKeyFile."""
    if _DIGITS.fullmatch(os.fsencode(path.name)):
        raise BadKeyFile("key: here stands a key itself, a secret: save it in a file, and name that")
    try:
        if path.is_dir():
            raise BadKeyFile(f"{path} is a directory: name a file in it")
        if not path.exists():
            _keep(path, new_key(secret))
        with path.open("rb") as file:
            if others_can_read(file.fileno()):
                raise BadKeyFile(f"others can read the key in {path}: chmod 600 it, and consider it known to them")
            digits = file.read(_MOST_BYTES).strip()
    except OSError as error:
        raise BadKeyFile(f"{path}: {error.strerror}") from error
    if _DIGITS.fullmatch(digits):  # before anything is decoded: a decoder's error keeps what it could not read
        with suppress(InvalidKey):
            return SecretKey(bytes.fromhex(digits.decode()))
    raise BadKeyFile(f"{path} holds no key, which is 64 hex digits: name another file, or remove it")


def _keep(path: Path, key: SecretKey) -> None:
    """Whole or not at all, and never over a file that came to be meanwhile."""
    make_directory(path.parent)
    descriptor, name = tempfile.mkstemp(dir=path.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(key.to_bytes().hex() + "\n")
            file.flush()
            os.fsync(descriptor)
        with suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink()
