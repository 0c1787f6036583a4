"""Lists and stories as a person or a program reads them."""

import csv
import dataclasses
import json
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from casehand.queue.guarded import guarded

LINE = 10_000
"""Characters to a line that goes to a file or another program."""

LIST_LIMIT = 200
"""How many lines of a list are enough for a person who did not say."""

OldestFirst = Annotated[bool, typer.Option("--oldest-first", help="Begin with the oldest.")]
"""The option of every list that begins with the latest."""

NEEDS_A_PERSON = 3
"""The exit code of what worked, but left something that needs a person."""


def screen() -> Console:
    """The terminal, or what stands in its place."""
    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def say(text: str) -> None:
    """One line to standard output."""
    screen().print(escape(text), soft_wrap=True)


def show_json(value: object) -> None:
    """JSON to standard output, for programs."""
    sys.stdout.write(json.dumps(as_plain(value), indent=2, default=str) + "\n")


def stream_json(items: Iterable[object]) -> None:
    """A JSON list to standard output, as `show_json` would write it, holding one item at a time."""
    before = "[\n"
    for item in items:
        text = json.dumps(as_plain(item), indent=2, default=str)
        sys.stdout.write(before + textwrap.indent(text, "  "))
        before = ",\n"
    sys.stdout.write("\n]\n" if before.startswith(",") else "[]\n")


def as_json(items: Iterable[object]) -> Iterator[bytes]:
    """The same as bytes for a file, an item on each line."""
    before = "[\n"
    for item in items:
        yield (before + json.dumps(as_plain(item), ensure_ascii=True, default=str)).encode()
        before = ",\n"
    yield b"\n]\n" if before.startswith(",") else b"[]\n"


def stream_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """CSV to standard output, for spreadsheets: no cell can be taken for a formula."""
    file = csv.writer(sys.stdout, lineterminator="\n")
    file.writerow(columns)
    file.writerows([harmless(cell) for cell in row] for row in rows)


def say_there_are_more(listed: int, last: str) -> None:
    """Say how to see what comes behind the last case listed."""
    say(
        f"These are the first {listed}: `--after {last}` goes on from here, and --limit or a filter shows others."
    )


def say_it_goes_on(listed: int, last: object, oldest_first: bool) -> None:
    """Say how to see what comes behind the last line of a list that has a beginning at either end."""
    which, again = ("oldest", " --oldest-first") if oldest_first else ("latest", "")
    say(f"These are the {which} {listed}: `--after {last}{again}` goes on from here.")


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table with its title; cells are text as it is."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(escape(shown(cell)) for cell in row))
    console = screen()
    if not sys.stdout.isatty():
        # Nothing is folded there: what is piped may be searched, and commands in it copied.
        console.width = LINE
    console.print(table, soft_wrap=False)


def counted(number: int, noun: str) -> str:
    """A number with its noun: 1 case, 2 cases."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def say_who_waits(escalated: int) -> None:
    """Say that so many cases wait for a person, and where to see them."""
    verb = "waits" if escalated == 1 else "wait"
    say(f"{counted(escalated, 'case')} {verb} for a person: `casehand escalations` shows them.")


def shown(value: object) -> str:
    """A value as a person reads it."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone().strftime("%d %b %Y %H:%M:%S")
    return "".join(one if one.isprintable() else "�" for one in str(value))


def harmless(cell: object) -> object:
    """A value for a cell of a file, which no spreadsheet takes for a formula."""
    plain = as_plain(cell)
    return guarded(plain) if isinstance(plain, str) else plain


def as_plain(value: Any) -> Any:
    """A value made of what JSON knows."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: as_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): as_plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [as_plain(inner) for inner in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value
