"""Why a queued case waits, in plain words."""

from collections.abc import Iterator

from casehand.console.listing import shown
from casehand.queue.holdups import Ahead, Holdups
from casehand.queue.pauses import Pause, PauseKind
from casehand.queue.state import State


def why_it_waits(held: Holdups) -> list[str]:
    """What a queued case waits for, a sentence each; that it waits for its turn where nothing else holds it up."""
    found = list(_own(held, "It waits"))
    if held.behind is not None:
        found += _behind(held.behind)
    return found or ["It waits for its turn."]


def _own(held: Holdups, begins: str) -> Iterator[str]:
    if held.overdue:
        yield f"{begins} to be put before a person, or cancelled: its due date has passed."
    for pause in held.pauses:
        yield f"{begins}, because {_paused(pause)}."
    for one in held.breakers:
        yield (
            f"{begins}, because the system of the bot {one.bot} has failed case after case since "
            f"{shown(one.opened_at)}: a case tries it again at {shown(one.probe_at)}."
        )
    if held.until is not None:
        yield f"{begins} until {shown(held.until)}."


def _behind(ahead: Ahead) -> list[str]:
    does = "is in work" if ahead.state is State.WORKING else "came in earlier"
    first = f"It waits for another case with this reference, of {ahead.workflow}, which {does}: {ahead.case}."
    return [first, *_own(ahead.held, "That one waits")]


def _paused(pause: Pause) -> str:
    what = "everything" if pause.kind is PauseKind.EVERYTHING else f"the {pause.kind} {pause.name}"
    return f"{what} is paused by {pause.paused_by} since {shown(pause.paused_at)}: {pause.reason}"
