"""lsps.toml, from its bytes to a checked configuration."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from msgspec.structs import fields

from lsps.config import tables
from lsps.config.errors import ConfigError
from lsps.config.file import Config, load_config
from lsps.service.service import rules_of
from tests.fuzz.target import Target


@cache
def directory() -> tempfile.TemporaryDirectory[str]:
    """One a process, removed at its end."""
    return tempfile.TemporaryDirectory(prefix="lsps-fuzz-")


def check(data: bytes) -> None:
    """A configuration or ConfigError, which names the file and repeats no token (but any key, whatever it is)."""
    path = Path(directory().name) / "lsps.toml"
    path.write_bytes(data)
    try:
        config = load_config(path)
    except ConfigError as error:
        assert str(error).startswith(str(path))
        assert data.count(SECRET.encode()) != 1 or CODE not in data or SECRET not in str(error)
        return
    assert isinstance(config, Config)
    assert SECRET not in repr(config)
    rules_of(config.offer)


SECRET = "S3CR3T-c0de"
CODE = f'\ncode = "{SECRET}"\n'.encode()
EVERYTHING = f"""
node = "lnd://127.0.0.1:10009?tls_cert=tls.cert&macaroon=lsps.macaroon"
store = "sqlite://lsps.db"
[lsps1]
min_required_channel_confirmations = 0
max_initial_lsp_balance_sat = 16_000_000
[lsps7]
extend_unleased_channels = "peer-opened"
[price]
open_base_sat = 1
[[token]]
code = "{SECRET}"
discount_percent = 100
uses = 1
expires = 2027-01-01
[[lease]]
outpoint = "{"ab" * 32}:0"
expiration_block = 900_000
[payment]
bolt11_expiry_seconds = 60
min_final_cltv_expiry = 144
hold_margin_blocks = 40
[limits]
node_seconds = 0.5
prune_after_days = 30
[listen]
address = "127.0.0.1:0"
key = "lsp.key"
[compat]
default = "ldk"
[compat.peers]
{"02" + "11" * 32} = "spec"
"""
TABLES = tables.Table.__subclasses__()
TARGET = Target(
    check,
    (
        EVERYTHING.encode(),
        b"",
        b'[lsps7]\nextend_unleased_channels = true\n[price]\nfunction = "prices:price"\n',
        b'[[token]]\ncode = "a"\n[[token]]\ncode = "a"\n',
        b"lsps1 = {max_channel_expiry_blocks = -1}\n",
        b"token = [{code = 5}]\nlease = 5\n",
        b'x = """\\u00e9""" # ' + "\u00e9".encode(),
        b"a = " + b"[" * 2000,
        b"[limits]\nrequests_in_all = 1" + b"0" * 5000,
        b"[limits]\nprune_after_days = 2_147_483_647\n",
        b"[limits]\nnode_seconds = nan\n",
        b"a = [1.5, inf, nan, 0x1f, 1979-05-27T07:32:00Z, true]\n",
    ),
    words=(
        *(f"[{field.name}]\n" for field in fields(tables.File)),
        *(f"{field.name} = " for table in TABLES if table is not tables.File for field in fields(table)),
        *("[[token]]\n", "[[lease]]\n", "nan", "inf", "99999999999999999999", '"""', "\\U0010ffff", "2027-01-01"),
    ),
)
