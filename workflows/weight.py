"""The weight of a horse: the memory that it holds with its driver and browser, and whether that has grown too much."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

EVERY = 10
"""Cases between two weighings: one costs 4 ms of CPU with sixteen contexts open, less with one."""

FIRST = 100
"""Cases in which a horse comes to its usual weight: its driver grows for so long, and then rises and falls."""

GROWTH = 1.1
"""How many times its usual weight is too much. A horse comes to 1.24 in 1,000 cases, most of it in Playwright's driver;
a new one costs a second."""

MEGABYTE = 2**20
PAGE = os.sysconf("SC_PAGE_SIZE")


class Weight:
    """One horse's, from the start of its browser; `process` is the horse's own, where it is another than this.

    Where the kernel does not tell of a process' children, nothing is ever too much.
    """

    def __init__(self, process: int | None = None) -> None:
        self._process = process or os.getpid()
        self._cases = 0
        self._most_at_once = 0
        self._usual = 0.0
        self._was_above = False

    def is_too_much(self, at_once: int = 1) -> bool:
        """To be asked after each case; `at_once` is how many cases were in work, this one among them.

        True when two weighings one after the other found a tenth more than the most in its first cases: a single
        one may have met a large page. More cases at once than ever before need more, so it begins afresh.
        """
        if at_once > self._most_at_once:
            self._most_at_once, self._cases, self._usual, self._was_above = at_once, 0, 0.0, False
        self._cases += 1
        if self._cases % EVERY:
            return False
        weight = weigh(self._process)
        if self._cases <= FIRST:
            self._usual = max(self._usual, weight)
            return False
        was_above, self._was_above = self._was_above, weight > self._usual * GROWTH
        return was_above and self._was_above


def weigh(process: int) -> float:
    """Megabytes that a process and its descendants hold for themselves.

    Without what they have from files, such as the browser's own code, of which many horses share one copy. To
    share that out justly the kernel would have to look at every page: 50 ms, where this takes less than one.
    """
    return sum(map(_own, _tree(process))) / MEGABYTE


def _tree(process: int) -> Iterator[int]:
    yield process
    for child in _children(process):
        yield from _tree(child)


def _children(process: int) -> list[int]:
    """Each thread's, since Chromium's processes are started by several."""
    found: list[int] = []
    with suppress(OSError):
        for children in Path(f"/proc/{process}/task").glob("*/children"):
            # A thread may end meanwhile, and its children are then another's.
            with suppress(OSError):
                found += map(int, children.read_text().split())
    return found


def _own(process: int) -> int:
    with suppress(OSError, ValueError):
        _, resident, from_files, *_ = map(int, Path(f"/proc/{process}/statm").read_text().split())
        return (resident - from_files) * PAGE
    return 0
