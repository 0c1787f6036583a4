"""The hall: where cases are rehearsed, on a ledger of their own that goes with it; nothing is changed anywhere.

The sign-ins and sessions are the service's own, so they are taken from its ledger: a bot that is paused, closed or
fully at work elsewhere is left alone.
"""

import base64
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, SecretStr

from casehand.bots.browser import WarmBrowser
from casehand.bots.driver import start_driver
from casehand.bots.evidence import read_evidence
from casehand.console.listing import say, show_table
from casehand.console.office import Office
from casehand.console.place import Place, check_free
from casehand.exceptions import CasehandError
from casehand.queue import leases, pauses
from casehand.queue.cases import CaseStory, tell
from casehand.queue.commits import CommitState
from casehand.queue.known import make_known
from casehand.queue.ledger import Ledger
from casehand.queue.outcome import EscalationKind
from casehand.queue.single import take_in
from casehand.queue.state import State
from casehand.queue.vault import KEY_BYTES
from casehand.settings import Settings
from casehand.workflows.hears import Hears, say_nothing
from casehand.workflows.solo import NewBrowser, Solo
from casehand.workflows.workflow import Workflow

if TYPE_CHECKING:
    from playwright.sync_api import Playwright

SLACK = timedelta(minutes=1)
"""How much longer than one case may take its session is kept from others, for whoever is killed in between."""


class Ending(StrEnum):
    """What would become of a case."""

    CHANGES = "would be done"
    ALREADY = "already done"
    READS = "done, with nothing to change"
    QUESTION = "would ask a question"
    EXCEPTION = "would go to a person"
    FAILURE = "the system failed"
    FAULT = "the workflow has a fault"


KINDS: Mapping[EscalationKind, Ending] = {
    EscalationKind.QUESTION: Ending.QUESTION,
    EscalationKind.BUSINESS: Ending.EXCEPTION,
    EscalationKind.IN_DOUBT: Ending.EXCEPTION,
    EscalationKind.FAILURE: Ending.FAILURE,
    EscalationKind.FAULT: Ending.FAULT,
}
TO_A_PERSON = frozenset({Ending.QUESTION, Ending.EXCEPTION, Ending.FAILURE, Ending.FAULT})


@dataclass(frozen=True)
class Rehearsed:
    """What one case came to."""

    reference: str
    ending: Ending
    why: str | None
    change: str | None  #: the commit point that it came to
    submits: list[dict[str, str]] = field(repr=False)  #: what would have been submitted, field by field
    steps: list[str] = field(default_factory=list)
    picture: Path | None = None  #: of the page with what would have been submitted, or of what stopped it


@dataclass
class Hall:
    """One workflow's rehearsals, in one browser; a context manager."""

    office: Office
    workflow: Workflow
    window: Mapping[str, Any] = field(default_factory=dict)  #: Playwright's launch options
    hears: Hears = say_nothing
    pictures: Path | None = None  #: where those of each case are put, decrypted

    def __enter__(self) -> "Hall":
        self._stack = ExitStack()
        try:
            self._set_up()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *raised: object) -> None:
        self._stack.close()

    @property
    def solo(self) -> Solo:
        """What the cases are worked by."""
        return self._solo

    def rehearse(self, data: BaseModel) -> Rehearsed:
        """Work one case up to its first change. Raises CasehandError when the system refuses the account."""
        self._check_free()
        self._keep_places()
        case = take_in(
            self._ledger,
            workflow=self.workflow.name,
            reference=self.workflow.reference,
            data=data,
            by=self.office.person.id,
        )
        self._solo.work(case, lambda line: line.attempts == 0)
        self._pass_on_refusal()
        return self._told(tell(self._ledger, case))

    def _set_up(self) -> None:
        self._check_free()
        settings = self._stack.enter_context(scratch(self.office.settings))
        self._settings = settings
        self._ledger = Ledger.open(settings.ledger_url, settings.vault())
        self._stack.callback(self._ledger.close)
        holder = f"rehearsal.{secrets.token_hex(4)}"
        bots = {bot.name: bot for bot in self.workflow.bots.values()}
        self._places = [Place(self.office, bot, holder) for bot in bots.values()]
        for place in self._places:
            self._stack.callback(place.give_back)
        self._keep_places()
        known = self.workflow
        make_known(self._ledger, known.name, known.bot_names, known.timeout)
        self._solo = self._stack.enter_context(
            riding(settings, self._ledger, known, self.window, self.hears, rehearses=True)
        )

    def _keep_places(self) -> None:
        """Hold one session of each bot in the service's own ledger, the same that is worked with here."""
        for place in self._places:
            place.keep(self.workflow.timeout + SLACK)
            for other in place.elsewhere:
                # Whose account that is must not be used here either.
                leases.hold(self._ledger, other.name, "elsewhere", timedelta(days=1))

    def _check_free(self) -> None:
        check_free(self.office, self.workflow.bots.values(), self.workflow.timeout)

    def _pass_on_refusal(self) -> None:
        """A refused sign-in counts for the service too: trying on locks accounts."""
        for one in pauses.all_pauses(self._ledger):
            pauses.pause(self.office.ledger, one.kind, one.name, one.reason, self.office.person.id)
            raise CasehandError(f"the bot {one.name} is paused from now on: {one.reason}")

    def _told(self, story: CaseStory) -> Rehearsed:
        steps = story.attempts[-1].steps if story.attempts else []
        would = next((step for step in steps if "submits" in step), None)
        ending, why = _ending(story, would is not None)
        shown = would or next((step for step in reversed(steps) if step.get("evidence")), {})
        submits: Any = [] if would is None else would["submits"]
        return Rehearsed(
            reference=story.line.reference,
            ending=ending,
            why=why,
            change=None if would is None else str(would["name"]).removeprefix("would make: "),
            submits=submits,
            steps=[str(step["name"]) for step in steps if "seconds" in step],
            picture=self._picture(story, shown.get("evidence")),
        )

    def _picture(self, story: CaseStory, name: object) -> Path | None:
        if self.pictures is None or not isinstance(name, str) or not name.endswith(".jpg"):
            return None
        source = self._settings.evidence / story.line.id / str(story.attempts[-1].number) / name
        self.pictures.mkdir(mode=0o700, parents=True, exist_ok=True)
        target = self.pictures / f"{_as_file_name(story.line.reference)}.jpg"
        target.write_bytes(read_evidence(source, self._ledger.key_of(story.line.id).open))
        return target


def show_submission(told: Rehearsed, title: str) -> None:
    """Say what would have been submitted."""
    say(f"{title}: {told.change} ({told.reference})")
    if told.submits:
        show_table("", ("Field", "Value"), [(one["field"], one["value"]) for one in told.submits])
    else:
        say(
            "  what that is cannot be told: the rehearsal stopped before it, since not every bot here says that its "
            "changes are a page's own submissions (changes_by_submit)"
        )


def as_json(told: Rehearsed) -> dict[str, object]:
    """The same for programs."""
    submits = {one["field"]: one["value"] for one in told.submits}
    picture = None if told.picture is None else str(told.picture)
    return {
        "reference": told.reference,
        "ending": told.ending,
        "why": told.why,
        "change": told.change,
        "submits": submits,
        "steps": told.steps,
        "picture": picture,
    }


@contextmanager
def scratch(settings: Settings) -> Iterator[Settings]:
    """Settings with a home of their own, whose key is kept nowhere, and which is removed at the end."""
    rehearsals = settings.home.absolute() / "rehearsals"
    _clear_left(rehearsals)
    home = rehearsals / f"{os.getpid()}-{secrets.token_hex(6)}"
    home.mkdir(mode=0o700, parents=True)
    key = base64.urlsafe_b64encode(os.urandom(KEY_BYTES)).decode()
    try:
        yield settings.model_copy(
            update={
                "home": home,
                "database_url": None,
                "key": SecretStr(key),
                "retries": 0,
                "pictures": "escalations",
                "breaker_failures": 1_000_000,
            }
        )
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _clear_left(rehearsals: Path) -> None:
    """Remove what a rehearsal that was killed has left; its key is gone anyway."""
    for left in rehearsals.glob("[0-9]*-*"):
        try:
            os.kill(int(left.name.partition("-")[0]), 0)
        except ProcessLookupError:
            shutil.rmtree(left, ignore_errors=True)
        except PermissionError:
            continue  # It is another's, and alive.


@contextmanager
def riding(
    settings: Settings,
    ledger: Ledger,
    workflow: Workflow,
    window: Mapping[str, Any],
    hears: Hears,
    *,
    rehearses: bool,
) -> Iterator[Solo]:
    """A horse in this process for one workflow, with a driver and browser of its own."""
    name = f"solo.{secrets.token_hex(3)}.{os.getpid()}"
    with (
        _driving(window) as (playwright, new_browser),
        Solo(
            settings,
            ledger,
            {workflow.name: workflow},
            playwright,
            name=name,
            new_browser=new_browser,
            hears=hears,
            rehearses=rehearses,
        ) as solo,
    ):
        yield solo


@contextmanager
def _driving(window: Mapping[str, Any]) -> "Iterator[tuple[Playwright, NewBrowser]]":
    """A driver, and what opens browsers with it; all of them end with the block."""
    from playwright.sync_api import Error

    opened: list[WarmBrowser] = []

    def new_browser(
        binary: Path, arguments: Sequence[str], origins: Sequence[str], driver: "Playwright | None"
    ) -> WarmBrowser:
        opened.append(WarmBrowser(binary, arguments, origins, driver, window))
        return opened[-1]

    playwright = start_driver()
    try:
        yield playwright, new_browser
    finally:
        for browser in opened:
            with suppress(Error):  # It may have died.
                browser.close_browser()
        playwright.stop()


def _ending(story: CaseStory, came_to_change: bool) -> tuple[Ending, str | None]:
    waits = story.escalations[-1] if story.escalations else None
    if came_to_change:
        return Ending.CHANGES, None
    if waits is not None:
        return KINDS[waits.kind], waits.reason
    if story.line.state is State.DONE:
        was_there = any(one.state is CommitState.FOUND for one in story.commits)
        return (Ending.ALREADY if was_there else Ending.READS), None
    return Ending.FAILURE, story.line.reason or "it could not be begun"


def _as_file_name(reference: str) -> str:
    return "".join(one if one.isalnum() or one in "-_" else "-" for one in reference)[:80]
