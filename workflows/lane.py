"""A lane: where a horse works one case after another, with sessions of its own, beside its other lanes."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timedelta
from functools import partial
from math import inf
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Protocol

import structlog
from sqlalchemy.exc import DBAPIError

from casehand.bots.bot import Account, Bot
from casehand.bots.evidence import Evidence
from casehand.bots.session import Session
from casehand.exceptions import CasehandError, NotOpen, SignInRefused, SystemException
from casehand.points import Point, reach
from casehand.queue import attempts, endings, leases, pauses, slots, stopping
from casehand.queue.attempts import LEASE, Begun
from casehand.queue.endings import MOST_CRASHES, Loss
from casehand.queue.ledger import BUSY_SECONDS
from casehand.queue.outcome import Escalated, EscalationKind, Outcome, Waiting
from casehand.queue.pauses import PauseKind
from casehand.queue.slots import Slot
from casehand.queue.state import State
from casehand.workflows.disturbance import undisturbed
from casehand.workflows.hold import Held
from casehand.workflows.record import Record
from casehand.workflows.reins import Answer, Broken, Reins
from casehand.workflows.signals import AttemptEnds, LostCase, Stopped
from casehand.workflows.workflow import Workflow

if TYPE_CHECKING:
    from greenlet import greenlet
    from playwright.sync_api import BrowserContext

    from casehand.workflows.horse import Horse

SIGN_IN_TURN = timedelta(seconds=60)
"""How long one lane may take to sign in before another may try: two refusals at once may lock an account."""

SIGNED_IN = timedelta(minutes=2)
"""For so long after an account was let in, others need not wait for each other to sign in with it."""

REST_SECONDS = 60.0
"""How long a lane without work stays signed in."""

SLOT_PAUSE = timedelta(seconds=5)
"""How long a case waits for which there was no session free."""

BORROW_PAUSE = timedelta(minutes=1)
"""How long whoever is no case waits for that: cases come first."""

FRESHLY_KEPT = slots.LENGTH.total_seconds() / 4
"""A slot that was renewed so short a time ago need not be renewed for the next case."""

ALONE_TIDIES = 10
"""A lane that has the browser to itself has room for what so many cases leave on its page: it saves 3 per cent."""

BRIEFLY = 0.2

log = structlog.get_logger()


class _Bell(Protocol):
    """What rings after a time unless it is cancelled."""

    def cancel(self) -> None: ...


class _Silent:
    def cancel(self) -> None:
        """There is nothing to cancel."""


class Lane:
    """One lane of a horse, in the service of one worker, whose name it learns with its first order."""

    def __init__(self, horse: Horse, reins: Reins | None = None, worker: str = "") -> None:
        self.worker = worker
        self.case: str | None = None  #: which it works now
        self.turn: greenlet | None = None  #: in which it works
        self._horse = horse
        self._ledger = horse.ledger
        self._settings = horse.settings
        self._connected = reins
        self._sessions: dict[str, Session] = {}
        self._slots: dict[str, int] = {}
        self._held: Held | None = None
        self._worked = 0
        self._has_gone = False
        self._is_resting = False
        self._bell: _Bell = _Silent()

    @property
    def is_at_work(self) -> bool:
        """Whether it has a case in hand."""
        return self.case is not None

    @property
    def _reins(self) -> Reins:
        assert self._connected is not None  # noqa: S101 — orders come through them
        return self._connected

    @property
    def slots(self) -> list[Slot]:
        """The sessions that it may hold."""
        return [Slot(bot, number, self.worker) for bot, number in self._slots.items()]

    def contexts(self) -> list[BrowserContext]:
        """The browser contexts that are open now."""
        opened = (session.opened for session in self._sessions.values())
        return [context for context in opened if context is not None]

    def hear(self) -> None:
        """Take in what the worker says; called from the loop."""
        try:
            for message in self._reins.read():
                if "worker" in message:
                    self.worker = message["worker"]
                elif "work" in message:
                    self._begin(*message["work"])
                elif "stop" in message:
                    self._stop()
        except Broken:
            self._leave()

    def dismiss(self) -> None:
        """Have the worker look for another horse, while it has given nothing to do here."""
        self._leave()
        self._reins.close()

    def work(self, case: str, number: int) -> State | None:
        """Work a case as its attempt `number`; returns the case's state after it.

        None when the case was not to be had, or was lost meanwhile.
        """
        reach(Point.TAKEN, case, number)
        outlook = attempts.look_at(self._ledger, case)
        if outlook is None:
            log.info("not_begun", case=case, attempt=number)
            return None
        if (until := self._must_wait(outlook.workflow)) is not None:
            attempts.postpone(self._ledger, case, number, until)
            log.info("postponed", case=case, until=until.isoformat())
            return None
        try:
            # One more death of its horse would be the last.
            self._horse.make_room(self, alone=outlook.crashes + 1 >= MOST_CRASHES)
            return self._take(case, number)
        finally:
            self._horse.leave_room(self)

    def _take(self, case: str, number: int) -> State | None:
        held = self._held = Held(case, number)
        # A horse that is stopped before it has a lease must end too; a busy ledger is waited for.
        self._horse.hold.expect(held, BUSY_SECONDS + LEASE.total_seconds())
        try:
            asked = monotonic()
            with undisturbed():
                begun = attempts.begin(self._ledger, case, number, self.worker, policy=self._settings.breaker)
            if begun is None:
                log.info("not_begun", case=case, attempt=number)
                return None
            self._horse.hold.taken(held, asked)
            names = {"case": case, "attempt": number, "workflow": begun.workflow, "worker": self.worker}
            with structlog.contextvars.bound_contextvars(**names):
                return self._work(begun, held)
        except Stopped:
            # The timer waits for this too: until its pages are closed, they may do something yet.
            self._close_sessions()
            raise
        finally:
            self._horse.hold.let_go(held)

    @contextmanager
    def borrow(self, bots: Collection[type[Bot]], length: timedelta) -> Iterator[dict[str, Bot]]:
        """Bots by their names, each signed in, for what is no case and takes so long; given back after it.

        Raises NotOpen while one is closed or all its sessions are held, and SignInRefused, for which it is paused.
        """
        now, is_working = self._ledger.clock(), self._settings.working_calendar.is_working_day
        try:
            for bot in bots:
                opens = bot.must_wait_until(now, length, is_working)
                if opens is not None:
                    raise NotOpen(opens, f"the system of the bot {bot.name} is closed")
                if not self._has_slot(bot):
                    raise NotOpen(now + BORROW_PAUSE, f"the bot {bot.name} holds all its sessions already")
            yield {bot.name: self._session(bot).open() for bot in bots}
        finally:
            self.rest()

    def pause(self, seconds: float) -> None:
        """Let the other lanes have their turns for so long."""
        self._horse.turns.pause(seconds)

    def _begin(self, case: str, number: int) -> None:
        if self._horse.is_spent:
            self.dismiss()
            return
        self._bell.cancel()
        self._reins.send(taken=True)
        self.case = case
        self.turn = self._horse.turns.start(partial(self._ride, case, number))

    def _ride(self, case: str, number: int) -> None:
        """An order from its beginning to the answer, in a turn of its own."""
        CURRENT.set(self)
        fault, stopped = None, False
        try:
            self._await_rest()
            self.work(case, number)
        except Stopped:
            stopped = True
        except (Exception, AttemptEnds) as error:  # noqa: BLE001 — the worker hears of it
            fault = type(error).__name__
            log.warning("not_worked", case=case, error=fault)
        self.case = None
        if self._has_gone:
            self._take_leave(case, number)
            return
        if self._horse.is_spent:
            self.rest()
        self._answer(Answer(not self._horse.is_spent, fault, stopped))

    def _answer(self, answer: Answer) -> None:
        try:
            self._reins.answer(answer)
        except Broken:
            return  # It is heard of in its turn.
        self._bell = self._horse.call_later(REST_SECONDS, self._fall_asleep)
        self._worked += 1
        if len(self._horse.lanes) == 1 and self._worked % ALONE_TIDIES:
            return
        for session in self._sessions.values():
            # Beside what the worker does between two cases.
            self._horse.turns.start(session.tidy)

    def _stop(self) -> None:
        if self.turn is None or not self.is_at_work:
            return
        if self._held is not None:
            # The lease is not renewed any more: a lane that does not let go in time costs the horse.
            self._horse.hold.ending(self._held)
        self._horse.call_later(0, partial(self._horse.turns.interrupt, self.turn, Stopped))

    def _leave(self) -> None:
        """The worker has gone: nothing more is done for it."""
        if self._has_gone:
            return
        self._horse.forget(self._reins)
        self._bell.cancel()
        self._has_gone = True
        if self.is_at_work:
            self._stop()
        else:
            self._horse.turns.start(self._take_leave)

    def _take_leave(self, case: str | None = None, number: int = 0) -> None:
        """Give back all that is held for the worker that has gone, the case in hand too."""
        self._await_rest()
        self.rest()
        if case is not None:
            self._give_back(case, number)
        self._horse.gone(self)

    def _give_back(self, case: str, number: int) -> None:
        give_up = partial(endings.abandon, self._ledger, case, number, "the worker was lost", self.worker)
        try:
            with undisturbed():
                give_up(Loss.STOP, self._settings.backoff, self._horse.chance())
        except DBAPIError as away:
            # Its lease runs out all the same.
            log.warning("ledger_away", while_doing="give back", error=type(away.orig).__name__)

    def _fall_asleep(self) -> None:
        self._horse.turns.start(self.rest)

    def rest(self) -> None:
        """Give up the sessions, so that other lanes may have them."""
        self._is_resting = True
        try:
            self._close_sessions()
            held = self.slots
            self._slots.clear()
            with undisturbed():
                slots.give_back(self._ledger, held)
        except DBAPIError as away:
            log.warning("ledger_away", while_doing="rest", error=type(away.orig).__name__)
        finally:
            self._is_resting = False

    def _await_rest(self) -> None:
        while self._is_resting:
            self.pause(BRIEFLY)

    def _must_wait(self, name: str) -> datetime | None:
        """When a case may begin whose bots are closed, or have no session free; None when it may now."""
        workflow = self._horse.workflows.get(name)
        if workflow is None:
            return None
        now = self._ledger.clock()
        is_working = self._settings.working_calendar.is_working_day
        for bot in workflow.bots.values():
            try:
                opens = bot.must_wait_until(now, workflow.timeout, is_working)
            except ValueError as error:
                self._refuse(bot.name, f"its hours cannot be kept to: {error}")
                return now + SLOT_PAUSE
            if opens is not None:
                return opens
            if not self._has_slot(bot):
                return now + SLOT_PAUSE
        return None

    def _has_slot(self, bot: type[Bot]) -> bool:
        held = self._slots.get(bot.name)
        if held is not None and self._still_has(Slot(bot.name, held, self.worker)):
            return True
        self._forget(bot.name)
        self._slots.pop(bot.name, None)
        try:
            number = bot.slots(len(self._settings.for_bot(bot.name).accounts))
        except CasehandError:
            return True  # It is not set up here, which `_session` says.
        taken = slots.take_slot(self._ledger, bot.name, number, self.worker)
        if taken is not None:
            self._slots[bot.name] = taken
        return taken is not None

    def _still_has(self, slot: Slot) -> bool:
        if monotonic() - self._horse.slots_kept.get(slot, -inf) < FRESHLY_KEPT:
            return True
        return slots.keep_slot(self._ledger, slot)

    def _forget(self, bot: str) -> None:
        session = self._sessions.pop(bot, None)
        try:
            if session is not None:
                session.forget()
        except Exception:  # noqa: BLE001 — Playwright's error, which is not to be imported here
            log.warning("browser_lost", bot=bot)
            self._horse.distrust()

    def _close_sessions(self) -> None:
        for bot in list(self._sessions):
            self._forget(bot)

    def _work(self, begun: Begun, held: Held) -> State | None:
        reach(Point.BEGUN, begun.case, begun.number)
        log.info("attempt_begun")
        record = Record(self._ledger.clock)
        try:
            outcome = self._run(begun, record)
        except LostCase:
            log.warning("case_lost")
            return None
        self._horse.hold.ending(held)
        state = self._end(begun, outcome, record)
        if state is State.ESCALATED:
            self._stop_if_wrong(begun.case)
        reach(Point.ENDED, begun.case, begun.number)
        log.info("attempt_ended", end=type(outcome).__name__.lower(), state=state)
        return state

    def _end(self, begun: Begun, outcome: Outcome, record: Record) -> State | None:
        """Write how it ended, trying again while the ledger is away; the lease's timer ends that in time."""
        while True:
            try:
                with undisturbed():
                    return endings.end(
                        self._ledger,
                        begun,
                        outcome,
                        record.as_json(),
                        self._settings.backoff,
                        self._horse.chance(),
                        self._settings.breaker,
                    )
            except DBAPIError as away:
                log.warning("ledger_away", while_doing="end", error=type(away.orig).__name__)
                self.pause(BRIEFLY)

    def _stop_if_wrong(self, case: str) -> None:
        try:
            with undisturbed():
                stopped = stopping.stop_if_wrong(self._ledger, case)
        except DBAPIError as away:
            # Whoever escalates the next of the batch looks too.
            log.warning("ledger_away", while_doing="stop a batch", error=type(away.orig).__name__)
        else:
            if stopped:
                log.warning("batch_stopped")

    def _run(self, begun: Begun, record: Record) -> Outcome:
        # Playwright is imported here, in the horse, and never in the worker that it was forked from.
        from casehand.workflows.attempt import Attempt

        workflow = self._horse.workflows.get(begun.workflow)
        if workflow is None:
            reason = f"no workflow {begun.workflow} is installed where it was worked"
            return Escalated(EscalationKind.FAULT, reason)
        try:
            sessions = {bot.name: self._session(bot) for bot in workflow.bots.values()}
        except CasehandError as missing:
            return self._unready(workflow, str(missing))
        attempt = Attempt(
            self._ledger,
            begun,
            workflow,
            sessions,
            lambda personal: Evidence(self._folder(begun), begun.key.seal, personal),
            record,
            self._refuse,
            self._horse.turns,
            pictures_of_changes=self._settings.pictures == "all",
            hears=self._horse.hears,
            rehearses=self._horse.rehearses,
        )
        try:
            return attempt.run()
        finally:
            if attempt.broken:
                self._horse.distrust()

    def _unready(self, workflow: Workflow, reason: str) -> Outcome:
        """What this machine lacks for a bot is no fault of the case: pause, and say so."""
        for bot in workflow.bot_names:
            self._refuse(bot, reason)
        return Waiting(reason)

    def _session(self, bot: type[Bot]) -> Session:
        if bot.name not in self._sessions:
            given = self._settings.for_bot(bot.name)
            own = self._slots.get(bot.name, 0) % len(given.accounts)
            account = Account(given.accounts[own].username, given.accounts[own].password)
            turn = partial(self._turn_to_sign_in, bot.name, own)
            self._sessions[bot.name] = Session(bot, given.url, account, self._horse.warm_browser(), turn)
        return self._sessions[bot.name]

    @contextmanager
    def _turn_to_sign_in(self, bot: str, account: int) -> Iterator[None]:
        """One sign-in at a time for an account that has not just been let in, and none after a refusal."""
        name, was_let_in = f"sign-in {bot}", f"let in {bot} {account}"
        deadline = monotonic() + SIGN_IN_TURN.total_seconds()
        while not (
            leases.is_held(self._ledger, was_let_in)
            or leases.hold(self._ledger, name, self.worker, SIGN_IN_TURN)
        ):
            if monotonic() > deadline:
                raise SystemException(f"another worker is signing in to {bot} and does not come to an end")
            self.pause(BRIEFLY)
        try:
            if pauses.is_paused(self._ledger, PauseKind.BOT, bot):
                raise SignInRefused("another worker's sign-in was refused")
            yield
            leases.hold(self._ledger, was_let_in, "all", SIGNED_IN)
        except SignInRefused as refused:
            self._refuse(bot, str(refused))
            raise
        finally:
            leases.let_go(self._ledger, name, self.worker)

    def _refuse(self, bot: str, reason: str) -> None:
        if pauses.pause(self._ledger, PauseKind.BOT, bot, reason, self.worker):
            log.error("bot_paused", bot=bot, reason=reason)

    def _folder(self, begun: Begun) -> Path:
        return self._settings.evidence / begun.case / str(begun.number)


CURRENT: ContextVar[Lane] = ContextVar("CURRENT")
"""The lane whose turn it is."""
