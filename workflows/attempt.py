"""One attempt: a workflow run once for a case, and what its end means."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

import structlog
from playwright.sync_api import BrowserContext
from playwright.sync_api import Error as PlaywrightError
from pydantic import ValidationError
from sqlalchemy.exc import InterfaceError, OperationalError

from casehand.bots.bot import Bot
from casehand.bots.evidence import Evidence
from casehand.bots.session import Session
from casehand.exceptions import BusinessException, SignInRefused, SystemException
from casehand.points import Point, reach
from casehand.queue import commits
from casehand.queue.attempts import Begun
from casehand.queue.commits import CommitState, Intent
from casehand.queue.ledger import Ledger
from casehand.queue.outcome import Done, Escalated, EscalationKind, Failed, Outcome, Scene, Waiting
from casehand.workflows.case import Case
from casehand.workflows.data import personal_values
from casehand.workflows.disturbance import undisturbed
from casehand.workflows.hears import Hears, Stage, say_nothing
from casehand.workflows.record import Record
from casehand.workflows.rehearsal import Catch
from casehand.workflows.signals import Asked, InDoubt, LostCase, MustWait, Rehearsed, TimeUp, TooLong
from casehand.workflows.turns import Turns
from casehand.workflows.workflow import Workflow

PICTURE_SECONDS = 8
"""How long a page may take to give its picture; one that hangs gives none."""

LEDGER_PAUSE = timedelta(seconds=10)
"""How long a case waits whose attempt could not write to the ledger."""

log = structlog.get_logger()


@dataclass
class Attempt:
    """What one run of a workflow has about it; `run` is the whole of it."""

    ledger: Ledger
    begun: Begun
    workflow: Workflow
    sessions: Mapping[str, Session]  #: by bot name
    evidence_of: Callable[[list[str]], Evidence]
    record: Record
    refuse: Callable[[str, str], None]  #: told when a sign-in is refused: bot and reason
    turns: Turns
    commits: list[str] = field(default_factory=list)  #: the names of all that were entered
    open_commits: list[str] = field(default_factory=list)  #: begun, and not come to a good end
    refusal: Scene | None = None  #: where the system refused a change
    at: str | None = None  #: the bot in whose system it is, where that is known
    broken: bool = False  #: whether the browser can be trusted no more
    pictures_of_changes: bool = True
    hears: Hears = say_nothing
    rehearses: bool = False  #: whether changes are only looked at
    catch: Catch | None = None  #: what keeps them from being made

    def run(self) -> Outcome:
        """Work the case and say how it ended; raises nothing but LostCase."""
        self._bots: dict[str, Bot] = {}
        try:
            return self._begin()
        finally:
            if self.catch is not None:
                self.catch.end()

    def _begin(self) -> Outcome:
        try:
            data = self.workflow.model.model_validate_json(self.begun.data)
        except ValidationError:
            reason = "what was handed in does not fit the workflow's fields any more"
            return Escalated(EscalationKind.FAULT, reason)
        self._evidence = self.evidence_of(personal_values(data))
        try:
            with self.turns.limit(self.workflow.timeout.total_seconds(), TimeUp):
                return self._run(data)
        except TimeUp:
            self.broken = True  # Whatever hung may hang still.
            return Failed(f"took longer than {self.workflow.timeout}", self.scene("time up"))

    def _run(self, data: Any) -> Outcome:
        try:
            self._sign_in()
            self.reach(Point.SIGNED_IN)
            with self._traced():
                try:
                    return self._work(data)
                except Exception as error:  # noqa: BLE001 — every end of a workflow has a meaning
                    return self._outcome(error)
        except SignInRefused as refused:
            return self._refused(refused)
        except Exception as error:  # noqa: BLE001
            return self._outcome(error)
        except Asked as asked:
            return Escalated(EscalationKind.QUESTION, asked.prompt, asked.question, self.scene("question"))
        except MustWait as wait:
            return Waiting(wait.reason, wait.until)
        except Rehearsed as rehearsed:
            return Waiting(str(rehearsed))
        except InDoubt as doubt:
            return Escalated(EscalationKind.IN_DOUBT, str(doubt), scene=self.scene("in doubt"))

    def _sign_in(self) -> None:
        for bot in {bot.name: bot for bot in self.workflow.bots.values()}.values():
            self.at = bot.name
            with self.record.step(f"opens {bot.name}"):
                self._bots[bot.name] = self.sessions[bot.name].open()
        self.at = None

    def _work(self, data: Any) -> Outcome:
        answers = self.begun.answers

        def answer_to(asked: str) -> tuple[str, str | None]:
            key = self.begun.key.fingerprint(asked)
            return key, answers.get(key)

        case: Case[Any] = Case(data, self.begun.reference, cast("Any", _Log(self)), self.record, answer_to)
        bots = {parameter: self._bots[bot.name] for parameter, bot in self.workflow.bots.items()}
        self.hears(Stage.BEGIN, "")
        result = self.workflow(case, **bots)
        self.check_pages()
        if self.open_commits:
            # Its `except` swallowed what went wrong there; what the workflow says of itself counts no more.
            raise SystemException(
                f"the workflow went on after a failed change: {', '.join(self.open_commits)}"
            )
        for session in self.sessions.values():
            session.leave_page()
        return Done(None if result is None else result.model_dump_json())

    def _outcome(self, error: Exception) -> Outcome:
        if isinstance(error, OperationalError | InterfaceError):
            self._forget_sessions()
            return Waiting("the ledger did not answer", self.ledger.clock() + LEDGER_PAUSE)
        if isinstance(error, BusinessException):
            scene = self.refusal or self.scene("exception")
            return Escalated(EscalationKind.BUSINESS, str(error), scene=scene)
        if isinstance(error, SystemException | PlaywrightError):
            scene = self.scene("failure")
            self._forget_sessions()
            return Failed(_in_one_line(error), scene, self.at)
        log.error("workflow_fault", error=type(error).__name__, at=_where(error))
        reason = f"the workflow has a fault: {type(error).__name__} at {_where(error)}"
        return Escalated(EscalationKind.FAULT, reason, scene=self.scene("fault"))

    def _refused(self, refused: SignInRefused) -> Outcome:
        bots = self.workflow.bot_names if self.at is None else [self.at]
        for bot in bots:
            self.refuse(bot, str(refused))
        self._forget_sessions()
        return Waiting(f"the bot {' or '.join(bots)} is paused: {refused}")

    def reach(self, point: Point) -> None:
        """Come to a point of this attempt."""
        reach(point, self.begun.case, self.begun.number)

    def check_pages(self) -> None:
        """Raise unless every bot's page is where it should be."""
        for bot in self._bots.values():
            bot.check()

    def picture(self, title: str, bot: Bot | None = None) -> str | None:
        """Keep a picture of the page; None when it gives none."""
        shown = bot or next(iter(self._bots.values()), None)
        if shown is None:
            return None
        try:
            with self.turns.within(PICTURE_SECONDS, TooLong):
                return self._evidence.screenshot(shown.page, title)
        except TooLong:
            self.broken = True
            return None

    def contexts(self) -> list[BrowserContext]:
        """The browser contexts that it works in."""
        return [self.sessions[name].context for name in self._bots]

    def bots(self) -> list[Bot]:
        """Those that it works with."""
        return list(self._bots.values())

    def latest_bot(self) -> Bot | None:
        """The one whose page is pictured where nothing else is known."""
        return next(reversed(self._bots.values()), None)

    def scene(self, title: str, shown: Bot | None = None) -> Scene:
        """Keep what the page shows now."""
        bot = shown or self.latest_bot()
        if bot is None:
            return Scene()
        picture = self.picture(title, bot)
        if picture is None:
            self.broken = True
        self.record.note(title, evidence=picture)
        return Scene(_address(bot), picture)

    def _forget_sessions(self) -> None:
        """After a failure nobody knows what state a session is in: sign in anew, with a browser that lives."""
        for session in self.sessions.values():
            try:
                session.renew()
            except PlaywrightError:
                # A horse with a dead browser would fail every case it meets.
                self.broken = True

    @contextmanager
    def _traced(self) -> Iterator[None]:
        if not self.begun.after_failure:
            yield
            return
        contexts = {name: self.sessions[name].context for name in self._bots}
        for context in contexts.values():
            self._evidence.start_trace(context)
        try:
            yield
        finally:
            for name, context in contexts.items():
                self.record.note("trace", evidence=self._evidence.stop_trace(context, f"trace {name}"))


@dataclass
class _Log:
    """What a commit of this attempt needs of the world."""

    attempt: Attempt

    def now(self) -> datetime:
        return self.attempt.ledger.clock()

    def reach(self, point: Point) -> None:
        self.attempt.reach(point)

    def comes_to(self, stage: Stage, name: str) -> None:
        self.attempt.hears(stage, name)

    def begins(self, name: str) -> None:
        if name in self.attempt.commits:
            # What is known of the one would be taken for the other.
            raise TypeError("each commit of a workflow needs a name of its own")
        self.attempt.commits.append(name)
        self.attempt.open_commits.append(name)

    def ended_well(self, name: str) -> None:
        self.attempt.at = None
        self.attempt.open_commits.remove(name)

    def rehearses(self, name: str, bot: Bot | None) -> bool:
        if not self.attempt.rehearses:
            return False
        # Of every bot, whichever is named: the body may work with the others too.
        bots = self.attempt.bots()
        if not bots or not all(one.changes_by_submit for one in bots):
            self.rehearsed(name, bot, None)
        self.attempt.catch = Catch(self.attempt.contexts(), self.attempt.workflow.only_looks)
        return True

    def rehearsed(self, name: str, bot: Bot | None, error: BaseException | None) -> None:
        catch = self.attempt.catch or Catch([], self.attempt.workflow.only_looks)
        if error is not None and not catch.caught:
            return
        shown = bot or self.attempt.latest_bot()
        fields = [] if shown is None else catch.fields(shown.page)
        picture = self.attempt.picture(f"would {name}", shown)
        self.attempt.record.note(f"would make: {name}", evidence=picture, submits=fields)
        raise Rehearsed(name)

    def unresolved(self, name: str) -> list[Intent]:
        return [intent for intent in self.attempt.begun.unresolved if intent.name == name]

    def was_made(self, name: str) -> bool:
        return name in self.attempt.begun.made

    def intend(self, name: str, bot: Bot | None) -> int:
        self.attempt.at = _name_of(bot)
        settles = self.attempt.workflow.settles if bot is None else bot.settles
        with undisturbed():
            intent = commits.intend(
                self.attempt.ledger, self._case, self._number, name, _name_of(bot), settles
            )
        if intent is None:
            raise LostCase
        return intent

    def found(self, name: str, bot: Bot | None) -> None:
        with undisturbed():
            held = commits.found(self.attempt.ledger, self._case, self._number, name, _name_of(bot))
        _unless_lost(held)

    def resolve(self, intent: int, state: CommitState) -> None:
        with undisturbed():
            held = commits.resolve(self.attempt.ledger, self._case, self._number, intent, state)
        _unless_lost(held)

    def check_pages(self) -> None:
        self.attempt.check_pages()

    def picture(self, title: str, bot: Bot | None) -> str | None:
        return self.attempt.picture(title, bot) if self.attempt.pictures_of_changes else None

    def refused(self, bot: Bot | None) -> None:
        self.attempt.refusal = self.attempt.scene("refused", bot)

    def wait(self, seconds: float) -> None:
        self.attempt.turns.pause(seconds)

    def in_thread(self, work: Callable[[], Any]) -> Any:
        return self.attempt.turns.in_thread(work)

    @property
    def _case(self) -> str:
        return self.attempt.begun.case

    @property
    def _number(self) -> int:
        return self.attempt.begun.number


def _unless_lost(held: bool) -> None:
    if not held:
        raise LostCase


def _name_of(bot: Bot | None) -> str | None:
    return None if bot is None else bot.name


def _address(bot: Bot) -> str:
    """The page's address, and those of the frames in it."""
    frames = (frame.url for frame in bot.page.frames if frame.url != "about:blank")
    return " > ".join(dict.fromkeys([bot.page.url, *frames]))


def _in_one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _where(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "an unknown line"
    code = trace.tb_frame.f_code
    return f"{code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}"
