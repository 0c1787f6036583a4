"""The horse: the process that holds one warm browser and works cases one after another."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from time import monotonic
from typing import ClassVar

import structlog
from sqlalchemy.exc import DBAPIError

from casehand.bots.bot import Account, Bot
from casehand.bots.browser import WarmBrowser
from casehand.bots.chromium import find_browser, launch_arguments
from casehand.bots.evidence import Evidence
from casehand.bots.session import Session
from casehand.exceptions import CasehandError, SignInRefused, SystemException
from casehand.points import Point, reach
from casehand.queue import attempts, endings, leases, pauses, slots
from casehand.queue.attempts import LEASE, Begun
from casehand.queue.ledger import BUSY_SECONDS, Ledger
from casehand.queue.outcome import Escalated, EscalationKind, Outcome, Waiting
from casehand.queue.pauses import PauseKind
from casehand.queue.state import State
from casehand.settings import Settings
from casehand.workflows.disturbance import undisturbed
from casehand.workflows.hold import MARGIN, Hold, KillTimer
from casehand.workflows.installed import installed_bots
from casehand.workflows.record import Record
from casehand.workflows.signals import LostCase
from casehand.workflows.workflow import Workflow

SIGN_IN_TURN = timedelta(seconds=60)
"""How long one horse may take to sign in before another may try: two refusals at once may lock an account."""

REST_SECONDS = 60.0
"""How long a horse without work stays signed in."""

SLOT_PAUSE = timedelta(seconds=5)
"""How long a case waits for which there was no session free."""

log = structlog.get_logger()


@dataclass
class Horse:
    """Works cases with a warm browser and the sessions it has opened."""

    current: ClassVar["Horse | None"] = None

    settings: Settings
    ledger: Ledger
    workflows: dict[str, Workflow]
    worker: str
    chance: Callable[[], float] = random.random
    worked: int = 0
    is_spent: bool = False  #: whether it should be thrown away after this case
    _sessions: dict[str, Session] = field(default_factory=dict)
    _slots: dict[str, int] = field(default_factory=dict)
    _browser: WarmBrowser | None = None
    _timer: KillTimer = field(default_factory=KillTimer)

    def work(self, case: str, number: int) -> State | None:
        """Work a case as its attempt `number`; returns the case's state after it.

        None when the case was not to be had, or was lost meanwhile.
        """
        reach(Point.TAKEN, case, number)
        if (until := self._must_wait(case)) is not None:
            attempts.postpone(self.ledger, case, number, until)
            log.info("postponed", case=case, until=until.isoformat())
            return None
        # A horse that is stopped before it has a lease must end too; a busy ledger is waited for.
        self._timer.set(BUSY_SECONDS + LEASE.total_seconds())
        asked = monotonic()
        begun = None
        try:
            with undisturbed():
                begun = attempts.begin(self.ledger, case, number, self.worker, policy=self.settings.breaker)
        finally:
            if begun is None:
                self._timer.stop()
        if begun is None:
            log.info("not_begun", case=case, attempt=number)
            return None
        self._timer.set(LEASE.total_seconds() - MARGIN - (monotonic() - asked))
        with (
            structlog.contextvars.bound_contextvars(
                case=case, attempt=number, workflow=begun.workflow, worker=self.worker
            ),
            Hold(partial(self._renew, case, number), self._timer) as hold,
        ):
            return self._work(begun, hold)

    def idle(self, seconds: float) -> None:
        """Keep the sessions for a while without work; then give them up, so that other horses may have them."""
        if seconds < REST_SECONDS:
            self._keep_slots()
            return
        for bot, slot in self._slots.items():
            self._forget(bot)
            slots.give_back(self.ledger, bot, slot, self.worker)
        self._slots.clear()

    def _must_wait(self, case: str) -> datetime | None:
        """When a case may begin whose bots are closed, or have no session free; None when it may now."""
        workflow = self.workflows.get(attempts.workflow_of(self.ledger, case) or "")
        if workflow is None:
            return None
        now = self.ledger.clock()
        for bot in workflow.bots.values():
            if (until := bot.must_wait_until(now, workflow.timeout)) is not None:
                return until
            if not self._has_slot(bot):
                return now + SLOT_PAUSE
        return None

    def _has_slot(self, bot: type[Bot]) -> bool:
        held = self._slots.get(bot.name)
        if held is not None and slots.keep_slot(self.ledger, bot.name, held, self.worker):
            return True
        self._forget(bot.name)
        self._slots.pop(bot.name, None)
        try:
            number = bot.slots(len(self.settings.for_bot(bot.name).accounts))
        except CasehandError:
            return True  # It is not set up here, which `_session` says.
        taken = slots.take_slot(self.ledger, bot.name, number, self.worker)
        if taken is not None:
            self._slots[bot.name] = taken
        return taken is not None

    def _forget(self, bot: str) -> None:
        session = self._sessions.pop(bot, None)
        try:
            if session is not None:
                session.forget()
        except Exception:  # noqa: BLE001 — Playwright's error, which is not to be imported here
            log.warning("browser_lost", bot=bot)
            self.is_spent = True

    def _renew(self, case: str, number: int) -> bool:
        self._keep_slots()
        return attempts.renew(self.ledger, case, number)

    def _keep_slots(self) -> None:
        for bot, slot in list(self._slots.items()):
            slots.keep_slot(self.ledger, bot, slot, self.worker)

    def _work(self, begun: Begun, hold: Hold) -> State | None:
        reach(Point.BEGUN, begun.case, begun.number)
        log.info("attempt_begun")
        record = Record(self.ledger.clock)
        try:
            outcome = self._run(begun, record)
        except LostCase:
            log.warning("case_lost")
            return None
        hold.ending()
        state = self._end(begun, outcome, record)
        reach(Point.ENDED, begun.case, begun.number)
        log.info("attempt_ended", end=type(outcome).__name__.lower(), state=state)
        self.worked += 1
        self.is_spent = self.is_spent or self.worked >= self.settings.browser_cases
        return state

    def _end(self, begun: Begun, outcome: Outcome, record: Record) -> State | None:
        """Write how it ended, trying again while the ledger is away; the lease's timer ends that in time."""
        while True:
            try:
                with undisturbed():
                    return endings.end(
                        self.ledger,
                        begun,
                        outcome,
                        record.as_json(),
                        self.settings.backoff,
                        self.chance(),
                        self.settings.breaker,
                    )
            except DBAPIError as away:
                log.warning("ledger_away", while_doing="end", error=type(away.orig).__name__)
                _pause_briefly()

    def _run(self, begun: Begun, record: Record) -> Outcome:
        # Playwright is imported here, in the horse, and never in the worker that it was forked from.
        from casehand.workflows.attempt import Attempt

        workflow = self.workflows.get(begun.workflow)
        if workflow is None:
            reason = f"no workflow {begun.workflow} is installed where it was worked"
            return Escalated(EscalationKind.FAULT, reason)
        try:
            sessions = {bot.name: self._session(bot) for bot in workflow.bots.values()}
        except CasehandError as missing:
            return self._unready(workflow, str(missing))
        attempt = Attempt(
            self.ledger,
            begun,
            workflow,
            sessions,
            lambda personal: Evidence(self._folder(begun), begun.key.seal, personal),
            record,
            self._refuse,
            pictures_of_changes=self.settings.pictures == "all",
        )
        try:
            return attempt.run()
        finally:
            self.is_spent = self.is_spent or attempt.broken

    def _unready(self, workflow: Workflow, reason: str) -> Outcome:
        """What this machine lacks for a bot is no fault of the case: pause, and say so."""
        for bot in workflow.bot_names:
            self._refuse(bot, reason)
        return Waiting(reason)

    def _session(self, bot: type[Bot]) -> Session:
        if bot.name not in self._sessions:
            given = self.settings.for_bot(bot.name)
            own = given.accounts[self._slots.get(bot.name, 0) % len(given.accounts)]
            account = Account(own.username, own.password)
            turn = partial(self._turn_to_sign_in, bot.name)
            self._sessions[bot.name] = Session(bot, given.url, account, self._warm_browser(), turn)
        return self._sessions[bot.name]

    def _warm_browser(self) -> WarmBrowser:
        if self._browser is None:
            binary = find_browser(self.settings.browser)
            bots = installed_bots(self.workflows.values())
            self._browser = WarmBrowser(binary, launch_arguments(), list(_origins(self.settings, bots)))
        return self._browser

    @contextmanager
    def _turn_to_sign_in(self, bot: str) -> Iterator[None]:
        """One sign-in at a time for a bot, and none after another was refused."""
        name = f"sign-in {bot}"
        deadline = monotonic() + SIGN_IN_TURN.total_seconds()
        while not leases.hold(self.ledger, name, self.worker, SIGN_IN_TURN):
            if monotonic() > deadline:
                raise SystemException(f"another worker is signing in to {bot} and does not come to an end")
            _pause_briefly()
        try:
            if pauses.is_paused(self.ledger, PauseKind.BOT, bot):
                raise SignInRefused("another worker's sign-in was refused")
            yield
        except SignInRefused as refused:
            self._refuse(bot, str(refused))
            raise
        finally:
            leases.let_go(self.ledger, name, self.worker)

    def _refuse(self, bot: str, reason: str) -> None:
        if pauses.pause(self.ledger, PauseKind.BOT, bot, reason, self.worker):
            log.error("bot_paused", bot=bot, reason=reason)

    def _folder(self, begun: Begun) -> Path:
        return self.settings.evidence / begun.case / str(begun.number)


def work(case: str, attempt: int) -> None:
    """Work a case: the one function that a job may name."""
    if Horse.current is None:
        raise CasehandError("cases are worked by a Casehand worker: start one with `casehand work`")
    Horse.current.work(case, attempt)


def _origins(settings: Settings, bots: dict[str, type[Bot]]) -> Iterator[str]:
    for name, bot in bots.items():
        try:
            yield from bot.origins(settings.for_bot(name).url)
        except CasehandError:
            continue  # A bot that is not set up here has no address that the browser may open.


def _pause_briefly() -> None:
    time.sleep(0.2)  # noqa: TID251 — waits for what another process holds
