"""The URLs that name an LND node."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from lsps.node.contract import NodeError
from lsps.node.lnd.address import InvalidNodeUrl, LndAddress, parse, read_certificate, read_file


def test_host_form() -> None:
    """HOST:PORT with both files is taken as it stands, IPv6 and escaped paths too."""
    url = "lnd://[::1]:10010?tls_cert=a%20b/tls.cert&macaroon=/x/lsps.macaroon"
    assert parse(url) == LndAddress("[::1]:10010", Path("a b/tls.cert"), Path("/x/lsps.macaroon"))


def test_directory_form_prefers_the_small_macaroon(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """In a directory, lsps.macaroon is used when it is there, without a warning."""
    (tmp_path / "lsps.macaroon").write_bytes(b"x")
    with caplog.at_level(logging.WARNING):
        address = parse(f"lnd://{tmp_path}?network=regtest&rpc=127.0.0.1:10019")
    assert address == LndAddress("127.0.0.1:10019", tmp_path / "tls.cert", tmp_path / "lsps.macaroon")
    assert not caplog.records


def test_directory_form_falls_back_to_admin_and_warns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Without lsps.macaroon the network's admin.macaroon is used, at the default port, and a warning is logged."""
    with caplog.at_level(logging.WARNING):
        address = parse(f"lnd://{tmp_path}?network=signet")
    assert address.rpc == "127.0.0.1:10009"
    assert address.macaroon == tmp_path / "data/chain/bitcoin/signet/admin.macaroon"
    assert [record.message for record in caplog.records] == ["using_admin_macaroon"]


def test_directory_form_means_mainnet_unless_told(tmp_path: Path) -> None:
    """The network of a directory is mainnet by default, as it is lnd's own."""
    assert "mainnet" in parse(f"lnd://{tmp_path}").macaroon.parts


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("cln:///x", "lnd://"),
        ("lnd://", "lnd://HOST:PORT"),
        ("lnd:///", "lnd://HOST:PORT"),
        ("lnd://host?tls_cert=a&macaroon=b", "host"),
        ("lnd://host:0?tls_cert=a&macaroon=b", "host"),
        ("lnd://host:70000?tls_cert=a&macaroon=b", "host"),
        ("lnd://host:1?macaroon=b", "tls_cert"),
        ("lnd://host:1?tls_cert=a", "macaroon"),
        ("lnd://host:1?tls_cert=a&tls_cert=b&macaroon=c", "tls_cert"),
        ("lnd://host:1?tls_cert=&macaroon=c", "tls_cert"),
        ("lnd://host:1?tls_cert=a&macaroon=b&network=regtest", "network"),
        ("lnd://host:1/dir?tls_cert=a&macaroon=b", "path"),
        ("lnd://me@host:1?tls_cert=a&macaroon=b", "user"),
        ("lnd:///dir?network=liquid", "network"),
        ("lnd:///dir?rpc=nowhere", "rpc"),
        ("lnd:///dir?network", "NAME=VALUE"),
        ("lnd:///dir?colour=red", "colour"),
        ("lnd://[host:1?tls_cert=a&macaroon=b", "no URL"),
        (f"lnd:///{'d' * 300}", "cannot look for"),
    ],
)
def test_a_wrong_url_is_refused_by_its_part(url: str, names: str) -> None:
    """What cannot be a node's URL raises a typed error that names the part that is wrong."""
    with pytest.raises(InvalidNodeUrl, match=names) as refused:
        parse(url)
    assert isinstance(refused.value, NodeError)


@pytest.mark.parametrize("name", ["tls_cert", "macaroon"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    """A file that cannot be read is named, with what it is for."""
    with pytest.raises(InvalidNodeUrl, match=f"{name}.*nothing"):
        read_file(tmp_path / "nothing", name)


def test_a_file_that_is_no_certificate_is_named(tmp_path: Path) -> None:
    """The macaroon in its place, say: told before anything connects. A certificate is taken as it is."""
    wrong, right = tmp_path / "lsps.macaroon", tmp_path / "tls.cert"
    wrong.write_bytes(b"\x02\x01\x03lnd")
    with pytest.raises(InvalidNodeUrl, match=r"tls_cert: .*lsps\.macaroon is no certificate"):
        read_certificate(wrong)
    right.write_bytes(b"-----BEGIN CERTIFICATE-----\nMIIB")
    assert read_certificate(right) == right.read_bytes()
