"""Bugs in the customer's end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from lsps.client.errors import OrderFailed, PaymentFailed
from lsps.client.following import Follower
from lsps.client.means import Sent
from lsps.client.onchain import Onchain, _OnchainBill
from lsps.client.onchain_sent import OnchainSent, publish
from lsps.client.record import Record
from lsps.client.sight import Sight
from lsps.client.unfinished import Unfinished
from lsps.errors import LspsError
from lsps.node.contract import Spender
from lsps.protocol.payment import Payment
from lsps.store.journal import Entry, OnchainTransaction
from lsps.store.sqlite import statements as sql
from lsps.store.sqlite.journal import SqliteJournal
from tests.simulation.bugs.bug import Patches


def forget_the_journal(patches: Patches) -> None:
    async def entries(_self: Unfinished[Any, Any]) -> Sequence[Entry]:
        return ()

    patches.replace(Unfinished, "entries", entries)


# --- paying on-chain --------------------------------------------------------------------------------------------------


def sign_again_after_a_crash(patches: Patches) -> None:
    """What an earlier run signed is not looked for, and gives way to what this one signs."""

    async def sent(_self: Onchain, _record: Record, _agreed: Payment) -> Sent | None:
        return None

    patches.replace(Onchain, "sent", sent)
    newest = "DO UPDATE SET txid = excluded.txid, raw = excluded.raw, inputs = excluded.inputs"
    patches.replace(sql, "KEEP_TRANSACTION", sql.KEEP_TRANSACTION.replace("DO NOTHING", newest))


def send_before_keeping(patches: Patches) -> None:
    real = _OnchainBill._keep

    async def keep(self: _OnchainBill, record: Record, ready: OnchainTransaction) -> OnchainTransaction:
        await publish(self.wallet, ready)
        return await real(self, record, ready)

    patches.replace(_OnchainBill, "_keep", keep)


def spend_the_same_coins(patches: Patches) -> None:
    """Two purchases at once choose the same coins, and nobody notices."""

    async def inputs_in_use(_self: SqliteJournal, _node: object) -> frozenset[object]:
        return frozenset()

    patches.replace(SqliteJournal, "inputs_in_use", inputs_in_use)
    patches.replace(sql, "INPUTS_OF_OTHERS", "SELECT inputs FROM transactions WHERE entry = :entry AND entry <> :entry")


def wait_for_no_refund(patches: Patches) -> None:
    def check_refund(_self: OnchainSent, follower: Follower[Any, Any], _sight: Sight) -> NoReturn:
        raise OrderFailed("the LSP says FAILED", order_id=follower.order_id)

    patches.replace(OnchainSent, "_check_refund", check_refund)


def give_up_a_replaced_payment(patches: Patches) -> None:
    """Before what replaced it is buried: a reorganisation may bring the payment back."""

    def replaced(_self: OnchainSent, follower: Follower[Any, Any], _sight: Sight, rival: Spender) -> LspsError:
        return PaymentFailed(f"spent in {rival.txid}: nothing was paid", order_id=follower.order_id)

    patches.replace(OnchainSent, "_replaced", replaced)
