"""docs/configuration.md tells of every key of lsps.toml, with the default it really has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from msgspec import NODEFAULT
from msgspec.structs import fields

from lsps.config import tables
from lsps.service.pricing import PriceTable

DOCS = (Path(__file__).parent.parent / "docs" / "configuration.md").read_text()
TABLES: dict[str, type[tables.Table]] = {
    "lsps1": tables.Lsps1Table,
    "lsps7": tables.Lsps7Table,
    "price": tables.PriceKeys,
    "token": tables.TokenTable,
    "lease": tables.LeaseTable,
    "payment": tables.PaymentTable,
    "limits": tables.LimitsTable,
    "listen": tables.ListenTable,
    "compat": tables.CompatTable,
}


def documented(heading: str) -> dict[str, str]:
    """Key to default, of the table under a heading."""
    section = re.split(rf"\n## `\[+{heading}\]", DOCS)[1].split("\n## ", 1)[0]
    rows = [line.split("|") for line in section.splitlines() if line.startswith("| `")]
    return {row[1].strip().strip("`"): row[2].strip().strip("`") for row in rows}


def written(value: object) -> str:
    """A default as a TOML file would say it."""
    match value:
        case bool():
            return str(value).lower()
        case int():
            return f"{value:_}"
        case str():
            return f'"{value}"'
    return str(value)


@pytest.mark.parametrize("heading", TABLES)
def test_every_key_is_told_with_its_default(heading: str) -> None:
    """The documented keys are exactly the table's, and each plain default is the real one."""
    known = {field.name: field for field in fields(TABLES[heading])}
    told = documented(heading)
    assert set(told) == set(known)
    for name, field in known.items():
        if isinstance(field.default, bool | int | float | str):
            assert told[name] == written(field.default), name
        else:
            assert field.default in (None, NODEFAULT)


def test_prices_are_told_as_they_are() -> None:
    """[price] leaves its numbers to PriceTable: the documented ones are those."""
    table, told = PriceTable(), documented("price")
    assert told["open_base_sat"] == written(int(table.open_base))
    assert told["open_rate_ppm_per_year"] == written(table.open_rate_ppm_per_year)
    assert told["extend_base_sat"] == written(int(table.extend_base))
    assert told["extend_rate_ppm_per_year"] == written(table.extend_rate_ppm_per_year)
