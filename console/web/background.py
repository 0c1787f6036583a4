"""The background: what takes longer than anybody waits for a page, done once at a time."""

from collections.abc import Callable
from threading import Lock, Thread

import structlog

from casehand.exceptions import CasehandError

log = structlog.get_logger()


class Background:
    """Work that goes on while pages are shown."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._threads: dict[str, Thread] = {}

    def start(self, name: str, do: Callable[[], object]) -> bool:
        """Begin to do it; False when that goes on already."""
        with self._lock:
            if self.is_doing(name):
                return False
            thread = Thread(target=_do, args=(name, do), name=f"casehand {name}", daemon=True)
            self._threads[name] = thread
            thread.start()
        return True

    def is_doing(self, name: str) -> bool:
        """Whether it goes on."""
        thread = self._threads.get(name)
        return thread is not None and thread.is_alive()

    def wait(self, name: str, seconds: float) -> bool:
        """Wait for its end, but no longer than that; whether it has ended."""
        thread = self._threads.get(name)
        if thread is not None:
            thread.join(seconds)
        return not self.is_doing(name)


def _do(name: str, do: Callable[[], object]) -> None:
    try:
        do()
    except CasehandError as error:
        log.warning("background.failed", what=name, why=str(error))
    except Exception as error:  # noqa: BLE001 — nobody waits for it who could be told
        log.error("background.failed", what=name, error=type(error).__name__)
