"""Whole stories with every line of the log caught, down to DEBUG: no secret is in a line, an error or an output."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from lsps.cli.log_lines import JsonFormatter, LineFormatter, SentenceFormatter
from lsps.errors import LspsError
from lsps.logs import FIELDS
from lsps.node.bolt8.identity import kept_key
from lsps.node.contract import PermissionMissing
from lsps.node.lnd import lnd_pb2 as pb
from lsps.node.lnd import rpc
from lsps.service.offer import ExtensionOffer, Token, Unleased
from lsps.service.pricing import PriceRequest
from lsps.testing import OFFER, LspNetwork, network
from lsps.units import Sat
from tests.cli.terminal import Terminal
from tests.node.lnd.fake import MACAROON, LndError, running
from tests.security.forms import told

TOKEN, WRONG_TOKEN = "S3SAME-Zmlu-open", "W0RDS-of-nobody"
SELLING = replace(
    OFFER,
    lsps7=ExtensionOffer(extend_unleased_channels=Unleased.ALL),
    tokens=(Token(TOKEN, discount_percent=50, uses=9),),
)
Caught = pytest.LogCaptureFixture


def urlsafe(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def everything(caplog: Caught) -> str:
    """Every record in every form in which a program may write it, and what it carries."""
    forms: list[Callable[[logging.LogRecord], str]] = [
        *(formatter.format for formatter in (LineFormatter(), JsonFormatter(), SentenceFormatter())),
        lambda record: f"{record.args!r} {getattr(record, FIELDS, None)!r} {record.getMessage()}",
    ]
    return "\n".join(form(record) for record in caplog.records for form in forms)


def secrets_of(store: Path) -> dict[str, bytes | str]:
    """What a store keeps: the service's secret, and the preimage of every order that follows from it."""
    with closing(sqlite3.connect(store)) as connection:
        ((secret,),) = connection.execute("SELECT secret FROM lsps").fetchall()
        orders = [order_id for (order_id,) in connection.execute("SELECT id FROM orders")]
    found: dict[str, bytes | str] = {"service secret": secret}
    for order_id in orders:
        found[f"preimage of {order_id}"] = hmac.new(secret, order_id.encode(), hashlib.sha256).digest()
    return found


def keys_of(net: LspNetwork) -> dict[str, bytes | str]:
    nodes = net.nodes.world.nodes.values()
    return {f"key of {node.alias}": node.key.to_bytes() for node in nodes}


async def refused(work: object, errors: list[BaseException]) -> None:
    """It fails, as it must here; the error is kept with all that led to it."""
    with pytest.raises(LspsError) as caught:
        await work  # type: ignore[misc]
    error: BaseException | None = caught.value
    while error is not None:
        errors.append(error)
        error = error.__cause__ or error.__context__


async def test_selling_and_buying_tell_no_secret(tmp_path: Path, caplog: Caught) -> None:
    """Buying and extending with a token, a wrong token, a channel that cannot be opened, a node that fails, a price
    function that fails: secrets are in no log line and no error."""
    caplog.set_level(logging.DEBUG)
    failing = False

    def price(request: PriceRequest) -> Sat:
        if failing:
            raise RuntimeError(f"no price for {request!r}")
        return Sat(1_000)

    async with network(offer=SELLING, price=price, directory=tmp_path) as net:
        nodes, errors = net.nodes, list[BaseException]()
        world, faults = nodes.world, nodes.world.faults
        channel = await nodes.open_channel(nodes.lsp, nodes.clients[0], Sat(2_000_000), push=Sat(900_000))
        lsp = net.clients[0].lsp(net.lsp_address)

        async def blocks() -> None:
            while True:
                await asyncio.sleep(0.02)
                nodes.mine()

        def buy(token: str) -> object:
            return lsp.lsps1.buy(lsp_balance=Sat(500_000), expiry_blocks=1_000, max_fee=Sat(90_000), token=token)

        assert channel.scid is not None
        mining = asyncio.create_task(blocks())
        bought = await buy(TOKEN)  # type: ignore[misc]
        extended = await lsp.lsps7.extend(channel.scid, blocks=100, max_fee=Sat(9_000), token=TOKEN)
        await refused(buy(WRONG_TOKEN), errors)
        faults.refuse_channels(nodes.clients[0].node_id)
        await refused(buy(TOKEN), errors)
        faults.clear(nodes.clients[0].node_id)
        faults.fail_next(nodes.lsp.node_id, "invoices.add_hold", times=9)
        await refused(buy(TOKEN), errors)
        faults.clear(nodes.lsp.node_id)
        failing = True
        await refused(buy(TOKEN), errors)
        mining.cancel()

        secrets = {"token": TOKEN, "wrong token": WRONG_TOKEN, **secrets_of(tmp_path / "lsp.db"), **keys_of(net)}
        shown = [repr(thing) for thing in (bought, extended, net, net.clients[0], net.lsp, world, *errors)]
        shown += [str(error) for error in errors]
    assert len(secrets) >= 8
    assert {"order_completed", "order_failed"} <= {record.getMessage() for record in caplog.records}
    assert told(everything(caplog), secrets) == []
    assert told("\n".join(shown), secrets) == []


async def test_an_lnd_that_refuses_tells_no_macaroon(caplog: Caught) -> None:
    """lnd's own text is shown when it refuses a call; the macaroon is in none of it, nor in a DEBUG line."""
    caplog.set_level(logging.DEBUG)
    async with running() as at:

        async def refuse(_request: object) -> pb.GetInfoResponse:
            raise LndError("permission denied")

        at.lnd.handle(rpc.GET_INFO, refuse)
        with pytest.raises(LspsError) as caught:
            await at.node.info()
        shown = [str(caught.value), repr(caught.value), repr(caught.value.__cause__), repr(at.node)]
    assert isinstance(caught.value, PermissionMissing)
    assert told("\n".join(shown) + everything(caplog), {"macaroon": MACAROON}) == []


@pytest.mark.parametrize("verbose", [(), ("--verbose",)], ids=["quiet", "verbose"])
async def test_commands_that_cannot_reach_lnd_tell_no_macaroon(tmp_path: Path, verbose: tuple[str, ...]) -> None:
    """A macaroon that is none, a certificate that is none, a node that is away: not even --verbose shows the file."""
    macaroon = b"\x02\x01\x03lnd\x02\xf8\x01" + bytes(range(40, 90))
    (tmp_path / "lsps.macaroon").write_bytes(macaroon)
    (tmp_path / "tls.cert").write_text("-----BEGIN CERTIFICATE-----")
    terminal = Terminal(tmp_path)
    node = f"lnd:///{tmp_path}?rpc=127.0.0.1:1"
    result = await terminal.run("info", "--lsp", "02" + "11" * 32, "--node", node, *verbose)
    assert result.code != 0
    assert told(result.out + result.err, {"macaroon": macaroon, "its base64": base64.b64encode(macaroon)}) == []


@pytest.mark.parametrize("form", [bytes.hex, lambda raw: raw.hex().upper(), urlsafe], ids=["hex", "HEX", "base64"])
async def test_a_macaroon_in_place_of_its_path_is_not_shown(tmp_path: Path, form: Callable[[bytes], str]) -> None:
    """Who copies an lndconnect URL's macaroon is told to save it in a file, without seeing it again."""
    macaroon = b"\x02\x01\x03lnd\x02\xf8\x01" + bytes(range(40, 90))
    (tmp_path / "tls.cert").write_text("no certificate")
    node = f"lnd://127.0.0.1:1?tls_cert=tls.cert&macaroon={form(macaroon)}"
    result = await Terminal(tmp_path).run("info", "--lsp", "02" + "11" * 32, "--node", node, "--verbose", "--json")
    assert result.code == 2
    assert "save it in a file" in result.err
    assert told(result.out + result.err, {"macaroon": macaroon, "given": form(macaroon)}) == []


async def test_a_key_in_place_of_its_path_is_not_shown(tmp_path: Path) -> None:
    """Nor does it become the name of a file."""
    key = hashlib.sha256(b"identity").digest()
    node = f"bolt8://?key={key.hex()}"
    result = await Terminal(tmp_path).run("info", "--lsp", "02" + "11" * 32, "--node", node, "--verbose", "--json")
    assert result.code == 2
    assert "save it in a file" in result.err
    assert told(result.out + result.err, {"key": key}) == []
    assert not (tmp_path / key.hex()).exists()


BAD_CONFIGS = {
    "unknown key": f"[[token]]\ncode = '{TOKEN}'\nuse = 1",
    "wrong type": f"[[token]]\ncode = '{TOKEN}'\nuses = 'x'",
    "twice": f"[[token]]\ncode = '{TOKEN}'\n[[token]]\ncode = '{TOKEN}'",
    "a list": f"[[token]]\ncode = ['{TOKEN}']",
    "not ended": f"[[token]]\ncode = '{TOKEN}",
    "no TOML": f"[[token]]\ncode = {TOKEN}",
    "too long": f"[[token]]\ncode = '{TOKEN * 100}'",
    "a table": f"[token]\n{TOKEN} = 1\ncode = '{TOKEN}'".replace(f"{TOKEN} = 1\n", ""),
}


@pytest.mark.parametrize("config", BAD_CONFIGS.values(), ids=BAD_CONFIGS)
async def test_a_wrong_configuration_tells_no_token(tmp_path: Path, config: str) -> None:
    """`lsps serve` says which key is wrong, and shows no value, with --verbose neither."""
    (tmp_path / "lsps.toml").write_text(config + "\n")
    result = await Terminal(tmp_path).run("serve", "--verbose")
    assert result.code == 2, result.err
    assert "lsps.toml" in result.err
    assert told(result.out + result.err, {"token": TOKEN}) == []


@pytest.mark.parametrize("rest", ["zz", "0", "\xff"])
def test_a_damaged_key_file_is_not_shown(tmp_path: Path, rest: str) -> None:
    """A key with a character too many is refused without being repeated, in the error and in what led to it."""
    key = hashlib.sha256(b"identity").digest()
    file = tmp_path / "lsp.key"
    file.write_text(key.hex() + rest, "latin-1")
    file.chmod(0o600)
    with pytest.raises(LspsError) as caught:
        kept_key(file, bytes)
    led_to_it = [caught.value, caught.value.__cause__, caught.value.__context__]
    assert told("".join(f"{error} {error!r}" for error in led_to_it), {"key": key, "digits": key.hex()}) == []
