"""What a BOLT 11 invoice says. `bolt11` reads and writes its text."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from struct import Struct

from lsps.errors import LspsError
from lsps.lightning import features as feature_bits
from lsps.lightning.bech32 import WitnessProgram
from lsps.lightning.keys import InvalidKey, check_node_id
from lsps.units import MAX_UINT32, MAX_UINT64, Msat, Network, NodeId, Scid

DEFAULT_EXPIRY_SECONDS = 3600
DEFAULT_MIN_FINAL_CLTV_EXPIRY = 18
MAX_FIELD_BYTES = 639
"""A tagged field has at most 1023 symbols of 5 bits."""

_ROUTE_HOP = Struct(">33sQIIH")
ROUTE_HOP_BYTES = _ROUTE_HOP.size


class InvalidInvoice(LspsError, ValueError):
    """An invoice that BOLT 11 forbids to pay or to write. `reason` says which rule it breaks."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"this is no valid BOLT 11 invoice: {reason}. Ask for a new one")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class RouteHop:
    """A channel on the way from a public node to the payee: `node_id` is its start (BOLT 11, field `r`)."""

    node_id: NodeId
    short_channel_id: Scid
    fee_base_msat: int
    fee_proportional_millionths: int
    cltv_expiry_delta: int
    """In blocks."""

    def __post_init__(self) -> None:
        try:
            check_node_id(self.node_id)
        except InvalidKey as error:
            raise InvalidInvoice(f"a route hop's node: {error}") from None
        if not (0 <= self.fee_base_msat <= MAX_UINT32 and 0 <= self.fee_proportional_millionths <= MAX_UINT32):
            raise InvalidInvoice("a route hop's fees must fit 32 bits")
        if not 0 <= self.cltv_expiry_delta < 2**16:
            raise InvalidInvoice("a route hop's cltv_expiry_delta must fit 16 bits")

    @classmethod
    def from_bytes(cls, raw: bytes) -> RouteHop:
        """From the 51 bytes of an entry. Raises InvalidInvoice, and InvalidUnit for what begins with no 02 or 03."""
        node_id, *numbers = _ROUTE_HOP.unpack(raw)
        scid, fee_base_msat, fee_proportional_millionths, cltv_expiry_delta = numbers
        return cls(
            NodeId(node_id.hex()), Scid.from_int(scid), fee_base_msat, fee_proportional_millionths, cltv_expiry_delta
        )

    def __bytes__(self) -> bytes:
        return _ROUTE_HOP.pack(
            bytes(self.node_id),
            int(self.short_channel_id),
            self.fee_base_msat,
            self.fee_proportional_millionths,
            self.cltv_expiry_delta,
        )


@dataclass(frozen=True, slots=True)
class PubKeyHash:
    """A P2PKH fallback: 20 bytes (BOLT 11, field `f`, version 17)."""

    hash: bytes

    def __post_init__(self) -> None:
        _check_length("a P2PKH fallback", self.hash, 20)


@dataclass(frozen=True, slots=True)
class ScriptHash:
    """A P2SH fallback: 20 bytes (BOLT 11, field `f`, version 18)."""

    hash: bytes

    def __post_init__(self) -> None:
        _check_length("a P2SH fallback", self.hash, 20)


Fallback = WitnessProgram | PubKeyHash | ScriptHash


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice:
    """A BOLT 11 invoice. Raises InvalidInvoice for one that must be neither paid nor written.

    The description is the payee's text as it came: sanitise it before a terminal, a log or a page sees it.
    """

    network: Network
    payee: NodeId
    timestamp: int
    """Seconds since 1970."""
    payment_hash: bytes
    payment_secret: bytes = field(repr=False)
    amount: Msat | None = None
    """None: the payer decides."""
    description: str | None = None
    description_hash: bytes | None = None
    expiry_seconds: int = DEFAULT_EXPIRY_SECONDS
    min_final_cltv_expiry: int = DEFAULT_MIN_FINAL_CLTV_EXPIRY
    """In blocks; the field `c`."""
    route_hints: tuple[tuple[RouteHop, ...], ...] = ()
    fallbacks: tuple[Fallback, ...] = ()
    """On-chain addresses, the preferred one first."""
    features: int = 0
    """BOLT 9 bits."""
    metadata: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.amount is not None and not self.amount:
            raise InvalidInvoice("its amount must be positive")
        if not 0 <= self.timestamp < 2**35:
            raise InvalidInvoice("its timestamp must fit 35 bits")
        _check_length("its payment hash", self.payment_hash, 32)
        _check_length("its payment secret", self.payment_secret, 32)
        self._check_description()
        if not 0 <= self.expiry_seconds <= MAX_UINT64:
            raise InvalidInvoice("its expiry must fit 64 bits")
        if not 0 <= self.min_final_cltv_expiry <= MAX_UINT64:
            raise InvalidInvoice("its min_final_cltv_expiry_delta must fit 64 bits")
        if not all(1 <= len(hops) <= MAX_FIELD_BYTES // ROUTE_HOP_BYTES for hops in self.route_hints):
            raise InvalidInvoice("a route hint has 1 to 12 hops")
        if not 0 <= self.features < 1 << 1023 * 5:
            raise InvalidInvoice("its features do not fit a field")
        if (objection := feature_bits.reader_objection(self.features)) is not None:
            raise InvalidInvoice(objection)
        if self.metadata is not None and len(self.metadata) > MAX_FIELD_BYTES:
            raise InvalidInvoice(f"its metadata has more than {MAX_FIELD_BYTES} bytes")

    def _check_description(self) -> None:
        if (self.description is None) == (self.description_hash is None):
            raise InvalidInvoice("it must have either a description or a description hash")
        if self.description_hash is not None:
            _check_length("its description hash", self.description_hash, 32)
        if self.description is not None:
            try:
                length = len(self.description.encode())
            except UnicodeEncodeError:
                raise InvalidInvoice("its description is not valid Unicode") from None
            if length > MAX_FIELD_BYTES:
                raise InvalidInvoice(f"its description has more than {MAX_FIELD_BYTES} bytes; use its hash")

    @property
    def expires_at(self) -> int:
        """Seconds since 1970; a payer SHOULD NOT pay after it."""
        return self.timestamp + self.expiry_seconds

    def is_about(self, description: str) -> bool:
        """Whether this text is the invoice's description, or what its hash commits to (BOLT 11, field `h`: the reader
        MUST check that)."""
        if self.description_hash is None:
            return description == self.description
        return sha256(description.encode(errors="surrogatepass")).digest() == self.description_hash


def _check_length(name: str, value: bytes, length: int) -> None:
    if len(value) != length:
        raise InvalidInvoice(f"{name} must be {length} bytes")
