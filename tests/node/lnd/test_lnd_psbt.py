"""Transactions and PSBTs as bytes, and what a spend pays, gives back and costs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsps.node.contract import Refused, Spend
from lsps.node.lnd.psbt import Coin, NotASignedTransaction, Output, psbt, transaction_id, unsigned_transaction
from lsps.node.lnd.spending import dust_limit, plan
from lsps.units import Outpoint, Sat

KEY_HASH, NESTED, TAPROOT = b"\x00\x14" + bytes(20), b"\xa9\x14" + bytes(20) + b"\x87", b"\x51\x20" + bytes(32)

# BIP 174, "The Creator": its two inputs and two outputs, and the unsigned transaction. Its inputs say that they are
# final (ffffffff); ours can be replaced (BIP 125).
CREATED_INPUTS = (
    Outpoint("75ddabb27b8845f5247975c8a5ba7c6f336c4570708ebe230caf6db5217ae858", 0),
    Outpoint("1dea7cd05979072a3578cab271c02244ea8a090bbb46aa680a65ecd027048d83", 1),
)
CREATED_OUTPUTS = (
    Output(Sat(149_990_000), bytes.fromhex("0014d85c2b71d0060b09c9886aeb815e50991dda124d")),
    Output(Sat(100_000_000), bytes.fromhex("001400aea9a2e5f0f876a588df5546e8742d1d87008f")),
)
CREATED = (
    "020000000258e87a21b56daf0c23be8e7070456c336f7cbaa5c8757924f545887bb2abdd750000000000ffffffff"
    "838d0427d0ec650a68aa46bb0b098aea4422c071b2ca78352a077959d07cea1d0100000000ffffffff"
    "0270aaf00800000000160014d85c2b71d0060b09c9886aeb815e50991dda124d"
    "00e1f5050000000016001400aea9a2e5f0f876a588df5546e8742d1d87008f00000000"
).replace("ffffffff", "fdffffff")

# BIP 143, "P2SH-P2WPKH": the signed transaction, and its id.
SIGNED = (
    "01000000000101db6b1b20aa0fd7b23880be2ecbd4a98130974cf4748fb66092ac4d3ceb1a5477010000001716001479091972186c449eb1de"
    "d22b78e40d009bdf0089feffffff02b8b4eb0b000000001976a914a457b684d7f0d539a46a45bbc043f35b59d0d96388ac0008af2f00000000"
    "1976a914fd270b1ee6abcaea97fea7ad0402e8bd8ad6d77c88ac02473044022047ac8e878352d3ebbde1c94ce3a10d057c24175747116f8288"
    "e5d794d12d482f0220217f36a485cae903c713331d877c1f64677e3622ad4010726870540656fe9dcb012103ad1d8e89212f0b92c74d23bb71"
    "0c00662ad1470198ac48c43f7d6f93a2a2687392040000"
)
SIGNED_ID = "ef48d9d0f595052e0f8cdcf825f7a5e50b6a388a81f206f3f4846e5ecd7a0c23"


def coins(*scripts: bytes, amount: int = 100_000) -> list[Coin]:
    return [Coin(Outpoint("ab" * 32, index), Output(Sat(amount), script)) for index, script in enumerate(scripts)]


def spend(amount: int, *, from_amount: bool = True, rate: int = 1_000) -> Spend:
    return Spend((), "", Sat(amount), from_amount, rate)


def test_an_unsigned_transaction_is_bip_174s() -> None:
    """The creator's vector of BIP 174, but that the inputs can be replaced (BIP 125)."""
    made = unsigned_transaction([Coin(one, Output(Sat(1), KEY_HASH)) for one in CREATED_INPUTS], CREATED_OUTPUTS)
    assert made.hex() == CREATED


def test_a_psbt_has_what_is_spent() -> None:
    """BIP 174: the transaction, then each input's witness UTXO, with SIGHASH_ALL unless it is taproot's default."""
    spent = [
        Coin(CREATED_INPUTS[0], Output(Sat(0x0102), KEY_HASH)),
        Coin(CREATED_INPUTS[1], Output(Sat(0x0304), TAPROOT)),
    ]
    assert psbt(spent, CREATED_OUTPUTS).hex() == (
        "70736274ff" + "0100" + "9a" + CREATED + "00"
        "0101" + "1f" + "0201000000000000" + "16" + KEY_HASH.hex() + "0103" + "04" + "01000000" + "00"
        "0101" + "2b" + "0403000000000000" + "22" + TAPROOT.hex() + "00"
        "00" + "00"
    )  # fmt: skip


def test_many_inputs_are_counted() -> None:
    """From 253 on, a count takes three bytes."""
    assert unsigned_transaction(coins(*[TAPROOT] * 252), ())[4:5] == b"\xfc"
    assert unsigned_transaction(coins(*[TAPROOT] * 253), ())[4:7] == b"\xfd\xfd\x00"


def test_an_id_leaves_the_witnesses_out() -> None:
    """BIP 143's signed P2SH-P2WPKH transaction has the id that everybody knows it by: its scriptSig counts."""
    assert transaction_id(bytes.fromhex(SIGNED)) == SIGNED_ID


@given(st.binary(max_size=120))
def test_other_bytes_are_no_signed_transaction(data: bytes) -> None:
    """Bytes without marker and flag (BIP 144), or cut off, raise NotASignedTransaction."""
    with pytest.raises(NotASignedTransaction):
        transaction_id(data[:4] + b"\x02" + data[5:])
    with pytest.raises(NotASignedTransaction):
        transaction_id(bytes.fromhex(SIGNED)[: min(150, 6 + len(data))])


@pytest.mark.parametrize("more", ["00", "ff" * 9, SIGNED], ids=["a byte", "some", "itself"])
def test_what_follows_a_transaction_is_none_of_it(more: str) -> None:
    """The lock time is the last of it: with more after that, the id would be another one's."""
    with pytest.raises(NotASignedTransaction, match="more follows"):
        transaction_id(bytes.fromhex(SIGNED + more))


@pytest.mark.parametrize("count", ["feffffffff", "ffffffffffffffffff"], ids=["2^32-1", "2^64-1"])
def test_a_count_that_nothing_follows_ends_at_once(count: str) -> None:
    """So many inputs, or outputs, as no bytes are there for."""
    with pytest.raises(NotASignedTransaction, match="cut off"):
        transaction_id(bytes.fromhex("02000000" + "0001" + count + "00" * 200))
    with pytest.raises(NotASignedTransaction, match="cut off"):
        transaction_id(bytes.fromhex("02000000" + "0001" + "00" + count + "00" * 200))


@pytest.mark.parametrize(("script", "limit"), [(KEY_HASH, 294), (TAPROOT, 330)])
def test_dust(script: bytes, limit: int) -> None:
    """Bitcoin Core's limits for P2WPKH and taproot."""
    assert dust_limit(script) == limit


@pytest.mark.parametrize(
    ("scripts", "weight"),
    [
        # What each of these weighs, one by one, with one output of P2WPKH (31 bytes) and nothing back.
        ((TAPROOT,), 4 * (10 + 41 + 31) + 2 + 66),
        ((KEY_HASH,), 4 * (10 + 41 + 31) + 2 + 108),
        ((NESTED,), 4 * (10 + 41 + 23 + 31) + 2 + 108),
        ((TAPROOT, KEY_HASH), 4 * (10 + 82 + 31) + 2 + 66 + 108),
    ],
)
def test_everything_less_the_fee(scripts: tuple[bytes, ...], weight: int) -> None:
    """The fee is the feerate times the weight, with signatures at their longest, and is taken from the amount."""
    everything = 100_000 * len(scripts)
    planned = plan(spend(everything), coins(*scripts), KEY_HASH)
    assert (planned.paid, planned.change, planned.fee) == (Sat(everything - weight), Sat(0), Sat(weight))


def test_dust_is_left_to_the_fee() -> None:
    """What is left comes back from 330 sat on; under that it goes into the fee."""
    weight = 4 * (10 + 41 + 31) + 2 + 66
    back = plan(spend(100_000 - 330), coins(TAPROOT), KEY_HASH)
    assert (back.change, back.fee) == (Sat(330), Sat(weight + 4 * 43))
    kept = plan(spend(100_000 - 329), coins(TAPROOT), KEY_HASH)
    assert (kept.change, kept.fee, kept.paid) == (Sat(0), Sat(weight + 329), Sat(100_000 - 329 - weight))


@given(
    amount=st.integers(0, 250_000),
    from_amount=st.booleans(),
    rate=st.integers(253, 500_000),
    kinds=st.lists(st.sampled_from([KEY_HASH, NESTED, TAPROOT]), min_size=1, max_size=3),
)
def test_nothing_is_lost(amount: int, from_amount: bool, rate: int, kinds: list[bytes]) -> None:
    """What is paid, what comes back and the fee are together what there was; the amount is exact, or less the fee; no
    output is dust; else it is Refused."""
    spent = coins(*kinds, amount=90_000)
    try:
        planned = plan(spend(amount, from_amount=from_amount, rate=rate), spent, TAPROOT)
    except Refused:
        return
    assert int(planned.paid) + int(planned.change) + int(planned.fee) == 90_000 * len(kinds)
    assert not planned.change or int(planned.change) >= 330
    assert int(planned.paid) >= 330
    if from_amount:
        assert int(planned.change) in (0, 90_000 * len(kinds) - amount)
        assert int(planned.paid) < amount <= 90_000 * len(kinds)
    else:
        assert int(planned.paid) == amount


@pytest.mark.parametrize(("amount", "from_amount"), [(100_001, True), (100_000, False), (600, True), (293, False)])
def test_too_little_is_refused(amount: int, from_amount: bool) -> None:
    """More than there is, with the fee or without, and an output that would be dust."""
    with pytest.raises(Refused, match="too little"):
        plan(spend(amount, from_amount=from_amount), coins(TAPROOT), KEY_HASH)
