"""What every test on real nodes shares: one running network for the whole session, and its logs beside a failure.

These tests are run by path alone (`pytest tests/e2e`); the fast suite leaves this directory out.
"""

from collections.abc import AsyncIterator, Generator
from pathlib import Path

import pytest
import pytest_asyncio

from interop.lnd.build import binaries
from interop.lnd.node import LSP_FLAGS, Node, NodeSpec
from interop.lnd.regtest import Regtest
from tests.e2e.shop import Customer, Shop, customer_of, shop_on

HERE = Path(__file__).parent

pytest.register_assert_rewrite("tests.e2e.once")  # a helper's failed assertion shows its values


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks every test here as e2e."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Shows the end of every node's log under a test that failed with the network at hand."""
    report = yield
    net = getattr(item, "funcargs", {}).get("net")
    if report.failed and isinstance(net, Regtest):
        report.sections.append(("logs of the regtest nodes", net.log_tails(15)))
    for shop in getattr(item, "funcargs", {}).values():
        if report.failed and isinstance(shop, Shop):
            report.sections.append((f"log of {shop.process.name}", shop.process.tail(40)))
    return report


@pytest.fixture(scope="session")
def programs() -> Path:
    """The directory of lnd, lncli, btcd and btcctl; the first run builds them."""
    return binaries()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def net(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Regtest]:
    """A funded network: lsp, alice and bob. Tests share it: each opens what it needs, and takes no balance as given."""
    specs = [NodeSpec("lsp", LSP_FLAGS), NodeSpec("alice"), NodeSpec("bob")]
    async with Regtest(tmp_path_factory.mktemp("regtest"), specs, programs) as running:
        yield running


@pytest.fixture
def lsp(net: Regtest) -> Node:
    """The node that sells."""
    return net["lsp"]


@pytest.fixture
def alice(net: Regtest) -> Node:
    """The first customer's node."""
    return net["alice"]


@pytest.fixture
def bob(net: Regtest) -> Node:
    """The second customer's node."""
    return net["bob"]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(net: Regtest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    """`lsps serve` on the lsp's node, with what tests.e2e.shop.TABLES offers; a new store for each module."""
    async with shop_on(net["lsp"], tmp_path_factory.mktemp("shop")) as serving:
        yield serving


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def alice_buys(net: Regtest, tmp_path_factory: pytest.TempPathFactory) -> Customer:
    """The `lsps` commands on alice's node; a new journal for each module."""
    return await customer_of(net["alice"], tmp_path_factory.mktemp("alice"))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bob_buys(net: Regtest, tmp_path_factory: pytest.TempPathFactory) -> Customer:
    """The `lsps` commands on bob's node; a new journal for each module."""
    return await customer_of(net["bob"], tmp_path_factory.mktemp("bob"))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def alice_can_pay(net: Regtest) -> str:
    """The funding outpoint of alice's own channel to the lsp, from which she pays; announced."""
    return await net.open_channel(net["alice"], net["lsp"], 8_000_000, 1_000_000)
