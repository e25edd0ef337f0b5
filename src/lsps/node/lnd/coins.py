"""The wallet's coins: what can be spent now, and what a signature can be made for."""

from __future__ import annotations

from collections.abc import Sequence

from lsps.node.contract import Refused, Utxo
from lsps.node.lnd import lnd_pb2 as pb
from lsps.node.lnd import rpc
from lsps.node.lnd.connection import Connection
from lsps.node.lnd.deposits import height_of
from lsps.node.lnd.errors import LndRefused
from lsps.node.lnd.psbt import Coin, Output
from lsps.units import BlockHeight, Outpoint, Sat

TO_THE_TIP_AND_UNCONFIRMED = -1
_MAX_CONFIRMATIONS = 2**31 - 1


async def free_coins(connection: Connection) -> list[Utxo]:
    """Confirmed, and neither leased (by a channel negotiation too) nor spent by a pending transaction: lnd leaves those
    out."""
    request = pb.ListUnspentRequest(min_confs=1, max_confs=_MAX_CONFIRMATIONS)
    reply = await connection.call(rpc.LIST_UNSPENT, request)
    return [
        Utxo(Outpoint(utxo.outpoint.txid_str, utxo.outpoint.output_index), Sat(utxo.amount_sat), utxo.address)
        for utxo in reply.utxos
    ]


async def find_transaction(connection: Connection, txid: str) -> pb.Transaction | None:
    """None: the wallet does not know it."""
    try:
        return await connection.call(rpc.GET_TRANSACTION, pb.GetTransactionRequest(txid=txid))
    except LndRefused:
        return None


async def coins_to_sign(connection: Connection, inputs: Sequence[Outpoint]) -> list[Coin]:
    """The wallet's confirmed outputs of these names, that no transaction in a block spends. Raises Refused.

    lnd would sign for any output that was ever its own.
    """
    if not inputs or len(set(inputs)) != len(inputs):
        raise Refused("a transaction spends inputs that are named once each")
    transactions = {
        txid: await find_transaction(connection, txid) for txid in sorted({outpoint.txid for outpoint in inputs})
    }
    coins, heights = [], []
    for outpoint in inputs:
        tx = transactions[outpoint.txid]
        output = _own_output(tx, outpoint)
        height = None if tx is None else height_of(tx)
        if output is None or height is None:
            raise Refused(f"{outpoint} is no confirmed output of this wallet")
        coins.append(Coin(outpoint, Output(Sat(output.amount), bytes.fromhex(output.pk_script))))
        heights.append(height)
    await _check_unspent(connection, inputs, min(heights))
    return coins


def _own_output(tx: pb.Transaction | None, outpoint: Outpoint) -> pb.OutputDetail | None:
    outputs = () if tx is None else tx.output_details
    return next((one for one in outputs if one.output_index == outpoint.index and one.is_our_address), None)


async def _check_unspent(connection: Connection, inputs: Sequence[Outpoint], since: BlockHeight) -> None:
    free = {utxo.outpoint for utxo in await free_coins(connection)}
    others = {str(outpoint) for outpoint in inputs if outpoint not in free}
    if not others:
        return  # the history since then may be long
    request = pb.GetTransactionsRequest(start_height=since.value, end_height=TO_THE_TIP_AND_UNCONFIRMED)
    reply = await connection.call(rpc.GET_TRANSACTIONS, request)
    for tx in reply.transactions:
        for previous in tx.previous_outpoints:
            if tx.block_height > 0 and previous.outpoint in others:
                raise Refused(f"{previous.outpoint} is spent by {tx.tx_hash}, which is confirmed")
