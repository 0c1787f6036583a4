"""`casehand pause` and `resume`: a bot, a workflow or a batch."""

import difflib
from collections.abc import Callable, Iterable
from typing import Annotated

import typer

from casehand.console.listing import say
from casehand.console.office import Office
from casehand.console.prompting import given_or_asked
from casehand.exceptions import CasehandError
from casehand.queue import pauses
from casehand.queue.batches import batch_names
from casehand.queue.pauses import PauseKind
from casehand.workflows.installed import installed_bots

Kind = Annotated[PauseKind, typer.Argument(help="What it is.")]
Name = Annotated[str, typer.Argument(help="Its name.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(pause)
    app.command()(resume)


def pause(
    kind: Kind,
    name: Name,
    reason: Annotated[str | None, typer.Option(help="Why; asked for if it is not given.")] = None,
) -> None:
    """Pause a bot, a workflow or a batch: its cases wait, at no cost, until it is resumed."""
    office = Office()
    _check_name(office, kind, name)
    why = given_or_asked(reason, "--reason", "Why")
    if pauses.pause(office.ledger, kind, name, why, office.person):
        say(f"The {kind} {name} is paused.")
    else:
        say(f"The {kind} {name} was paused already.")


def _check_name(office: Office, kind: PauseKind, name: str) -> None:
    """Raise CasehandError when there is nothing of that name to pause."""
    known: dict[PauseKind, Callable[[], Iterable[str]]] = {
        PauseKind.BOT: lambda: installed_bots(office.workflows.values()),
        PauseKind.WORKFLOW: lambda: office.workflows,
        PauseKind.BATCH: lambda: batch_names(office.ledger),
    }
    names = list(known[kind]())
    if name not in names:
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.4) or sorted(names)[:3]
        raise CasehandError(
            f"there is no {kind} {name!r}: did you mean {' or '.join(near) or 'another kind'}?"
        )


def resume(kind: Kind, name: Name) -> None:
    """Let a paused bot, workflow or batch go on."""
    office = Office()
    pauses.resume(office.ledger, kind, name, office.person)
    office.nudge()
    say(f"The {kind} {name} goes on.")
