"""Turns: a horse's lanes take turns on Playwright's event loop, each giving way wherever it waits.

Playwright's sync API runs on one event loop, whose greenlet (the dispatcher) goes on while a call waits. So
each lane is a greenlet that is started from that loop: while one waits for its page, the others go on. Plain
sync code, such as a workflow, can be a lane as it is. See docs/decisions/0008-lanes.md.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING, TypeVar

from greenlet import getcurrent, greenlet

from casehand.exceptions import SystemException
from casehand.workflows.disturbance import when_undisturbing

if TYPE_CHECKING:
    from playwright.sync_api import Playwright

TICK_SECONDS = 0.5
BLOCKED_SECONDS = 5.0
"""How long a lane may keep the others from their turns before it is said."""

OVERDUE_SECONDS = 1.0
"""How long after its time a lane that waits for nothing is interrupted by a signal."""

Result = TypeVar("Result")


class LoopEnded(SystemException):
    """The driver is dead, and its event loop with it: nothing that is waited for can come."""


@dataclass
class _Limit:
    until: float
    error: type[BaseException]


class Turns:
    """The turns of one process. Before `begin`, and without it, there is one lane only: who waits, sleeps."""

    def __init__(self, blocks: Callable[[greenlet, str], object] = lambda lane, at: None) -> None:
        self._blocks = blocks
        self._loop: asyncio.AbstractEventLoop | None = None
        self._dispatcher: greenlet | None = None
        self._limits: dict[greenlet, _Limit] = {}
        self._ticked = monotonic()
        self._said: greenlet | None = None
        self._main = threading.main_thread().ident or 0
        self._interrupts = True

    def begin(self, playwright: Playwright, *, interrupts: bool = True) -> asyncio.AbstractEventLoop:
        """Take turns from now on, on the loop of a driver that has been started; returns the loop.

        Where the alarm signal is another's, such as a test runner's, `interrupts` is False: a lane that waits for
        nothing, but works, is then not stopped.
        """
        # The two have no public name; a test says so when a new Playwright has others.
        self._loop = playwright._loop
        self._dispatcher = playwright._dispatcher_fiber
        self._interrupts = interrupts
        if interrupts:
            signal.signal(signal.SIGALRM, self._look_at_who_runs)
        self._tick()
        return self._loop

    def end(self) -> None:
        """Take no more turns; the loop may go on for others."""
        self._loop = self._dispatcher = None

    @property
    def are_over(self) -> bool:
        """Whether the loop has ended, which it does with its driver."""
        return self._dispatcher is not None and self._dispatcher.dead

    def start(self, lane: Callable[[], object]) -> greenlet:
        """Start a lane, which ends in the loop again."""
        assert self._loop is not None  # noqa: S101 — there are no lanes without it
        started = greenlet(lane, parent=self._dispatcher)
        self._loop.call_soon(started.switch)
        return started

    def wait(self, future: asyncio.Future[Result]) -> Result:
        """Give way until the future is done, and return its result. Raises LoopEnded when it cannot be."""
        assert self._dispatcher is not None  # noqa: S101 — a future belongs to the loop
        me, waits = getcurrent(), True

        def resume(done: asyncio.Future[Result]) -> None:
            if waits:
                me.switch()

        future.add_done_callback(resume)
        try:
            while not future.done():
                if self.are_over:
                    raise LoopEnded("the browser's driver has ended")
                self._dispatcher.switch()
        finally:
            # A callback that is queued already cannot be removed.
            waits = False
            future.remove_done_callback(resume)
        return future.result()

    def pause(self, seconds: float) -> None:
        """Let the others have their turns for so long."""
        if self._loop is None or self.are_over:
            time.sleep(seconds)  # noqa: TID251 — there are no others
            return
        over: asyncio.Future[None] = self._loop.create_future()
        bell = self._loop.call_later(seconds, _ring, over)
        try:
            self.wait(over)
        finally:
            bell.cancel()

    def in_thread(self, work: Callable[[], Result]) -> Result:
        """Do in a thread what waits for something else than a page, and give way until it is done."""
        if self._loop is None or self.are_over:
            return work()
        return self.wait(asyncio.ensure_future(asyncio.to_thread(work), loop=self._loop))

    @contextmanager
    def within(self, seconds: float, error: type[BaseException]) -> Iterator[None]:
        """Raise `error` in the block when it takes longer, wherever it waits."""
        if self._loop is None:
            yield
            return
        alarm = self._loop.call_later(seconds, self.interrupt, getcurrent(), error)
        try:
            yield
        finally:
            alarm.cancel()

    @contextmanager
    def limit(self, seconds: float, error: type[BaseException]) -> Iterator[None]:
        """Raise `error` in the block, once, when it takes longer: also where it waits for nothing, but works."""
        me = getcurrent()
        self._limits[me] = _Limit(monotonic() + seconds + OVERDUE_SECONDS, error)
        try:
            with self.within(seconds, error):
                yield
        finally:
            self._limits.pop(me, None)

    def interrupt(self, lane: greenlet, error: type[BaseException]) -> None:
        """Raise `error` in a lane that has begun, where it waits; called from the loop."""
        limit = self._limits.get(lane)
        if limit is not None and limit.error is error:
            del self._limits[lane]
        if lane:
            lane.throw(error)

    def watch(self) -> None:
        """See that no lane keeps its turn too long; called every second from another thread."""
        if not self._interrupts:
            return
        now = monotonic()
        overdue = any(now > limit.until for limit in list(self._limits.values()))
        if self._loop is not None and (overdue or now - self._ticked > BLOCKED_SECONDS):
            signal.pthread_kill(self._main, signal.SIGALRM)

    def _tick(self) -> None:
        self._ticked = monotonic()
        self._said = None
        if self._loop is not None:
            self._loop.call_later(TICK_SECONDS, self._tick)

    @when_undisturbing
    def _look_at_who_runs(self, number: int, frame: FrameType | None) -> None:
        # The handler runs in the greenlet that has the turn.
        me, now = getcurrent(), monotonic()
        if me is self._dispatcher:
            return
        if now - self._ticked > BLOCKED_SECONDS and self._said is not me:
            self._said = me
            self._blocks(me, _place(frame))
        limit = self._limits.get(me)
        if limit is not None and now > limit.until:
            del self._limits[me]
            raise limit.error


def _ring(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _place(frame: FrameType | None) -> str:
    """The line of the innermost code that is not the language's own or a package's."""
    apart = (os.path.dirname(os.__file__), "site-packages")  # noqa: PTH120
    while (
        frame is not None
        and frame.f_back is not None
        and any(one in frame.f_code.co_filename for one in apart)
    ):
        frame = frame.f_back
    if frame is None:
        return "an unknown line"
    return f"{frame.f_code.co_filename.rsplit('/', 1)[-1]}:{frame.f_lineno}"
