"""Builds lnd and btcd from the Go module proxy, once, and keeps the programs in the user's cache.

`go install module@version` refuses lnd, because lnd's own go.mod has replace directives. So the go.mod beside this file
is a small module of ours that requires both and repeats those directives; its go.sum pins every module's content.

    python -m interop.lnd.build        # builds if needed, then prints the directory that holds the programs
"""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from interop.cache import BuildError, cache, kept

VERSION = "v0.21.2-beta"  # as in go.mod; only names the cache directory
PROGRAMS = {
    "lnd": "github.com/lightningnetwork/lnd/cmd/lnd",
    "lncli": "github.com/lightningnetwork/lnd/cmd/lncli",
    "btcd": "github.com/btcsuite/btcd",
    "btcctl": "github.com/btcsuite/btcd/cmd/btcctl",
}
TAGS = "invoicesrpc routerrpc signrpc walletrpc chainrpc peersrpc"  # lnd's sub-servers are off unless asked for
OPTIONS = ("-mod=readonly", "-trimpath", "-ldflags=-s -w", f"-tags={TAGS}")
RECIPE = Path(__file__).parent


def binaries() -> Path:
    """The directory that holds lnd, lncli, btcd and btcctl; builds them first (minutes) if that was not done yet.

    Raises BuildError. Safe to call from several processes at once: one builds, the others wait.
    """
    return kept(cache() / f"lnd-{VERSION}" / _key(), list(PROGRAMS), _build)


def _build(directory: Path) -> None:
    go = _go()
    print(f"building lnd {VERSION} and btcd; this takes 4 to 7 minutes on two cores, once", file=sys.stderr, flush=True)
    started = time.monotonic()
    command = [go, "build", *OPTIONS, "-o", f"{directory}{os.sep}", *PROGRAMS.values()]
    done = subprocess.run(command, cwd=RECIPE, env=_environment(), check=False)
    if done.returncode != 0:
        raise BuildError(f"`go build` failed with exit code {done.returncode}; its messages are above")
    print(f"built in {time.monotonic() - started:.0f} s", file=sys.stderr)


def _go() -> str:
    """The path of a Go tool that is new enough for go.mod (Go 1.21+ may fetch the newer toolchain by itself)."""
    needed_match = re.search(r"^go (\S+)$", (RECIPE / "go.mod").read_text(), re.MULTILINE)
    if needed_match is None:
        raise BuildError(f"{RECIPE / 'go.mod'} has no `go` line")
    needed = needed_match[1]
    go = shutil.which("go")
    if go is None:
        raise BuildError(
            f"Go is not installed: install Go {needed} or newer and put `go` on the PATH, then run this again"
        )
    # Asked inside the module, so that a toolchain switch has happened already, or has been refused.
    asked = subprocess.run(
        [go, "env", "GOVERSION"], cwd=RECIPE, env=_environment(), capture_output=True, text=True, check=False
    )
    found = asked.stdout.strip().removeprefix("go")
    if _numbers(found) < _numbers(needed):  # nothing, if it refused
        said = asked.stderr.strip() or f"this is Go {found}"
        raise BuildError(f"Go is too old ({said}): install Go {needed} or newer, then run this again")
    return go


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _environment() -> dict[str, str]:
    # Without cgo no C compiler is needed, and the programs do not depend on this machine's libraries.
    return os.environ | {"CGO_ENABLED": "0"}


def _key() -> str:
    """Changes when anything changes that decides what is built."""
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum", "tools.go"):
        digest.update((RECIPE / name).read_bytes())
    digest.update(repr((OPTIONS, PROGRAMS, platform.system(), platform.machine())).encode())
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    try:
        print(binaries())
    except BuildError as error:
        sys.exit(f"interop/lnd: {error}")
