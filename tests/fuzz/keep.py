"""Keeps in the tree what a run of the fuzzer found worth keeping: python -m tests.fuzz.keep [WORK].

Of .fuzz/corpus, smallest first, every input that takes a way through lsps which no seed and no kept input takes.
"""

from __future__ import annotations

import hashlib
import logging
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from tests.fuzz.run import WORK
from tests.fuzz.target import CORPUS, Check, inputs, load, names

LARGEST_BYTES = 4_096

Way = tuple[str, int, int]
"""A file, a line in it, and the line executed before."""


def ways(check: Check, data: bytes) -> set[Way]:
    taken: set[Way] = set()

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        file = frame.f_code.co_filename
        if "/lsps/" not in file:
            return None
        before = frame.f_lineno

        def lines(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal before
            if event == "line":
                taken.add((file, before, frame.f_lineno))
                before = frame.f_lineno
            return lines

        return lines

    sys.settrace(trace)
    try:
        check(data)
    finally:
        sys.settrace(None)
    return taken


def keep(name: str, found: Path) -> int:
    check = load(name).check
    known = {way for _, data in inputs(name) for way in ways(check, data)}
    kept = 0
    for data in sorted((path.read_bytes() for path in found.glob("*")), key=len):
        new = ways(check, data) - known
        if new and len(data) <= LARGEST_BYTES:
            known |= new
            (CORPUS / name).mkdir(parents=True, exist_ok=True)
            (CORPUS / name / hashlib.sha256(data).hexdigest()[:12]).write_bytes(data)
            kept += 1
    return kept


def main() -> None:
    logging.disable()
    work = Path(sys.argv[1]) if len(sys.argv) > 1 else WORK
    for name in names():
        print(f"{name:<16} {keep(name, work / 'corpus' / name):>4} kept")


if __name__ == "__main__":
    main()
