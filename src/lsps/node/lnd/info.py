"""Who the node is, and on which chain."""

from __future__ import annotations

from lsps.node.contract import NodeInfo, NotSupported
from lsps.node.lnd import lnd_pb2 as pb
from lsps.node.lnd import rpc
from lsps.node.lnd.connection import Connection
from lsps.units import BlockHeight, Network, NodeId


async def read_info(connection: Connection) -> NodeInfo:
    """Raises NotSupported on a chain that lsps has no name for."""
    reply = await connection.call(rpc.GET_INFO, pb.GetInfoRequest())
    network = reply.chains[0].network if reply.chains else ""
    if network not in set(Network):
        raise NotSupported(f"lnd is on {network or 'no chain'}: lsps knows {', '.join(Network)}")
    return NodeInfo(
        node_id=NodeId(reply.identity_pubkey),
        network=Network(network),
        alias=reply.alias,
        height=BlockHeight(reply.block_height),
        features=frozenset(reply.features),
        synced=reply.synced_to_chain,
    )
