"""Every seed and every kept find goes through its target: what was mended stays mended."""

from __future__ import annotations

import pytest

from tests.fuzz.target import inputs, load, names

CASES = [(name, given, data) for name in names() for given, data in inputs(name)]


@pytest.mark.parametrize(
    ("name", "data"), [(name, data) for name, _, data in CASES], ids=[f"{n}-{g}" for n, g, _ in CASES]
)
def test_no_input_is_a_finding(name: str, data: bytes) -> None:
    """Bad input gets the typed error, good input reads back as it was."""
    load(name).check(data)
