"""The JSON examples of the bLIPs, as bytes."""

from __future__ import annotations

import json
from pathlib import Path

_VECTORS = Path(__file__).parent.parent / "vectors"


def example(blip: int, name: str) -> bytes:
    """The example `name` of tests/vectors/blip<blip>.json."""
    return json.dumps(_file(blip)[name]["json"]).encode()


def names() -> set[tuple[int, str]]:
    """Every example there is."""
    return {(blip, name) for blip in (50, 51, 57) for name in _file(blip)}


def _file(blip: int) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = json.loads((_VECTORS / f"blip{blip}.json").read_text("utf-8"))["examples"]
    return found
