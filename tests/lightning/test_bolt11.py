"""BOLT 11: the specification's vectors, and each requirement on readers and writers."""

from __future__ import annotations

import re
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
import wallycore  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from lsps.lightning import bech32, bolt11
from lsps.lightning.bech32 import Encoding, WitnessProgram
from lsps.lightning.invoice import Fallback, InvalidInvoice, Invoice, PubKeyHash, RouteHop, ScriptHash
from lsps.units import MAX_UINT64, Msat, Network, Scid
from tests.lightning.invoices import (
    KEY,
    NINE,
    OTHER_KEY,
    PLAIN,
    VECTORS,
    C,
    D,
    F,
    Fields,
    H,
    M,
    N,
    P,
    R,
    S,
    X,
    fields_of,
    invoices,
    parts,
    with_field,
    written,
)

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
HOP = RouteHop(OTHER_KEY.node_id, Scid(1, 2, 3), 4, 5, 6)


def named(vector: dict[str, Any]) -> str:
    return str(vector["name"])


def script_of(fallback: Fallback) -> str:
    match fallback:
        case PubKeyHash(hash=payload):
            return f"76a914{payload.hex()}88ac"
        case ScriptHash(hash=payload):
            return f"a914{payload.hex()}87"
        case WitnessProgram():
            return fallback.script.hex()


def script_of_address(address: str) -> str:
    """wallycore's answer."""
    if address.startswith("bc1"):
        return bytes(wallycore.addr_segwit_to_bytes(address, "bc", 0)).hex()
    network = (
        wallycore.WALLY_NETWORK_BITCOIN_TESTNET if address[0] in "mn2" else wallycore.WALLY_NETWORK_BITCOIN_MAINNET
    )
    return bytes(wallycore.address_to_scriptpubkey(address, network)).hex()


@pytest.mark.parametrize("vector", VECTORS["valid"], ids=named)
def test_valid_vectors(vector: dict[str, Any]) -> None:
    """Each valid example of BOLT 11, and bLIP-51's invoice, reads as its breakdown says."""
    invoice = bolt11.decode(vector["text"])
    assert invoice.network == vector["network"]
    assert invoice.payee.hex == vector["payee"]
    assert (invoice.amount and int(invoice.amount)) == vector["amount_msat"]
    assert invoice.timestamp == vector["timestamp"]
    assert invoice.payment_hash.hex() == vector["payment_hash"]
    assert invoice.payment_secret.hex() == vector["payment_secret"]
    assert invoice.description == vector["description"]
    assert (invoice.description_hash and invoice.description_hash.hex()) == vector["description_hash"]
    assert invoice.expiry_seconds == vector["expiry_seconds"]
    assert invoice.min_final_cltv_expiry == vector["min_final_cltv_expiry"]
    assert invoice.features == sum(1 << bit for bit in vector["features"])
    assert (invoice.metadata and invoice.metadata.hex()) == vector["metadata"]
    assert [script_of(fallback) for fallback in invoice.fallbacks] == list(map(script_of_address, vector["fallbacks"]))
    assert vector["route_hints"] == [
        [
            [
                hop.node_id.hex,
                str(hop.short_channel_id),
                hop.fee_base_msat,
                hop.fee_proportional_millionths,
                hop.cltv_expiry_delta,
            ]
            for hop in hint
        ]
        for hint in invoice.route_hints
    ]


@pytest.mark.parametrize("vector", VECTORS["valid"], ids=named)
def test_vectors_written_again(vector: dict[str, Any]) -> None:
    """What an example says can be written by another payee, and read again."""
    invoice = replace(bolt11.decode(vector["text"]), payee=OTHER_KEY.node_id)
    assert bolt11.decode(bolt11.encode(invoice, OTHER_KEY)) == invoice


@pytest.mark.parametrize("vector", VECTORS["invalid"], ids=named)
def test_invalid_vectors(vector: dict[str, Any]) -> None:
    """Each invalid example of BOLT 11 is refused for its own reason."""
    with pytest.raises(InvalidInvoice) as caught:
        bolt11.decode(vector["text"])
    assert vector["reason"] in caught.value.reason
    assert caught.value.reason in str(caught.value)


def test_plain() -> None:
    """The least of an invoice has the defaults: an expiry of 3600 s, 18 blocks (BOLT 11)."""
    assert bolt11.decode(written()) == Invoice(
        network=Network.REGTEST,
        payee=KEY.node_id,
        timestamp=1,
        payment_hash=b"\1" * 32,
        payment_secret=b"\2" * 32,
        amount=Msat(1_000_000),
        description="tea",
        expiry_seconds=3600,
        min_final_cltv_expiry=18,
    )


@given(invoices())
def test_round_trip(invoice: Invoice) -> None:
    """What is written is read back the same, in upper case too."""
    text = bolt11.encode(invoice, KEY)
    assert bolt11.decode(text) == invoice == bolt11.decode(text.upper())


@given(st.text() | st.text(alphabet=CHARSET + "1mup", max_size=200).map("lnbc{}".format))
def test_no_text_breaks_the_reader(text: str) -> None:
    """No text makes the reader raise anything but InvalidInvoice."""
    with pytest.raises(InvalidInvoice):
        bolt11.decode(text)


@given(invoices(), st.data())
def test_mutations(invoice: Invoice, data: st.DataObject) -> None:
    """A changed character, a cut or a repetition is always refused."""
    text = bolt11.encode(invoice, KEY)
    at = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(at + 1, len(text)))
    changed = data.draw(st.sampled_from(CHARSET).filter(lambda character: character != text[at]))
    for mutated in (text[:at] + changed + text[at + 1 :], text[:at] + text[end:], text[:end] + text[at:]):
        with pytest.raises(InvalidInvoice):
            bolt11.decode(mutated)


tagged_fields = st.tuples(
    st.sampled_from([P, S, D, M, N, H, X, C, F, R, NINE, 2]), st.lists(st.integers(0, 31), max_size=170).map(bytes)
)
prefixes = st.from_regex(r"ln(bc|tb|tbs|bcrt|xx)([0-9]{0,22}[munp]?)", fullmatch=True, alphabet="bcrtlsxmunp0123456789")


@given(st.lists(tagged_fields, max_size=4), st.permutations(PLAIN), prefixes, st.binary(max_size=3))
def test_signed_nonsense(nonsense: Fields, plain: Fields, hrp: str, tail: bytes) -> None:
    """Fields of any content, rightly signed, are refused with InvalidInvoice or read into what can be written again."""
    text = written(plain + nonsense, hrp=hrp, tail=bytes(byte & 31 for byte in tail))
    try:
        invoice = bolt11.decode(text)
    except InvalidInvoice:
        return
    rewritten = replace(invoice, payee=KEY.node_id, features=0)
    assert bolt11.decode(bolt11.encode(rewritten, KEY)) == rewritten


@given(st.binary(min_size=65, max_size=65))
def test_signed_by_chance(signature: bytes) -> None:
    """Without an n field any signature is refused or leads to some other payee, the same that wallycore finds."""
    unsigned = parts()
    signature = signature[:64] + bytes([signature[64] % 4])
    try:
        payee = bolt11.decode(unsigned.signed(signature)).payee
    except InvalidInvoice:
        payee = None
    try:
        header = bytes([31 + signature[64]])
        expected = bytes(wallycore.ec_sig_to_public_key(unsigned.digest, header + signature[:64])).hex()
    except ValueError:
        expected = None
    assert (payee and payee.hex) == expected


# The human-readable part


@pytest.mark.parametrize(
    ("hrp", "network"),
    [
        ("lnbc", Network.MAINNET),
        ("lntb", Network.TESTNET),
        ("lntbs", Network.SIGNET),
        ("lnbcrt", Network.REGTEST),
    ],
)
@pytest.mark.parametrize(
    ("amount", "msat"),
    [
        ("", None),
        ("1", 10**11),
        ("20m", 2 * 10**9),
        ("2500u", 250_000_000),
        ("1n", 100),
        ("10p", 1),
        ("1000000u", 10**11),
        ("9678785340p", 967_878_534),
        ("184467440737095516150p", MAX_UINT64),
    ],
)
def test_amounts_read(hrp: str, network: Network, amount: str, msat: int | None) -> None:
    """A reader multiplies the amount, also by another multiplier than the largest; without one it is None."""
    invoice = bolt11.decode(written(hrp=hrp + amount))
    assert (invoice.network, invoice.amount) == (network, None if msat is None else Msat(msat))


@pytest.mark.parametrize(
    ("msat", "amount"),
    [
        (None, ""),
        (10**11, "1"),
        (10**12, "10"),
        (10**8, "1m"),
        (10**5, "1u"),
        (123_000, "1230n"),
        (100, "1n"),
        (1, "10p"),
        (MAX_UINT64, "184467440737095516150p"),
    ],
)
def test_amounts_written(msat: int | None, amount: str) -> None:
    """A writer SHOULD use the largest multiplier or none; with p the last digit MUST be 0."""
    invoice = replace(bolt11.decode(written()), amount=None if msat is None else Msat(msat))
    assert bolt11.encode(invoice, KEY).rpartition("1")[0] == "lnbcrt" + amount


@pytest.mark.parametrize(
    ("hrp", "reason"),
    [
        ("lnxx", "prefix"),
        ("ln", "prefix"),
        ("bc", "prefix"),
        ("lnbcm", "prefix"),
        ("lnbcrtx10u", "prefix"),
        ("10u", "prefix"),
        ("lnbc10x", "one of m, u, n, p"),
        ("lnbc10mm", "one of m, u, n, p"),
        ("lnbc1.5m", "one of m, u, n, p"),
        ("lnbc-1m", "prefix"),
        ("lnbc0", "leading zeros"),
        ("lnbc010u", "leading zeros"),
        ("lnbc15p", "whole number of millisatoshi"),
        ("lnbc184467440737095516160p", "2^64-1"),
        ("lnbc99999999999999999999", "2^64-1"),
    ],
)
def test_prefix_refused(hrp: str, reason: str) -> None:
    """A reader MUST refuse an unknown prefix or multiplier, a non-digit, and less than a millisatoshi."""
    with pytest.raises(InvalidInvoice, match=re.escape(reason)):
        bolt11.decode(written(hrp=hrp))


# Tagged fields


def without(kind: int) -> Fields:
    return [field for field in PLAIN if field[0] != kind]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (without(P), "no payment hash"),
        (without(S), "no payment secret"),
        (without(D), "either a description or a description hash"),
        (with_field(H, bytes(52)), "either a description or a description hash"),
        ([*PLAIN, (P, bytes(51))], "type 1 has 51"),
        ([*PLAIN, (S, bytes(53))], "type 16 has 53"),
        ([*PLAIN, (H, bytes(0))], "type 23 has 0"),
        ([*PLAIN, (N, bytes(52))], "type 19 has 52"),
        (with_field(P, bytes(51) + b"\1"), "padding"),
        (with_field(D, bech32.from_bytes(b"\xff")), "UTF-8"),
        (with_field(D, b"\1\1\1"), "padding"),
        ([*PLAIN, (X, b"\0")], "begins with a zero"),
        ([*PLAIN, (C, b"\0\1")], "begins with a zero"),
        ([*PLAIN, (NINE, b"\0\x10\0\0")], "begins with a zero"),
        ([*PLAIN, (X, b"\x1f" * 13)], "expiry must fit 64 bits"),
        ([*PLAIN, (C, b"\x1f" * 13)], "min_final_cltv_expiry_delta must fit 64 bits"),
        ([*PLAIN, (F, b"")], "fallback address is empty"),
        ([*PLAIN, (F, b"\0" + bech32.from_bytes(bytes(21)))], "20 or 32"),
        ([*PLAIN, (F, b"\1" + bech32.from_bytes(bytes(41)))], "2 to 40"),
        ([*PLAIN, (F, b"\x11" + bech32.from_bytes(bytes(21)))], "P2PKH fallback must be 20"),
        ([*PLAIN, (F, b"\x12" + bech32.from_bytes(bytes(19)))], "P2SH fallback must be 20"),
        ([*PLAIN, (R, b"")], "51 bytes"),
        ([*PLAIN, (R, bech32.from_bytes(bytes(50)))], "51 bytes"),
        ([*PLAIN, (R, bech32.from_bytes(bytes(51)))], "begin with 02 or 03"),
        ([*PLAIN, (R, bech32.from_bytes(b"\2" + bytes(31) + b"\5" + bytes(18)))], "no point"),
        ([*PLAIN, (M, b"\0\0\1")], "padding"),
    ],
)
def test_fields_refused(fields: Fields, reason: str) -> None:
    """Each field that is missing, ambiguous or malformed fails the invoice, with a reason that says which."""
    with pytest.raises(InvalidInvoice, match=re.escape(reason)):
        bolt11.decode(written(fields))


@pytest.mark.parametrize("tail", [b"\1", b"\1\0", b"\2\0\1", b"\x0d\x1f\x1f" + bytes(100)])
def test_cut_off(tail: bytes) -> None:
    """A last field that is longer than the data is refused."""
    with pytest.raises(InvalidInvoice, match="cut off"):
        bolt11.decode(written(tail=tail))


@pytest.mark.parametrize("field", [(2, b"\1\2\3"), (31, b""), (F, b"\x13" + bytes(32)), (F, b"\x1f")])
def test_unknown_is_ignored(field: tuple[int, bytes]) -> None:
    """Unknown types, and fallbacks of unknown versions, are skipped over."""
    assert bolt11.decode(written([field, *PLAIN, field])) == bolt11.decode(written())


@pytest.mark.parametrize(
    "second",
    [(P, bytes(52)), (S, bytes(52)), (D, b""), (X, b"\1"), (C, b"\1"), (NINE, b"\x08\0\0"), (M, b"\0\0\0\0\0\0\0\0")],
)
def test_first_of_several(second: tuple[int, bytes]) -> None:
    """Of a field that MUST be single the first counts (BOLT 11 says so of p)."""
    first: Fields = [*PLAIN, (X, b"\2"), (C, b"\2"), (NINE, b"\x10\0\0"), (M, b"\4\0\0\0\0\0\0\0")]
    assert bolt11.decode(written([*first, second])) == bolt11.decode(written(first))


def test_empty_numbers() -> None:
    """A field x, c or 9 of no symbols is 0, the shortest form."""
    invoice = bolt11.decode(written([*PLAIN, (X, b""), (C, b""), (NINE, b"")]))
    assert (invoice.expiry_seconds, invoice.min_final_cltv_expiry, invoice.features) == (0, 0, 0)


def test_length_limits() -> None:
    """An invoice longer than any that lnd reads is refused before it is decoded; so is one too short to be signed."""
    with pytest.raises(InvalidInvoice, match="longer than 7089"):
        bolt11.decode(written([*PLAIN, *[(D, bytes(1000))] * 7]))
    with pytest.raises(InvalidInvoice, match="too short"):
        bolt11.decode(bech32.encode("lnbc", bytes(110), Encoding.BECH32, max_length=200))


def test_bech32m_is_refused() -> None:
    """BOLT 11 asks for bech32 as in BIP-173, so bech32m's checksum is wrong."""
    hrp, symbols, _ = bech32.decode(written(), max_length=1000)
    with pytest.raises(InvalidInvoice, match="bech32m"):
        bolt11.decode(bech32.encode(hrp, symbols, Encoding.BECH32M, max_length=1000))


# Features


@pytest.mark.parametrize(
    "bits",
    [
        [],
        [8, 14],
        [8, 14, 17],
        [9, 14, 17, 25, 49],
        [9, 15, 17, 25],
        [8, 14, 16, 48],
        [15, 16],
        [14, 24, 37],
        [14, 99, 263, 1001],
        [8, 9, 14, 15],
    ],
)
def test_features_read(bits: list[int]) -> None:
    """What lnd and others set is read; unknown odd bits MUST be ignored, and are kept."""
    features = sum(1 << bit for bit in bits)
    assert bolt11.decode(written([*PLAIN, (NINE, bech32.from_int(features))])).features == features


@pytest.mark.parametrize(
    ("bits", "reason"),
    [
        ([14, 100], "unknown feature bit 100"),
        ([14, 30], "unknown feature bit 30"),
        ([14, 262], "unknown feature bit 262"),
        ([14, 2], "unknown feature bit 2"),
        ([16], "bit 16 or 17 needs bit 14 or 15"),
        ([8, 17], "bit 16 or 17 needs bit 14 or 15"),
    ],
)
def test_features_refused(bits: list[int], reason: str) -> None:
    """A reader MUST refuse unknown even bits, and MUST NOT pay when a known dependency is not set (BOLT 9)."""
    features = bech32.from_int(sum(1 << bit for bit in bits))
    with pytest.raises(InvalidInvoice, match=reason):
        bolt11.decode(written([*PLAIN, (NINE, features)]))


@pytest.mark.parametrize(("bits", "pair"), [([14, 15], "14 and 15"), ([8, 9, 14], "8 and 9"), ([15, 98, 99], "98")])
def test_features_not_written(bits: list[int], pair: str) -> None:
    """BOLT 9: an origin MUST NOT set both bits of a pair, nor an even bit that it does not know."""
    with pytest.raises(InvalidInvoice, match=pair):
        bolt11.encode(replace(bolt11.decode(written()), features=sum(1 << bit for bit in bits)), KEY)


# Signatures


def node_field(key_hex: str) -> tuple[int, bytes]:
    return N, bech32.from_bytes(bytes.fromhex(key_hex))


@pytest.mark.parametrize("recovery_id", range(4))
def test_n_field(recovery_id: int) -> None:
    """With an n field the signature is verified by it instead of recovering: the recovery id does not matter."""
    unsigned = parts([*PLAIN, node_field(KEY.node_id.hex)])
    text = unsigned.signed(KEY.sign(unsigned.digest) + bytes([recovery_id]))
    assert bolt11.decode(text).payee == KEY.node_id


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        (OTHER_KEY.node_id.hex, "not by the payee"),
        ("02" + "00" * 31 + "05", "no point"),
        ("04" + KEY.node_id.hex[2:], "begin with 02 or 03"),
    ],
)
def test_n_field_refused(node: str, reason: str) -> None:
    """A signature that is not by the key in the n field, or an n field that is no key, fails the invoice."""
    with pytest.raises(InvalidInvoice, match=reason):
        bolt11.decode(written([*PLAIN, node_field(node)]))


def test_high_s() -> None:
    """A high S is refused with an n field, and taken when the payee is recovered."""
    for fields, taken in ((PLAIN, True), ([*PLAIN, node_field(KEY.node_id.hex)], False)):
        unsigned = parts(fields)
        signature = KEY.sign_recoverable(unsigned.digest)
        s = ORDER - int.from_bytes(signature[32:64], "big")
        text = unsigned.signed(signature[:32] + s.to_bytes(32, "big") + bytes([signature[64] ^ 1]))
        if taken:
            assert bolt11.decode(text).payee == KEY.node_id
            continue
        with pytest.raises(InvalidInvoice, match="high S"):
            bolt11.decode(text)


# Writing


@given(invoices())
def test_writer_requirements(invoice: Invoice) -> None:
    """Exactly one p, one s, one of d and h; x, c and 9 without leading zeros; 9 only if it has a bit; no n."""
    fields = fields_of(bolt11.encode(invoice, KEY))
    kinds = [kind for kind, _ in fields]
    assert kinds.count(P) == kinds.count(S) == kinds.count(D) + kinds.count(H) == kinds.count(C) == 1
    assert kinds.count(NINE) == (1 if invoice.features else 0)
    assert kinds.count(N) == 0
    assert kinds.count(X) == (0 if invoice.expiry_seconds == 3600 else 1)
    assert kinds.count(F) == len(invoice.fallbacks)
    assert not any(data.startswith(b"\0") for kind, data in fields if kind in (X, C, NINE))


def test_signature_is_the_specifications() -> None:
    """BOLT 11's first example is signed again to the very same text (RFC 6979)."""
    text = VECTORS["valid"][0]["text"]
    symbols = bech32.decode(text, max_length=1000).symbols[:-104]
    unsigned = replace(parts(), hrp="lnbc", symbols=symbols)
    assert unsigned.signed(KEY.sign_recoverable(unsigned.digest)) == text


def test_another_key() -> None:
    """Only the payee's key signs: a reader would recover another payee."""
    with pytest.raises(InvalidInvoice, match="the key signs for"):
        bolt11.encode(bolt11.decode(written()), OTHER_KEY)


def test_too_long_to_write() -> None:
    """An invoice that no reader takes is not written."""
    with pytest.raises(InvalidInvoice, match="longer than 7089"):
        bolt11.encode(replace(bolt11.decode(written()), route_hints=((HOP,) * 12,) * 8), KEY)


# The invoice itself


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"amount": Msat(0)}, "positive"),
        ({"timestamp": -1}, "35 bits"),
        ({"timestamp": 2**35}, "35 bits"),
        ({"payment_hash": bytes(31)}, "payment hash must be 32"),
        ({"payment_secret": bytes(33)}, "payment secret must be 32"),
        ({"description": None}, "either a description"),
        ({"description_hash": bytes(32)}, "either a description"),
        ({"description": None, "description_hash": bytes(31)}, "description hash must be 32"),
        ({"description": "é" * 320}, "more than 639"),
        ({"description": "\ud800"}, "Unicode"),
        ({"expiry_seconds": -1}, "64 bits"),
        ({"min_final_cltv_expiry": -1}, "64 bits"),
        ({"route_hints": ((),)}, "1 to 12"),
        ({"route_hints": ((HOP,) * 13,)}, "1 to 12"),
        ({"features": -1}, "features"),
        ({"features": 1 << 5115}, "features"),
        ({"metadata": bytes(640)}, "metadata"),
    ],
)
def test_invoice_refuses(change: dict[str, Any], reason: str) -> None:
    """No invoice can be made that BOLT 11 gives no text to, or forbids."""
    with pytest.raises(InvalidInvoice, match=reason):
        replace(bolt11.decode(written()), **change)


@pytest.mark.parametrize(
    ("change"),
    [{"fee_base_msat": 2**32}, {"fee_proportional_millionths": -1}, {"cltv_expiry_delta": 2**16}],
)
def test_route_hop_refuses(change: dict[str, Any]) -> None:
    """A route hop's numbers fit their fields: 32, 32 and 16 bits."""
    with pytest.raises(InvalidInvoice, match="bits"):
        replace(HOP, **change)


def test_longest_fields() -> None:
    """A description and metadata of 639 bytes, twelve hops and the highest feature bit fit their fields."""
    invoice = replace(
        bolt11.decode(written()),
        description="é" * 319 + "e",
        metadata=b"\xff" * 639,
        route_hints=((HOP,) * 12,),
        features=1 << 5113,
    )
    assert bolt11.decode(bolt11.encode(invoice, KEY)) == invoice


def test_expires_at() -> None:
    """An invoice expires at its timestamp plus its expiry."""
    assert bolt11.decode(written()).expires_at == 3601


def test_is_about() -> None:
    """A reader MUST check that a description matches the hash; a plain description matches itself."""
    plain = bolt11.decode(written())
    hashed = replace(plain, description=None, description_hash=sha256(b"tea").digest())
    for invoice in (plain, hashed):
        assert invoice.is_about("tea")
        assert not invoice.is_about("Tea")
        assert not invoice.is_about("\ud800")


def test_repr_shows_no_secret() -> None:
    """An invoice's repr shows neither its payment secret nor its metadata."""
    shown = repr(replace(bolt11.decode(written()), metadata=b"\3" * 9))
    assert repr(b"\1" * 32) in shown
    assert repr(b"\2" * 32) not in shown
    assert repr(b"\3" * 9) not in shown
