"""The id of a signed transaction, as the node's wallet gives it back (BIP 144). An independent reader checks it."""

from __future__ import annotations

import wallycore  # type: ignore[import-untyped]

from lsps.node.lnd.psbt import Coin, NotASignedTransaction, Output, psbt, transaction_id, unsigned_transaction
from lsps.units import Outpoint, Sat
from tests.fuzz.target import Target
from tests.node.lnd.test_lnd_psbt import SIGNED

SCRIPTS = (b"\x51\x20" + bytes(32), b"\x00\x14" + bytes(20), b"", bytes(300))


def check(data: bytes) -> None:
    """The id or the typed error; an id is the one that another library finds, if that reads these bytes at all. And a
    PSBT of ours, of any size, is one."""
    try:
        found = transaction_id(data)
    except NotASignedTransaction as error:
        assert str(error)
    else:
        assert found == (id_by_another(data) or found)
    if data:
        coins = [Coin(Outpoint(f"{number:064x}", number), Output(Sat(1), SCRIPTS[number % 2])) for number in data[:20]]
        outputs = [Output(Sat(number), SCRIPTS[number % 4]) for number in data[20:40]]
        if coins and outputs and len(set(coins)) == len(coins):
            read = wallycore.psbt_from_bytes(psbt(coins, outputs), 0)
            assert wallycore.tx_to_bytes(wallycore.psbt_get_global_tx(read), 0) == unsigned_transaction(coins, outputs)


def id_by_another(data: bytes) -> str | None:
    try:
        return bytes(wallycore.tx_get_txid(wallycore.tx_from_bytes(data, 0)))[::-1].hex()
    except ValueError:
        return None


WITH_WITNESS = bytes.fromhex(SIGNED)
TARGET = Target(
    check,
    (
        WITH_WITNESS,
        WITH_WITNESS[:60],
        b"\x02\0\0\0\0\1\0\0" + bytes(4),
        b"\x02\0\0\0\0\1\xfe\xff\xff\xff\x7f" + bytes(9),
        b"\x02\0\0\0\0\1\xff" + b"\xff" * 8 + bytes(9),
        b"\x02\0\0\0\0\1\1" + bytes(36) + b"\xfd\xff\xff" + bytes(60),
    ),
    words=("\xfd", "\xfe", "\xff", "\0\1"),
    max_bytes=1_000,
)
