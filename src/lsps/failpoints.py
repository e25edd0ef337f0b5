"""Named places where a test makes the process die, to prove that a restart ends every order right.

A failpoint stands before an effect's call, after it, and after its commit. They are off unless the environment
variable LSPS_FAILPOINT names one.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping

Failpoint = Callable[[str], None]
"""Called with the name of the place that is being passed."""

VARIABLE = "LSPS_FAILPOINT"


def none(_name: str) -> None:
    """Pass every place."""


def from_environment(environment: Mapping[str, str]) -> Failpoint:
    """A failpoint that kills this process with SIGKILL at the place LSPS_FAILPOINT names, if it names one."""
    wanted = environment.get(VARIABLE)
    if not wanted:
        return none

    def die(name: str) -> None:
        if name == wanted:
            os.kill(os.getpid(), signal.SIGKILL)

    return die
