"""`casehand practice` and `demo`: the practice legacy system, and the whole thing shown on this machine.

The samples are not imported: the framework works without them.
"""

import importlib
import os
import sys
from types import ModuleType

import typer

from casehand.exceptions import CasehandError

PRACTICE = "casehand.fixtures.practice"
DEMO = "casehand.fixtures.demo"


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
    )(practice)
    app.command()(demo)


def practice(context: typer.Context) -> None:
    """Start a practice legacy system alone, or all of them; `casehand practice --help` lists the options."""
    _sample(PRACTICE)
    os.execv(sys.executable, [sys.executable, "-m", PRACTICE, *context.args])  # noqa: S606 — our own module


def demo() -> None:
    """Show the whole thing: practice system, embedded Valkey, two workers, a sample batch, the result."""
    raise typer.Exit(_sample(DEMO).main())


def _sample(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        if missing.name is None or not name.startswith(missing.name):
            raise
        raise CasehandError(
            "the samples are not installed here: install Casehand whole to see them"
        ) from None
