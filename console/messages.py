"""`casehand messages` and `tell`: what was told to people, what could not be, and a try whether it can."""

from dataclasses import asdict
from functools import partial
from typing import Annotated

import typer

from casehand.console.completion import complete_workflow
from casehand.console.links import Links
from casehand.console.listing import (
    LIST_LIMIT,
    OldestFirst,
    counted,
    say,
    say_it_goes_on,
    show_json,
    show_table,
)
from casehand.console.office import Office
from casehand.console.receivers import Receiver, check_told_workflows, receivers
from casehand.console.sending import NotSent, Sender
from casehand.console.telling import tell_once, tell_until_stopped
from casehand.console.wording import word_test
from casehand.exceptions import CasehandError
from casehand.queue.messages import Message, MessageState

messages_app = typer.Typer(
    help="Show the messages to people, and have one tried again.", rich_markup_mode=None
)
tell_app = typer.Typer(help="Tell people: try whether it works, or do it now.", rich_markup_mode=None)


def add_to(parent: typer.Typer) -> None:
    """Add the commands."""
    parent.add_typer(messages_app, name="messages")
    parent.add_typer(tell_app, name="tell")


@messages_app.callback(invoke_without_command=True)
def messages(
    context: typer.Context,
    state: Annotated[MessageState | None, typer.Option(help="Only in this state.")] = None,
    limit: Annotated[
        int | None, typer.Option(help=f"At most so many: {LIST_LIMIT}, or all for programs.", min=1)
    ] = None,
    after: Annotated[int | None, typer.Option(help="Only what is behind this message.", metavar="ID")] = None,
    oldest_first: OldestFirst = False,
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """List the messages to people, latest first unless asked otherwise."""
    if context.invoked_subcommand is not None:
        return
    look = partial(Office().desk.messages, state, after=after, oldest_first=oldest_first)
    if json:
        show_json([_as_entry(message) for message in look(limit)])
        return
    most = limit or LIST_LIMIT
    found = look(most + 1)
    if not found:
        say("There are no such messages.")
        return
    columns = ("Message", "To", "Subject", "Written", "State", "Tries", "Tried again", "Last error")
    show_table("Messages to people", columns, [_as_row(message) for message in found[:most]])
    if len(found) > most:
        say_it_goes_on(most, found[most - 1].id, oldest_first)


@messages_app.command()
def retry(
    ids: Annotated[list[int], typer.Argument(help="As `casehand messages` lists them.", metavar="ID…")],
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Have messages that were not sent tried again at once, and for another day."""
    office = Office()
    for one in ids:
        office.desk.retry_message(one)
    if json:
        show_json([{"id": one, "state": MessageState.WAITING} for one in ids])
    else:
        say(f"{counted(len(ids), 'message')} will be tried again by `casehand up`, `work` or `tell run`.")


@tell_app.command("test")
def try_everybody(
    workflow: Annotated[
        str | None,
        typer.Option(help="Only whom this workflow tells.", autocompletion=complete_workflow),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Send everybody in the settings a test message, and say how that went."""
    office = Office()
    check_told_workflows(office.settings.tell, office.workflows)
    entries = [
        one for one in office.settings.tell if workflow is None or workflow in (one.workflows or (workflow,))
    ]
    everybody = receivers(entries, office.ledger.vault)
    if not everybody:
        raise CasehandError("nobody is told of anything: add a [[tell]] to casehand.toml")
    errors = {receiver.shown: _try(office, receiver) for receiver in everybody}
    if json:
        show_json([{"to": to, "sent": error is None, "error": error} for to, error in errors.items()])
    else:
        for to, error in errors.items():
            say(f"{to}: {'sent' if error is None else f'not sent: {error}'}")
    if any(errors.values()):
        raise typer.Exit(1)


@tell_app.command()
def run(
    once: Annotated[bool, typer.Option(help="Look once, send what is due, and end.")] = False,
) -> None:
    """Tell people until stopped; `casehand up` and `work` do so themselves."""
    office = Office()
    if not office.settings.tell:
        raise CasehandError("nobody is told of anything: add a [[tell]] to casehand.toml")
    check_told_workflows(office.settings.tell, office.workflows)
    office.ledger.close()
    if not once:
        tell_until_stopped()
    elif not tell_once():
        say("Another process is telling people just now.")


def _try(office: Office, receiver: Receiver) -> str | None:
    """Why a test message could not be sent, or None when it was."""
    try:
        Sender(office.settings.smtp)(
            receiver,
            office.ledger.new_id(),
            office.ledger.clock(),
            word_test(Links(office.settings.console_url)),
        )
    except NotSent as why:
        return str(why)
    return None


def _as_row(message: Message) -> tuple[object, ...]:
    again = message.not_before if message.state is MessageState.WAITING else None
    return (
        message.id,
        message.shown,
        message.subject,
        message.written_at,
        message.state,
        message.tries,
        again,
        message.error,
    )


def _as_entry(message: Message) -> dict[str, object]:
    entry = asdict(message)
    return {"id": message.id, "to": entry.pop("shown")} | entry
