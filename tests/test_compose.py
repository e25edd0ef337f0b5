"""URLs find their adapters; a client and a service are wired from them; the package's root re-exports lazily."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

import lsps
from lsps import compose
from lsps.clock import SystemClock
from lsps.compose import Adapter, AdapterMissing, InvalidUrl, connect, load_price, node_url, open_node, open_service
from lsps.config.errors import ConfigError
from lsps.config.file import Config, load_config
from lsps.node.contract import NodeInfo
from lsps.service.offer import ChannelOffer, ExtensionOffer, Offer, PaymentTerms
from lsps.service.pricing import PriceTable
from lsps.service.startup import CannotDeliver, check_offer
from lsps.store.orders import StoreInUse, StoreUnavailable
from lsps.testing import OFFER, ManualClock, create_network, network, simulated_network
from lsps.units import BlockHeight, Network, NodeId, Sat

NODE_ID = NodeId("02" + "11" * 32)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """An LSP that extends channels, its store beside the file."""
    file = tmp_path / "lsps.toml"
    file.write_text('store = "sqlite://lsp.db"\n[lsps7]\n')
    return load_config(file)


# --- URLs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["", "lnd", "cln://x", "/home/me/.lnd", "https://secret@host"])
async def test_a_url_of_no_known_scheme_is_refused(url: str) -> None:
    """The error must list the schemes there are, and not repeat the URL, which may hold a secret."""
    with pytest.raises(InvalidUrl, match="lnd://") as caught:
        open_node(url, Path(), SystemClock())
    assert "secret" not in str(caught.value)


async def test_a_missing_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """An adapter whose packages are not installed must say which pip command gets them."""
    monkeypatch.setitem(sys.modules, "grpc", None)
    for module in [name for name in sys.modules if name.startswith(("lsps.node.lnd", "grpc."))]:
        monkeypatch.delitem(sys.modules, module)
    with pytest.raises(AdapterMissing, match=r"pip install 'lsps\[lnd\]'"):
        open_node("lnd:///x?network=regtest", Path(), SystemClock())


def test_a_bug_in_an_adapter_is_not_taken_for_a_missing_extra() -> None:
    """A module of lsps itself that cannot be found must raise as it is."""
    with pytest.raises(ModuleNotFoundError):
        Adapter("lsps.node.nowhere", extra="lnd").function("open_node")


async def test_relative_paths_are_seen_from_the_file(tmp_path: Path) -> None:
    """A node URL's tls_cert and macaroon must be looked for beside the file that names them."""
    with pytest.raises(Exception, match=str(tmp_path / "tls.cert")):
        open_node("lnd://127.0.0.1:1?tls_cert=tls.cert&macaroon=m", tmp_path, SystemClock())


async def test_an_sqlite_url_needs_a_path(tmp_path: Path) -> None:
    """sqlite:// alone names no file."""
    with pytest.raises(InvalidUrl, match="sqlite:///absolute/path"):
        compose.open_journal("sqlite://", tmp_path)


def test_which_node(config: Config) -> None:
    """LSPS_NODE must come before the file's node, and neither is an error that says what to do."""
    named = replace(config, node="lnd://file")
    assert node_url(named, {"LSPS_NODE": "lnd://env"}) == ("lnd://env", Path())
    assert node_url(named, {}) == ("lnd://file", config.directory)
    for nothing in (config, None):
        with pytest.raises(InvalidUrl, match="LSPS_NODE"):
            node_url(nothing, {})


# --- a client ---------------------------------------------------------------------------------------------------------


async def test_connect_makes_a_client_with_a_journal(tmp_path: Path) -> None:
    """A client must run on the node it is given, leave it open, and keep its journal in the state directory."""
    environment = {"XDG_STATE_HOME": str(tmp_path)}
    async with network() as net:
        node = net.nodes.another(net.nodes.clients[0])
        async with connect(node, environment=environment) as client:
            assert await client.lsp(net.lsp_address).lsps0.list_protocols() == (1, 7)
            assert await client.journal.newest(1) == []
        assert (tmp_path / "lsps" / "client.db").exists()
        assert (await node.info()).node_id == node.node_id
        async with connect(node, journal=tmp_path / "own.db", environment={}):
            assert (tmp_path / "own.db").exists()


async def test_connect_closes_a_node_it_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node opened from a URL, here the environment's, must be closed with the client."""
    net = create_network(SystemClock())
    node = net.clients[0]
    closed: list[bool] = []

    async def close() -> None:
        closed.append(True)

    monkeypatch.setattr(node, "close", close)
    monkeypatch.setattr(compose, "open_node", lambda url, _base, _clock: node if url == "lnd://env" else None)
    async with connect(journal=tmp_path / "j.db", environment={"LSPS_NODE": "lnd://env"}) as client:
        assert client.node is node
        assert closed == []
    assert closed == [True]
    net.world.close()


async def test_connect_without_a_node(tmp_path: Path) -> None:
    """No URL and no LSPS_NODE is an error that says how to name a node."""
    with pytest.raises(InvalidUrl, match="LSPS_NODE"):
        async with connect(environment={"XDG_STATE_HOME": str(tmp_path)}):
            pass


# --- a service --------------------------------------------------------------------------------------------------------


async def test_a_service_from_a_file_serves(config: Config, tmp_path: Path) -> None:
    """What lsps.toml says must be what a customer is told; the store is where the file says."""
    net = create_network(SystemClock())
    async with open_service(config, node=net.lsp, environment={}) as wired, wired.service.running():
        assert wired.info.node_id == net.lsp.node_id
        assert wired.store == "sqlite://lsp.db"
        async with connect(net.clients[0], journal=tmp_path / "client.db", environment={}) as client:
            assert await client.lsp(net.lsp.node_id).lsps0.list_protocols() == (7,)
    assert (tmp_path / "lsp.db").exists()
    net.world.close()


async def test_the_default_store_is_in_the_state_directory(config: Config, tmp_path: Path) -> None:
    """Without `store` the order book must be $XDG_STATE_HOME/lsps/lsps.db."""
    async with simulated_network() as net:
        unnamed = replace(config, store=None)
        async with open_service(unnamed, node=net.lsp, environment={"XDG_STATE_HOME": str(tmp_path / "state")}):
            assert (tmp_path / "state" / "lsps" / "lsps.db").exists()


async def test_one_process_serves_a_store(config: Config) -> None:
    """A second service on the same store must be refused, and can be read only meanwhile."""
    async with simulated_network() as net, open_service(config, node=net.lsp, environment={}):
        with pytest.raises(StoreInUse, match="is being served"):
            async with open_service(config, node=net.lsp, environment={}):
                pass
        reader = compose.open_store_read_only("sqlite://lsp.db", config.directory)
        assert await reader.newest_orders(None, 10) == []
        await reader.close()


async def test_reading_a_store_that_is_not_there(tmp_path: Path) -> None:
    """Looking at an order book must not make one."""
    with pytest.raises(StoreUnavailable, match="lsps serve"):
        compose.open_store_read_only("sqlite://lsp.db", tmp_path)
    assert not (tmp_path / "lsp.db").exists()


def selling(**options: object) -> Offer:
    """The simulated LSP's channel offer, with other options; one confirmation unless they say otherwise."""
    assert OFFER.lsps1 is not None
    changed = {"min_required_channel_confirmations": 1, **options}
    return Offer(lsps1=ChannelOffer(structs.replace(OFFER.lsps1.options, **changed)))


async def test_the_offer_is_checked_against_the_node(config: Config) -> None:
    """An offer the node cannot deliver must stop the start before anything is stored."""
    offer = selling(max_channel_balance_sat=Sat(20_000_000))
    async with simulated_network() as net:
        with pytest.raises(CannotDeliver, match=r"lsps1\.max_channel_balance_sat"):
            async with open_service(replace(config, offer=offer), node=net.lsp, environment={}):
                pass
    assert not (config.directory / "lsp.db").exists()


CANNOT = [
    (selling(max_channel_balance_sat=Sat(16_777_216)), {47, 51}, "lsps1.max_channel_balance_sat"),
    (selling(min_required_channel_confirmations=0), {47}, "lsps1.min_required_channel_confirmations"),
    (selling(min_required_channel_confirmations=0), {51}, "lsps1.min_required_channel_confirmations"),
    (selling(supports_zero_channel_reserve=True), {19, 47, 51}, "lsps1.supports_zero_channel_reserve"),
    (Offer(), {19, 47, 51}, "lsps1"),
]
CAN = [
    (selling(max_channel_balance_sat=Sat(16_777_215)), set[int]()),
    (selling(max_channel_balance_sat=Sat(16_777_216)), {18}),
    (selling(max_channel_balance_sat=Sat(16_777_216)), {19}),
    (selling(min_required_channel_confirmations=0), {46, 50}),
    (selling(min_required_channel_confirmations=0), {47, 51}),
    (Offer(lsps7=ExtensionOffer()), set[int]()),
]


def node_with(features: set[int]) -> NodeInfo:
    return NodeInfo(NODE_ID, Network.REGTEST, "", BlockHeight(100), frozenset(features), synced=True)


@pytest.mark.parametrize(("offer", "features", "key"), CANNOT)
def test_what_a_node_cannot_deliver_is_named(offer: Offer, features: set[int], key: str) -> None:
    """bLIP-51 §1, BOLT 9: large, zero-conf and zero-reserve channels may be offered only by a node that can."""
    with pytest.raises(CannotDeliver) as caught:
        check_offer(offer, node_with(features), sees_fees=False)
    assert caught.value.key == key
    assert str(caught.value).startswith(f"{key}: ")


@pytest.mark.parametrize(("offer", "features"), CAN)
def test_what_a_node_can_deliver_passes(offer: Offer, features: set[int]) -> None:
    """Either bit of a feature, compulsory or optional, must be enough."""
    check_offer(offer, node_with(features), sees_fees=False)


ZERO_CONF = Offer(lsps7=ExtensionOffer(), payment=PaymentTerms(onchain=True, min_onchain_payment_confirmations=0))


def test_a_node_that_sees_no_fees() -> None:
    """bLIP-51 §3.3: without a confirmation the fee decides, so a node that does not know it needs one; not offered
    on-chain, nothing is asked of it."""
    check_offer(ZERO_CONF, node_with(set()), sees_fees=True)
    check_offer(
        replace(ZERO_CONF, payment=PaymentTerms(min_onchain_payment_confirmations=0)), node_with(set()), sees_fees=False
    )
    with pytest.raises(CannotDeliver, match="set 1") as caught:
        check_offer(ZERO_CONF, node_with(set()), sees_fees=False)
    assert caught.value.key == "payment.min_onchain_payment_confirmations"


# --- the operator's price function ------------------------------------------------------------------------------------


@pytest.fixture
def own_path(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing that a test puts on the import path stays."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.usefixtures("own_path")
def test_a_price_function_beside_the_file(config: Config) -> None:
    """`function = "module:name"` must find a module that lies beside lsps.toml."""
    (config.directory / "my_prices.py").write_text("def price(request):\n    return 'seven'\n")
    function = load_price(replace(config, price="my_prices:price"))
    assert function(None) == "seven"  # type: ignore[arg-type, comparison-overlap]
    assert load_price(replace(config, price=PriceTable())) == PriceTable()


@pytest.mark.parametrize(
    ("function", "text"),
    [
        ("nowhere_at_all:price", "cannot be imported"),
        ("broken_prices:price", "ZeroDivisionError"),
        ("json:nothing", "no function nothing"),
        ("json:__name__", "no function __name__"),
    ],
)
@pytest.mark.usefixtures("own_path")
def test_a_price_function_that_is_none(config: Config, function: str, text: str) -> None:
    """A module that cannot be imported, or has no such function, must be told with the key's name."""
    (config.directory / "broken_prices.py").write_text("1 / 0\n")
    with pytest.raises(ConfigError, match=text) as caught:
        load_price(replace(config, price=function))
    assert caught.value.key == "price.function"


# --- import lsps ------------------------------------------------------------------------------------------------------


def reexported() -> Mapping[str, str]:
    """Name to module, as the imports under TYPE_CHECKING tell it."""
    source = ast.parse(Path(str(lsps.__file__)).read_text())
    block = next(node for node in source.body if isinstance(node, ast.If))
    return {
        alias.name: str(node.module) for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }


def test_type_checkers_and_the_interpreter_are_told_the_same() -> None:
    """Every name that the root shows to type checkers must be there at run time, from the same module."""
    told = reexported()
    assert set(told) == set(lsps.__all__)
    for name, module in told.items():
        assert getattr(lsps, name) is getattr(__import__(module, fromlist=[name]), name)
    assert set(lsps.__all__) <= set(dir(lsps))


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A misspelt name must fail as on any module."""
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = lsps.nothing_like_it


def test_importing_lsps_imports_next_to_nothing() -> None:
    """The root, and a client class from it, must not load gRPC, rich or the adapters."""
    code = (
        "import sys, lsps; first = len([m for m in sys.modules if m.startswith('lsps.')]); lsps.connect, lsps.Client;"
        "print(first, [m for m in sys.modules if m.split('.')[0] in ('grpc', 'google', 'rich', 'sqlite3')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0 []"


def test_a_manual_clock_is_for_users_too() -> None:
    """lsps.testing must be reachable from the root."""
    assert lsps.testing.ManualClock is ManualClock


@pytest.mark.parametrize("name", [name for name in lsps.__all__ if callable(getattr(lsps, name))])
def test_no_signature_shows_the_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """help(), and what makes documentation, print defaults: none may be os.environ, where passwords are."""
    monkeypatch.setenv("A_PASSWORD", "correct horse")
    try:
        signature = str(inspect.signature(getattr(lsps, name)))
    except ValueError:  # an exception's, say, that is written in C
        return
    assert "correct horse" not in signature
