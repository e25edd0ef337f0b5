"""What a Spend pays, gives back and costs, from the weights of what it spends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lsps.node.contract import Refused, Spend
from lsps.node.lnd.psbt import Coin, Output, is_taproot, unsigned_transaction
from lsps.units import Sat

# Witnesses at their heaviest, each with its counts and lengths (BIP 141, BIP 341), and what a P2WPKH nested in P2SH has
# in its scriptSig.
_MARKER_AND_FLAG = 2
_TAPROOT_WITNESS = 1 + 1 + 64
_KEY_HASH_WITNESS = 1 + 1 + 72 + 1 + 33
_NESTED_SCRIPT_SIG = 4 * 23

CHANGE_SCRIPT_BYTES = 34
"""Change comes back to a taproot address."""
_SPENDING_BYTES = 67
_DUST_SAT_PER_BYTE = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """`change` is 0 when nothing comes back: then the fee has taken what would have been dust."""

    paid: Sat
    change: Sat
    fee: Sat


def plan(spend: Spend, coins: Sequence[Coin], script: bytes) -> Plan:
    """For the address with this scriptPubKey. Raises Refused when too little would be paid."""
    available = sum(coin.output.amount.value for coin in coins)
    amount, change = spend.amount.value, bytes(CHANGE_SCRIPT_BYTES)
    fee = _fee(coins, (script, change), spend.sat_per_kw)
    left = available - amount - (0 if spend.fee_from_amount else fee)
    if left < dust_limit(change):
        fee = _fee(coins, (script,), spend.sat_per_kw)
        left = 0
    paid = amount - fee if spend.fee_from_amount else amount
    if paid < dust_limit(script) or available < paid + fee + left:
        raise Refused(f"the inputs have {available} sat: too little to pay {amount} sat with a fee of {fee} sat")
    return Plan(Sat(paid), Sat(left), Sat(available - paid - left))


def dust_limit(script: bytes) -> int:
    """Less than this, in satoshi, to a witness program is not relayed (Bitcoin Core's dust relay fee)."""
    return (8 + 1 + len(script) + _SPENDING_BYTES) * _DUST_SAT_PER_BYTE


def _fee(coins: Sequence[Coin], scripts: Sequence[bytes], sat_per_kw: int) -> int:
    bare = unsigned_transaction(coins, [Output(Sat(0), script) for script in scripts])
    weight = 4 * len(bare) + _MARKER_AND_FLAG + sum(_signature_weight(coin.output.script) for coin in coins)
    return -(-weight * sat_per_kw // 1000)


def _signature_weight(script: bytes) -> int:
    """lnd's wallet has no other kinds of addresses."""
    if is_taproot(script):
        return _TAPROOT_WITNESS
    return _KEY_HASH_WITNESS if script[:1] == b"\x00" else _KEY_HASH_WITNESS + _NESTED_SCRIPT_SIG
