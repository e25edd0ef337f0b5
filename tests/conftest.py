"""For all tests: no deadline an example, because a busy machine is not a bug; shared suites show what they compare."""

from __future__ import annotations

import signal

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("tests.node.contract", "tests.store.contract", "tests.store.contract_queries")

settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

# A shell starts background jobs with SIGINT ignored, which programs inherit: what tests start must hear ^C anyway.
signal.signal(signal.SIGINT, signal.default_int_handler)
