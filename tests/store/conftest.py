"""The contract's assertions are explained like any test's."""

import pytest

pytest.register_assert_rewrite("tests.store.contract", "tests.store.contract_queries")
