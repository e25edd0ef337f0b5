"""The wallet and the node's own calls, against a fake lnd; and the files made from our own data."""

from __future__ import annotations

from pathlib import Path

import pytest

from interop.lnd.generate_proto import GENERATED, SOURCE_ROOT, generate
from lsps.node.contract import NotSupported, Resumed, Utxo, WalletChanged
from lsps.node.lnd import lnd_pb2 as pb
from lsps.node.lnd import rpc
from lsps.node.lnd.permissions import BUYING, BUYING_ONCHAIN, SERVING, SERVING_ONCHAIN, bake_line
from lsps.node.lnd.wallet import COMMITTED_SECONDS
from lsps.units import BlockHeight, Network, Outpoint, Sat
from tests.node.lnd.fake import US, get_info, running

DOCS = Path(__file__).parents[3] / "docs" / "lnd.md"


async def test_inputs_are_confirmed_and_unlocked() -> None:
    """Only outputs with a confirmation are asked for; lnd leaves out the locked ones."""
    async with running() as at:
        utxo = pb.Utxo(address="bcrt1q", amount_sat=5, outpoint=pb.OutPoint(txid_str="ab" * 32, output_index=3))
        at.lnd.answer(rpc.LIST_UNSPENT, pb.ListUnspentResponse(utxos=[utxo]))
        assert await at.node.wallet.inputs() == [Utxo(Outpoint("ab" * 32, 3), Sat(5), "bcrt1q")]
        assert at.lnd.requests(rpc.LIST_UNSPENT)[0].min_confs == 1


@pytest.mark.parametrize(("said", "feerate"), [(100, 253), (12_500, 12_500)])
async def test_a_feerate_is_never_under_the_relay_minimum(said: int, feerate: int) -> None:
    """lnd's estimate, but at least 253 sat per 1000 weight; a target of one block asks for two."""
    async with running() as at:
        at.lnd.answer(rpc.ESTIMATE_FEE, pb.EstimateFeeResponse(sat_per_kw=said))
        assert await at.node.wallet.feerate(1) == feerate
        assert at.lnd.requests(rpc.ESTIMATE_FEE)[0].conf_target == 2


async def test_a_change_is_told_when_it_can_be_read() -> None:
    """lnd tells of a transaction before it commits it: whoever reads the wallet at once would miss it."""
    async with running() as at:
        at.lnd.answer(rpc.TRANSACTIONS, *(pb.Transaction(tx_hash=digit * 64) for digit in "ab"))
        changes = at.node.wallet.changes()
        assert await anext(changes) == Resumed()
        assert [await anext(changes) for _ in range(2)] == [WalletChanged()] * 2
        assert at.clock.slept == [COMMITTED_SECONDS] * 2


async def test_info_is_read_whole() -> None:
    """Identity, network, tip, features and synced arrive where the contract has them."""
    async with running() as at:
        info = await at.node.info()
        assert (info.node_id, info.network, info.alias) == (US, Network.REGTEST, "us")
        assert (info.height, info.features, info.synced) == (BlockHeight(100), frozenset({9, 729}), True)


async def test_an_unknown_chain_is_refused() -> None:
    """A network that lsps has no name for is NotSupported, and named."""
    async with running() as at:
        other = get_info()
        other.chains[0].network = "simnet"
        at.lnd.answer(rpc.GET_INFO, other)
        with pytest.raises(NotSupported, match="simnet"):
            await at.node.info()


def test_the_generated_files_are_what_the_proto_says(tmp_path: Path) -> None:
    """Generating lnd_pb2 again from lnd.proto gives the files in the tree."""
    generate(tmp_path)
    for name in GENERATED:
        assert (tmp_path / name).read_text() == (SOURCE_ROOT / name).read_text(), (
            "run: python -m interop.lnd.generate_proto"
        )


LISTS = {
    "buying": BUYING,
    "serving": SERVING,
    "buying, on-chain too": BUYING_ONCHAIN,
    "serving, on-chain too": SERVING_ONCHAIN,
}


@pytest.mark.parametrize("permissions", [BUYING, SERVING], ids=["buying", "serving"])
def test_the_documented_macaroons_are_the_needed_ones(permissions: tuple[str, ...]) -> None:
    """docs/lnd.md shows, for each macaroon, exactly the line that bakes what the adapter calls."""
    assert bake_line(permissions) in DOCS.read_text()


@pytest.mark.parametrize(("more", "less"), [(BUYING_ONCHAIN, BUYING), (SERVING_ONCHAIN, SERVING)])
def test_the_documented_lines_for_on_chain_are_the_needed_ones(more: tuple[str, ...], less: tuple[str, ...]) -> None:
    """docs/lnd.md shows exactly the lines that on-chain payments add to each macaroon."""
    assert more[: len(less)] == less
    assert " \\\n    ".join(more[len(less) :]) in DOCS.read_text()


def test_every_method_is_allowed_by_one_macaroon() -> None:
    """No method in the table is in no list; no list allows anything twice or unknown."""
    methods = {f"uri:{method.path}" for method in vars(rpc).values() if isinstance(method, rpc.Method)}
    assert methods == {uri for uris in LISTS.values() for uri in uris}
    assert all(len(set(uris)) == len(uris) for uris in LISTS.values())


@pytest.mark.parametrize("permissions", LISTS.values(), ids=LISTS)
def test_no_macaroon_can_send_coins_or_bake_another(permissions: tuple[str, ...]) -> None:
    """Buying opens no channels; serving pays no invoice; none sends coins, closes channels, locks coins or bakes."""
    assert not any(
        ("OpenChannel" if permissions[: len(BUYING)] == BUYING else "SendPayment") in uri for uri in permissions
    )
    for permission in permissions:
        assert not any(word in permission for word in ("SendCoins", "Bake", "CloseChannel", "Lease", "FundPsbt"))


@pytest.mark.parametrize("permissions", [BUYING, SERVING], ids=["buying", "serving"])
def test_without_on_chain_payments_nothing_of_the_wallet_is_signed(permissions: tuple[str, ...]) -> None:
    """Only the macaroons for on-chain payments sign, publish and make addresses; buying sees nothing of the wallet."""
    for permission in permissions:
        assert not any(word in permission for word in ("Psbt", "Publish", "NewAddress", "SubscribeTransactions"))
    assert not any("WalletKit" in permission for permission in BUYING)
