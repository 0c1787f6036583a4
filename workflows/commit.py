"""A commit point: the step that changes something in a legacy system, made at most once whatever dies."""

import sys
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Protocol

from casehand.bots.bot import Bot
from casehand.exceptions import BusinessException, SystemException
from casehand.points import Point
from casehand.queue.commits import CommitState, Intent
from casehand.workflows.hears import Stage
from casehand.workflows.record import Record
from casehand.workflows.signals import InDoubt, MustWait
from casehand.workflows.skip import BodySkipped, Skipping, check_body

READ_BACK_PAUSES = (0.5, 1.0, 2.0)
"""Seconds between the looks after a body that ended well: most systems show a change at once, some a moment later."""


class CommitLog(Protocol):
    """What a commit needs of the world: the ledger's intents, the bots' pages and the clock.

    The writing methods raise LostCase when the attempt no longer holds the case.
    """

    def now(self) -> datetime:
        """The time."""

    def reach(self, point: Point) -> None:
        """Come to a point of the attempt."""

    def comes_to(self, stage: Stage, name: str) -> None:
        """Say that a part of the attempt is about to begin."""

    def begins(self, name: str) -> None:
        """Hear that a commit is entered; raises TypeError when the attempt has had one of that name."""

    def ended_well(self, name: str) -> None:
        """Hear that it is known what became of its change."""

    def rehearses(self, name: str, bot: Bot | None) -> bool:
        """Whether the change is only to be looked at; then nothing that would make it leaves the browser.

        Raises Rehearsed where that could not be kept from happening.
        """

    def rehearsed(self, name: str, bot: Bot | None, error: BaseException | None) -> None:
        """Keep what would have been submitted.

        Raises Rehearsed, unless nothing would have been and the body has raised an error, which then goes on.
        """

    def unresolved(self, name: str) -> list[Intent]:
        """The intents of earlier attempts of which nothing is known yet."""

    def was_made(self, name: str) -> bool:
        """Whether it stands in the ledger that an earlier attempt, or a person, made the change."""

    def intend(self, name: str, bot: Bot | None) -> int:
        """Write durably that the change is about to be made."""

    def found(self, name: str, bot: Bot | None) -> None:
        """Write that the change was there already."""

    def resolve(self, intent: int, state: CommitState) -> None:
        """Write what became of the change."""

    def check_pages(self) -> None:
        """Raise unless every page is where it should be."""

    def picture(self, title: str, bot: Bot | None) -> str | None:
        """Keep a picture of the page."""

    def refused(self, bot: Bot | None) -> None:
        """Keep the scene in which the system refused the change."""

    def wait(self, seconds: float) -> None:
        """Let time pass."""

    def in_thread(self, work: Callable[[], Any]) -> Any:
        """Do in a thread what would keep other cases waiting."""


class Commit:
    """What `with case.commit(...)` enters."""

    def __init__(
        self,
        name: str,
        done: Callable[[], bool] | None,
        bot: Bot | None,
        log: CommitLog,
        record: Record,
        shows: Callable[[], Mapping[str, object]] | None = None,
    ) -> None:
        self._name = name
        self._done = done
        self._shows_values = shows
        self._bot = bot
        self._log = log
        self._record = record
        self._skipping: Skipping | None = None
        self._intent: int | None = None
        self._is_rehearsed = False

    def __enter__(self) -> None:
        frame = sys._getframe(1)
        check_body(frame)
        self._log.begins(self._name)
        self._log.check_pages()
        if self._stands_already():
            self._skipping = Skipping(frame)
            self._skipping.begin()
            return
        self._log.check_pages()
        shown = self._values()
        before = self._log.picture(f"before {self._name}", self._bot)
        self._log.comes_to(Stage.CHANGE, self._name)
        if self._log.rehearses(self._name, self._bot):
            self._is_rehearsed = True
            return
        self._log.reach(Point.BEFORE_INTENT)
        self._intent = self._log.intend(self._name, self._bot)
        self._log.reach(Point.AFTER_INTENT)
        self._record.note(f"begins: {self._name}", evidence=before, **shown)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if self._skipping is not None:
            if not self._skipping.ended():
                raise InDoubt("the body of a commit ran although its change was there already")
            self._log.ended_well(self._name)
            return kind is BodySkipped
        if self._is_rehearsed and (kind is None or issubclass(kind, Exception)):
            self._log.rehearsed(self._name, self._bot, error)
        if kind is not None:
            if issubclass(kind, BusinessException):
                self._settle_refusal()
            return False
        self._log.reach(Point.BODY_ENDED)
        self._read_back()
        self._log.reach(Point.OUTCOME_WRITTEN)
        self._log.ended_well(self._name)
        return False

    def _stands_already(self) -> bool:
        earlier = self._log.unresolved(self._name)
        if self._done is None:
            if earlier:
                raise InDoubt("an earlier attempt may have made the change, and there is no way to tell")
            return self._log.was_made(self._name)
        # A look takes its time, and what it passed by in the beginning may be there in the end.
        looked_at = self._log.now()
        if self._done():
            self._note_found(earlier)
            return True
        self._rule_out(earlier, looked_at)
        return False

    def _note_found(self, earlier: list[Intent]) -> None:
        for intent in earlier:
            self._log.resolve(intent.id, CommitState.MADE)
        if earlier:
            self._record.note(f"made by attempt {earlier[-1].attempt}: {self._name}", **self._values())
        else:
            self._log.found(self._name, self._bot)
            self._record.note(f"was there already: {self._name}", **self._values())

    def _rule_out(self, earlier: list[Intent], looked_at: datetime) -> None:
        """Close intents as not made; a no counts only when the change cannot be on its way any more."""
        counts_from = max((_counts_from(intent, looked_at) for intent in earlier), default=None)
        if counts_from is not None and looked_at < counts_from:
            raise MustWait("waits until a change that may be on its way has settled", counts_from)
        for intent in earlier:
            self._log.resolve(intent.id, CommitState.NOT_MADE)
            self._record.note(f"was not made by attempt {intent.attempt}: {self._name}")

    def _settle_refusal(self) -> None:
        """The system has answered and did not take the change: one look is enough, since nothing is on its way."""
        self._log.refused(self._bot)
        if self._done is None or self._intent is None:
            return
        try:
            made = self._done()
        except Exception:  # noqa: BLE001 — then it stays unresolved, and the refusal goes on to the person
            self._record.note(f"could not be looked for: {self._name}")
            return
        self._log.resolve(self._intent, CommitState.MADE if made else CommitState.NOT_MADE)
        self._record.note(f"{'was made all the same' if made else 'was not made'}: {self._name}")
        self._log.ended_well(self._name)

    def _read_back(self) -> None:
        if self._done is not None and not self._shows(self._done):
            raise SystemException("the change cannot be seen in the system after it was made")
        if self._intent is not None:
            self._log.resolve(self._intent, CommitState.MADE)
        after = self._log.picture(f"after {self._name}", self._bot)
        self._record.note(f"made: {self._name}", evidence=after, **self._values())

    def _values(self) -> dict[str, dict[str, str]]:
        """What the system shows now, for whoever looks at the case later; nothing when that cannot be read."""
        if self._shows_values is None:
            return {}
        try:
            return {"shows": {name: str(value) for name, value in self._shows_values().items()}}
        except Exception:  # noqa: BLE001 — the change counts, and not what is told of it
            return {}

    def _shows(self, done: Callable[[], bool]) -> bool:
        if done():
            return True
        for seconds in READ_BACK_PAUSES:
            self._log.wait(seconds)
            if done():
                return True
        return False


def _counts_from(intent: Intent, now: datetime) -> datetime:
    # An intent without an end was left by a body that nobody saw end: it counts as ending now.
    return intent.counts_from or now + max(intent.settles, timedelta(seconds=1))
