"""A connection is an open file, of which a process may have so many: strangers must not use up those of store and node.

The usual limit is 1,024 files, and our own 1,000 connections.
"""

from __future__ import annotations

import logging
import resource
from dataclasses import replace

from lsps.logs import event
from lsps.node.bolt8.limits import Limits

KEPT = 300
"""For store, node and log; and for connections beyond the limit: accepted, a hundred at a time, only to be closed."""

_log = logging.getLogger("lsps.node")


def within_open_files(limits: Limits) -> Limits:
    """The process's own limit is raised as far as needed and allowed; where that is too little, `connections` is cut,
    with a warning."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.connections + KEPT
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return limits
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    connections = max(1, allowed - KEPT)
    if connections < limits.connections:
        event(
            _log,
            logging.WARNING,
            "few_open_files",
            allowed=allowed,
            connections=connections,
            advice=f"let it open {wanted} files (ulimit -n, LimitNOFILE= of systemd), or lower `connections`",
        )
    return replace(limits, connections=min(limits.connections, connections))
