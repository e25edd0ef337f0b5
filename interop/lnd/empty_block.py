"""A regtest block without transactions, as nobody but a miner could make it: what waits, goes on waiting.

btcd itself mines whatever waits, so a transaction that a reorganisation took back would be in the same height again.
"""

import hashlib
from itertools import count


def empty_block(previous: str, height: int, time: int, bits: int) -> bytes:
    """The block that follows `previous` (its hash, as btcd shows it), at this height, with its proof of work."""
    coinbase = _coinbase(height)
    version = (0x20000000).to_bytes(4, "little")
    merkle_root = _double_sha256(coinbase)  # of one transaction: its id
    start = (
        version + bytes.fromhex(previous)[::-1] + merkle_root + time.to_bytes(4, "little") + bits.to_bytes(4, "little")
    )
    target = (bits & 0xFFFFFF) << 8 * ((bits >> 24) - 3)
    headers = (start + nonce.to_bytes(4, "little") for nonce in count())
    header = next(one for one in headers if int.from_bytes(_double_sha256(one), "little") <= target)
    return header + b"\x01" + coinbase


def _coinbase(height: int) -> bytes:
    """It takes nothing of what it could, and names its height (BIP 34)."""
    number = height.to_bytes(height.bit_length() // 8 + 1, "little")
    script = bytes([len(number)]) + number
    source = b"\x01" + bytes(32) + b"\xff" * 4 + bytes([len(script)]) + script + b"\xff" * 4
    anyone = b"\x01" + bytes(8) + b"\x01\x51"
    return (1).to_bytes(4, "little") + source + anyone + bytes(4)


def _double_sha256(data: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()
