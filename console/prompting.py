"""Asking whoever sits at the terminal for what the command line left out."""

import sys

import typer


def given_or_asked(given: str | None, option: str, question: str) -> str:
    """What an option gave, or else the answer to the question. Raises BadParameter when nobody can be asked."""
    if given is not None:
        return given
    if not sys.stdin.isatty():
        raise typer.BadParameter(f"nobody is at a terminal to be asked, so give {option}")
    return str(typer.prompt(question))
