"""`casehand workflows` and `bots`: what is installed here, what it needs, and what is wrong with how it is written."""

from collections.abc import Sequence
from typing import Annotated

import typer

from casehand.bots.bot import Bot
from casehand.console.listing import NEEDS_A_PERSON, counted, say, show_json, show_table
from casehand.console.office import Office
from casehand.exceptions import CasehandError
from casehand.settings import Settings
from casehand.workflows.inspection import Finding, Source, inspect_bot, inspect_workflow
from casehand.workflows.workflow import Workflow

Json = Annotated[bool, typer.Option("--json", help="For programs.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(workflows)
    app.command()(bots)


def workflows(json: Json = False) -> None:
    """List the workflows that are installed, and say what is wrong with how they are written."""
    office = Office()
    listed = [_of_workflow(one, office.settings) for _, one in sorted(office.workflows.items())]
    findings = sorted({found for one in office.workflows.values() for found in inspect_workflow(one)})
    if json:
        show_json({"workflows": listed, "findings": findings})
    else:
        rows = [(one["name"], one["fields"], one["bots"], one["lacks"], one["file"]) for one in listed]
        show_table("Workflows", ("Name", "A case holds", "Bots", "Not set up", "File"), _joined(rows))
    _conclude(findings, json)


def bots(json: Json = False) -> None:
    """List the bots that are installed, whether they are set up, and what is wrong with how they are written."""
    office = Office()
    found = office.bots
    listed = [_of_bot(one, office.settings) for _, one in sorted(found.items())]
    findings = sorted({finding for one in found.values() for finding in inspect_bot(one)})
    if json:
        show_json({"bots": listed, "findings": findings})
    else:
        keys = ("name", "url", "accounts", "sessions", "hours", "lacks", "file")
        heads = ("Name", "Address", "Accounts", "Sessions", "Open", "Lacks", "File")
        show_table("Bots", heads, _joined([tuple(one[key] for key in keys) for one in listed]))
    _conclude(findings, json)


def _of_workflow(workflow: Workflow, settings: Settings) -> dict[str, object]:
    lacking = [bot for bot in workflow.bot_names if _lack(bot, settings)]
    return {
        "name": workflow.name,
        "reference": workflow.reference,
        "fields": list(workflow.model.model_fields),
        "bots": workflow.bot_names,
        "lacks": lacking,
        "timeout": workflow.timeout,
        "file": _file(workflow.function),
    }


def _of_bot(bot: type[Bot], settings: Settings) -> dict[str, object]:
    lack = _lack(bot.name, settings)
    given = None if lack else settings.for_bot(bot.name)
    return {
        "name": bot.name,
        "url": None if given is None else given.url,
        "accounts": 0 if given is None else len(given.accounts),
        "sessions": bot.sessions,
        "hours": bot.hours or "always",
        "lacks": lack,
        "file": _file(bot),
    }


def _lack(bot: str, settings: Settings) -> str | None:
    """What of its settings is missing, as one line that says so; never what is there."""
    try:
        settings.for_bot(bot)
    except CasehandError as missing:
        return str(missing)
    return None


def _file(what: object) -> str | None:
    source = Source.of(what)
    return None if source is None else source.name


def _joined(rows: Sequence[Sequence[object]]) -> list[list[object]]:
    return [[", ".join(map(str, cell)) if isinstance(cell, list) else cell for cell in row] for row in rows]


def _conclude(findings: Sequence[Finding], json: bool) -> None:
    if not json:
        for one in findings:
            say(f"{one.file}:{one.line}: {one.fault}: {one.text}")
        say(f"{counted(len(findings), 'thing')} to be looked at." if findings else "Nothing wrong was found.")
    if findings:
        raise typer.Exit(NEEDS_A_PERSON)
