"""The root of every error that lsps raises on purpose."""

from __future__ import annotations


class LspsError(Exception):
    """Base class. The text says what happened and what to do next; it never carries a secret."""
