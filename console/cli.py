"""The command line: one vocabulary, one line for an error, exit codes that say what is needed."""

import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer
from sqlalchemy.exc import DBAPIError
from typer.exceptions import TyperException

from casehand.console import batches, escalations, machine, pausing, reading, samples, working
from casehand.exceptions import CasehandError

app = typer.Typer(
    name="casehand",
    help="Works through a council's back-office cases in its legacy web systems.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for part in (batches, working, reading, escalations, pausing, samples, machine):
    part.add_to(app)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"casehand {version('casehand')}")
        raise typer.Exit


@app.callback()
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
        code = app(standalone_mode=False)
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
