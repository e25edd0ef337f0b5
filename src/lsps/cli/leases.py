"""`lsps leases`: channels, until when the LSP keeps them, and how many blocks may be added."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lsps.cli import arguments
from lsps.cli.shell import Shell

if TYPE_CHECKING:
    from lsps.client.client import Client
    from lsps.client.lsp import Lsp
    from lsps.node.contract import Channel
    from lsps.protocol.lsps7 import ExtendableChannels
    from lsps.units import BlockHeight, NodeId, Scid

ANSWER_SECONDS = 15.0
"""For a peer that may be no LSP at all: those say nothing."""

_DESCRIPTION = """Your channels that an LSP lets you extend: when each lease ends, and how many blocks may be added.

Without --lsp, every peer that you have an open channel with is asked; those that do not answer within 15 seconds are
taken for no LSPs.

  lsps leases
  lsps leases --lsp 02…@lsp.example:9735
  lsps leases --json | jq '.channels[] | select(.blocks_left < 1008)'
"""


def add(commands: arguments.Commands) -> None:
    parser = arguments.add_command(commands, "leases", "channels, their expiry, how far they extend", _DESCRIPTION)
    arguments.add_lsp(parser, required=False, text="ask this LSP alone")
    parser.set_defaults(run=run)


@dataclass(frozen=True)
class Answers:
    """`silent` are peers that gave no list, with the reason."""

    lists: Sequence[tuple[NodeId, ExtendableChannels]]
    silent: Sequence[tuple[NodeId, str]]


async def run(args: argparse.Namespace, shell: Shell) -> int:
    from lsps.cli.failures import DONE
    from lsps.cli.output import note
    from lsps.node.contract import require

    async with shell.client(args) as client:
        channels = await require(client.node.channels, "channels").list()
        if args.lsp is not None:
            lsp = client.lsp(args.lsp)
            answers = Answers([(lsp.node_id, await lsp.lsps7.get_extendable_channels())], [])
        else:
            answers = await _ask_all(client, channels)
        tip = (await client.node.info()).height
    for node_id, listed in answers.lists:
        for bad in listed.rejected:
            note(shell, f"warning: entry {bad.index} of {node_id}'s list is left out: {bad.path}: {bad.rule}")
    if args.json:
        _print_json(shell, answers, channels, tip)
    else:
        _print_table(shell, answers, channels, tip)
    return DONE


async def _ask_all(client: Client, channels: Sequence[Channel]) -> Answers:
    from lsps.client.errors import LspRefused, RuleViolated, Unreachable
    from lsps.node.contract import ChannelState, NodeUnreachable, PeerNotConnected

    peers = dict.fromkeys(channel.peer for channel in channels if channel.state is ChannelState.OPEN)

    async def ask(lsp: Lsp) -> ExtendableChannels | str:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await lsp.lsps7.get_extendable_channels()
        except TimeoutError:
            return "no answer"
        except (LspRefused, RuleViolated, Unreachable, PeerNotConnected, NodeUnreachable) as error:
            return str(error)

    answers = await asyncio.gather(*(ask(client.lsp(peer)) for peer in peers))
    pairs = list(zip(peers, answers, strict=True))
    return Answers(
        [(peer, answer) for peer, answer in pairs if not isinstance(answer, str)],
        [(peer, answer) for peer, answer in pairs if isinstance(answer, str)],
    )


def _own(channels: Sequence[Channel], lsp: NodeId, scid: Scid) -> Channel | None:
    """Our channel with that LSP which has this SCID, confirmed or alias."""
    for channel in channels:
        if channel.peer == lsp and scid in {channel.scid, channel.peer_alias, *channel.aliases}:
            return channel
    return None


def _print_json(shell: Shell, answers: Answers, channels: Sequence[Channel], tip: BlockHeight) -> None:
    from lsps.cli.output import print_json
    from lsps.protocol.message import to_json

    rows = []
    for lsp, listed in answers.lists:
        for entry in listed:
            own = _own(channels, lsp, entry.short_channel_id)
            rows.append(
                {
                    **dict(to_json(entry)),  # type: ignore[call-overload]
                    "lsp": lsp,
                    "blocks_left": max(0, entry.expiration_block.blocks_since(tip)),
                    "capacity_sat": None if own is None else own.capacity,
                }
            )
    silent = [{"peer": peer, "reason": reason} for peer, reason in answers.silent]
    print_json(shell, {"height": tip, "channels": rows, "no_answer": silent})


def _print_table(shell: Shell, answers: Answers, channels: Sequence[Channel], tip: BlockHeight) -> None:
    from lsps.cli import words
    from lsps.cli.output import console, note, table

    entries = [(lsp, entry) for lsp, listed in answers.lists for entry in listed]
    entries.sort(key=lambda pair: (pair[1].expiration_block, pair[1].short_channel_id))
    if entries:
        made = table("channel", "capacity", "lease ends", "can be extended by", "LSP", numbers=["capacity"])
        for lsp, entry in entries:
            own = _own(channels, lsp, entry.short_channel_id)
            made.add_row(
                str(entry.short_channel_id),
                "not in this node" if own is None else words.sat(own.capacity),
                words.expiry(entry.expiration_block, tip),
                words.blocks(entry.max_channel_extension_expiry_blocks),
                words.short(str(lsp)),
            )
        console(shell).print(made)
    else:
        note(shell, "There is no channel that can be extended.")
    for peer, reason in answers.silent:
        note(shell, f"no list from {peer}: {reason}")
