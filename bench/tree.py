"""What a tree of processes costs: the CPU it has used and the memory it holds, read from /proc."""

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from time import monotonic

SET_CHILD_SUBREAPER = 36
TICKS = os.sysconf("SC_CLK_TCK")
CPU_SECONDS = 0.2
MEMORY_SECONDS = 1.0


def keep_orphans() -> None:
    """From now on orphans among our descendants become our children, so that none escapes the measuring."""
    ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)


@dataclass
class Meter:
    """Samples all descendants of this process but the `others` while the block lasts."""

    others: set[int]
    used: list[tuple[float, float]] = field(default_factory=list)  #: time, CPU seconds since the beginning
    held: list[tuple[float, float]] = field(default_factory=list)  #: time, megabytes of PSS
    used_by_others: list[tuple[float, float]] = field(default_factory=list)  #: time, CPU seconds

    def __enter__(self) -> "Meter":
        self._over = Event()
        self._thread = Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._over.set()
        self._thread.join()

    def cpu(self, since: float, until: float) -> float:
        """CPU seconds used between two moments."""
        return _between(self.used, until) - _between(self.used, since)

    def cpu_of_others(self, since: float, until: float) -> float:
        """CPU seconds that the `others` used between two moments."""
        return _between(self.used_by_others, until) - _between(self.used_by_others, since)

    def memory(self, since: float, until: float) -> float:
        """The most megabytes held at once between two moments."""
        return max((held for at, held in self.held if since <= at <= until), default=float("nan"))

    def _sample(self) -> None:
        weighed = 0.0
        while not self._over.wait(CPU_SECONDS):
            pids = descendants(os.getpid(), self.others)
            self.used.append((monotonic(), sum(map(cpu_of, pids))))
            self.used_by_others.append((monotonic(), sum(map(cpu_of, self.others))))
            if monotonic() - weighed > MEMORY_SECONDS:
                weighed = monotonic()
                self.held.append((weighed, sum(map(pss, pids))))


def descendants(root: int, others: set[int]) -> list[int]:
    """Every process below `root`, without `others` and what is below them."""
    children: dict[int, list[int]] = {}
    for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))):  # noqa: PTH208
        with suppress(OSError, IndexError):
            children.setdefault(int(_stat(pid)[1]), []).append(pid)
    return list(_below(root, children, others))


def end_all(root: int, others: set[int]) -> None:
    """Kill what is left below `root`, and reap it."""
    while left := descendants(root, others):
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in left:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)


def pss(pid: int) -> float:
    """A process' share of memory, in megabytes."""
    with suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("Pss:")).split()[1]) / 1024
    return 0.0


def name(pid: int) -> str:
    """What the process is: its program and, of Chromium's, its kind."""
    with suppress(OSError):
        # Chromium's children have theirs in one piece.
        words = (
            Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").replace("\0", " ").split(" ")
        )
        kind = next((word.partition("=")[2] for word in words if word.startswith("--type=")), "")
        return " ".join(filter(None, (Path(words[0]).name, kind)))
    return "?"


def _below(root: int, children: dict[int, list[int]], others: set[int]) -> Iterator[int]:
    for pid in children.get(root, []):
        if pid not in others:
            yield pid
            yield from _below(pid, children, others)


def cpu_of(pid: int) -> float:
    """Seconds of CPU, with those of the children it has reaped."""
    with suppress(OSError, IndexError):
        return sum(map(int, _stat(pid)[11:15])) / TICKS
    return 0.0


def _stat(pid: int) -> list[str]:
    """The fields after the program's name: the state is the first."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _between(samples: list[tuple[float, float]], at: float) -> float:
    """The value at a moment, on the line between the samples around it."""
    before = max((one for one in samples if one[0] <= at), default=None)
    after = min((one for one in samples if one[0] >= at), default=None)
    if before is None or after is None:
        only = before or after
        return only[1] if only else float("nan")
    if before[0] == after[0]:
        return before[1]
    share = (at - before[0]) / (after[0] - before[0])
    return before[1] + share * (after[1] - before[1])
