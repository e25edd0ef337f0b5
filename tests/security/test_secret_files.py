"""Every file that a whole machine writes is its owner's alone, whatever the umask."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from lsps.clock import Clock, SystemClock
from lsps.compose import back_up_journal, back_up_store, connect, open_service
from lsps.config.errors import ConfigError
from lsps.config.file import find, load_config
from lsps.node.lnd.node import open_node
from lsps.store.orders import StoreUnavailable
from lsps.store.sqlite.files import make_private
from lsps.store.sqlite.opening import open_order_store
from lsps.testing import create_network
from tests.store import samples

CONFIG = """
store = "sqlite://state/lsps.db"
[lsps1]
[listen]
address = "127.0.0.1:0"
key = "keys/of/lsp.key"
"""


def modes_below(directory: Path) -> dict[str, int]:
    paths = (path for path in directory.rglob("*") if path.name != "lsps.toml")
    return {str(path.relative_to(directory)): path.stat().st_mode & 0o777 for path in paths}


@pytest.fixture
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("no_umask")
async def test_what_is_written_is_for_its_owner_alone(tmp_path: Path) -> None:
    """Store, journal, kept identity keys and copies of all these: 0600, in directories of 0700."""
    clock: Clock = SystemClock()
    net = create_network(clock)
    (tmp_path / "lsps.toml").write_text(CONFIG)
    (tmp_path / "copies").mkdir(mode=0o700)
    config = load_config(tmp_path / "lsps.toml")
    async with (
        open_service(config, node=net.lsp, environment={}) as wired,
        wired.service.running(),
        connect("bolt8://?key=keys/client.key", base=tmp_path, journal=tmp_path / "home" / "client.db"),
    ):
        back_up_store(wired.store, tmp_path, tmp_path / "copies" / "lsps.db", overwrite=False)
        back_up_journal("sqlite://home/client.db", tmp_path, tmp_path / "copies" / "client.db", overwrite=False)
        modes = modes_below(tmp_path)
    net.world.close()
    assert {"keys/of/lsp.key", "keys/client.key", "state/lsps.db", "home/client.db", "copies/lsps.db"} <= modes.keys()
    directories = {"state", "keys", "keys/of", "home", "copies"}
    assert modes == {name: 0o700 if name in directories else 0o600 for name in modes}


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, True), (0o604, True)])
def test_a_store_that_others_can_read_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int, warned: bool
) -> None:
    """A copy that was put back with another mode tells others the secret of all preimages."""
    (tmp_path / "lsps.db").touch()
    (tmp_path / "lsps.db").chmod(mode)
    with caplog.at_level(logging.WARNING, "lsps"):
        make_private(tmp_path / "lsps.db")
    assert [record.message for record in caplog.records] == ["readable_by_others"] * warned


def test_a_lock_that_leads_elsewhere_is_not_followed(tmp_path: Path) -> None:
    """Who may write in the store's directory could have the start empty any file of ours by a link of that name."""
    precious = tmp_path / "precious"
    precious.write_text("kept")
    (tmp_path / "lsps.db.lock").symlink_to(precious)
    with pytest.raises(StoreUnavailable, match=r"lsps\.db: a symbolic link"):
        open_order_store(tmp_path / "lsps.db", samples.LSP, samples.RULES)
    assert precious.read_text() == "kept"


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o644, True)])
async def test_a_macaroon_that_others_can_read_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int, warned: bool
) -> None:
    """lncli saves macaroons so that everybody can read them."""
    (tmp_path / "tls.cert").write_text("-----BEGIN CERTIFICATE-----")
    (tmp_path / "lsps.macaroon").write_bytes(b"macaroon")
    (tmp_path / "lsps.macaroon").chmod(mode)
    with caplog.at_level(logging.WARNING, "lsps"):
        node = open_node(f"lnd:///{tmp_path}", clock=SystemClock(), random=Random(0))
    await node.close()
    assert [record.message for record in caplog.records] == ["readable_by_others"] * warned


@pytest.mark.parametrize(
    ("mode", "token", "warned"), [(0o600, True, False), (0o644, True, True), (0o644, False, False)]
)
async def test_tokens_that_others_can_read_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int, token: bool, warned: bool
) -> None:
    """lsps.toml is a secret's file as soon as it has a token."""
    file = tmp_path / "lsps.toml"
    file.write_text('store = "sqlite://lsps.db"\n[lsps1]\n' + ('[[token]]\ncode = "S3SAME"\n' if token else ""))
    file.chmod(mode)
    net = create_network(SystemClock())
    with caplog.at_level(logging.WARNING, "lsps"):
        async with open_service(load_config(file), node=net.lsp, environment={}):
            pass
    net.world.close()
    assert [record.message for record in caplog.records] == ["readable_by_others"] * warned


@pytest.mark.parametrize("theirs", [False, True], ids=["writable for all", "another user's"])
def test_a_configuration_that_another_user_left_is_not_believed(
    tmp_path: Path, theirs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One in a directory that all share could send the macaroon to a host of its writer's: it has to be named."""
    file = tmp_path / "lsps.toml"
    file.write_text('node = "lnd://192.0.2.1:10009?tls_cert=theirs&macaroon=~/.lnd/admin.macaroon"')
    assert find(None, tmp_path, {}) == file
    if not theirs:
        file.chmod(0o666)
    elif os.geteuid() == 0:
        os.chown(file, 12_345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(ConfigError, match="another user's"):
        find(None, tmp_path, {})
    assert find(file, tmp_path, {}) == file
