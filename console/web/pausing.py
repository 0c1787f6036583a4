"""Pausing: what is held back, why and by whom; holding back something, or all, and letting go."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from casehand.console.desk import Desk, NotAllowed
from casehand.console.rights import Right
from casehand.console.web.page import page
from casehand.console.web.rendering import render
from casehand.console.web.typed import see_and_say, sentence, typed, what_was_said
from casehand.exceptions import CasehandError
from casehand.queue.breaker import open_breakers
from casehand.queue.pauses import (
    ALL,
    COUNTED,
    Pause,
    PauseKind,
    all_held,
    all_pauses,
    all_workflows_held,
    names_of,
    workflows_of_bots,
)

MOST = 100
"""Pauses on the page: of each, it is counted how many cases wait."""
MOST_CHOICES = 200
LONGEST_REASON = 1_000

SAID = {
    "paused": "Paused. Cases in work are finished, and no other begins until it is resumed.",
    "paused-already": "It was paused already: the first reason stands.",
    "resumed": "It goes on.",
    "tried": "The next case tries whether the system works again.",
}

TITLES = {
    PauseKind.BOT: "Pause a bot",
    PauseKind.WORKFLOW: "Pause a workflow",
    PauseKind.BATCH: "Pause a batch",
    PauseKind.SCHEDULE: "Pause a schedule",
    PauseKind.EVERYTHING: "Pause everything",
}


@dataclass(frozen=True)
class Held:
    """A pause as the page shows it."""

    pause: Pause
    waiting: int  #: cases
    may_resume: bool


def pausing(request: Request) -> Response:
    """Show what is paused, and the systems that fail."""
    desk: Desk = request.state.desk
    ledger, mine = desk.ledger, desk.workflows_with(Right.SEE_STRUCTURE)
    every = all_pauses(ledger)
    concerned = all_workflows_held(ledger, every)
    shown = [one for one in every if _is_mine(one, concerned[one], mine)][:MOST]
    waiting = all_held(ledger, shown, mine)
    bots = workflows_of_bots(ledger)
    return render(
        request,
        "pausing/list.html",
        pauses=[
            Held(one, number, _may_resume(desk, one, concerned[one]))
            for one, number in zip(shown, waiting, strict=True)
        ],
        more=len(every) > MOST,
        counted=COUNTED,
        breakers=[
            (one, _may_pause(desk, bots.get(one.bot, set())))
            for one in open_breakers(ledger)
            if mine is None or not mine.isdisjoint(bots.get(one.bot, set()))
        ],
        kinds={kind: title for kind, title in TITLES.items() if _may_begin(desk, kind)},
        said=what_was_said(request, SAID),
    )


def ask_to_pause(request: Request) -> Response:
    """Ask what is to be paused, and why."""
    query = request.query_params
    kind = _kind(query.get("kind", ""))
    if kind is None:
        return RedirectResponse(request.app.url_path_for("pausing"), 303)
    return _show_form(request, kind, {"name": query.get("name", ""), "back": query.get("back", "")})


def pause_work(request: Request) -> Response:
    """Hold it back."""
    given = typed(request, "kind", "name", "reason", "back")
    kind = _kind(given["kind"])
    if kind is None:
        return RedirectResponse(request.app.url_path_for("pausing"), 303)
    errors = _errors(kind, given)
    if errors:
        return _show_form(request, kind, given, errors)
    name = ALL if kind is PauseKind.EVERYTHING else given["name"].strip()
    try:
        newly = request.state.desk.pause(kind, name, given["reason"])
    except NotAllowed:
        raise
    except CasehandError as error:
        field = "reason" if kind is PauseKind.EVERYTHING else "name"
        return _show_form(request, kind, given, {field: sentence(error)})
    return _back(request, "paused" if newly else "paused-already", given)


def resume_work(request: Request) -> Response:
    """Let it go on."""
    given = typed(request, "kind", "name", "back")
    kind = _kind(given["kind"])
    if kind is None:
        return RedirectResponse(request.app.url_path_for("pausing"), 303)
    request.state.desk.resume(kind, ALL if kind is PauseKind.EVERYTHING else given["name"])
    return _back(request, "resumed", given)


def try_system(request: Request) -> Response:
    """Let one case try a system that has failed."""
    request.state.desk.try_now(typed(request, "bot")["bot"])
    return see_and_say(request, "pausing", "tried")


routes = [
    page("/pausing", pausing, right=Right.SEE_STRUCTURE),
    page("/pausing/new", ask_to_pause, right=Right.PAUSE),
    page("/pausing/new", pause_work, right=Right.PAUSE, methods=["POST"]),
    page("/pausing/resume", resume_work, right=Right.PAUSE, methods=["POST"]),
    page("/pausing/try", try_system, right=Right.PAUSE, methods=["POST"]),
]


def _is_mine(pause: Pause, concerned: set[str], mine: frozenset[str] | None) -> bool:
    return pause.kind is PauseKind.EVERYTHING or mine is None or not mine.isdisjoint(concerned)


def _may_resume(desk: Desk, pause: Pause, concerned: set[str]) -> bool:
    if pause.kind is PauseKind.EVERYTHING:
        return desk.may(Right.PAUSE_ALL)
    return _may_pause(desk, concerned)


def _may_pause(desk: Desk, concerned: set[str]) -> bool:
    """Whether the person may hold back and let go work of each of the workflows."""
    return all(desk.may(Right.PAUSE, one) for one in concerned) if concerned else desk.may(Right.PAUSE)


def _may_begin(desk: Desk, kind: PauseKind) -> bool:
    if kind is PauseKind.EVERYTHING:
        return desk.may(Right.PAUSE_ALL)
    return desk.workflows_with(Right.PAUSE) != frozenset()


def _kind(text: str) -> PauseKind | None:
    return PauseKind(text) if text in set(PauseKind) else None


def _errors(kind: PauseKind, given: dict[str, str]) -> dict[str, str]:
    errors = {}
    if kind is not PauseKind.EVERYTHING and not given["name"].strip():
        errors["name"] = f"Choose which {kind} is to be paused"
    if not given["reason"].strip():
        errors["reason"] = "Enter why it is paused"
    elif len(given["reason"]) > LONGEST_REASON:
        errors["reason"] = f"The reason must have {LONGEST_REASON:,} characters or fewer"
    return errors


def _back(request: Request, said: str, given: dict[str, str]) -> Response:
    if given["back"] == "batch":
        return see_and_say(request, "show_batch", said, name=given["name"])
    if given["back"] == "schedules":
        return see_and_say(request, "schedules", said)
    return see_and_say(request, "pausing", said)


def _show_form(
    request: Request, kind: PauseKind, given: dict[str, str], errors: dict[str, str] | None = None
) -> Response:
    desk: Desk = request.state.desk
    if kind is PauseKind.EVERYTHING:
        desk.check(Right.PAUSE_ALL)
    return render(
        request,
        "pausing/new.html",
        422 if errors else 200,
        kind=kind,
        title=TITLES[kind],
        choices=_choices(desk, kind),
        most=MOST_CHOICES,
        given=given,
        errors=errors or {},
    )


def _choices(desk: Desk, kind: PauseKind) -> list[str]:
    """The names from which to choose; of batches there may be thousands, so one is typed."""
    mine = desk.workflows_with(Right.PAUSE)
    installed = [one for one in desk.workflows.values() if mine is None or one.name in mine]
    if kind is PauseKind.WORKFLOW:
        return sorted(names_of(desk.ledger, kind, mine) | {one.name for one in installed})[:MOST_CHOICES]
    if kind is PauseKind.BOT:
        bots = workflows_of_bots(desk.ledger)
        for one in installed:
            for bot in one.bot_names:
                bots.setdefault(bot, set()).add(one.name)
        return sorted(bot for bot, workflows in bots.items() if _may_pause(desk, workflows))[:MOST_CHOICES]
    if kind is PauseKind.SCHEDULE:
        return sorted(names_of(desk.ledger, kind, mine))[:MOST_CHOICES]
    return []
