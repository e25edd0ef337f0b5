"""Deposits, signing and publishing, against a fake lnd."""

from __future__ import annotations

from typing import Any

import pytest

from lsps.node.contract import (
    Deposit,
    NodeUnreachable,
    PermissionMissing,
    Refused,
    Resumed,
    SignedTransaction,
    Spend,
    Spender,
    WalletChanged,
)
from lsps.node.lnd import lnd_pb2 as pb
from lsps.node.lnd import rpc
from lsps.node.lnd.deposits import deposits
from lsps.node.lnd.psbt import Coin, Output, psbt
from lsps.units import BlockHeight, Outpoint, Sat
from tests.node.contract.environment import listening
from tests.node.lnd.fake import LndError, Running, running
from tests.node.lnd.test_lnd_psbt import SIGNED, SIGNED_ID

COIN = Outpoint("c0" * 32, 1)
TAPROOT = "5120" + "11" * 32
ADDRESS = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
"""BIP-173's example program, on regtest."""
ADDRESS_SCRIPT = bytes.fromhex("0014751e76e8199196d454941c45d1b3a323f1433bd6")
CHANGE = "bcrt1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqc8gma6"
"""BIP-350's example program, on regtest."""
CHANGE_SCRIPT = bytes.fromhex("512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
SIGNED_TX = SignedTransaction(SIGNED_ID, bytes.fromhex(SIGNED), Sat(1), Sat(1))


def transaction(
    txid: str, *outputs: tuple[str, int], spends: tuple[str, ...] = ("99" * 32 + ":0",), height: int = 0, time: int = 0
) -> pb.Transaction:
    """Of outputs (address, amount); those to an address that begins with "bcrt" are the wallet's."""
    return pb.Transaction(
        tx_hash=txid * 32,
        block_height=height,
        time_stamp=time,
        output_details=[
            pb.OutputDetail(
                address=address,
                pk_script=TAPROOT,
                output_index=index,
                amount=amount,
                is_our_address=address.startswith("bcrt"),
            )
            for index, (address, amount) in enumerate(outputs)
        ],
        previous_outpoints=[pb.PreviousOutPoint(outpoint=outpoint) for outpoint in spends],
    )


FUNDING = transaction("c0", ("foreign", 500_000), ("bcrt1ours", 100_000), height=90)


def wallet_with(at: Running, *listed: pb.Transaction, free: bool = True) -> None:
    """The wallet has FUNDING's second output, and lists these transactions as well."""
    known = {tx.tx_hash: tx for tx in (FUNDING, *listed)}

    async def get(request: pb.GetTransactionRequest) -> pb.Transaction:
        if request.txid not in known:
            raise LndError(f"can not find transaction: txid {request.txid}")
        return known[request.txid]

    at.lnd.handle(rpc.GET_TRANSACTION, get)
    at.lnd.answer(rpc.GET_TRANSACTIONS, pb.TransactionDetails(transactions=known.values()))
    utxo = pb.Utxo(amount_sat=100_000, outpoint=pb.OutPoint(txid_str=COIN.txid, output_index=COIN.index))
    at.lnd.answer(rpc.LIST_UNSPENT, pb.ListUnspentResponse(utxos=[utxo] if free else []))
    at.lnd.answer(rpc.NEW_ADDRESS, pb.NewAddressResponse(address=CHANGE))
    at.lnd.answer(rpc.FINALIZE_PSBT, pb.FinalizePsbtResponse(raw_final_tx=bytes.fromhex(SIGNED)))
    at.lnd.answer(rpc.PUBLISH_TRANSACTION, pb.PublishResponse())


def spend(
    *inputs: Outpoint, address: str = ADDRESS, amount: int = 40_000, from_amount: bool = True, rate: int = 1_000
) -> Spend:
    return Spend(inputs or (COIN,), address, Sat(amount), from_amount, rate)


# --- addresses and deposits -------------------------------------------------------------------------------------------


async def test_addresses_are_taproot() -> None:
    """lnd is asked for a new taproot address, never for one "unused"."""
    async with running() as at:
        at.lnd.answer(rpc.NEW_ADDRESS, pb.NewAddressResponse(address=CHANGE))
        assert await at.node.wallet.new_address() == CHANGE
        assert at.lnd.requests(rpc.NEW_ADDRESS) == [pb.NewAddressRequest(type=pb.TAPROOT_PUBKEY)]


async def test_deposits_are_own_outputs_since_a_height() -> None:
    """Every output to an own address, of all transactions from that height on and the unconfirmed ones; with the
    height of its block, and without a feerate, which lnd does not know."""
    paying = transaction("aa", ("elsewhere", 1), ("bcrt1a", 2), ("bcrt1b", 3), height=95)
    waiting = transaction("bb", ("bcrt1a", 4), spends=("98" * 32 + ":0",))
    async with running() as at:
        at.lnd.answer(rpc.GET_TRANSACTIONS, pb.TransactionDetails(transactions=[paying, waiting]))
        assert await at.node.wallet.deposits(BlockHeight(95)) == [
            Deposit(Outpoint("aa" * 32, 1), "bcrt1a", Sat(2), BlockHeight(95), None, None),
            Deposit(Outpoint("aa" * 32, 2), "bcrt1b", Sat(3), BlockHeight(95), None, None),
            Deposit(Outpoint("bb" * 32, 0), "bcrt1a", Sat(4), None, None, None),
        ]
        await at.node.wallet.deposits(BlockHeight(2**31))
        asked = [(one.start_height, one.end_height) for one in at.lnd.requests(rpc.GET_TRANSACTIONS)]
        assert asked == [(95, -1), (2**31 - 1, -1)]


@pytest.mark.parametrize("height", [0, 97])
def test_what_spends_a_deposit_is_named(height: int) -> None:
    """The spender of an output, with its height once it is in a block."""
    paying = transaction("aa", ("bcrt1a", 2), height=95)
    spending = transaction("bb", ("elsewhere", 1), spends=("aa" * 32 + ":0",), height=height)
    (found,) = deposits([paying, spending])
    assert found.spent_by == Spender("bb" * 32, BlockHeight(97) if height else None)


def test_of_transactions_that_replace_each_other_the_newest_counts() -> None:
    """lnd lists a replaced transaction until its replacement confirms; it is no deposit, and spends nothing."""
    paying = transaction("aa", ("bcrt1a", 1_000), height=95)
    spends = ("aa" * 32 + ":0",)
    first = transaction("b1", ("bcrt1c", 900), spends=spends, time=100)
    second = transaction("b2", ("bcrt1c", 800), spends=(*spends, "98" * 32 + ":7"), time=160)
    for order in ([paying, first, second], [second, first, paying]):
        found = {one.outpoint.txid: one for one in deposits(order)}
        assert found.keys() == {"aa" * 32, "b2" * 32}
        assert found["aa" * 32].spent_by == Spender("b2" * 32, None)


def test_within_one_second_the_higher_fee_replaced() -> None:
    """lnd's times are whole seconds: of transactions with the same inputs, the one that leaves less to its outputs."""
    less = transaction("b1", ("bcrt1a", 800), time=100)
    more = transaction("b2", ("bcrt1a", 900), time=100)
    assert [one.amount for one in deposits([more, less])] == [Sat(800)]


def test_a_block_decides() -> None:
    """What is in a block is the one that counts, however old; coinbases, which all spend "nothing", all count."""
    nothing = ("00" * 32 + ":4294967295",)
    mined = [transaction(txid, ("bcrt1m", 5), spends=nothing, height=80) for txid in ("d1", "d2")]
    confirmed = transaction("b1", ("bcrt1a", 900), time=100, height=96)
    late = transaction("b2", ("bcrt1a", 800), time=160)
    assert [one.outpoint.txid[:2] for one in deposits([*mined, late, confirmed])] == ["d1", "d2", "b1"]


async def test_changes_are_hints() -> None:
    """Resumed, and a hint for each transaction that lnd tells of."""
    async with running() as at:
        at.lnd.answer(rpc.TRANSACTIONS, FUNDING, FUNDING)
        async with listening(at.node.wallet.changes()) as heard:
            await heard.until(lambda events: len(events) == 3)
            assert heard.heard == [Resumed(), WalletChanged(), WalletChanged()]


async def test_a_small_macaroon_cannot_follow_payments() -> None:
    """Where on-chain payments are not allowed, the missing permission is named, for ever trying would not help."""
    async with running() as at:
        at.lnd.refuse(rpc.TRANSACTIONS, "permission denied")
        with pytest.raises(PermissionMissing, match=r"uri:/lnrpc\.Lightning/SubscribeTransactions"):
            await anext(aiter(at.node.wallet.changes()))


# --- signing ----------------------------------------------------------------------------------------------------------


async def test_a_refund_is_built_and_signed() -> None:
    """lnd signs a PSBT of exactly the inputs, the amount less the fee to the address, and the rest to a new address."""
    async with running() as at:
        wallet_with(at)
        signed = await at.node.wallet.sign(spend())
        fee = 4 * (10 + 41 + 31 + 43) + 2 + 66
        assert signed == SignedTransaction(SIGNED_ID, bytes.fromhex(SIGNED), Sat(40_000 - fee), Sat(fee))
        coin = Coin(COIN, Output(Sat(100_000), bytes.fromhex(TAPROOT)))
        outputs = (Output(Sat(40_000 - fee), ADDRESS_SCRIPT), Output(Sat(60_000), CHANGE_SCRIPT))
        (request,) = at.lnd.requests(rpc.FINALIZE_PSBT)
        assert request.funded_psbt == psbt([coin], outputs)


async def test_nothing_back_needs_no_address() -> None:
    """All that an input has: no address is taken for change."""
    async with running() as at:
        wallet_with(at)
        signed = await at.node.wallet.sign(spend(amount=100_000))
        assert int(signed.paid) + int(signed.fee) == 100_000
        assert at.lnd.requests(rpc.NEW_ADDRESS) == []


async def test_signing_again_while_the_first_waits() -> None:
    """An input that an unconfirmed transaction spends is signed for: that one is to be replaced."""
    async with running() as at:
        wallet_with(at, transaction("b1", ("elsewhere", 9), spends=(str(COIN),)), free=False)
        await at.node.wallet.sign(spend())
        assert at.lnd.requests(rpc.GET_TRANSACTIONS)[0].start_height == 90
        assert len(at.lnd.requests(rpc.FINALIZE_PSBT)) == 1


@pytest.mark.parametrize(
    "inputs",
    [
        (Outpoint("ab" * 32, 0),),
        (Outpoint("c0" * 32, 0),),
        (Outpoint("c0" * 32, 2),),
        (Outpoint("dd" * 32, 0),),
        (COIN, COIN),
    ],
    ids=["unknown", "foreign", "no such output", "unconfirmed", "twice"],
)
async def test_other_inputs_are_not_signed_for(inputs: tuple[Outpoint, ...]) -> None:
    """Only confirmed outputs of the wallet, each once: lnd would sign for anything that was ever its own."""
    async with running() as at:
        wallet_with(at, transaction("dd", ("bcrt1d", 9_000)))
        with pytest.raises(Refused):
            await at.node.wallet.sign(spend(*inputs, amount=5_000))
        assert at.lnd.requests(rpc.FINALIZE_PSBT) == []


async def test_an_input_spent_for_good_is_not_signed_for() -> None:
    """The transaction in a block that spends it is named."""
    async with running() as at:
        wallet_with(at, transaction("b1", ("elsewhere", 9), spends=(str(COIN),), height=92), free=False)
        with pytest.raises(Refused, match="b1b1"):
            await at.node.wallet.sign(spend())
        assert at.lnd.requests(rpc.FINALIZE_PSBT) == []


async def test_no_inputs_are_refused() -> None:
    """A transaction of no inputs at all is Refused before lnd is asked."""
    async with running() as at:
        wallet_with(at)
        with pytest.raises(Refused):
            await at.node.wallet.sign(Spend((), ADDRESS, Sat(5), True, 1_000))


@pytest.mark.parametrize("address", ["junk", ADDRESS.upper() + "q", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"])
async def test_an_address_of_another_network_is_refused(address: str) -> None:
    """Only segwit addresses of lnd's own network are paid."""
    async with running() as at:
        wallet_with(at)
        with pytest.raises(Refused):
            await at.node.wallet.sign(spend(address=address))
        assert at.lnd.requests(rpc.FINALIZE_PSBT) == []


# --- publishing -------------------------------------------------------------------------------------------------------


async def test_a_transaction_is_published_as_it_is() -> None:
    """The raw bytes, with a label for people."""
    async with running() as at:
        wallet_with(at)
        await at.node.wallet.publish(SIGNED_TX)
        assert at.lnd.requests(rpc.PUBLISH_TRANSACTION) == [
            pb.PublishTransactionRequest(tx_hex=SIGNED_TX.raw, label="lsps")
        ]


async def test_a_confirmed_transaction_is_not_published_again() -> None:
    """lnd's wallet would drop what spends its change."""
    async with running() as at:
        confirmed = transaction("ff", ("elsewhere", 1), height=95)
        confirmed.tx_hash = SIGNED_ID
        wallet_with(at, confirmed)
        await at.node.wallet.publish(SIGNED_TX)
        assert at.lnd.requests(rpc.PUBLISH_TRANSACTION) == []


async def test_a_refused_publication_that_has_confirmed_is_fine() -> None:
    """When a block took it between the two calls, it is published."""
    async with running() as at:
        wallet_with(at)

        async def mined_meanwhile(_request: object) -> pb.PublishResponse:
            confirmed = transaction("ff", ("elsewhere", 1), height=95)
            confirmed.tx_hash = SIGNED_ID
            wallet_with(at, confirmed)
            raise LndError("transaction rejected: output already spent")

        at.lnd.handle(rpc.PUBLISH_TRANSACTION, mined_meanwhile)
        await at.node.wallet.publish(SIGNED_TX)


@pytest.mark.parametrize(
    ("detail", "kind"),
    [
        ("transaction rejected: output already spent", Refused),
        ("transaction rejected by the mempool because of low fees: min relay fee not met", Refused),
        ("the client has been shutdown", NodeUnreachable),
        ('Post "http://127.0.0.1:8332": EOF', NodeUnreachable),
        ("chain backend is still syncing, tx relay not possible", NodeUnreachable),
    ],
)
async def test_publishing_fails_by_kind(detail: str, kind: type[Exception]) -> None:
    """A conflict or too low a fee is Refused for certain; without its chain backend lnd cannot know."""
    async with running() as at:
        wallet_with(at)
        at.lnd.refuse(rpc.PUBLISH_TRANSACTION, detail)
        with pytest.raises(kind):
            await at.node.wallet.publish(SIGNED_TX)


@pytest.mark.parametrize("method", [rpc.NEW_ADDRESS, rpc.FINALIZE_PSBT, rpc.GET_TRANSACTION])
async def test_a_missing_permission_is_named(method: rpc.Unary[pb.NewAddressRequest, pb.NewAddressResponse]) -> None:
    """PermissionMissing names the method to be added to the macaroon, also where a refusal has another meaning."""
    async with running() as at:
        wallet_with(at)
        at.lnd.refuse(method, "permission denied")
        with pytest.raises(PermissionMissing, match=f"uri:{method.path}"):
            await at.node.wallet.sign(spend())


@pytest.mark.parametrize("detail", ["database not open", "some trouble"])
@pytest.mark.parametrize("method", [rpc.GET_TRANSACTION, rpc.FINALIZE_PSBT], ids=lambda one: one.name)
async def test_a_stopping_node_does_not_refuse_to_sign(method: rpc.Method[Any, Any], detail: str) -> None:
    """An lnd that cannot read its wallet, or cannot sign now, has not said that an output is not its own: a refund that
    cannot be signed for good would be left to the operator."""
    async with running() as at:
        wallet_with(at)
        at.lnd.refuse(method, detail)
        with pytest.raises(NodeUnreachable):
            await at.node.wallet.sign(Spend((COIN,), ADDRESS, Sat(100_000), True, 1_000))
