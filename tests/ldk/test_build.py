"""The builder of the LDK peer: Rust is found wherever rustup put it, and a machine that cannot build is told why."""

import fcntl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from interop.cache import BuildError
from interop.ldk.build import PROGRAM, VERSION, binary


def fake(directory: Path, tool: str, script: str) -> None:
    """A cargo or rustc that does what `script` says."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / tool).write_text(f"#!/bin/sh\nPATH=/bin:/usr/bin\n{script}\n")
    (directory / tool).chmod(0o755)


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """CARGO_HOME of a machine with an empty cache and no Rust."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("CARGO_HOME", str(tmp_path / "cargo"))
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path / "cargo"


def test_what_is_built_is_not_built_again(capfd: pytest.CaptureFixture[str]) -> None:
    """The second call gives the same program, and says nothing."""
    first = binary()
    capfd.readouterr()
    assert binary() == first
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("home")
def test_without_rust_the_error_says_where_to_get_it() -> None:
    """Without Rust the error names what to install."""
    with pytest.raises(BuildError, match=r"Rust is not installed .*rustup"):
        binary()


def test_a_rust_that_does_not_run(home: Path) -> None:
    """A rustc that fails, such as rustup's without a toolchain, is told in its own words."""
    fake(home / "bin", "rustc", "echo rustup could not choose a version >&2; exit 1")
    with pytest.raises(BuildError, match="rustup could not choose a version"):
        binary()


def test_rust_need_not_be_on_the_path(home: Path, tmp_path: Path) -> None:
    """Tools in CARGO_HOME/bin are found; another compiler is another build, and a failed build leaves nothing."""
    fake(home / "bin", "rustc", "echo rustc 1.99")
    fake(home / "bin", "cargo", "exit 3")
    with pytest.raises(BuildError, match="exit code 3"):
        binary()
    cache = tmp_path / "cache" / "lsps" / f"ldk-{VERSION}"
    assert [path.name for path in cache.iterdir()] == ["build.lock"]
    fake(home / "bin", "cargo", f'mkdir -p "$4/debug" && echo >"$4/debug/{PROGRAM}" && chmod +x "$4/debug/{PROGRAM}"')
    built = binary()
    assert binary() == built
    fake(home / "bin", "rustc", "echo rustc 2.0")
    assert binary() != built


def test_two_at_once_build_once(home: Path, tmp_path: Path) -> None:
    """Of two that need the program at the same time one builds it, the other waits, and both get it."""
    fake(home / "bin", "rustc", "echo rustc 1.99")
    script = f"""
    echo >>{tmp_path}/builds
    while [ ! -e {tmp_path}/go ]; do sleep 0.01; done
    mkdir -p "$4/debug" && echo >"$4/debug/{PROGRAM}" && chmod +x "$4/debug/{PROGRAM}"
    """
    fake(home / "bin", "cargo", script)
    with ThreadPoolExecutor() as threads:
        first, second = (threads.submit(binary) for _ in range(2))
        while not (tmp_path / "builds").exists():
            assert not first.done()
        try:
            lock = (tmp_path / "cache" / "lsps" / f"ldk-{VERSION}" / "build.lock").open()
            with lock, pytest.raises(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            (tmp_path / "go").touch()
        assert first.result() == second.result()
    assert (tmp_path / "builds").read_text() == "\n"
