"""A child: a process forked from this one, since all that it needs is imported here already."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

from casehand.exceptions import CasehandError

STOPS = (signal.SIGTERM, signal.SIGINT)


@dataclass
class Child:
    """What its parent knows of it."""

    pid: int
    returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit code, once it has ended."""
        return self._look(os.WNOHANG)

    def wait(self) -> int | None:
        """Its exit code, when it has ended."""
        return self._look(0)

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it is still there."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def _look(self, how: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, how)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


def fork_child(life: Callable[[], object], log: Path | None) -> Child:
    """A child that lives so; what it says goes to the file, or where ours goes.

    SQLite must have no file open across a fork: the caller sees to that.
    """
    said = _opened(log)
    pid = os.fork()
    if pid == 0:
        _live(life, said)
    if said is not None:
        said.close()
    return Child(pid)


@contextmanager
def stops_held() -> Iterator[None]:
    """Have a request to stop wait: it may not find a child that still has our handlers, or that we do not know of."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _opened(log: Path | None) -> IO[bytes] | None:
    if log is None:
        return None
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return log.open("ab")


def _live(life: Callable[[], object], log: IO[bytes] | None) -> NoReturn:
    """The life of a child."""
    status = 2
    try:
        # A Ctrl+C is the parent's to pass on, once; it must not reach a child twice.
        os.setsid()
        for number in STOPS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        if log is not None:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        life()
        status = 0
    except SystemExit as left:
        status = left.code if isinstance(left.code, int) else 0
    except CasehandError as error:
        sys.stderr.write(f"{error}\n")
        status = 1
    except BaseException:  # noqa: BLE001 — nothing may lead back into the crew's code
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(status)
