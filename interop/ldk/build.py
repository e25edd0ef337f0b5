"""Builds the LDK peer from released crates, once, and keeps the program in the user's cache.

python -m interop.ldk.build        # builds if needed, then prints the path of the program
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from interop.cache import BuildError, cache, kept

VERSION = "0.3.0-rc3"  # of LDK's crates, as in Cargo.toml; only names the cache directory
PROGRAM = "lsps-ldk"
RECIPE = Path(__file__).parent


def binary() -> Path:
    """The path of the program; builds it first (half a minute) if that was not done yet.

    Raises BuildError. Safe to call from several processes at once: one builds, the others wait.
    """
    home = cache() / f"ldk-{VERSION}"

    def build(directory: Path) -> None:
        # The crates' own objects stay beside, so that a change of our few files costs seconds.
        _build(home / "target", directory)

    return kept(home / _key(), [PROGRAM], build) / PROGRAM


def _build(objects: Path, directory: Path) -> None:
    print(f"building LDK {VERSION}; this takes about a minute on two cores, once", file=sys.stderr, flush=True)
    started = time.monotonic()
    command: list[str | Path] = [_rust("cargo"), "build", "--quiet", "--target-dir", objects]
    done = subprocess.run(command, cwd=RECIPE, env=_environment(), check=False)
    if done.returncode != 0:
        raise BuildError(f"`cargo build` failed with exit code {done.returncode}; its messages are above")
    shutil.copy2(objects / "debug" / PROGRAM, directory / PROGRAM)
    print(f"built in {time.monotonic() - started:.0f} s", file=sys.stderr)


def _rust(tool: str) -> str:
    """The path of cargo or rustc, wherever rustup put it."""
    found = shutil.which(tool, path=_environment()["PATH"])
    if found is None:
        raise BuildError(
            f"Rust is not installed ({tool} was not found): install a current Rust (1.95 is tested) "
            "with rustup (https://rustup.rs), then run this again"
        )
    return found


def _environment() -> dict[str, str]:
    """rustup's own directory is on the PATH of login shells only, so it is added here."""
    home = os.environ.get("CARGO_HOME") or str(Path.home() / ".cargo")
    return os.environ | {"PATH": os.pathsep.join([os.environ.get("PATH", os.defpath), str(Path(home) / "bin")])}


def _key() -> str:
    """Changes when anything changes that decides what is built."""
    digest = hashlib.sha256()
    for file in (RECIPE / "Cargo.toml", *sorted((RECIPE / "src").glob("*.rs"))):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    command = [_rust("rustc"), "--version", "--verbose"]
    asked = subprocess.run(command, env=_environment(), capture_output=True, text=True, check=False)
    if asked.returncode != 0:
        raise BuildError(f"`rustc --version` failed: {asked.stderr.strip()}")
    digest.update(asked.stdout.encode())
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    try:
        print(binary())
    except BuildError as error:
        sys.exit(f"interop/ldk: {error}")
