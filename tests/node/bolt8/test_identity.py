"""Who we are: the URL, the key's file, and what is wrong with them."""

from __future__ import annotations

import secrets
from pathlib import Path
from random import Random

import pytest

from lsps.clock import SystemClock
from lsps.lightning.keys import SecretKey
from lsps.node.bolt8.address import Bolt8Address, InvalidNodeUrl, parse
from lsps.node.bolt8.identity import BadKeyFile, kept_key
from lsps.node.bolt8.listener import CannotListen, Listener
from lsps.node.bolt8.node import open_node
from lsps.units import Network, NodeId
from tests.node.bolt8.environment import host


def test_a_key_is_made_once_and_kept(tmp_path: Path) -> None:
    """The first start makes the file, readable by its owner alone; later ones find the same identity in it."""
    file = tmp_path / "new" / "lsps.key"
    key = kept_key(file, secrets.token_bytes)
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o077 == 0
    assert kept_key(file, secrets.token_bytes) == key
    assert list(file.parent.iterdir()) == [file]


def test_a_key_from_elsewhere(tmp_path: Path) -> None:
    """A file with 64 hex digits is taken as it is."""
    file = tmp_path / "key"
    file.write_text("11" * 32)
    file.chmod(0o400)
    assert kept_key(file, secrets.token_bytes) == SecretKey(b"\x11" * 32)


@pytest.mark.parametrize("content", ["", "11" * 31, "zz" * 32, "00" * 32, "\xff" * 64], ids=range(5))
def test_a_file_that_holds_no_key(tmp_path: Path, content: str) -> None:
    """Anything else is refused, its content is not shown, and the file is left alone."""
    file = tmp_path / "key"
    file.write_text(content)
    file.chmod(0o600)
    with pytest.raises(BadKeyFile, match="64 hex digits") as caught:
        kept_key(file, secrets.token_bytes)
    assert not content or content not in str(caught.value)
    assert file.read_text() == content


def test_a_key_that_others_can_read(tmp_path: Path) -> None:
    """A key that is not private is refused, with what to do."""
    file = tmp_path / "key"
    kept_key(file, secrets.token_bytes)
    file.chmod(0o640)
    with pytest.raises(BadKeyFile, match="chmod 600"):
        kept_key(file, secrets.token_bytes)


def test_a_directory_is_no_key(tmp_path: Path) -> None:
    """A directory is told as one: nobody should be advised to chmod 600 it."""
    with pytest.raises(BadKeyFile, match="is a directory: name a file"):
        kept_key(tmp_path, secrets.token_bytes)


def test_a_key_that_cannot_be_kept(tmp_path: Path) -> None:
    """A path that can hold no file is told, not thrown."""
    (tmp_path / "file").write_text("")
    with pytest.raises(BadKeyFile, match="file"):
        kept_key(tmp_path / "file" / "key", secrets.token_bytes)


def test_urls(tmp_path: Path) -> None:
    """Every part may be left out; a relative key is seen from the base."""
    assert parse("bolt8://") == Bolt8Address()
    assert parse("bolt8://?key=a/b&network=regtest&socks5=[::1]:9050", tmp_path) == Bolt8Address(
        tmp_path / "a" / "b", Network.REGTEST, "[::1]:9050"
    )


@pytest.mark.parametrize(
    "url",
    [
        "bolt8://host:9735",
        "bolt8:///path",
        "bolt8://?key=",
        "bolt8://?key=a&key=b",
        "bolt8://?color=red",
        "bolt8://?network=moon",
        "bolt8://?socks5=host",
        "bolt8://?nonsense",
        "bolt8://#x",
        "bolt8://[",
        "lnd://",
    ],
)
def test_urls_that_are_none(url: str) -> None:
    """A wrong part is a usage error (NodeError and ValueError), not a surprise later."""
    with pytest.raises(InvalidNodeUrl):
        parse(url)


async def test_opening_by_url(tmp_path: Path) -> None:
    """With a key the identity is the same each time; without one it is new each time."""
    ids: list[NodeId] = []
    for url in ("bolt8://?key=k", "bolt8://?key=k", "bolt8://", "bolt8://"):
        node = open_node(url, clock=SystemClock(), random=Random(0), base=tmp_path)
        ids.append(node.node_id)
        await node.close()
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("nowhere", "is not HOST:PORT"),
        ("192.0.2.1:9735", "Cannot assign requested address"),
        ("127.0.0.1:99999", "is not HOST:PORT"),
        (f"{'x' * 70}.y:1", "no host can have this name"),
    ],
)
async def test_addresses_that_cannot_be_listened_on(address: str, why: str) -> None:
    """The error names the address, and says what is wrong with it."""
    async with host() as ours:
        with pytest.raises(CannotListen, match=f"^cannot listen on {address}: .*{why}"):
            await Listener.start(ours.messages, address)


async def test_an_address_that_is_taken() -> None:
    """A port in use is told, in the system's words."""
    async with host() as ours:
        with pytest.raises(CannotListen, match=f"^cannot listen on {ours.address}: Address already in use$"):
            await Listener.start(ours.messages, ours.address)
