"""Watching cases being worked: a progress bar on a terminal, plain lines elsewhere."""

from datetime import timedelta
from time import monotonic
from types import TracebackType

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from casehand.console.listing import say, screen
from casehand.queue.backlog import unfinished
from casehand.queue.breaker import open_breakers
from casehand.queue.cases import counts
from casehand.queue.ledger import Ledger

PLAIN_STEP = 10
"""Per cent between two plain lines."""


class Watch:
    """Shows how far the cases have come; one that is tried again within `patience` is waited for."""

    def __init__(self, ledger: Ledger, patience: timedelta) -> None:
        self._ledger = ledger
        self._patience = patience
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=screen(),
        )
        self._task: TaskID | None = None
        self._said = -1
        self._counts: dict[str, int] = {}
        self._changed = monotonic()
        self._told: set[str] = set()

    def __enter__(self) -> "Watch":
        if screen().is_terminal:
            self._bar.start()
            self._task = self._bar.add_task("Working")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._bar.stop()

    def seconds_unchanged(self) -> float:
        """How long it is since anything moved."""
        return monotonic() - self._changed

    def is_over(self) -> bool:
        """Show where things stand; whether there is nothing left that could be worked now."""
        now = counts(self._ledger)
        total = sum(now.values())
        ended = total - now["queued"] - now["working"]
        text = f"{now['done']} done, {now['escalated']} for a person, {now['working']} being worked"
        if self._task is not None:
            self._bar.update(self._task, total=total, completed=ended, description=text)
        elif total and (step := ended * 100 // total // PLAIN_STEP) > self._said:
            self._said = step
            say(f"{ended} of {total}: {text}")
        if now != self._counts:
            self._counts, self._changed = now, monotonic()
        self._tell_of_breakers()
        return unfinished(self._ledger, self._patience, most=1) == 0

    def _tell_of_breakers(self) -> None:
        """Say once why nothing moves, while cases wait for a system to come back."""
        open_now = {breaker.bot for breaker in open_breakers(self._ledger)}
        for bot in sorted(open_now - self._told):
            text = f"The bot {bot} fails case after case: its cases wait until one that tries gets through."
            self._bar.console.print(escape(text), soft_wrap=True)
        self._told = open_now
