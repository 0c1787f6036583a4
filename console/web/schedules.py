"""Schedules: what comes by itself and when, what became of the last runs, and those of them that went wrong."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from casehand.console.desk import Desk, NotAllowed
from casehand.console.planned import Planned
from casehand.console.rights import Right
from casehand.console.web.page import page
from casehand.console.web.pausing import SAID as PAUSING_SAID
from casehand.console.web.rendering import render
from casehand.console.web.typed import see_and_say, typed, what_was_said
from casehand.exceptions import CasehandError
from casehand.queue.pauses import Pause, PauseKind, all_pauses
from casehand.queue.runs import GoneWrong, RunLine, gone_wrong, last_runs
from casehand.queue.schedules import RunState

MOST = 100
"""Schedules on the page."""
NEXT = 5
LAST = 5
MOST_BATCHES = 5
"""Batches of a run that are named."""

SAID = {
    "seen": "Noted: you know of what went wrong.",
    "seen-already": "Somebody has noted that already.",
    "again": "It is to be run again: the next scheduler that looks begins it.",
    "again-already": "It neither failed nor was skipped: it runs, or has been run since.",
    "paused": "Paused: it hands in nothing until it is resumed.",
    **{name: PAUSING_SAID[name] for name in ("paused-already", "resumed")},
}

AGAIN = (RunState.FAILED, RunState.SKIPPED)
"""What may be run after all."""


@dataclass(frozen=True)
class Shown:
    """A schedule as the page shows it."""

    planned: Planned
    next: list[datetime]
    last: list[RunLine]
    held_by: list[Pause]
    own_pause: Pause | None

    @property
    def name(self) -> str:
        """What it is called."""
        return self.planned.plan.name


def schedules(request: Request) -> Response:
    """Show what comes, and what went wrong."""
    desk: Desk = request.state.desk
    mine = desk.workflows_with(Right.SEE_STRUCTURE)
    every = _planned(request, mine)
    wrong = gone_wrong(desk.ledger, mine, MOST + 1)
    return render(
        request,
        "schedules/list.html",
        wrong=[(one, _may_note(desk, one), every.get(one.schedule)) for one in wrong[:MOST]],
        schedules=_shown(desk, list(every.values())[:MOST], mine),
        more=len(wrong) > MOST or len(every) > MOST,
        most_batches=MOST_BATCHES,
        again=AGAIN,
        said=what_was_said(request, SAID),
    )


def note_runs(request: Request) -> Response:
    """Note that the person knows of the runs that went wrong, as far as he was shown them."""
    given = typed(request, "schedule", "until")
    desk: Desk = request.state.desk
    mine, name = desk.workflows_with(Right.SEE_STRUCTURE), given["schedule"]
    if name not in {one.schedule for one in gone_wrong(desk.ledger, mine)}:
        if name not in _planned(request, mine):
            raise HTTPException(404)
        return see_and_say(request, "schedules", "seen-already")
    number = desk.note_seen(name, _instant(given["until"]))
    return see_and_say(request, "schedules", "seen" if number else "seen-already")


def run_again(request: Request) -> Response:
    """Have a run that failed or was skipped begun after all."""
    given = typed(request, "schedule", "at")
    desk: Desk = request.state.desk
    planned = _planned(request, desk.workflows_with(Right.SEE_STRUCTURE)).get(given["schedule"])
    if planned is None:
        raise HTTPException(404)
    at = _instant(given["at"])
    try:
        desk.run_again(planned.plan, at)
    except NotAllowed:
        raise
    except CasehandError:
        return see_and_say(request, "schedules", "again-already")
    return see_and_say(request, "schedules", "again")


routes = [
    page("/schedules", schedules, right=Right.SEE_STRUCTURE),
    page("/schedules/seen", note_runs, right=Right.HAND_IN, methods=["POST"]),
    page("/schedules/again", run_again, right=Right.HAND_IN, methods=["POST"]),
]


def _planned(request: Request, mine: Collection[str] | None) -> Mapping[str, Planned]:
    """The schedules that the person may know of, by their names and in their order."""
    every: Mapping[str, Planned] = request.app.state.site.planned
    return {name: one for name, one in sorted(every.items()) if mine is None or one.plan.workflow in mine}


def _shown(desk: Desk, every: list[Planned], mine: Collection[str] | None) -> list[Shown]:
    now, pauses = desk.ledger.clock(), all_pauses(desk.ledger)
    last = last_runs(desk.ledger, [one.plan.name for one in every], LAST, mine)
    found = []
    for one in every:
        held_by = [pause for pause in pauses if _holds(pause, one)]
        own = next((pause for pause in held_by if pause.kind is PauseKind.SCHEDULE), None)
        comes = list(islice(one.plan.rule.after(now), NEXT))
        found.append(Shown(one, comes, last[one.plan.name], held_by, own))
    return found


def _holds(pause: Pause, one: Planned) -> bool:
    """Whether it holds the handing in back: what `schedules.is_held_back` asks the ledger."""
    names = {PauseKind.SCHEDULE: {one.plan.name}, PauseKind.BOT: one.plan.bots}
    return pause.kind is PauseKind.EVERYTHING or pause.name in names.get(pause.kind, set())


def _may_note(desk: Desk, one: GoneWrong) -> bool:
    return desk.may(Right.HAND_IN, one.last.workflow)


def _instant(text: str) -> datetime:
    """The moment that a button names. Raises CasehandError for what none does."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise CasehandError("it is not said which run: go back to the schedules")
