"""Results on standard output, everything else on standard error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec
from rich.console import Console
from rich.status import Status
from rich.table import Table

from lsps.cli.shell import Shell
from lsps.protocol.message import to_json
from lsps.protocol.sanitize import sanitize

if TYPE_CHECKING:
    from lsps.client.terms import Progress

_WIDTH = 1000
"""In a file or a pipe nothing needs to fold."""


def console(shell: Shell, *, error: bool = False) -> Console:
    """Plain text goes out as it is: no markup, no emoji codes, nothing coloured by guess."""
    stream = shell.stderr if error else shell.stdout
    width = None if stream.isatty() else _WIDTH
    return Console(file=stream, markup=False, emoji=False, highlight=False, width=width)


def print_json(shell: Shell, document: Mapping[str, object]) -> None:
    """Amounts and ids are texts, as the specifications write them; heights and blocks are numbers."""
    text = msgspec.json.format(msgspec.json.encode(_plain(document)), indent=2).decode()
    shell.stdout.write(f"{text}\n")


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return to_json(value)


def note(shell: Shell, text: str) -> None:
    """A line for the person, beside the result."""
    shell.stderr.write(f"{text}\n")
    shell.stderr.flush()


def table(*columns: str, numbers: Iterable[str] = ()) -> Table:
    """Columns fold on a narrow terminal rather than lose text; `numbers` stay whole."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    whole = set(numbers)
    for column in columns:
        is_number = column in whole
        made.add_column(column, overflow="fold", justify="right" if is_number else "left", no_wrap=is_number)
    return made


def print_entries(shell: Shell, entries: Iterable[tuple[str, Iterable[str]]]) -> None:
    """A line each, and indented below what is there to say of it: ids stay whole on any terminal."""
    for head, details in entries:
        shell.stdout.write("".join(f"{line}\n" for line in (head, *(f"    {detail}" for detail in details))))


def print_pairs(shell: Shell, pairs: Iterable[tuple[str, str]]) -> None:
    """A line each, never folded: what is copied from it must be whole."""
    rows = list(pairs)
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        shell.stdout.write(f"{name.ljust(width)}  {value}\n")


class Waiting:
    """Progress: a spinner with the latest step on a terminal, else a line a step."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._console = console(shell, error=True)
        self._status: Status | None = Status("", console=self._console) if shell.stderr.isatty() else None

    def tell(self, progress: Progress) -> None:
        self.say(sanitize(progress.text))

    def say(self, text: str) -> None:
        if self._status is None:
            note(self._shell, text)
        else:
            self._console.print(f"  {text}")
            self._status.update(f"{text} …")

    @contextmanager
    def spinning(self) -> Iterator[None]:
        if self._status is None:
            yield
        else:
            with self._status:
                yield

    @contextmanager
    def paused(self) -> Iterator[None]:
        """While a person is asked."""
        if self._status is None:
            yield
            return
        self._status.stop()
        try:
            yield
        finally:
            self._status.start()
