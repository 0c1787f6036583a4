"""The command line: one vocabulary, one line for an error, exit codes that say what is needed."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Annotated

import typer
from sqlalchemy.exc import DBAPIError
from typer.exceptions import TyperException

from casehand.exceptions import CasehandError

COMMANDS = {
    "batches": ("enqueue", "results", "rejects"),
    "rehearsing": ("rehearse",),
    "working": ("work", "up", "reconcile"),
    "reading": ("status", "cases", "case"),
    "escalations": ("escalations",),
    "bulk": ("bulk",),
    "pausing": ("pause", "resume"),
    "changing": ("cancel", "change"),
    "due": ("due",),
    "web.server": ("console",),
    "figures": ("figures",),
    "audit": ("audit",),
    "messages": ("messages", "tell"),
    "schedule": ("schedule",),
    "folders": ("folders",),
    "recording": ("record",),
    "samples": ("practice", "demo"),
    "evidence": ("evidence",),
    "installed": ("workflows", "bots"),
    "new": ("new",),
    "trying": ("try",),
    "machine": ("doctor",),
}
"""Which module has which commands, in the order of the help: only that of the command typed is imported."""


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"casehand {version('casehand')}")
        raise typer.Exit


def casehand(
    show_version: Annotated[
        bool,
        typer.Option("--version", help="Show the version and stop.", is_eager=True, callback=_show_version),
    ] = False,
) -> None:
    """Works through a council's back-office cases in its legacy web systems."""


def main() -> None:
    """Run the command that was typed; 0 for success, 1 failure, 2 wrong usage, 3 something needs a person."""
    os.umask(0o077)  # What is written here is nobody else's to read.
    try:
        code = _app(sys.argv[1:])(standalone_mode=False)
    except TyperException as error:
        sys.stderr.write(_as_one_line(error))
        raise SystemExit(error.exit_code) from None
    except CasehandError as error:
        sys.stderr.write(f"casehand: {error}\n")
        raise SystemExit(1) from None
    except DBAPIError as error:
        first = str(error.orig).strip().splitlines()[0]
        sys.stderr.write(f"casehand: the ledger does not answer ({first}): try again shortly\n")
        raise SystemExit(1) from None
    except (KeyboardInterrupt, typer.Abort):
        raise SystemExit(130) from None
    raise SystemExit(code if isinstance(code, int) else 0)


def _app(arguments: Sequence[str]) -> typer.Typer:
    app = typer.Typer(
        name="casehand",
        help="Works through a council's back-office cases in its legacy web systems.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(casehand)
    typed = [module for module, commands in COMMANDS.items() if arguments and arguments[0] in commands]
    for module in typed or COMMANDS:
        import_module(f"casehand.console.{module}").add_to(app)
    return app


def _as_one_line(error: TyperException) -> str:
    """What is wrong with the command, and where to read how it is used."""
    message = error.format_message()
    if "\n" in message:
        return f"{message}\n"  # The help itself, for a command that does nothing alone.
    context = getattr(error, "ctx", None)
    command = "casehand" if context is None else context.command_path
    plain = message.replace("Value error, ", "").rstrip(".")
    return f"casehand: {plain[:1].lower()}{plain[1:]}: see `{command} --help`\n"


if __name__ == "__main__":
    main()
