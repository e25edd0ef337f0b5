"""Which feature bits an invoice (BOLT 11) or an init (BOLT 1) may carry, by BOLT 9. A vector is an int, bit 0 first."""

from __future__ import annotations

VAR_ONION_OPTIN = 8
PAYMENT_SECRET = 14
BASIC_MPP = 16
OPTION_ROUTE_BLINDING = 24
OPTION_ATTRIBUTION_DATA = 36
OPTION_PAYMENT_METADATA = 48
"""Even (compulsory) bits of the features that BOLT 9 marks for invoices; the odd (optional) one is the next."""

_ASSUMED = frozenset({0, VAR_ONION_OPTIN, 12, PAYMENT_SECRET, 44})
"""Features BOLT 9 takes for granted in every node."""

_IN_INVOICE = _ASSUMED | {BASIC_MPP, OPTION_ROUTE_BLINDING, OPTION_ATTRIBUTION_DATA, OPTION_PAYMENT_METADATA}
_IN_INIT = _ASSUMED | {4, 6, 10, 16, 18, 22, 24, 26, 28, 34, 36, 38, 42, 46, 50, 60, 62}
_DEPENDENCIES = {BASIC_MPP: PAYMENT_SECRET, 50: 46, 60: 26}
"""BOLT 9: basic_mpp needs payment_secret, zeroconf needs scid_alias, simple_close needs shutdown_anysegwit."""

CLIENT_INIT = sum(1 << even_bit + 1 for even_bit in _ASSUMED)
"""What a peer without channels says in its init: what every node is assumed to have. Whole nodes, LDK's among them,
disconnect from one that leaves it out. Never bit 729 (bLIP-50: clients MUST NOT set it)."""
OPTION_SUPPORTS_LSPS = 729
LSP_INIT = CLIENT_INIT | 1 << OPTION_SUPPORTS_LSPS
"""What an LSP may say (bLIP-50: LSPs MAY set bit 729)."""


def has_feature(features: int, even_bit: int) -> bool:
    """Whether a feature is offered, as optional or as compulsory."""
    return bool(features >> even_bit & 0b11)


def reader_objection(features: int) -> str | None:
    """Why a reader must not pay an invoice with these features (BOLT 11), or None."""
    return _objection(features, _IN_INVOICE)


def init_objection(features: int) -> str | None:
    """Why a node must close a connection whose init has these features (BOLT 1), or None.

    Every feature that BOLT 9 has for an init counts as known, required or not: they are about channels, payments and
    gossip, and we ask a peer for none of these."""
    return _objection(features, _IN_INIT)


def writer_objection(features: int) -> str | None:
    """Why a writer must not make an invoice with these features (BOLT 9, origin node), or None."""
    both = features & features >> 1 & sum(1 << bit for bit in range(0, features.bit_length(), 2))
    if both:
        bit = both.bit_length() - 1
        return f"it sets both feature bits {bit} and {bit + 1}"
    return reader_objection(features)


def _objection(features: int, known: frozenset[int]) -> str | None:
    # By masks, not bit by bit: a peer's init has up to half a million bits.
    every_even_bit = int.from_bytes(b"\x55" * (features.bit_length() // 8 + 1), "big")
    unknown = features & every_even_bit & ~sum(1 << bit for bit in known)
    if unknown:
        return f"it requires the unknown feature bit {(unknown & -unknown).bit_length() - 1}"
    for feature, needed in _DEPENDENCIES.items():
        if feature in known and has_feature(features, feature) and not has_feature(features, needed):
            return f"its feature bit {feature} or {feature + 1} needs bit {needed} or {needed + 1}"
    return None
