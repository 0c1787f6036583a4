"""Capacity: how many cases this machine can work at once, and in how many horses and lanes."""

import os
from dataclasses import dataclass

CASES_A_CORE = 4
"""At 500 ms a page two cores are busy with ten cases, at 100 ms with four (measured on a trial): between the two."""

MOST_A_CORE = 8
"""More only wait for the processor: 32 on two cores took twice as long each, and no more were finished."""

HORSE_MB = 300
"""A driver, a browser and two Python processes."""

LANE_MB = 75
"""A browser context with its pages, and the worker of the lane."""


@dataclass(frozen=True)
class Machine:
    """What there is to work with."""

    cores: int
    memory_mb: float

    @classmethod
    def this(cls) -> "Machine":
        """This machine, as far as this process may use it."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return cls(cores, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**20)

    def horses(self) -> int:
        """How many: two, so that one may be renewed while the other works, and one more for every eight cores."""
        if self.cores < 2 or self.memory_mb < 8 * HORSE_MB:
            return 1
        return min(max(2, -(-self.cores // 8)), int(self.memory_mb / 2 // (HORSE_MB + LANE_MB)))

    def lanes(self, horses: int) -> int:
        """How many each of so many horses has: as the cores can feed, in no more than half of the memory."""
        by_cores = self.cores * CASES_A_CORE
        by_memory = (self.memory_mb / 2 - horses * HORSE_MB) / LANE_MB
        return max(1, int(min(by_cores, by_memory)) // horses)

    def is_overloaded_by(self, at_once: int) -> bool:
        """Whether so many cases at once would only wait for each other."""
        return at_once > self.cores * MOST_A_CORE
