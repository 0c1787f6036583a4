"""`casehand pause` and `resume`: a bot, a workflow or a batch."""

from typing import Annotated

import typer

from casehand.console.listing import say
from casehand.console.office import Office
from casehand.queue import pauses
from casehand.queue.pauses import PauseKind

Kind = Annotated[PauseKind, typer.Argument(help="What it is.")]
Name = Annotated[str, typer.Argument(help="Its name.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(pause)
    app.command()(resume)


def pause(
    kind: Kind,
    name: Name,
    reason: Annotated[str, typer.Option(help="Why.", prompt="Why")],
) -> None:
    """Pause a bot, a workflow or a batch: its cases wait, at no cost, until it is resumed."""
    office = Office()
    if pauses.pause(office.ledger, kind, name, reason, office.person):
        say(f"The {kind} {name} is paused.")
    else:
        say(f"The {kind} {name} was paused already.")


def resume(kind: Kind, name: Name) -> None:
    """Let a paused bot, workflow or batch go on."""
    office = Office()
    pauses.resume(office.ledger, kind, name, office.person)
    office.nudge()
    say(f"The {kind} {name} goes on.")
