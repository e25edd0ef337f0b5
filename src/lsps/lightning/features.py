"""Which feature bits an invoice may carry (BOLT 9; BOLT 11, Feature Bits). A feature vector is an int, bit 0 lowest."""

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

_KNOWN = _ASSUMED | {BASIC_MPP, OPTION_ROUTE_BLINDING, OPTION_ATTRIBUTION_DATA, OPTION_PAYMENT_METADATA}
_DEPENDENCIES = {BASIC_MPP: PAYMENT_SECRET}


def has_feature(features: int, even_bit: int) -> bool:
    """Whether a feature is offered, as optional or as compulsory."""
    return bool(features >> even_bit & 0b11)


def reader_objection(features: int) -> str | None:
    """Why a reader must not pay an invoice with these features (BOLT 11), or None."""
    for bit in range(0, features.bit_length(), 2):
        if features >> bit & 1 and bit not in _KNOWN:
            return f"it requires the unknown feature bit {bit}"
    for feature, needed in _DEPENDENCIES.items():
        if has_feature(features, feature) and not has_feature(features, needed):
            return f"its feature bit {feature} or {feature + 1} needs bit {needed} or {needed + 1}"
    return None


def writer_objection(features: int) -> str | None:
    """Why a writer must not make an invoice with these features (BOLT 9, origin node), or None."""
    both = features & features >> 1 & sum(1 << bit for bit in range(0, features.bit_length(), 2))
    if both:
        bit = both.bit_length() - 1
        return f"it sets both feature bits {bit} and {bit + 1}"
    return reader_objection(features)
