"""The harness itself: what the scenarios take for granted holds."""

import asyncio
import os
import signal
import stat
import sys
import textwrap
from pathlib import Path

import pytest

from interop.lnd.macaroons import bake
from interop.lnd.node import LncliError, Node, NodeSpec
from interop.lnd.process import Process, ProcessError
from interop.lnd.regtest import Regtest, eventually

LSPS0_MESSAGE = 37913  # bLIP-50: the one type of all LSPS messages
LSPS_FEATURE = "729"  # bLIP-50: set by an LSP in init and node_announcement


async def test_nodes_are_synced_and_funded(net: Regtest) -> None:
    """Every node has seen btcd's tip and can spend at least 100 BTC, in more than one output."""
    height = await net.btcd.height()
    for node in net.nodes.values():
        info = await node.lncli("getinfo")
        assert (info["synced_to_chain"], info["block_height"]) == (True, height)
        assert info["identity_pubkey"] == node.node_id
        assert await node.confirmed_balance() > 100 * 100_000_000
        assert len((await node.lncli("listunspent"))["utxos"]) > 1


async def test_both_nodes_agree_on_an_opened_and_a_closed_channel(
    net: Regtest, lsp: Node, alice: Node, bob: Node
) -> None:
    """A public channel has the capacity and push asked for in both views, carries a payment, is announced, closes."""
    point = await net.open_channel(lsp, alice, 1_000_000, 400_000)
    ours, theirs = await lsp.channel(point), await alice.channel(point)
    assert ours is not None
    assert theirs is not None
    assert (ours["capacity"], theirs["capacity"]) == ("1000000", "1000000")
    assert (ours["initiator"], theirs["initiator"]) == (True, False)
    assert (ours["push_amount_sat"], theirs["local_balance"]) == ("400000", "400000")
    assert (ours["private"], theirs["private"]) == (False, False)

    invoice = await lsp.lncli("addinvoice", "--amt=1000")
    assert (await net.pay(alice, invoice["payment_request"]))["status"] == "SUCCEEDED"
    assert (await lsp.lncli("lookupinvoice", invoice["r_hash"]))["state"] == "SETTLED"

    async def announced() -> bool:
        return any(edge["chan_point"] == point for edge in (await bob.lncli("describegraph"))["edges"])

    await net.connect(bob, lsp)
    await eventually("a third node knows the channel", announced)
    await net.close_channel(lsp, alice, point)
    assert await lsp.channel(point) is None
    assert point in await alice.closed_channels()


async def test_a_cancelled_hold_invoice_fails_the_payment(net: Regtest, lsp: Node, alice: Node) -> None:
    """A payment of a hold invoice over a private channel is ACCEPTED while held; cancelled, pay() returns FAILED."""
    point = await net.open_channel(alice, lsp, 500_000, private=True)
    assert [view["private"] for node in (lsp, alice) if (view := await node.channel(point))] == [True, True]
    digest = os.urandom(32).hex()
    invoice = await lsp.lncli("addholdinvoice", digest, "--amt=1000")
    paying = asyncio.create_task(net.pay(alice, invoice["payment_request"]))

    async def held() -> bool:
        return bool((await lsp.lncli("lookupinvoice", digest))["state"] == "ACCEPTED")

    await eventually("the payment is held", held)
    await lsp.lncli("cancelinvoice", digest)
    assert (await paying)["status"] == "FAILED"
    await net.close_channel(alice, lsp, point)


async def test_a_custom_message_arrives_unaltered(net: Regtest, lsp: Node, alice: Node) -> None:
    """Message 37913 arrives at the LSP with the sender's id and every byte of it, zero and non-UTF-8 ones too."""
    await net.connect(alice, lsp)
    payload = b'{"jsonrpc":"2.0"}\x00\xff\xfe' + os.urandom(65_000)
    send = ("sendcustom", f"--peer={lsp.node_id}", f"--type={LSPS0_MESSAGE}", f"--data={payload.hex()}")
    async with lsp.custom_messages() as arrived:
        first = asyncio.ensure_future(anext(arrived))
        for _ in range(50):  # what is sent before lnd has taken the subscription is lost
            await alice.lncli(*send)
            if (await asyncio.wait([first], timeout=0.3))[0]:
                break
        message = await asyncio.wait_for(first, 5)
    assert (message.peer, message.type, message.data) == (alice.node_id, LSPS0_MESSAGE, payload)


async def test_the_lsp_shows_the_lsps_feature(net: Regtest, lsp: Node, alice: Node, bob: Node) -> None:
    """The LSP's peer sees feature bit 729 in its init message; the customer's node does not have it."""
    await net.connect(bob, lsp)
    peers = (await bob.lncli("listpeers"))["peers"]
    features = next(peer["features"] for peer in peers if peer["pub_key"] == lsp.node_id)
    assert LSPS_FEATURE in features
    assert LSPS_FEATURE in (await lsp.lncli("getinfo"))["features"]
    assert LSPS_FEATURE not in (await alice.lncli("getinfo"))["features"]


async def test_a_node_comes_and_goes(net: Regtest) -> None:
    """A node that is added is funded as asked and synced; removed, it runs no more and the network goes on."""
    guest = await net.add(NodeSpec("guest"), funds=200_000)
    assert await guest.confirmed_balance() == 200_000
    await net.remove(guest)
    assert not guest.process.running
    assert "guest" not in net.nodes
    await net.mine(1)


async def test_a_baked_macaroon_may_do_only_what_it_lists(lsp: Node) -> None:
    """With a macaroon for GetInfo alone, getinfo answers and listpeers is refused; nobody else may read its file."""
    path = await bake(lsp, "only-getinfo", ["uri:/lnrpc.Lightning/GetInfo"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (await lsp.lncli(f"--macaroonpath={path}", "getinfo"))["identity_pubkey"] == lsp.node_id
    with pytest.raises(LncliError, match="permission denied"):
        await lsp.lncli(f"--macaroonpath={path}", "listpeers")


async def test_wrong_arguments_of_lncli_raise(lsp: Node) -> None:
    """A refused call raises with lnd's own words, and so does one that lncli answers with its help and exit code 0."""
    with pytest.raises(LncliError, match="unable to locate invoice"):
        await lsp.lncli("cancelinvoice", "00" * 32)
    with pytest.raises(LncliError, match="arguments are wrong"):
        await lsp.lncli("wallet", "releaseoutput")


async def test_a_killed_node_comes_back_with_its_channels(net: Regtest, bob: Node, alice: Node) -> None:
    """After SIGKILL and a new start a node has its id, its channel and its peer again, without help."""
    point = await net.open_channel(bob, alice, 300_000, 100_000, private=True)
    node_id, pid = bob.node_id, bob.process.pid
    await bob.restart(kill=True)
    assert (bob.node_id, bob.process.pid == pid) == (node_id, False)
    await net.wait_active(point, bob, alice)
    await net.close_channel(bob, alice, point)


async def test_a_program_that_ends_early_is_told_with_its_log(tmp_path: Path) -> None:
    """Waiting for a program that ended raises at once, with its exit code and the end of its log."""
    process = Process("short", [sys.executable, "-c", "print('no such option'); exit(3)"], log=tmp_path / "log")
    process.start()

    async def never() -> bool:
        return False

    with pytest.raises(ProcessError, match=r"(?s)exit code 3.*no such option"):
        await process.until("ready", never)


def zombie(pid: int) -> bool:
    """Whether it has ended and only waits for its new parent to notice."""
    return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"


async def test_no_program_outlives_a_killed_test_run(tmp_path: Path) -> None:
    """When the process that started a program is killed with SIGKILL, the program is gone soon after."""
    script = textwrap.dedent("""
        import sys, time
        from pathlib import Path
        from interop.lnd.process import Process
        process = Process("sleeper", ["/bin/sh", "-c", "echo up; exec sleep 600"], log=Path(sys.argv[1]))
        process.start()
        while not process.tail().startswith("up"):
            time.sleep(0.01)
        print(process.pid, flush=True)
        time.sleep(600)
    """)
    root = Path(__file__).parents[2]
    run = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, str(tmp_path / "log"), cwd=root, stdout=asyncio.subprocess.PIPE
    )
    assert run.stdout is not None
    sleeper = int(await run.stdout.readline())

    async def gone() -> bool:
        try:
            os.kill(sleeper, 0)
        except ProcessLookupError:
            return True
        return zombie(sleeper)

    assert not await gone()
    run.send_signal(signal.SIGKILL)
    await run.wait()
    await eventually("the sleeper is gone", gone, timeout=10)
