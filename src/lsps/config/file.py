"""lsps.toml: found, read, and checked key by key.

Whatever is wrong is told with the key's dotted name (`lsps1.max_channel_expiry_blocks`, `token[0].uses`) and with what
is wanted there. No value is repeated in an error: it may be a token.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from lsps.config.errors import ConfigError
from lsps.config.offer import offer_of, price_of
from lsps.config.tables import File, ListenTable
from lsps.paths import others_may_have_written
from lsps.service.offer import Offer
from lsps.service.pricing import PriceTable

FILE_NAME = "lsps.toml"


@dataclass(frozen=True, slots=True)
class Config:
    """A checked lsps.toml. Relative paths in `node` and `store`, and the price function, are seen from `directory`."""

    file: Path
    node: str | None
    store: str | None
    offer: Offer
    price: PriceTable | str
    """The price table, or the operator's own function as MODULE:NAME."""
    listen: ListenTable | None = None
    """Serve over a listener of our own; its key file is seen from `directory`. None: over the node's connections."""

    @property
    def directory(self) -> Path:
        return self.file.parent


def config_home(environment: Mapping[str, str]) -> Path:
    return _base(environment, "XDG_CONFIG_HOME", ".config")


def state_home(environment: Mapping[str, str]) -> Path:
    return _base(environment, "XDG_STATE_HOME", ".local/state")


def _base(environment: Mapping[str, str], variable: str, default: str) -> Path:
    """XDG base directories: a relative path in the variable is to be ignored."""
    named = Path(environment.get(variable, ""))
    home = Path(environment["HOME"]) if environment.get("HOME") else Path.home()
    return (named if named.is_absolute() else home / default) / "lsps"


def find(explicit: Path | None, directory: Path, environment: Mapping[str, str]) -> Path | None:
    """The file to read: `explicit`, else the first of `candidates` that is there; None if none is.

    Raises ConfigError when the explicit one is not there; and for a file that nobody named and another user may have
    put there, in a directory that all share, since it says to which host the node's macaroon is sent.
    """
    if explicit is not None:
        if not explicit.is_file():
            raise ConfigError(f"{explicit} does not exist, or is no file")
        return explicit
    found = next((path for path in candidates(directory, environment) if path.is_file()), None)
    if found is not None and others_may_have_written(found):
        raise ConfigError(
            f"{found} is another user's, or all users may write it, and it would say where the node is: make it yours"
            " (chown, chmod o-w) if you trust what it says, or go to another directory"
        )
    return found


def candidates(directory: Path, environment: Mapping[str, str]) -> tuple[Path, ...]:
    return directory / FILE_NAME, config_home(environment) / FILE_NAME


def load_config(path: Path) -> Config:
    """Raises ConfigError, whose text begins with the file's name."""
    path = path.absolute()
    try:
        return _parsed(tomllib.loads(path.read_bytes().decode()), path)
    except ConfigError as error:
        raise error.of_file(path) from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    except RecursionError:
        raise ConfigError(f"{path} is nested too deeply") from None
    except ValueError:  # tomllib reads integers with int(), which has a limit of digits
        raise ConfigError(f"{path} has a number that is too long") from None


def _parsed(raw: Mapping[str, object], path: Path) -> Config:
    try:
        file = msgspec.convert(raw, File)
    except msgspec.ValidationError as error:
        raise _explained(str(error)) from None
    return Config(
        file=path,
        node=file.node,
        store=file.store,
        offer=offer_of(file),
        price=price_of(file.price),
        listen=file.listen,
    )


# --- msgspec's words made ours ----------------------------------------------------------------------------------------

_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`")
_WORDS = {"`": "", " | null": "", "object": "a table", "array": "a list of tables ([[…]])", "Expected": "expected"}


def _explained(message: str) -> ConfigError:
    text, _, place = message.partition(" - at `$.")
    place = place.removesuffix("`")
    if unknown := _UNKNOWN.fullmatch(text):
        return ConfigError("unknown key", key=f"{place}.{unknown[1]}".lstrip("."))
    if missing := _MISSING.fullmatch(text):
        return ConfigError("this key is missing", key=f"{place}.{missing[1]}".lstrip("."))
    for theirs, ours in _WORDS.items():
        text = text.replace(theirs, ours)
    return ConfigError(text, key=place)
