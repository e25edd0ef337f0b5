"""`lsps check` against LDK's service and against ours, and whether docs/conformance.json still says what comes of it.

python -m interop.ldk.check            # both; fails if LDK's outcomes are not those written down, or ours fails at all
python -m interop.ldk.check --write    # writes LDK's outcomes down
python -m interop.ldk.check --serve    # only runs LDK's LSP, to be checked by hand, until Ctrl-C

Same options, same network, same wallet for both. The wallet is a simulated node with a channel to the LSP; its messages
go to the LSP by BOLT 8 over TCP, with its own key. It can pay, so what comes of a paid order is checked, too.
"""

import argparse
import asyncio
import json
import logging
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from random import Random

import msgspec

from interop.cache import BuildError
from interop.ldk.build import VERSION
from interop.ldk.node import LdkError, ldk_node
from interop.ldk.owner import Owner
from lsps.check.model import Outcome, Report
from lsps.check.probe import Times
from lsps.check.report import summary, text
from lsps.check.runner import run_checks
from lsps.check.subject import Spending
from lsps.clock import Clock, SystemClock
from lsps.node.bolt8.listener import Listener
from lsps.node.bolt8.node import Bolt8Node
from lsps.node.overlay import WithMessages
from lsps.node.simulated.node import SimulatedNode
from lsps.protocol.lsps1 import Options
from lsps.protocol.message import to_json
from lsps.service.offer import ChannelOffer, ExtensionOffer, Offer, PaymentTerms, Unleased
from lsps.service.service import Service, rules_of
from lsps.store.sqlite.opening import open_order_store
from lsps.testing import Policy, SimulatedNetwork, create_network
from lsps.units import Network, Sat

RESULTS = Path(__file__).parents[2] / "docs" / "conformance.json"
LDK = f"LDK lightning-liquidity {VERSION}"
BAD = frozenset({Outcome.FAIL, Outcome.UNTOLD})
OPTIONS = Options(
    min_required_channel_confirmations=0,
    min_funding_confirms_within_blocks=6,
    supports_zero_channel_reserve=True,
    max_channel_expiry_blocks=20_160,
    min_initial_client_balance_sat=Sat(20_000),
    max_initial_client_balance_sat=Sat(100_000_000),
    min_initial_lsp_balance_sat=Sat(0),
    max_initial_lsp_balance_sat=Sat(100_000_000),
    min_channel_balance_sat=Sat(50_000),
    max_channel_balance_sat=Sat(100_000_000),
)
"""The example of bLIP-51 §1."""
MAX_FEE = Sat(50_000)
TIMES = Times(answer=3.0, quiet=1.0, poll=0.1, polls=300)
"""Nothing here is further away than loopback; an LSP that went deaf is waited for so long each time."""

Net = SimulatedNetwork[Clock]
Lsp = Callable[[Net], AbstractAsyncContextManager[str]]


@asynccontextmanager
async def ldk_lsp(net: Net) -> AsyncIterator[str]:
    """LDK's service, with the key of the simulated LSP node; gives HOST:PORT."""
    key = net.world.nodes[net.lsp.node_id].key.to_bytes()
    options = msgspec.json.decode(msgspec.json.encode(to_json(OPTIONS)))
    async with ldk_node(key=key, service=options) as ldk, Owner(ldk, net.lsp, net.mine).at_work():
        yield ldk.address


@asynccontextmanager
async def our_lsp(net: Net) -> AsyncIterator[str]:
    """Our service on the simulated LSP node, its messages over our listener; gives HOST:PORT."""
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lsps-check-")))
        ours = _over_tcp(net, net.lsp)
        stack.push_async_callback(ours.close)
        listener = await Listener.start(ours.messages, "127.0.0.1:0")
        stack.callback(listener.close)
        options = msgspec.structs.replace(OPTIONS, supports_zero_channel_reserve=False)  # the node cannot (LND neither)
        offer = Offer(
            lsps1=ChannelOffer(options),
            lsps7=ExtensionOffer(extend_unleased_channels=Unleased.ALL),
            payment=PaymentTerms(onchain=True, min_onchain_payment=Sat(1)),
        )
        store = open_order_store(directory / "lsp.db", net.lsp.node_id, rules_of(offer))
        stack.push_async_callback(store.close)
        service = Service(WithMessages(net.lsp, ours.messages), store, offer, clock=net.clock)
        await stack.enter_async_context(service.running())
        yield listener.address


def _over_tcp(net: Net, node: SimulatedNode) -> Bolt8Node:
    key = net.world.nodes[node.node_id].key
    return Bolt8Node(key, network=Network.REGTEST, clock=net.clock, random=Random())  # noqa: S311  # backoff


async def check(lsp: Lsp) -> Report:
    net: Net = create_network(SystemClock(), policy=Policy(large_channels=True))
    wallet = net.clients[0]
    await net.open_channel(wallet, net.lsp, Sat(2_000_000), push=Sat(500_000))
    messages = _over_tcp(net, wallet)
    try:
        async with lsp(net) as address:
            node = WithMessages(wallet, messages.messages)
            spending = Spending(MAX_FEE)
            return await run_checks(node, net.lsp.node_id, address, spending=spending, clock=net.clock, times=TIMES)
    finally:
        await messages.close()
        net.world.close()


async def serve() -> None:
    net: Net = create_network(SystemClock())
    async with ldk_lsp(net) as address:
        print(f"lsps check {net.lsp.node_id}@{address} --node 'bolt8://?network=regtest'", flush=True)
        await asyncio.Event().wait()


async def check_both() -> tuple[Report, Report]:
    """LDK's, and ours."""
    reports = []
    for name, lsp in ((LDK, ldk_lsp), ("lsps", our_lsp)):
        reports.append(await check(lsp))
        print(f"--- {name}", *text(reports[-1]), "", sep="\n", flush=True)
    return reports[0], reports[1]


def differences(written: Mapping[str, str], report: Report) -> list[str]:
    """What is not as it is written down."""
    measured = {finding.check.id: finding.outcome.value for finding in report.findings}
    ids = sorted(written.keys() | measured.keys())
    return [
        f"{LDK}: {one} was {written.get(one)}, and is {measured.get(one)}"
        for one in ids
        if written.get(one) != measured.get(one)
    ]


def write(report: Report) -> None:
    outcomes = {finding.check.id: finding.outcome.value for finding in report.findings}
    RESULTS.write_text(json.dumps({"lsp": LDK, "outcomes": outcomes}, indent=1) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description="lsps check against LDK's service and against ours")
    parser.add_argument("--write", action="store_true", help=f"write LDK's outcomes to docs/{RESULTS.name}")
    parser.add_argument("--serve", action="store_true", help="only run LDK's LSP, until Ctrl-C")
    args = parser.parse_args()
    logging.getLogger("lsps").addHandler(logging.NullHandler())  # bad messages are what this sends
    try:
        if args.serve:
            with suppress(KeyboardInterrupt):
                asyncio.run(serve())
            return 0
        ldk, ours = asyncio.run(check_both())
    except (BuildError, LdkError) as error:
        sys.exit(f"interop/ldk: {error}")
    if args.write:
        write(ldk)
    changed = differences(json.loads(RESULTS.read_text())["outcomes"], ldk)
    failed = [f"lsps: {f.check.id} {f.outcome.value}: {f.reason}" for f in ours.findings if f.outcome in BAD]
    print(f"{LDK}: {summary(ldk)}", f"lsps: {summary(ours)}", sep="\n")
    print(*(changed or [f"as docs/{RESULTS.name} says"]), *failed, sep="\n")
    if changed:
        print("if this is right: python -m interop.ldk.check --write, and bring docs/conformance.md in step")
    return 1 if changed or failed else 0


if __name__ == "__main__":
    sys.exit(main())
