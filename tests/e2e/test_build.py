"""The builder: what is built already is not built again, and a machine that cannot build is told what it lacks."""

import subprocess
import sys
from pathlib import Path

import pytest

from interop.cache import BuildError
from interop.lnd.build import PROGRAMS, VERSION, binaries

ROOT = Path(__file__).parents[2]


def fake_go(directory: Path, script: str) -> None:
    """Puts a `go` on the path that does what `script` says."""
    directory.mkdir()
    go = directory / "go"
    go.write_text(f"#!/bin/sh\n{script}\n")
    go.chmod(0o755)


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache, and a PATH with a directory for a fake go before the system's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'go'}:/bin")
    return tmp_path / "cache" / "lsps" / f"lnd-{VERSION}"


def test_what_is_built_is_used_without_go(
    programs: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """With the programs in the cache, binaries() gives their directory and neither needs Go nor says a word."""
    monkeypatch.setenv("PATH", "")
    assert binaries() == programs
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("cache")
def test_without_go_the_error_says_which_go_to_install() -> None:
    """Without Go on the PATH the error names the version to install."""
    with pytest.raises(BuildError, match=r"Go is not installed: install Go 1\.\d+\.\d+ or newer"):
        binaries()


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("script", ["echo go1.21.13", "echo 'go.mod requires go >= 1.25' >&2; exit 1"])
def test_an_old_go_is_refused(tmp_path: Path, script: str) -> None:
    """A Go that is older than go.mod asks for, or that refuses to switch, is refused with the version to install."""
    fake_go(tmp_path / "go", script)
    with pytest.raises(BuildError, match=r"Go is too old .*install Go 1\.\d+\.\d+ or newer"):
        binaries()


def test_an_unfinished_build_is_not_taken_for_a_finished_one(cache: Path, tmp_path: Path) -> None:
    """After a build that failed halfway the cache holds no program; then, or when one was removed, it builds again."""
    # Go writes one program, then fails; at the second call it writes all of them.
    fake_go(
        tmp_path / "go",
        f"""if [ "$1" = env ]; then echo go99.0.0; exit; fi
        while [ "$1" != -o ]; do shift; done
        out="$2"
        touch {tmp_path}/tries && echo x >> {tmp_path}/tries
        for each in {" ".join(PROGRAMS)}; do
            touch "$out$each" && chmod +x "$out$each"
            [ "$(wc -l < {tmp_path}/tries)" -gt 1 ] || exit 1
        done""",
    )
    with pytest.raises(BuildError, match="exit code 1"):
        binaries()
    assert [path.name for path in cache.iterdir()] == ["build.lock"]
    built = binaries()
    assert sorted(path.name for path in built.iterdir()) == sorted(PROGRAMS)
    assert built.parent == cache
    (built / "lncli").unlink()
    assert sorted(path.name for path in binaries().iterdir()) == sorted(PROGRAMS)


def test_two_builders_build_once(cache: Path, tmp_path: Path) -> None:
    """Of two processes that want the programs at once one builds them, and the other waits and gives the same
    directory; neither ever sees half of them there."""
    fake_go(
        tmp_path / "go",
        f"""if [ "$1" = env ]; then echo go99.0.0; exit; fi
        while [ "$1" != -o ]; do shift; done
        echo x >> {tmp_path}/tries
        for each in {" ".join(PROGRAMS)}; do sleep 0.2; touch "$2$each" && chmod +x "$2$each"; done""",
    )
    command = [sys.executable, "-m", "interop.lnd.build"]
    builders = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    printed = {builder.communicate(timeout=60)[0].strip() for builder in builders}
    assert [builder.returncode for builder in builders] == [0, 0]
    (directory,) = map(Path, printed)
    assert directory.parent == cache
    assert sorted(path.name for path in directory.iterdir()) == sorted(PROGRAMS)
    assert (tmp_path / "tries").read_text() == "x\n"
