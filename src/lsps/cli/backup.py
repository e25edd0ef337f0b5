"""`lsps backup`: a copy of the LSP's store while it serves, or of the client's journal."""

from __future__ import annotations

import argparse
from pathlib import Path

from lsps.cli import arguments
from lsps.cli.shell import Shell

_DESCRIPTION = """Copy the LSP's store into one file, also while `lsps serve` runs: whole, checked, with mode 0600.

The copy holds the secret that preimages derive from, and customers' tokens: keep it as safe as the store. How to put it
back, and what an old copy does not know: docs/backup.md. --journal copies what this machine bought instead.

  lsps backup /mnt/backup/lsps-$(date +%F).db
  lsps backup /mnt/backup/lsps.db --force --json
  lsps backup /mnt/backup/client.db --journal
"""

_TOLD = ("orders", "leases", "entries")
"""The tables whose numbers tell a person something; --json has all."""


def add(commands: arguments.Commands) -> None:
    parser = arguments.add_command(commands, "backup", "copy the LSP's store while it serves", _DESCRIPTION, node=False)
    parser.add_argument("file", metavar="FILE", type=Path, help="where to; its directory must be there")
    parser.add_argument("--force", action="store_true", help="overwrite FILE")
    parser.add_argument("--journal", action="store_true", help="the client's journal instead of the LSP's store")
    arguments.add_config(parser)
    parser.set_defaults(run=run)


async def run(args: argparse.Namespace, shell: Shell) -> int:
    from lsps.cli import words
    from lsps.cli.failures import DONE, UsageError
    from lsps.cli.output import note, print_json, print_pairs
    from lsps.compose import back_up_journal, back_up_store, default_journal, default_store

    target = shell.directory / args.file
    if args.journal:
        if args.config:
            raise UsageError("--config names an LSP's store; the journal is $XDG_STATE_HOME/lsps/client.db")
        made = back_up_journal(default_journal(shell.environment), shell.directory, target, overwrite=args.force)
    else:
        config = shell.config(args.config)
        url = None if config is None else config.store
        base = shell.directory if config is None else config.directory
        made = back_up_store(url or default_store(shell.environment), base, target, overwrite=args.force)
    if args.json:
        document = {"file": str(made.file), "of": str(made.of), "bytes": made.size, "rows": made.rows}
        print_json(shell, {"backup": {**document, "holds_secret": made.holds_secret}})
    else:
        held = ", ".join(f"{words.number(made.rows[table])} {table}" for table in _TOLD if table in made.rows)
        size = f"{words.number(made.size)} bytes"
        print_pairs(shell, [("of", str(made.of)), ("copy", str(made.file)), ("size", size), ("holds", held)])
    if made.holds_secret:
        note(
            shell,
            "The copy holds the secret that preimages derive from: let nobody read it who may not read the store.",
        )
    return DONE
