"""Invoices for the tests: BOLT 11's vectors, hypothesis strategies, and a writer that keeps to no rule."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from lsps.lightning import bech32
from lsps.lightning.bech32 import Encoding, WitnessProgram
from lsps.lightning.invoice import Fallback, Invoice, PubKeyHash, RouteHop, ScriptHash
from lsps.lightning.keys import SecretKey
from lsps.units import MAX_UINT64, Msat, Network, Scid

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent.parent / "vectors" / "bolt11.json").read_text("utf-8"))
KEY = SecretKey(bytes.fromhex(VECTORS["private_key"]))
OTHER_KEY = SecretKey(b"\x07" * 32)

P, S, D, M, N, H, X, C, F, R, NINE = 1, 16, 13, 27, 19, 23, 6, 24, 9, 3, 5
"""The types of BOLT 11's tagged fields."""

Fields = list[tuple[int, bytes]]
PLAIN: Fields = [
    (P, bech32.from_bytes(b"\1" * 32)),
    (S, bech32.from_bytes(b"\2" * 32)),
    (D, bech32.from_bytes(b"tea")),
]
"""The least that an invoice says."""


def with_field(kind: int, data: bytes) -> Fields:
    """The plain fields, that of `kind` replaced or added. `data` is symbols."""
    return [field for field in PLAIN if field[0] != kind] + [(kind, data)]


@dataclass(frozen=True)
class Parts:
    """An invoice's text in its parts, before it is signed."""

    hrp: str
    symbols: bytes

    @property
    def digest(self) -> bytes:
        bits = "".join(f"{symbol:05b}" for symbol in self.symbols)
        bits += "0" * (-len(bits) % 8)
        return sha256(self.hrp.encode() + bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))).digest()

    def signed(self, signature: bytes) -> str:
        symbols = self.symbols + bech32.from_bytes(signature)
        return bech32.encode(self.hrp, symbols, Encoding.BECH32, max_length=10**6)


def parts(fields: Fields = PLAIN, *, hrp: str = "lnbcrt10u", tail: bytes = b"") -> Parts:
    """A timestamp of 1 s, fields as they are, and symbols after them."""
    tagged = b"".join(bytes([kind, len(data) >> 5, len(data) & 31]) + data for kind, data in fields)
    return Parts(hrp, b"\0" * 6 + b"\1" + tagged + tail)


def written(fields: Fields = PLAIN, *, hrp: str = "lnbcrt10u", tail: bytes = b"", key: SecretKey = KEY) -> str:
    """The text of an invoice of any fields, rightly signed."""
    unsigned = parts(fields, hrp=hrp, tail=tail)
    return unsigned.signed(key.sign_recoverable(unsigned.digest))


def fields_of(text: str) -> Fields:
    """The tagged fields in an invoice's text."""
    symbols = bech32.decode(text, max_length=10**6).symbols[7:-104]
    fields = []
    while symbols:
        length = symbols[1] << 5 | symbols[2]
        fields.append((symbols[0], symbols[3 : 3 + length]))
        symbols = symbols[3 + length :]
    return fields


hashes = st.binary(min_size=32, max_size=32)
hash160s = st.binary(min_size=20, max_size=20)
hops = st.builds(
    RouteHop,
    st.sampled_from([KEY.node_id, OTHER_KEY.node_id]),
    st.integers(0, MAX_UINT64).map(Scid.from_int),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**16 - 1),
)
fallbacks: st.SearchStrategy[Fallback] = st.one_of(
    st.builds(WitnessProgram, st.just(0), hash160s | hashes),
    st.builds(WitnessProgram, st.integers(1, 16), st.binary(min_size=2, max_size=40)),
    st.builds(PubKeyHash, hash160s),
    st.builds(ScriptHash, hash160s),
)
features = st.sets(st.sampled_from([9, 14, 15, 24, 25, 36, 49, 99, 263])).map(lambda bits: {b & ~1: b for b in bits})


@st.composite
def invoices(draw: st.DrawFn) -> Invoice:
    """Any invoice that may be written with KEY."""
    description = draw(st.none() | st.text(max_size=150))
    return Invoice(
        network=draw(st.sampled_from(Network)),
        payee=KEY.node_id,
        timestamp=draw(st.integers(0, 2**35 - 1)),
        payment_hash=draw(hashes),
        payment_secret=draw(hashes),
        amount=draw(st.none() | st.integers(1, MAX_UINT64).map(Msat)),
        description=description,
        description_hash=draw(hashes) if description is None else None,
        expiry_seconds=draw(st.just(3600) | st.integers(0, MAX_UINT64)),
        min_final_cltv_expiry=draw(st.just(18) | st.integers(0, 2**16)),
        route_hints=tuple(tuple(hint) for hint in draw(st.lists(st.lists(hops, min_size=1, max_size=3), max_size=2))),
        fallbacks=tuple(draw(st.lists(fallbacks, max_size=3))),
        features=sum(1 << bit for bit in draw(features).values()),
        metadata=draw(st.none() | st.binary(max_size=40)),
    )
