"""Limits on how often something may be tried."""

from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Lock

MOST_KEYS = 10_000


class Limiter:
    """Counts what each key tries in a span; holds no more than so many keys."""

    def __init__(self, most: int, span: timedelta, clock: Callable[[], datetime]) -> None:
        self._most = most
        self._span = span
        self._clock = clock
        self._tries: dict[str, deque[datetime]] = {}
        self._lock = Lock()

    def allows(self, key: str) -> bool:
        """Count one more try; False when there were too many."""
        now = self._clock()
        with self._lock:
            tries = self._tries.pop(key, deque())
            while tries and tries[0] <= now - self._span:
                tries.popleft()
            if len(tries) < self._most:
                tries.append(now)
                is_allowed = True
            else:
                is_allowed = False
            # The one that tried last stands last, so that the first to be forgotten is the one longest silent.
            self._tries[key] = tries
            if len(self._tries) > MOST_KEYS:
                del self._tries[next(iter(self._tries))]
            return is_allowed
