"""Runs a program that must not outlive the one that started it: `python tether.py PARENT_PID PROGRAM ARGUMENT…`

A killed test run cannot clean up, so the kernel does it (Linux only; elsewhere the program just runs). This is its own
program, not a `preexec_fn`, because a fork of a process with gRPC's threads must not run Python before its exec.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Never returns: becomes the program, or exits at once if the parent is gone already."""
    parent, program = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:
            sys.exit("the process that started this one is gone")
    os.execv(program[0], program)  # noqa: S606 - the whole purpose


if __name__ == "__main__":
    main()
