"""Cells: what one field of a table may hold, before a workflow's model has looked at it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Number:
    """A number of a spreadsheet: its value, and the text that the spreadsheet shows for it."""

    value: Decimal = field(repr=False)
    shown: str | None = field(repr=False)  #: None where the format rounds or cannot be followed


@dataclass(frozen=True, slots=True)
class Fault:
    """A cell that cannot be taken as it stands."""

    reason: str  #: ends the sentence "the column …", and holds nothing of the cell
    text: str = field(repr=False)


Cell = str | Number | bool | date | datetime | Fault | None
"""None is an empty cell; text has no blanks around it; a boolean comes from a spreadsheet only."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row and the line on which a person finds it: a file's line, or a sheet's row number."""

    line: int
    cells: tuple[Cell, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Source:
    """An open file: its first row that holds anything, and what reads the others, anew each time."""

    header: Row
    rows: Callable[[], Iterator[Row]]


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


def as_written(header: tuple[str, ...], row: Row) -> dict[str, str | None]:
    """The whole row as text by column; cells beyond the header are named by their number."""
    names = [*header, *(f"cell {number}" for number in range(len(header) + 1, len(row.cells) + 1))]
    return {name: as_text(cell) for name, cell in zip(names, row.cells, strict=False)}
