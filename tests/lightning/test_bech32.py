"""Bech32, bech32m and segwit addresses, with the vectors of BIP-173 and BIP-350 and wallycore as oracle."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import wallycore  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from lsps.lightning import bech32
from lsps.lightning.bech32 import Encoding, InvalidAddress, InvalidBech32, WitnessProgram
from lsps.units import Network

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent.parent / "vectors" / "bech32.json").read_text("utf-8"))
HRP = {Network.MAINNET: "bc", Network.TESTNET: "tb", Network.SIGNET: "tb", Network.REGTEST: "bcrt"}

networks = st.sampled_from(Network)
symbol_strings = st.lists(st.integers(0, 31), max_size=60).map(bytes)
hrps = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20).map(str.lower)
witnesses = st.one_of(
    st.builds(WitnessProgram, st.just(0), st.binary(min_size=20, max_size=20) | st.binary(min_size=32, max_size=32)),
    st.builds(WitnessProgram, st.integers(1, 16), st.binary(min_size=2, max_size=40)),
)


def network_of(address: str) -> Network:
    return Network.TESTNET if address.lower().startswith("tb1") else Network.MAINNET


@pytest.mark.parametrize(
    ("text", "encoding"),
    [(text, Encoding.BECH32) for text in VECTORS["bech32"]] + [(text, Encoding.BECH32M) for text in VECTORS["bech32m"]],
)
def test_valid(text: str, encoding: Encoding) -> None:
    """BIP-173, BIP-350: each valid text is of one kind, and is written back in lower case."""
    hrp, symbols, found = bech32.decode(text)
    assert found is encoding
    assert bech32.encode(hrp, symbols, encoding) == text.lower()


@pytest.mark.parametrize("vector", VECTORS["invalid_bech32"] + VECTORS["invalid_bech32m"])
def test_invalid(vector: dict[str, str]) -> None:
    """BIP-173, BIP-350: each invalid text is refused for its own reason."""
    with pytest.raises(InvalidBech32, match=re.escape(vector["error"])):
        bech32.decode(vector["text"])


@given(hrps, symbol_strings, st.sampled_from(Encoding))
def test_round_trip(hrp: str, symbols: bytes, encoding: Encoding) -> None:
    """What is encoded is decoded to the same, also in upper case."""
    text = bech32.encode(hrp, symbols, encoding)
    assert bech32.decode(text) == (hrp, symbols, encoding) == bech32.decode(text.upper())


@given(st.text() | st.text(alphabet="1bcqprtzBC", max_size=40))
def test_decode_is_total(text: str) -> None:
    """No text makes the decoder raise anything but its own error."""
    try:
        bech32.decode(text)
    except InvalidBech32:
        return


@given(symbol_strings, st.integers(0, 1000), st.integers(1, 31))
def test_one_wrong_character(symbols: bytes, place: int, change: int) -> None:
    """A changed character is always noticed (BIP-173: up to four are)."""
    text = bech32.encode("lnbc", symbols, Encoding.BECH32)
    charset = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
    at = 5 + place % (len(text) - 5)
    wrong = charset[charset.index(text[at]) ^ change]
    with pytest.raises(InvalidBech32, match="checksum"):
        bech32.decode(text[:at] + wrong + text[at + 1 :])


def test_length_limit() -> None:
    """90 characters are the limit of BIP-173, unless the caller sets another (BOLT 11 has none)."""
    longest, symbols = bech32.encode("bc", bytes(81), Encoding.BECH32), bytes(82)
    assert len(longest) == 90
    assert bech32.decode(longest).symbols == bytes(81)
    with pytest.raises(InvalidBech32, match="longer than 90"):
        bech32.encode("bc", symbols, Encoding.BECH32)
    longer = bech32.encode("bc", symbols, Encoding.BECH32, max_length=91)
    assert bech32.decode(longer, max_length=91).symbols == symbols
    with pytest.raises(InvalidBech32, match="longer than 90"):
        bech32.decode(longer)


@pytest.mark.parametrize(
    ("hrp", "symbols", "error"),
    [("", b"", "1 to 83"), ("a" * 84, b"", "1 to 83"), ("é", b"", "range"), ("A", b"", "case"), ("a", b"\x20", "31")],
)
def test_encode_refuses(hrp: str, symbols: bytes, error: str) -> None:
    """Nothing is written that a reader would refuse."""
    with pytest.raises(InvalidBech32, match=error):
        bech32.encode(hrp, symbols, Encoding.BECH32, max_length=200)


@given(st.binary(max_size=100))
def test_bytes_round_trip(data: bytes) -> None:
    """Bytes survive the way to symbols and back."""
    symbols = bech32.from_bytes(data)
    assert len(symbols) == -(-8 * len(data) // 5)
    assert bech32.to_bytes(symbols) == data


@given(symbol_strings)
def test_to_bytes_is_strict(symbols: bytes) -> None:
    """Symbols become bytes exactly if those bytes become the symbols again; other padding is refused."""
    try:
        data = bech32.to_bytes(symbols)
    except InvalidBech32:
        unused = 5 * len(symbols) % 8
        assert unused >= 5 or bech32.to_int(symbols) % (1 << unused) != 0
        return
    assert bech32.from_bytes(data) == symbols


@given(st.integers(0, 2**80))
def test_integers_round_trip(value: int) -> None:
    """Integers survive the way to symbols and back, and begin with no zero."""
    symbols = bech32.from_int(value)
    assert bech32.to_int(symbols) == value == bech32.to_int(b"\0" + symbols)
    assert not symbols.startswith(b"\0")


@pytest.mark.parametrize("vector", VECTORS["addresses"])
def test_valid_addresses(vector: dict[str, str]) -> None:
    """BIP-350: each valid address pays to its script, and is written back in lower case."""
    network = network_of(vector["text"])
    witness = bech32.decode_address(vector["text"], network)
    assert witness.script.hex() == vector["script"]
    assert bech32.encode_address(witness, network) == vector["text"].lower()


@pytest.mark.parametrize("vector", VECTORS["invalid_addresses"])
def test_invalid_addresses(vector: dict[str, str]) -> None:
    """BIP-173, BIP-350: each invalid address is refused for its own reason; so is bech32 above version 0."""
    with pytest.raises(InvalidAddress, match=re.escape(vector["error"])):
        bech32.decode_address(vector["text"], network_of(vector["text"]))


@given(witnesses, networks)
def test_addresses_agree_with_wallycore(witness: WitnessProgram, network: Network) -> None:
    """Address and script of every witness program are the ones that wallycore finds."""
    address = bech32.encode_address(witness, network)
    assert bech32.decode_address(address, network) == witness == bech32.decode_address(address.upper(), network)
    assert bytes(wallycore.addr_segwit_to_bytes(address, HRP[network], 0)) == witness.script
    assert wallycore.addr_segwit_from_bytes(witness.script, HRP[network], 0) == address


@given(witnesses, networks, st.integers(0, 100), st.sampled_from("qpzry9x8gf2tvdw0s3jn54khce6mua7lQ1b"), st.booleans())
def test_mutated_addresses_agree_with_wallycore(
    witness: WitnessProgram, network: Network, place: int, character: str, insert: bool
) -> None:
    """A damaged address is refused or read exactly as wallycore does."""
    address = bech32.encode_address(witness, network)
    at = place % len(address)
    damaged = address[:at] + character + address[at + (not insert) :]
    try:
        expected: bytes | None = bytes(wallycore.addr_segwit_to_bytes(damaged, HRP[network], 0))
    except ValueError:
        expected = None
    try:
        found: bytes | None = bech32.decode_address(damaged, network).script
    except InvalidAddress:
        found = None
    assert found == expected


@given(st.text(max_size=100), networks)
def test_decode_address_is_total(text: str, network: Network) -> None:
    """No text makes the address reader raise anything but its own error."""
    with pytest.raises(InvalidAddress):
        bech32.decode_address(text, network)


@pytest.mark.parametrize("network", Network)
@pytest.mark.parametrize("asked", Network)
def test_addresses_of_other_networks(network: Network, asked: Network) -> None:
    """An address is read on its own network only; testnet and signet share one form."""
    address = bech32.encode_address(WitnessProgram(0, bytes(20)), network)
    if HRP[network] == HRP[asked]:
        assert bech32.decode_address(address, asked) == WitnessProgram(0, bytes(20))
        return
    with pytest.raises(InvalidAddress, match=f"begins with {HRP[asked]}1"):
        bech32.decode_address(address, asked)


@pytest.mark.parametrize(
    ("version", "length", "defined"),
    [(0, 20, True), (0, 32, True), (1, 32, True), (1, 31, False), (1, 20, False), (2, 32, False), (16, 2, False)],
)
def test_future_versions(version: int, length: int, defined: bool) -> None:
    """bLIP-50 LSPS0.onchain_address: version 0 and Taproot MUST be read; the caller decides about the rest."""
    witness = WitnessProgram(version, bytes(length))
    address = bech32.encode_address(witness, Network.REGTEST)
    assert bech32.decode_address(address, Network.REGTEST) == witness
    if defined:
        assert bech32.decode_address(address, Network.REGTEST, future_versions=False) == witness
        return
    with pytest.raises(InvalidAddress, match="without a meaning"):
        bech32.decode_address(address, Network.REGTEST, future_versions=False)


@pytest.mark.parametrize(("version", "length"), [(17, 32), (-1, 32), (1, 1), (1, 41), (0, 2), (0, 21), (0, 40)])
def test_witness_program_refused(version: int, length: int) -> None:
    """BIP-141: no witness program has another version or length."""
    with pytest.raises(InvalidAddress):
        WitnessProgram(version, bytes(length))
