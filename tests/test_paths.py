"""Paths as people write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lsps.paths import InvalidPath, seen_from


def test_paths_are_seen_from_a_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path lies in the directory, an absolute one where it says, ~ in the home."""
    monkeypatch.setenv("HOME", "/home/me")
    assert [seen_from(Path("/base"), text) for text in ("a/b", "/a", "~/a")] == [
        Path("/base/a/b"),
        Path("/a"),
        Path("/home/me/a"),
    ]


@pytest.mark.parametrize(("text", "why"), [("a\0b", "zero byte"), ("~no-such-user/x", "no such user")])
def test_what_is_no_path_is_told(text: str, why: str) -> None:
    """Both would else end in an exception of Python's own."""
    with pytest.raises(InvalidPath, match=why):
        seen_from(Path("/base"), text)
