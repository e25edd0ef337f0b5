"""Numbered .sql migrations, applied one transaction each. The file's user_version says how many it has."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from lsps.store.orders import StoreUnavailable


@dataclass(frozen=True, slots=True)
class Kind:
    """What a file is for. `application_id` marks it, so that nobody takes a journal for an order store."""

    folder: str
    application_id: int
    what: str


ORDERS = Kind("orders", 0x4C535053, "an order store")
JOURNAL = Kind("journal", 0x4C53504A, "a client's journal")


def migrations(kind: Kind) -> list[str]:
    """The scripts, the oldest first."""
    folder = files("lsps.store.sqlite") / "migrations" / kind.folder
    scripts = sorted((file.name, file.read_text("utf-8")) for file in folder.iterdir() if file.name.endswith(".sql"))
    return [script for _, script in scripts]


def migrate(connection: sqlite3.Connection, path: Path, kind: Kind) -> None:
    """Bring the file up to date. Raises StoreUnavailable for a newer or foreign file, sqlite3.Error."""
    scripts = migrations(kind)
    for number in range(_version(connection, path, kind, len(scripts)) + 1, len(scripts) + 1):
        _apply(connection, kind, number, scripts[number - 1])


def check(connection: sqlite3.Connection, path: Path, kind: Kind) -> None:
    """That a file which may only be read is up to date. Raises StoreUnavailable, sqlite3.Error."""
    newest = len(migrations(kind))
    if _version(connection, path, kind, newest) < newest:
        raise StoreUnavailable(
            f"{path} was made by an older lsps: start `lsps serve` on it once to bring it up to date"
        )


def recognise(connection: sqlite3.Connection, path: Path, kind: Kind) -> None:
    """That the file is of this kind, and no newer than this lsps. Raises StoreUnavailable, sqlite3.Error."""
    _version(connection, path, kind, len(migrations(kind)))


def count_rows(connection: sqlite3.Connection) -> dict[str, int]:
    """How many rows each table has: reads them all."""
    tables = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
    ).fetchall()
    return {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for (name,) in tables}  # noqa: S608


def _version(connection: sqlite3.Connection, path: Path, kind: Kind, newest: int) -> int:
    connection.execute("BEGIN")  # one view of the three, while another process may be migrating
    try:
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (objects,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    finally:
        connection.execute("ROLLBACK")
    if application_id != kind.application_id and (application_id, version, objects) != (0, 0, 0):
        raise StoreUnavailable(f"{path} is not {kind.what} of lsps: look at the path; nothing in it was changed")
    if version > newest:
        raise StoreUnavailable(
            f"{path} was written by a newer lsps (schema {version}, this one knows {newest}): update lsps; nothing in"
            " the file was changed"
        )
    return int(version)


def _apply(connection: sqlite3.Connection, kind: Kind, number: int, script: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == number - 1:  # else another process was faster
            for statement in _statements(script):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {kind.application_id}")
            connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _statements(script: str) -> Iterator[str]:
    """The script's statements one by one: sqlite3's executescript would commit before the first."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
