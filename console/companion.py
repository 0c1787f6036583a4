"""A companion: a process beside the workers that does something else meanwhile, such as telling people."""

import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Event
from time import monotonic

from casehand.console.child import Child, fork_child, stops_held
from casehand.workflows.parentage import end_with

RESTART_SECONDS = 10.0
AGAIN_SECONDS = 60.0
"""So long one that said why it cannot go on is left alone: the database may only have been restarting."""

PATIENCE_SECONDS = 60.0
CANNOT_GO_ON = 1
"""The exit code of a child that ended with an error for a person."""


class Companion:
    """Whatever becomes of it, the workers work on; it is asked to end after they have."""

    def __init__(self, name: str, life: Callable[[], object]) -> None:
        self.name = name
        self._life = life
        self._child: Child | None = None
        self._begun = 0.0
        self._is_to_end = False

    def start(self, log: Path | None) -> None:
        """Start it, with SQLite's files closed."""
        with stops_held():
            self._child = fork_child(partial(_live_beside, os.getpid(), self._life), log)
        self._begun = monotonic()

    @property
    def is_missing(self) -> bool:
        """Whether it has died, and not just now."""
        ended = None if self._child is None else self._child.poll()
        left_alone = AGAIN_SECONDS if ended == CANNOT_GO_ON else RESTART_SECONDS
        return ended is not None and monotonic() - self._begun > left_alone

    def end(self) -> None:
        """Ask it to end, and see that it does."""
        if self._child is None:
            return
        self._is_to_end = True
        deadline = monotonic() + PATIENCE_SECONDS
        self._child.send_signal(signal.SIGTERM)
        pause = Event()
        while self._child.poll() is None and monotonic() < deadline:
            pause.wait(0.02)
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGKILL)
            self._child.wait()

    def hurry(self) -> None:
        """We were asked to stop again: what it has still to do it does when it is started next."""
        if self._is_to_end and self._child is not None:
            self._child.send_signal(signal.SIGKILL)


def _live_beside(parent: int, life: Callable[[], object]) -> None:
    end_with(parent, signal.SIGTERM)
    life()
