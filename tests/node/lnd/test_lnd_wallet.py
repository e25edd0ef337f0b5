"""The wallet and the node's own calls, against a fake lnd; and the files made from our own data."""

from __future__ import annotations

from pathlib import Path

import pytest

from interop.lnd.generate_proto import GENERATED, SOURCE_ROOT, generate
from lsps.node.contract import NotSupported, Utxo
from lsps.node.lnd import lnd_pb2 as pb
from lsps.node.lnd import rpc
from lsps.node.lnd.permissions import BUYING, SERVING, bake_line
from lsps.units import BlockHeight, Network, Outpoint, Sat
from tests.node.lnd.fake import US, get_info, running

DOCS = Path(__file__).parents[3] / "docs" / "lnd.md"


async def test_inputs_are_confirmed_and_unlocked() -> None:
    """Only outputs with a confirmation are asked for; lnd leaves out the locked ones."""
    async with running() as at:
        utxo = pb.Utxo(amount_sat=5, outpoint=pb.OutPoint(txid_str="ab" * 32, output_index=3))
        at.lnd.answer(rpc.LIST_UNSPENT, pb.ListUnspentResponse(utxos=[utxo]))
        assert await at.node.wallet.inputs() == [Utxo(Outpoint("ab" * 32, 3), Sat(5), "")]
        assert at.lnd.requests(rpc.LIST_UNSPENT)[0].min_confs == 1


@pytest.mark.parametrize(("said", "feerate"), [(100, 253), (12_500, 12_500)])
async def test_a_feerate_is_never_under_the_relay_minimum(said: int, feerate: int) -> None:
    """lnd's estimate, but at least 253 sat per 1000 weight; a target of one block asks for two."""
    async with running() as at:
        at.lnd.answer(rpc.ESTIMATE_FEE, pb.EstimateFeeResponse(sat_per_kw=said))
        assert await at.node.wallet.feerate(1) == feerate
        assert at.lnd.requests(rpc.ESTIMATE_FEE)[0].conf_target == 2


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


@pytest.mark.parametrize("permissions", [BUYING, SERVING], ids=["buying", "serving"])
def test_the_documented_macaroons_are_the_needed_ones(permissions: tuple[str, ...]) -> None:
    """docs/lnd.md shows, for each macaroon, exactly the line that bakes what the adapter calls."""
    assert bake_line(permissions) in DOCS.read_text()


def test_every_method_is_allowed_by_one_macaroon() -> None:
    """No method in the table is in neither list; neither list allows anything twice or unknown."""
    methods = {f"uri:{method.path}" for method in vars(rpc).values() if isinstance(method, rpc.Method)}
    assert methods == {*BUYING, *SERVING}
    assert len(set(BUYING)) == len(BUYING)
    assert len(set(SERVING)) == len(SERVING)


def test_neither_macaroon_can_send_coins_or_bake_another() -> None:
    """Buying has nothing of the on-chain wallet; serving pays no invoice; neither sends coins or bakes."""
    assert not any("WalletKit" in permission or "OpenChannel" in permission for permission in BUYING)
    assert not any("SendPayment" in permission for permission in SERVING)
    for permission in (*BUYING, *SERVING):
        assert not any(word in permission for word in ("SendCoins", "Bake", "CloseChannel", "Lease", "Psbt"))
