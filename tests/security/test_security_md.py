"""SECURITY.md points to what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
ROWS = [
    line.strip("|").split("|") for line in (ROOT / "SECURITY.md").read_text("utf-8").splitlines() if line[:2] == "| "
]
CLAIMS = {row[0].strip(): row[-1] for row in ROWS if "held by" not in row[-1] and re.search(r"`.*[./].*`", row[-1])}


@pytest.mark.parametrize("claim", CLAIMS)
def test_what_holds_a_claim_exists(claim: str) -> None:
    """Every file or directory named beside a claim is in src/lsps, in tests or in the tree."""
    for named in re.findall(r"`([\w/.*-]+)`", CLAIMS[claim]):
        places = [place for base in (ROOT / "src" / "lsps", ROOT / "tests", ROOT) for place in base.glob(named)]
        assert places, f"there is no {named}"


def test_there_are_claims() -> None:
    """The tables are found."""
    assert len(CLAIMS) > 20
