"""An event loop whose time is a number and whose order of running is a seed's.

What it promises is what asyncio promises, and no more:
  - Callbacks (`call_soon`, due timers, those of futures) run in the order in which they were registered.
  - A task's steps follow one another; between two tasks, and between a task and a callback, asyncio's documentation
    promises no order. There, the seed decides: asyncio itself would always run the one that became ready first, and
    code that is right only then is right by luck.

Time stands still while anything can run, and moves when it is told to. There are no sockets, threads, signals or
processes here: asyncio.AbstractEventLoop raises NotImplementedError for each of them, so whatever would make two runs
differ fails at once. Tasks and futures hash by their number, since a set of them would be walked in the order of their
addresses in memory otherwise.
"""

from __future__ import annotations

import asyncio
import heapq
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from contextvars import Context
from random import Random
from typing import Any, TypeVar, TypeVarTuple, Unpack
from weakref import WeakSet

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

MICRO = 1_000_000
MOST_TURNS = 200_000
"""At one moment of time; more is a loop that will never end."""

TaskListener = Callable[["SimulatedTask[Any]", Context | None], None]


class Livelock(Exception):
    """Something keeps the loop busy for ever without letting time pass."""


class SimulatedTask(asyncio.Task[T]):
    """A task with a number."""

    def __init__(self, number: int, coro: Coroutine[Any, Any, T], **how: Any) -> None:
        self.number = number
        super().__init__(coro, **how)

    def __hash__(self) -> int:
        return self.number

    __eq__ = object.__eq__


class SimulatedFuture(asyncio.Future[T]):
    """A future with a number."""

    def __init__(self, number: int, loop: asyncio.AbstractEventLoop) -> None:
        self.number = number
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self.number

    __eq__ = object.__eq__


class SimulatedLoop(asyncio.AbstractEventLoop):  # what is abstract in it raises NotImplementedError
    """`disorder` is how often, of 1, the next to run is drawn instead of the one that has been ready longest."""

    def __init__(self) -> None:
        self.micros = 0
        """Time since the beginning, in microseconds."""
        self.turns = 0
        """How many steps and callbacks have run."""
        self.disorder = 0.0
        self.trace: list[str] = []
        """The name of whatever ran, in order; whoever reads it empties it."""
        self.on_error: Callable[[str, BaseException | None], None] = _ignore
        self.on_task: TaskListener = _ignore
        self._random = Random(0)
        self._count = 0
        self._tasks: WeakSet[SimulatedTask[Any]] = WeakSet()
        self._steps: list[tuple[int, asyncio.Handle, SimulatedTask[Any]]] = []
        self._callbacks: deque[tuple[int, asyncio.Handle]] = deque()
        self._timers: list[tuple[int, int, asyncio.TimerHandle]] = []

    def reseed(self, seed: int) -> None:
        """From now on the order is this seed's."""
        self._random.seed(seed)

    # --- what asyncio asks of a loop --------------------------------------------------------------------------------

    def time(self) -> float:
        return self.micros / MICRO

    def call_soon(
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        task = getattr(callback, "__self__", None)
        number = self._next()
        if isinstance(task, SimulatedTask):
            self._steps.append((number, handle, task))
        else:
            self._callbacks.append((number, handle))
        return handle

    def call_later(
        self, delay: float, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self._at(self.micros + max(0, -int(-delay * MICRO // 1)), callback, args, context)

    def call_at(
        self, when: float, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self._at(round(when * MICRO), callback, args, context)

    def _at(
        self, micros: int, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(micros / MICRO, callback, args, self, context)
        heapq.heappush(self._timers, (micros, self._next(), timer))
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """asyncio tells; it stays in the heap until its time."""

    def create_future(self) -> asyncio.Future[Any]:
        return SimulatedFuture(self._next(), self)

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> asyncio.Task[T]:
        if not isinstance(coro, Coroutine):
            raise TypeError(f"a task runs a coroutine, not {coro!r}")
        task = SimulatedTask(
            self._next(), coro, loop=self, name=name or getattr(coro, "__qualname__", "task"), context=context
        )
        self._tasks.add(task)
        self.on_task(task, context)
        return task

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.on_error(str(context.get("message", "")), context.get("exception"))

    def _next(self) -> int:
        self._count += 1
        return self._count

    # --- running ----------------------------------------------------------------------------------------------------

    @contextmanager
    def running(self) -> Iterator[None]:
        """For asyncio this loop runs here; what is done in the block happens at its time, between two turns."""
        events._set_running_loop(self)
        try:
            yield
        finally:
            events._set_running_loop(None)

    def is_idle(self) -> bool:
        """Whether nothing can run before time moves."""
        if self._timers and self._timers[0][0] <= self.micros:
            self._fire()
        return not self._steps and not self._callbacks

    def next_timer(self) -> int | None:
        """When, in microseconds since the beginning, the next timer is due."""
        while self._timers and self._timers[0][2].cancelled():
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def run(self, turns: int) -> None:
        """At most so many turns; fewer when there is nothing left to run."""
        for _ in range(turns):
            if self.is_idle():
                return
            self._turn(*self._pick())

    def settle(self) -> None:
        """Everything that can run without time moving. Raises Livelock."""
        for _ in range(MOST_TURNS):
            if self.is_idle():
                return
            self._turn(*self._pick())
        names = ", ".join(task.get_name() for _, _, task in self._steps[:5])
        raise Livelock(f"still busy after {MOST_TURNS} turns at {self.time():.6f} s: {names or 'callbacks'}")

    def advance(self, micros: int) -> None:
        """To that much later. What was due before then has run; what is due then has not begun to. Raises Livelock."""
        end = self.micros + micros
        while True:
            self.settle()
            due = self.next_timer()
            if due is None or due >= end:
                break
            self.micros = due
        self.micros = end

    def _fire(self) -> None:
        """What is due now gets ready, in the order of time."""
        while self._timers and self._timers[0][0] <= self.micros:
            _, _, timer = heapq.heappop(self._timers)
            if not timer.cancelled():
                self._callbacks.append((self._next(), timer))

    def finish(self, task: asyncio.Task[T]) -> T:
        """The result of a task that needs no time to pass."""
        self.settle()
        return task.result()

    @staticmethod
    def finish_now(work: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine that waits for nothing."""
        try:
            work.send(None)
        except StopIteration as done:
            result: T = done.value
            return result
        raise RuntimeError(f"{work} waits for something")

    def run_only(self, tasks: Callable[[SimulatedTask[Any]], bool]) -> None:
        """Callbacks and the steps of these tasks, until none of them can run."""
        while True:
            chosen = next((i for i, (_, _, task) in enumerate(self._steps) if tasks(task)), None)
            if chosen is not None:
                self._turn(self._steps.pop(chosen)[1], "")
            elif self._callbacks:
                self._turn(self._callbacks.popleft()[1], "")
            else:
                return

    def drop_everything(self) -> None:
        """The world ends: what still waits never runs."""
        self._timers.clear()
        self._callbacks.clear()
        for task in sorted(self._tasks, key=lambda task: task.number):
            task.cancel()
        self.run_only(lambda _: True)

    def _pick(self) -> tuple[asyncio.Handle, str]:
        steps, callbacks = self._steps, self._callbacks
        if steps and self._random.random() < self.disorder:
            chosen = self._random.randrange(len(steps) + bool(callbacks))
        else:
            chosen = 0 if steps and not (callbacks and callbacks[0][0] < steps[0][0]) else len(steps)
        if chosen == len(steps):
            return callbacks.popleft()[1], "callback"
        _, handle, task = steps.pop(chosen)
        return handle, task.get_name()

    def _turn(self, handle: asyncio.Handle, name: str) -> None:
        if not handle.cancelled():
            self.turns += 1
            self.trace.append(name)
            handle._run()


def _ignore(*_: object) -> None:
    """Nobody listens."""
