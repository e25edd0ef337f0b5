"""For all tests: no deadline an example, because a busy machine is not a bug; shared suites show what they compare."""

from __future__ import annotations

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("tests.node.contract", "tests.store.contract", "tests.store.contract_queries")

settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
