"""No place where the fast suite makes the service die is left out on real nodes."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.service.flows import FLOWS

HERE = Path(__file__).parent
SIMULATED_ALONE = {"check_channel.committed"}
"""An extension paid while the channel list is being read again: lnd gives its list in milliseconds."""


@pytest.mark.parametrize(("file", "onchain"), [("test_5_lsp_crashes.py", False), ("test_11_onchain_crashes.py", True)])
def test_no_failpoint_is_forgotten(file: str, onchain: bool) -> None:
    """Whatever place the stories of the fast suite pass, which are all that the service's source names, is one where
    `lsps serve` is killed on lnd, by either way of payment."""
    passed = frozenset[str]().union(*(flow.passes for flow in FLOWS.values() if (flow.onchain is not None) == onchain))
    tree = ast.parse((HERE / file).read_text())
    named = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    assert passed - named == SIMULATED_ALONE
