"""What all tests of node adapters share."""

import pytest

pytest.register_assert_rewrite("tests.node.contract")
