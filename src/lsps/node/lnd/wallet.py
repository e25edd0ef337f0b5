"""The on-chain wallet (node contract: Wallet)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from lsps.lightning.bech32 import InvalidAddress, decode_address
from lsps.node.contract import Deposit, Refused, Resumed, SignedTransaction, Spend, Utxo, WalletChanged
from lsps.node.lnd import lnd_pb2 as pb
from lsps.node.lnd import rpc
from lsps.node.lnd.coins import TO_THE_TIP_AND_UNCONFIRMED, coins_to_sign, find_transaction, free_coins
from lsps.node.lnd.connection import Connection
from lsps.node.lnd.deposits import deposits
from lsps.node.lnd.errors import LndRefused
from lsps.node.lnd.info import read_info
from lsps.node.lnd.psbt import Output, psbt, transaction_id
from lsps.node.lnd.spending import plan
from lsps.node.lnd.streams import Reconnecting
from lsps.units import BlockHeight, Network

LEAST_SAT_PER_KW = 253
"""1 sat per virtual byte, the relay minimum, rounded up as LND does."""
COMMITTED_SECONDS = 1.0
"""lnd tells of a transaction before its wallet has committed it: what is read at once does not show it yet."""
LABEL = "lsps"
"""Of our transactions in lnd's list: for people."""
_MAX_HEIGHT = 2**31 - 1


class LndWallet:
    def __init__(self, connection: Connection, streams: Reconnecting) -> None:
        self._connection = connection
        self._streams = streams
        self._network: Network | None = None

    @property
    def sees_fees(self) -> bool:
        """LND's wallet does not know what an incoming transaction spends."""
        return False

    async def inputs(self) -> Sequence[Utxo]:
        return await free_coins(self._connection)

    async def feerate(self, target_blocks: int) -> int:
        # bitcoind and the fee services estimate for 2 to 1008 blocks.
        request = pb.EstimateFeeRequest(conf_target=min(max(target_blocks, 2), 1008))
        reply = await self._connection.call(rpc.ESTIMATE_FEE, request)
        return max(LEAST_SAT_PER_KW, reply.sat_per_kw)

    async def new_address(self) -> str:
        """A taproot address."""
        reply = await self._connection.call(rpc.NEW_ADDRESS, pb.NewAddressRequest(type=pb.TAPROOT_PUBKEY))
        return reply.address

    async def deposits(self, since: BlockHeight) -> Sequence[Deposit]:
        """What spends one of them is in its block or a later one, so it is in the same answer."""
        request = pb.GetTransactionsRequest(
            start_height=min(since.value, _MAX_HEIGHT), end_height=TO_THE_TIP_AND_UNCONFIRMED
        )
        reply = await self._connection.call(rpc.GET_TRANSACTIONS, request)
        return deposits(reply.transactions)

    def changes(self) -> AsyncIterator[Resumed | WalletChanged]:
        """LND tells when a transaction comes, and when it confirms."""
        return self._streams.endless("transactions", self._session)

    async def sign(self, spend: Spend) -> SignedTransaction:
        """LND locks and notes nothing: FinalizePsbt only signs what we have put together ourselves."""
        script = await self._script(spend.address)
        coins = await coins_to_sign(self._connection, spend.inputs)
        planned = plan(spend, coins, script)
        outputs = [Output(planned.paid, script)]
        if planned.change:
            outputs.append(Output(planned.change, await self._script(await self.new_address())))
        request = pb.FinalizePsbtRequest(funded_psbt=psbt(coins, outputs))
        raw = (await self._connection.call(rpc.FINALIZE_PSBT, request)).raw_final_tx
        return SignedTransaction(transaction_id(raw), raw, planned.paid, planned.fee)

    async def publish(self, transaction: SignedTransaction) -> None:
        # LND's wallet takes a transaction that is in a block already for one that waits for a moment, and when it drops
        # that again, drops with it what spends its change.
        if await self._is_confirmed(transaction.txid):
            return
        request = pb.PublishTransactionRequest(tx_hex=transaction.raw, label=LABEL)
        try:
            await self._connection.call(rpc.PUBLISH_TRANSACTION, request)
        except LndRefused:
            if not await self._is_confirmed(transaction.txid):
                raise

    async def _is_confirmed(self, txid: str) -> bool:
        tx = await find_transaction(self._connection, txid)
        return tx is not None and tx.block_height > 0

    async def _script(self, address: str) -> bytes:
        """The scriptPubKey. Raises Refused."""
        if self._network is None:
            self._network = (await read_info(self._connection)).network
        try:
            return decode_address(address, self._network, future_versions=False).script
        except InvalidAddress as error:
            raise Refused(str(error)) from None

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[AsyncIterator[WalletChanged]]:
        async with self._connection.stream(rpc.TRANSACTIONS, pb.GetTransactionsRequest()) as transactions:
            yield self._late(transactions)

    async def _late(self, transactions: AsyncIterator[pb.Transaction]) -> AsyncIterator[WalletChanged]:
        async for _ in transactions:
            await self._streams.pause(COMMITTED_SECONDS)
            yield WalletChanged()
