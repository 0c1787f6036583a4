"""`casehand pause` and `resume`: a bot, a workflow, a batch or a schedule, or everything."""

from typing import Annotated

import typer

from casehand.console.listing import say, show_json
from casehand.console.office import Office
from casehand.console.planned import note_all
from casehand.console.prompting import given_or_asked
from casehand.queue.pauses import ALL, PauseKind

Kind = Annotated[PauseKind, typer.Argument(help="What it is.")]
Name = Annotated[str | None, typer.Argument(help="Its name; everything has none.")]
Json = Annotated[bool, typer.Option("--json", help="For programs.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(pause)
    app.command()(resume)


def pause(
    kind: Kind,
    name: Name = None,
    reason: Annotated[str | None, typer.Option(help="Why; asked for if it is not given.")] = None,
    json: Json = False,
) -> None:
    """Pause a bot, a workflow, a batch, a schedule or everything: it waits, at no cost, until it is resumed."""
    office = Office()
    if kind is PauseKind.SCHEDULE:
        note_all(office)
    named = _checked(kind, name)
    why = given_or_asked(reason, "--reason", "Why")
    newly = office.desk.pause(kind, named, why)
    if json:
        show_json({"kind": kind, "name": named, "paused": True, "already": not newly})
    else:
        was, already = ("is", "") if newly else ("was", " already")
        say(f"{_subject(kind, named)} {was} paused{already}.")


def resume(kind: Kind, name: Name = None, json: Json = False) -> None:
    """Let a paused bot, workflow, batch or schedule go on, or everything."""
    office = Office()
    named = _checked(kind, name)
    office.desk.resume(kind, named)
    if json:
        show_json({"kind": kind, "name": named, "paused": False})
    else:
        say(f"{_subject(kind, named)} goes on.")


def _checked(kind: PauseKind, name: str | None) -> str:
    """The name to pause. Raises BadParameter when there is none, or one too many."""
    if kind is PauseKind.EVERYTHING:
        if name not in (None, ALL):
            raise typer.BadParameter("everything has no name: leave it out")
        return ALL
    if name is None:
        raise typer.BadParameter(f"say which {kind}")
    return name


def _subject(kind: PauseKind, name: str) -> str:
    return "Everything" if kind is PauseKind.EVERYTHING else f"The {kind} {name}"
