"""Fuzzes all targets within a budget: python -m tests.fuzz.run [--seconds N] [--target NAME].

First a canary must be found, so that silence means something. What is new is kept in .fuzz/, where the next run
goes on; what fails is made shorter and printed with the way to see it again.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from traceback import format_exception

from tests.fuzz.minimise import minimised
from tests.fuzz.target import CORPUS, load, names

WORK = Path(".fuzz")
CANARY = "_canary"
CANARY_SECONDS = 60
INPUT_SECONDS = 5
"""An input that takes longer is a finding: the slowest honest one takes milliseconds."""
MEMORY_MB = 1024


@dataclass(frozen=True)
class Result:
    target: str
    seconds: float
    inputs: int
    branches: int
    kept: int
    artifact: Path | None
    output: str

    def __str__(self) -> str:
        rate = self.inputs / self.seconds if self.seconds else 0
        kept = f"{self.branches:6} branches {self.kept:6} inputs kept"
        return f"{self.target:<16} {self.inputs:>10} inputs {rate:>8.0f}/s {kept} {self.seconds:>6.0f} s"


def fuzz(name: str, seconds: int, work: Path = WORK) -> Result:
    target = load(name)
    corpus, seeds, finds = (work / part / name for part in ("corpus", "seeds", "finds"))
    for directory in (corpus, seeds, finds):
        directory.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (seeds / str(number)).write_bytes(seed)
    words = work / f"{name}.dict"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words))
    started = time.monotonic()
    process = subprocess.run(
        [
            *(sys.executable, "-m", "tests.fuzz.one", name, f"-max_total_time={seconds}"),
            *([f"-dict={words}"] if target.words else []),
            *(f"-max_len={target.max_bytes}", f"-timeout={INPUT_SECONDS}", f"-rss_limit_mb={MEMORY_MB}"),
            *(f"-artifact_prefix={finds}/", "-print_final_stats=1"),
            *map(str, (corpus, seeds, *([CORPUS / name] if (CORPUS / name).is_dir() else []))),
        ],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    output = process.stdout + process.stderr
    written = re.search(r"Test unit written to (\S+)", output)
    artifact = Path(written[1]) if written else None
    if process.returncode and artifact is None:
        sys.exit(f"{name}: the fuzzer itself failed\n{output[-3000:]}")
    return Result(
        target=name,
        seconds=time.monotonic() - started,
        inputs=_last(r"#(\d+)\s", output),
        branches=_last(r" cov: (\d+)", output),
        kept=len(list(corpus.iterdir())),
        artifact=artifact,
        output=output,
    )


def _escaped(word: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word.encode())


def _last(pattern: str, output: str) -> int:
    found = re.findall(pattern, output)
    return int(found[-1]) if found else 0


def report(result: Result) -> str:
    """What failed, the shortest input that fails so, and how to see it again."""
    path = result.artifact
    if path is None:
        return ""
    check = load(result.target).check
    if path.name.startswith("crash-"):
        path.write_bytes(minimised(check, path.read_bytes()))
    data = path.read_bytes()
    try:
        check(data) if path.name.startswith("crash-") else None
        told = result.output[-2000:]
    except Exception as error:  # whatever it is, it is the finding
        told = "".join(format_exception(error)[-6:])
    return (
        f"\nFOUND by {result.target}, {len(data)} bytes: {data[:200]!r}\n{told}\n"
        f"  again: {os.path.relpath(sys.executable)} -m tests.fuzz.replay {result.target} {path}\n"
        f"  when mended, keep it: cp {path} {os.path.relpath(CORPUS)}/{result.target}/\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for all targets together")
    parser.add_argument("--target", choices=names(), help="only this one")
    wanted = parser.parse_args()
    targets = [wanted.target] if wanted.target else names()
    at_once = min(os.cpu_count() or 1, len(targets))
    each = max(1, wanted.seconds * at_once // len(targets))

    if fuzz(CANARY, CANARY_SECONDS, WORK / "canary").artifact is None:
        sys.exit("the canary was not found: this fuzzer is not guided by coverage, and its silence means nothing")
    with ThreadPoolExecutor(at_once) as pool:
        results = list(pool.map(lambda name: fuzz(name, each), targets))
    for result in results:
        print(result)
    found = [result for result in results if result.artifact is not None]
    for result in found:
        print(report(result))
    print(f"{sum(result.inputs for result in results):,} inputs, {len(found)} findings")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
