"""One input through one target: python -m tests.fuzz.replay TARGET FILE. It fails as the fuzzer saw it fail."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.fuzz.target import load, names


def main() -> None:
    if len(sys.argv) != 3 or sys.argv[1] not in names():
        sys.exit(f"usage: python -m tests.fuzz.replay TARGET FILE; TARGET is one of {', '.join(names())}")
    load(sys.argv[1]).check(Path(sys.argv[2]).read_bytes())
    sys.stdout.write("this input is handled well\n")


if __name__ == "__main__":
    main()
