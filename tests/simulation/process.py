"""Processes of the simulated world: what a task starts belongs to its process, and a kill ends all of it at once."""

from __future__ import annotations

import warnings
from collections.abc import Coroutine
from contextvars import Context, ContextVar, copy_context
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import lsps.node.simulated
from tests.simulation.loop import SimulatedLoop, SimulatedTask

T = TypeVar("T")

_CURRENT: ContextVar[Process | None] = ContextVar("process", default=None)

_WORLD = Path(lsps.node.simulated.__path__[0])
_THEIR_OWN = ("node.py", "access.py")
"""Of the simulated node, what runs in its user's process; everything else is the node, which lives on."""


class Undead(Exception):
    """A process that was killed and still runs: the simulation, or a task that swallows its cancellation, is broken."""


class Process:
    """Dead from `kill` on: whatever it could reach the world by is cut by its owner first."""

    def __init__(self, loop: SimulatedLoop, name: str) -> None:
        self.name = name
        self.alive = True
        self._loop = loop
        self._tasks: dict[SimulatedTask[Any], None] = {}
        self._context = copy_context()
        self._context.run(_CURRENT.set, self)

    def start(self, work: Coroutine[Any, Any, T], name: str) -> SimulatedTask[T]:
        task = self._loop.create_task(work, name=name, context=self._context.copy())
        assert isinstance(task, SimulatedTask)
        return task

    def adopt(self, task: SimulatedTask[Any]) -> None:
        self._tasks[task] = None
        task.add_done_callback(self._forget)

    def kill(self) -> None:
        """End every task where it stands. What their `finally` blocks do reaches nothing any more. Raises Undead."""
        self.alive = False
        with warnings.catch_warnings():
            # A coroutine that was made and not begun is never awaited now: that is what being killed means.
            warnings.simplefilter("ignore", RuntimeWarning)
            for _ in range(20):
                for task in list(self._tasks):
                    task.cancel()
                self._loop.run_only(self._tasks.__contains__)
                if not self._tasks:
                    return
        raise Undead(f"{self.name}: {', '.join(task.get_name() for task in self._tasks)}")

    def _forget(self, task: SimulatedTask[Any]) -> None:
        self._tasks.pop(task, None)
        if not self.alive and not task.cancelled():
            task.exception()  # seen by nobody: it is dead


def adopt(task: SimulatedTask[Any], context: Context | None) -> None:
    """A loop's `on_task`: every new task belongs to the process that started it."""
    process = _CURRENT.get() if context is None else context.get(_CURRENT)
    if process is not None and not _is_of_the_world(task):
        process.adopt(task)


def _is_of_the_world(task: SimulatedTask[Any]) -> bool:
    code = getattr(task.get_coro(), "cr_code", None)
    return code is not None and _is_world_code(code.co_filename)


@lru_cache
def _is_world_code(filename: str) -> bool:
    path = Path(filename)
    return path.parent == _WORLD and path.name not in _THEIR_OWN
