"""What really happened, read from lnd itself: invoices, payments, channels, wallet. Amounts are whole sat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from interop.lnd.node import LncliError, Node
from interop.lnd.regtest import eventually

MANY = 10_000


async def invoices(node: Node, state: str | None = None) -> dict[str, dict[str, Any]]:
    """All its invoices by payment hash, oldest first; `state` OPEN, ACCEPTED (held), SETTLED or CANCELED picks some."""
    listed = await node.lncli("listinvoices", "--paginate-forwards", f"--max_invoices={MANY}")
    return {each["r_hash"]: each for each in listed["invoices"] if state in (None, each["state"])}


async def settled(node: Node) -> dict[str, int]:
    """What its settled invoices brought, by payment hash."""
    return {digest: int(each["amt_paid_sat"]) for digest, each in (await invoices(node, "SETTLED")).items()}


async def payments(node: Node, status: str | None = None) -> dict[str, dict[str, Any]]:
    """All its payments by payment hash, oldest first; `status` IN_FLIGHT, SUCCEEDED or FAILED picks some."""
    listed = await node.lncli("listpayments", "--include_incomplete", "--paginate_forwards", f"--max_payments={MANY}")
    return {each["payment_hash"]: each for each in listed["payments"] if status in (None, each["status"])}


async def pending_channels(node: Node, peer: Node) -> list[dict[str, Any]]:
    """Channels with this peer that wait for their funding to confirm."""
    pending = (await node.lncli("pendingchannels"))["pending_open_channels"]
    return [each["channel"] for each in pending if each["channel"]["remote_node_pub"] == peer.node_id]


async def channels_between(node: Node, peer: Node) -> dict[str, dict[str, Any]]:
    """Its open channels with this peer by funding outpoint."""
    return {each["channel_point"]: each for each in await node.channels() if each["remote_pubkey"] == peer.node_id}


@dataclass(frozen=True)
class Received:
    """An output to an address of a wallet. `confirmations` is 0 while it waits for a block."""

    txid: str
    amount: int
    confirmations: int


async def received(node: Node, address: str) -> list[Received]:
    """All that the node's wallet ever got at this address."""
    return [
        Received(tx["tx_hash"], int(output["amount"]), int(tx["num_confirmations"]))
        for tx in await transactions(node)
        for output in tx["output_details"]
        if output["address"] == address
    ]


async def spenders(node: Node, outpoint: str) -> set[str]:
    """The transactions of the node's wallet that spend this output, confirmed or not."""
    listed = await transactions(node)
    return {tx["tx_hash"] for tx in listed if outpoint in {one["outpoint"] for one in tx["previous_outpoints"]}}


async def transactions(node: Node) -> list[dict[str, Any]]:
    """All that its wallet knows, unconfirmed ones too."""
    return list((await node.lncli("listchaintxns", "--start_height=0", "--end_height=-1"))["transactions"])


def scid(channel: dict[str, Any]) -> str:
    """BLOCKxTXxOUTPUT of a channel as lncli lists it: its confirmed one when there is one, else lnd's own alias."""
    confirmed = int(channel["zero_conf_confirmed_scid"])
    return text(confirmed) if confirmed else str(channel["scid_str"])


def scids(channel: dict[str, Any]) -> set[str]:
    """All names of the channel: confirmed, and the aliases that each side gave it."""
    aliases = [*channel["alias_scids"], channel["peer_scid_alias"]]
    return {scid(channel), str(channel["scid_str"]), *(text(int(alias)) for alias in aliases)}


def text(number: int) -> str:
    """An SCID as lnd gives it, a number, in the form BLOCKxTXxOUTPUT."""
    return f"{number >> 40}x{number >> 16 & 0xFFFFFF}x{number & 0xFFFF}"


async def in_graph(node: Node, channel_point: str) -> bool:
    """Whether the node's graph holds the channel with an announcement's two policies, as one learns it by gossip."""
    try:
        edge = await node.lncli("getchaninfo", f"--chan_point={channel_point}")
    except LncliError:
        return False
    return bool(edge["node1_policy"] and edge["node2_policy"])


async def until_state(node: Node, payment_hash: str, state: str, timeout: float = 60) -> None:
    """Waits until the node's invoice is in this state."""

    async def reached() -> bool:
        return bool((await node.lncli("lookupinvoice", payment_hash))["state"] == state)

    await eventually(f"{node.name}'s invoice {payment_hash} is {state}", reached, timeout)


async def until_payment(node: Node, payment_hash: str, status: str, timeout: float = 60) -> None:
    """Waits until the node's payment of this hash has this status."""

    async def reached() -> bool:
        return payment_hash in await payments(node, status)

    await eventually(f"{node.name}'s payment {payment_hash} is {status}", reached, timeout)


async def hash_of(node: Node, invoice: str) -> str:
    """The payment hash of a BOLT11 invoice, as lnd decodes it."""
    return str((await node.lncli("decodepayreq", invoice))["payment_hash"])
