"""No place where the fast suite makes the service die is left out on real nodes."""

from __future__ import annotations

import pytest

from tests.e2e import test_5_lsp_crashes as by_lightning
from tests.e2e import test_11_onchain_crashes as by_onchain
from tests.service.flows import FLOWS

SIMULATED_ALONE = {"check_channel.committed"}
"""An extension paid while the channel list is being read again: lnd gives its list in milliseconds."""
CREATED = {"create_order.committed", "create_order.replied"}
"""Every service dies there in tests of their own."""


@pytest.mark.parametrize("service", ["lsps1", "lsps7"])
@pytest.mark.parametrize("module", [by_lightning, by_onchain], ids=["bolt11", "onchain"])
def test_no_failpoint_is_forgotten(module: object, service: str) -> None:
    """Whatever place the stories of the fast suite pass, which are all that the service's source names, is one where
    `lsps serve` is killed on lnd: for each service, by either way of payment."""
    onchain = module is by_onchain
    passed = frozenset[str]().union(
        *(
            flow.passes
            for flow in FLOWS.values()
            if flow.method.startswith(service) and (flow.onchain is not None) == onchain
        )
    )
    killed_at = (by_onchain if onchain else by_lightning).KILLED_AT[service]
    left_out = passed - {failpoint for failpoint, *_ in killed_at} - CREATED
    assert left_out == (SIMULATED_ALONE if service == "lsps7" else set())
