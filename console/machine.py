"""`casehand doctor`: what is missing on this machine, and the command that mends it."""

from typing import Annotated

import typer

from casehand.bots.chromium import find_browser, install_browser
from casehand.console.doctor import Check, examine
from casehand.console.listing import say, show_json, show_table
from casehand.console.office import Office
from casehand.exceptions import CasehandError


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(
    mend: Annotated[bool, typer.Option("--mend", help="Install the browser if there is none.")] = False,
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say what is missing on this machine, and the command that mends it."""
    office = Office()
    if mend:
        _install_browser(office)
    settings = office.settings
    key_file = None if settings.key else settings.home / "key"
    checks = [
        *examine(settings.home, settings.redis_url, settings.browser, key_file),
        _check_ledger(office),
        *(_check_bot(office, name) for name in office.bots),
    ]
    if json:
        show_json(checks)
    else:
        rows = [("ok" if one.ok else "missing", one.name, one.detail, one.mend) for one in checks]
        show_table("This machine", ("", "What", "Found", "Mend it with"), rows)
    if not all(one.ok for one in checks):
        raise typer.Exit(1)


def _check_ledger(office: Office) -> Check:
    try:
        return Check("ledger", True, office.ledger.engine.url.render_as_string())
    except CasehandError as error:
        return Check("ledger", False, str(error), "as it says")


def _check_bot(office: Office, name: str) -> Check:
    """A bot that is not set up is told of, but the machine is well without it."""
    try:
        return Check(f"bot {name}", True, office.settings.for_bot(name).url)
    except CasehandError as error:
        return Check(f"bot {name}", True, str(error))


def _install_browser(office: Office) -> None:
    try:
        find_browser(office.settings.browser)
    except CasehandError:
        if office.settings.browser:
            raise
        install_browser(say)
