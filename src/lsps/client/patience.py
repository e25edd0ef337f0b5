"""How long a client waits for what, in seconds of its clock."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """bLIP-50 asks for timeouts on the scale of minutes. A poll may be shorter: the next one follows."""

    reply: float = 60
    """For the answer to one request."""
    poll_reply: float = 20
    """For the answer to get_order while an order is followed."""
    attempts: int = 3
    """Of an idempotent request that got no answer. create_order is sent once."""
    backoff: float = 1
    """Before the second attempt; doubled before each further one."""
    first_poll: float = 1
    longest_poll: float = 10
    """Between two get_orders: from the one, growing, to the other."""
    given_back: float = 15
    """For the LSP's last word on an order whose payment came back."""
    delivery: float = 300
    """For the LSP to complete an order that is paid."""
    onchain: float = 3_600
    """On-chain, for the LSP to take its next step once the chain has what it needs: to count a payment that has enough
    confirmations, to deliver or give up (it may wait for its peer, or for funds), to send a refund. Blocks themselves
    are waited for without end."""
    verify: float = 60
    """For our own node, or the list, to show what was delivered."""
    own_node: float = 300
    """For our own node to answer again, when it went away during a payment."""
