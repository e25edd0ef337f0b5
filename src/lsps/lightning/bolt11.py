"""BOLT 11: the text of an invoice, read strictly, written and signed.

    lnbc 2500u 1 TIMESTAMP (TYPE LENGTH DATA)* SIGNATURE CHECKSUM

What every invoice must keep to, `Invoice` itself checks; here are the rules of its text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hashlib import sha256

from lsps.lightning import bech32, keys
from lsps.lightning import features as feature_bits
from lsps.lightning.bech32 import Encoding, InvalidAddress, InvalidBech32, WitnessProgram
from lsps.lightning.invoice import (
    DEFAULT_EXPIRY_SECONDS,
    DEFAULT_MIN_FINAL_CLTV_EXPIRY,
    ROUTE_HOP_BYTES,
    Fallback,
    InvalidInvoice,
    Invoice,
    PubKeyHash,
    RouteHop,
    ScriptHash,
)
from lsps.lightning.keys import InvalidKey, InvalidSignature, SecretKey
from lsps.units import InvalidUnit, Msat, Network, NodeId

__all__ = ["InvalidInvoice", "Invoice", "PubKeyHash", "RouteHop", "ScriptHash", "decode", "encode"]

MAX_LENGTH = 7089
"""Characters: what the largest QR code holds, and the most that lnd reads."""

_PREFIXES = {Network.MAINNET: "lnbc", Network.TESTNET: "lntb", Network.SIGNET: "lntbs", Network.REGTEST: "lnbcrt"}
_NETWORKS = {prefix: network for network, prefix in _PREFIXES.items()}

_HRP = re.compile(r"([^0-9]+)(?:([1-9][0-9]*)([munp]?))?", re.ASCII)
_PICO_PER_UNIT = {"": 10**12, "m": 10**9, "u": 10**6, "n": 10**3, "p": 1}
_PICO_PER_MSAT = 10

_TIMESTAMP_SYMBOLS = 7
_SIGNATURE_SYMBOLS = 104

# Tagged fields: BOLT 11's letter, and its value as a symbol.
_P, _S, _D, _M, _N, _H, _X, _C, _F, _R, _9 = 1, 16, 13, 27, 19, 23, 6, 24, 9, 3, 5
_FIXED_LENGTHS = {_P: 52, _S: 52, _H: 52, _N: 53}
_PUB_KEY_HASH, _SCRIPT_HASH = 17, 18


def decode(text: str) -> Invoice:
    """Read an invoice, in lower or upper case, without `lightning:` before it. Its signature is checked.

    Raises InvalidInvoice, whatever the text.
    """
    try:
        hrp, symbols, encoding = bech32.decode(text, max_length=MAX_LENGTH)
        if encoding is not Encoding.BECH32:
            raise InvalidInvoice("its checksum is bech32m's, not bech32's")
        network, amount = _decode_hrp(hrp)
        if len(symbols) < _TIMESTAMP_SYMBOLS + _SIGNATURE_SYMBOLS:
            raise InvalidInvoice("it is too short for a timestamp and a signature")
        signed, signature = symbols[:-_SIGNATURE_SYMBOLS], bech32.to_bytes(symbols[-_SIGNATURE_SYMBOLS:])
        tagged = _decode_fields(signed)
        return Invoice(
            network=network,
            payee=_payee(signature, _digest(hrp, signed), tagged.one(_N)),
            timestamp=bech32.to_int(signed[:_TIMESTAMP_SYMBOLS]),
            payment_hash=tagged.required_bytes(_P, "payment hash"),
            payment_secret=tagged.required_bytes(_S, "payment secret"),
            amount=amount,
            description=tagged.optional_text(_D),
            description_hash=tagged.optional_bytes(_H),
            expiry_seconds=tagged.integer(_X, DEFAULT_EXPIRY_SECONDS),
            min_final_cltv_expiry=tagged.integer(_C, DEFAULT_MIN_FINAL_CLTV_EXPIRY),
            route_hints=tuple(_decode_route(data) for data in tagged.all(_R)),
            fallbacks=tuple(f for data in tagged.all(_F) if (f := _decode_fallback(data)) is not None),
            features=tagged.integer(_9, 0),
            metadata=tagged.optional_bytes(_M),
        )
    except (InvalidBech32, InvalidAddress, InvalidKey, InvalidSignature, InvalidUnit) as error:
        raise InvalidInvoice(str(error)) from None


def encode(invoice: Invoice, key: SecretKey) -> str:
    """Write and sign an invoice; the payee is found by recovery, so there is no `n` field.

    Raises InvalidInvoice if `key` is not the payee's, or if its features are none that a writer may set.
    """
    if key.node_id != invoice.payee:
        raise InvalidInvoice(f"its payee is {invoice.payee}, but the key signs for {key.node_id}")
    if (objection := feature_bits.writer_objection(invoice.features)) is not None:
        raise InvalidInvoice(objection)
    hrp = _PREFIXES[invoice.network] + _encode_amount(invoice.amount)
    signed = bech32.from_int(invoice.timestamp).rjust(_TIMESTAMP_SYMBOLS, b"\0") + _encode_fields(invoice)
    signature = bech32.from_bytes(key.sign_recoverable(_digest(hrp, signed)))
    try:
        return bech32.encode(hrp, signed + signature, Encoding.BECH32, max_length=MAX_LENGTH)
    except InvalidBech32 as error:
        raise InvalidInvoice(str(error)) from None


def _decode_hrp(hrp: str) -> tuple[Network, Msat | None]:
    match = _HRP.fullmatch(hrp)
    prefix = re.split("[0-9]", hrp, maxsplit=1)[0]
    if prefix not in _NETWORKS:
        raise InvalidInvoice("its prefix is of no known network (lnbc, lntb, lntbs, lnbcrt)")
    if match is None:
        raise InvalidInvoice("its amount must be a positive number without leading zeros and maybe one of m, u, n, p")
    if match[2] is None:
        return _NETWORKS[prefix], None
    msat, below = divmod(int(match[2]) * _PICO_PER_UNIT[match[3]], _PICO_PER_MSAT)
    if below:
        raise InvalidInvoice("its amount is not a whole number of millisatoshi")
    return _NETWORKS[prefix], Msat(msat)


def _encode_amount(amount: Msat | None) -> str:
    if amount is None:
        return ""
    pico = int(amount) * _PICO_PER_MSAT
    multiplier = next(m for m, unit in _PICO_PER_UNIT.items() if pico % unit == 0)
    return f"{pico // _PICO_PER_UNIT[multiplier]}{multiplier}"


def _digest(hrp: str, signed: bytes) -> bytes:
    """What the signature covers: the human-readable part, and the data padded with 0 bits to whole bytes."""
    length = -(-5 * len(signed) // 8)
    padded = bech32.to_int(signed) << 8 * length - 5 * len(signed)
    return sha256(hrp.encode() + padded.to_bytes(length, "big")).digest()


def _payee(signature: bytes, digest: bytes, n_field: bytes | None) -> NodeId:
    """BOLT 11: with an `n` field, verify by it and demand a low S; without, recover, and take either S."""
    if n_field is None:
        return keys.recover(signature, digest)
    payee = NodeId(bech32.to_bytes(n_field).hex())
    if not keys.is_low_s(signature):
        raise InvalidInvoice("its signature has a high S, which is not allowed beside an n field")
    if not keys.verify(signature[:64], digest, payee):
        raise InvalidInvoice("its signature is not by the payee that its n field names")
    return payee


@dataclass(slots=True)
class _TaggedFields:
    """The fields' symbols by type, in their order. Of a field that is to be single, the first one counts, as BOLT 11
    has payers use the first `p`."""

    by_type: dict[int, list[bytes]] = field(default_factory=dict)

    def all(self, kind: int) -> list[bytes]:
        return self.by_type.get(kind, [])

    def one(self, kind: int) -> bytes | None:
        return next(iter(self.all(kind)), None)

    def optional_bytes(self, kind: int) -> bytes | None:
        data = self.one(kind)
        return None if data is None else bech32.to_bytes(data)

    def required_bytes(self, kind: int, name: str) -> bytes:
        data = self.optional_bytes(kind)
        if data is None:
            raise InvalidInvoice(f"it has no {name}")
        return data

    def optional_text(self, kind: int) -> str | None:
        data = self.optional_bytes(kind)
        try:
            return None if data is None else data.decode()
        except UnicodeDecodeError:
            raise InvalidInvoice("its description is not UTF-8") from None

    def integer(self, kind: int, default: int) -> int:
        """BOLT 11: readers SHOULD refuse a `c`, `x` or `9` field that begins with a 0 symbol."""
        data = self.one(kind)
        if data is None:
            return default
        if data.startswith(b"\0"):
            raise InvalidInvoice("its field c, x or 9 begins with a zero")
        return bech32.to_int(data)


def _decode_fields(signed: bytes) -> _TaggedFields:
    """Unknown types are kept and never asked for. A field of fixed length that has another one fails the invoice
    (BOLT 11; its example with "fields which must be ignored" is older than that rule: lightning/bolts issue 1358)."""
    fields = _TaggedFields()
    position = _TIMESTAMP_SYMBOLS
    while position < len(signed):
        header, position = signed[position : position + 3], position + 3
        if len(header) < 3:
            raise InvalidInvoice("its last field is cut off")
        kind, length = header[0], header[1] << 5 | header[2]
        data, position = signed[position : position + length], position + length
        if len(data) < length:
            raise InvalidInvoice("its last field is cut off")
        if length != _FIXED_LENGTHS.get(kind, length):
            raise InvalidInvoice(f"its field of type {kind} has {length} symbols, not {_FIXED_LENGTHS[kind]}")
        fields.by_type.setdefault(kind, []).append(data)
    return fields


def _encode_fields(invoice: Invoice) -> bytes:
    """In the order of most of the specification's examples; `c` is always written, as writers SHOULD."""
    fields: list[tuple[int, bytes]] = [
        (_S, bech32.from_bytes(invoice.payment_secret)),
        (_P, bech32.from_bytes(invoice.payment_hash)),
    ]
    if invoice.description is not None:
        fields.append((_D, bech32.from_bytes(invoice.description.encode())))
    if invoice.description_hash is not None:
        fields.append((_H, bech32.from_bytes(invoice.description_hash)))
    if invoice.metadata is not None:
        fields.append((_M, bech32.from_bytes(invoice.metadata)))
    if invoice.expiry_seconds != DEFAULT_EXPIRY_SECONDS:
        fields.append((_X, bech32.from_int(invoice.expiry_seconds)))
    fields.append((_C, bech32.from_int(invoice.min_final_cltv_expiry)))
    fields += [(_F, _encode_fallback(fallback)) for fallback in invoice.fallbacks]
    fields += [(_R, bech32.from_bytes(b"".join(map(bytes, hops)))) for hops in invoice.route_hints]
    if invoice.features:
        fields.append((_9, bech32.from_int(invoice.features)))
    return b"".join(bytes([kind, len(data) >> 5, len(data) & 31]) + data for kind, data in fields)


def _decode_route(data: bytes) -> tuple[RouteHop, ...]:
    raw = bech32.to_bytes(data)
    if not raw or len(raw) % ROUTE_HOP_BYTES:
        raise InvalidInvoice("a route hint is not one or more entries of 51 bytes")
    return tuple(RouteHop.from_bytes(raw[at : at + ROUTE_HOP_BYTES]) for at in range(0, len(raw), ROUTE_HOP_BYTES))


def _decode_fallback(data: bytes) -> Fallback | None:
    """None for a version that is unknown: readers MUST skip over it."""
    if not data:
        raise InvalidInvoice("its fallback address is empty")
    version = data[0]
    if version > _SCRIPT_HASH:
        return None
    program = bech32.to_bytes(data[1:])
    if version == _PUB_KEY_HASH:
        return PubKeyHash(program)
    if version == _SCRIPT_HASH:
        return ScriptHash(program)
    return WitnessProgram(version, program)


def _encode_fallback(fallback: Fallback) -> bytes:
    match fallback:
        case PubKeyHash(hash=payload):
            return bytes([_PUB_KEY_HASH]) + bech32.from_bytes(payload)
        case ScriptHash(hash=payload):
            return bytes([_SCRIPT_HASH]) + bech32.from_bytes(payload)
        case WitnessProgram(version=version, program=payload):
            return bytes([version]) + bech32.from_bytes(payload)
