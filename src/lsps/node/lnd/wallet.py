"""The on-chain wallet (node contract: Wallet)."""

from __future__ import annotations

from collections.abc import Sequence

from lsps.node.contract import Utxo
from lsps.node.lnd import lnd_pb2 as pb
from lsps.node.lnd import rpc
from lsps.node.lnd.connection import Connection
from lsps.units import Outpoint, Sat

LEAST_SAT_PER_KW = 253
"""1 sat per virtual byte, the relay minimum, rounded up as LND does."""
_MAX_CONFIRMATIONS = 2**31 - 1


class LndWallet:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def sees_fees(self) -> bool:
        """LND's wallet does not know what an incoming transaction spends."""
        return False

    async def inputs(self) -> Sequence[Utxo]:
        # LND leaves out what is leased (by a channel negotiation too) and what a pending transaction spends.
        request = pb.ListUnspentRequest(min_confs=1, max_confs=_MAX_CONFIRMATIONS)
        reply = await self._connection.call(rpc.LIST_UNSPENT, request)
        return [
            Utxo(Outpoint(utxo.outpoint.txid_str, utxo.outpoint.output_index), Sat(utxo.amount_sat), "")
            for utxo in reply.utxos
        ]

    async def feerate(self, target_blocks: int) -> int:
        # bitcoind and the fee services estimate for 2 to 1008 blocks.
        request = pb.EstimateFeeRequest(conf_target=min(max(target_blocks, 2), 1008))
        reply = await self._connection.call(rpc.ESTIMATE_FEE, request)
        return max(LEAST_SAT_PER_KW, reply.sat_per_kw)
