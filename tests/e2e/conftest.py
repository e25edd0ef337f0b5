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

HERE = Path(__file__).parent


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
