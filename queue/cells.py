"""Cells: what one field of a table may hold, before a workflow's model has looked at it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

FORMULA = "is a formula that was never worked out: open the file in Excel and save it"
"""Why a formula without a value is no cell. It goes back to its sender as text, since it may do anything."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number of a spreadsheet: its value, and the text that the spreadsheet shows for it."""

    value: Decimal = field(repr=False)
    shown: str | None = field(repr=False)  #: None where the format rounds or cannot be followed
    format: str = field(default="General", compare=False)


@dataclass(frozen=True, slots=True)
class Fault:
    """A cell that cannot be taken as it stands."""

    reason: str  #: ends the sentence "the column …", and holds nothing of the cell
    text: str = field(repr=False)
    kept: "Kept | None" = field(
        default=None, repr=False
    )  #: as a spreadsheet had it; None for what is text there


@dataclass(frozen=True, slots=True)
class Kept:
    """A spreadsheet's cell that is no text, so that it can be given back as it came."""

    text: str = field(repr=False)  #: what a person sees
    kind: str  #: the name of its type in Python, or "error"
    value: str = field(repr=False)
    format: str = "General"

    @classmethod
    def of(cls, text: str, value: Any, number_format: str = "General") -> "Kept":
        """What keeps a value as a spreadsheet has it."""
        seconds = isinstance(value, timedelta)
        written = (
            str(value.total_seconds())
            if seconds
            else value.isoformat()
            if hasattr(value, "isoformat")
            else repr(value)
        )
        return cls(text, type(value).__name__, written, number_format)

    @property
    def as_plain(self) -> dict[str, str]:
        """The same as JSON knows it."""
        return {"text": self.text, "kind": self.kind, "value": self.value, "format": self.format}

    @property
    def native(self) -> Any:
        """The value, of the type that it had."""
        return _NATIVE[self.kind](self.value)


_NATIVE: dict[str, Callable[[str], Any]] = {
    "bool": lambda value: value == "True",
    "int": int,
    "float": float,
    "date": date.fromisoformat,
    "datetime": datetime.fromisoformat,
    "time": time.fromisoformat,
    "timedelta": lambda value: timedelta(seconds=float(value)),
    "error": str,
}


Cell = str | Number | bool | date | datetime | Fault | None
"""None is an empty cell; text has no blanks around it; a boolean comes from a spreadsheet only."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row and the line on which a person finds it: a file's line, or a sheet's row number."""

    line: int
    cells: tuple[Cell, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Layout:
    """How delimited text is written, so that what goes back to its sender is written so too."""

    delimiter: str = ","
    encoding: str = "utf-8-sig"


@dataclass(frozen=True, slots=True)
class Source:
    """An open file: its first row that holds anything, and what reads the others, anew each time."""

    header: Row
    rows: Callable[[], Iterator[Row]]
    layout: Layout | None = None  #: of delimited text


def as_text(cell: Cell) -> str | None:
    """What a person sees in the cell, or as near to it as can be told; None for an empty one."""
    match cell:
        case Number():
            return cell.shown if cell.shown is not None else format(cell.value, "f")
        case Fault():
            return cell.text
        case bool():
            return "TRUE" if cell else "FALSE"
        case datetime():
            return cell.isoformat(" ")
        case date():
            return cell.isoformat()
        case _:
            return cell


def beyond(number: int) -> str:
    """What a cell beyond the header is called, by its number in the row."""
    return f"cell {number}"


def as_written(header: tuple[str, ...], row: Row) -> dict[str, str | None]:
    """The whole row as text by column; cells beyond the header are named by their number."""
    names = [*header, *map(beyond, range(len(header) + 1, len(row.cells) + 1))]
    return {name: as_text(cell) for name, cell in zip(names, row.cells, strict=False)}


def as_kept(header: tuple[str, ...], row: Row) -> dict[str, str | dict[str, str] | None]:
    """The same, with every column, and with what tells a spreadsheet's numbers, dates and errors from text.

    `read_kept` undoes it.
    """
    whole: dict[str, str | dict[str, str] | None] = dict.fromkeys(header)
    for (name, text), kept in zip(as_written(header, row).items(), map(_kept, row.cells), strict=False):
        whole[name] = text if kept is None else kept.as_plain
    return whole


def read_kept(value: str | dict[str, str] | None) -> str | Kept | None:
    """One cell of what `as_kept` made."""
    return Kept(**value) if isinstance(value, dict) else value


def _kept(cell: Cell) -> Kept | None:
    text = as_text(cell) or ""
    match cell:
        case Number(value=value):
            whole = value == value.to_integral_value()
            return Kept.of(text, int(value) if whole else float(value), cell.format)
        case bool() | date():
            return Kept.of(text, cell)
        case Fault():
            return cell.kept
        case _:
            return None
