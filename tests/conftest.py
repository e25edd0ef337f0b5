"""For all tests: no deadline an example, because a busy machine is not a bug."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
