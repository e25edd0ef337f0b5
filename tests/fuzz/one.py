"""Fuzzes one target with atheris until libFuzzer's own options say stop: python -m tests.fuzz.one TARGET -OPTION…"""

from __future__ import annotations

import logging
import sys

import atheris

INSTRUMENTED = ["lsps", "tests.fuzz", "tomllib", "urllib.parse", "ipaddress"]
"""Whose branches guide the fuzzer. What is written in C (msgspec, re, libsecp256k1) cannot be seen."""


def main() -> None:
    name, *options = sys.argv[1:]
    logging.disable()  # a warning is no finding, a million of them are slow
    with atheris.instrument_imports(include=INSTRUMENTED):
        from tests.fuzz.target import load

        target = load(name)
    mutate = target.mutate

    def custom_mutator(data: bytes, max_bytes: int, seed: int) -> bytes:
        mutated = mutate(data, max_bytes, seed) if mutate is not None else None
        changed: bytes = atheris.Mutate(data, max_bytes) if mutated is None else mutated
        return changed

    further = {} if mutate is None else {"custom_mutator": custom_mutator}
    atheris.Setup([sys.argv[0], *options], target.check, **further)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
