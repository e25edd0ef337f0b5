"""What is wrong with a configuration."""

from __future__ import annotations

from pathlib import Path

from lsps.errors import LspsError


class ConfigError(LspsError):
    """The configuration cannot be used. `key` is the dotted name of what is wrong, "" when it is the file itself."""

    def __init__(self, text: str, *, key: str = "") -> None:
        super().__init__(f"{key}: {text}" if key else text)
        self.key = key

    def of_file(self, path: Path) -> ConfigError:
        """The same, with the file's name before it."""
        named = ConfigError(f"{path}: {self}")
        named.key = self.key
        return named
