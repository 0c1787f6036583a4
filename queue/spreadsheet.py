"""Spreadsheets: .xlsx workbooks, read with the look of their numbers, which faster readers do not tell."""

from __future__ import annotations

import errno
import re
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from casehand.exceptions import CasehandError, NotNow
from casehand.queue.cells import FORMULA, Cell, Fault, Kept, Number, Row, Source
from casehand.queue.numerals import oddity, shown

if TYPE_CHECKING:
    from openpyxl import Workbook

LARGEST_UNPACKED_BYTES = 1_000_000_000
EXCEL_DIGITS = 15
ROWS_AT_ONCE = 500

_OLE = b"\xd0\xcf\x11\xe0"
_FORMULA = re.compile(rb"<(\w+:)?f[\s/>]")
_EXCEL_ERRORS = {"#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A", "#GETTING_DATA"}

# Excel's cells as openpyxl gives them in read-only mode; the stubs call them by half a dozen types.
_Cells = tuple[Any, ...]


def spreadsheet(path: Path) -> Source:
    """Look the workbook over and find its sheet and header; empty rows are left out.

    Raises CasehandError for what is no sound workbook, and for one with data on several sheets: whoever
    handed it in would not see that the others were left behind. Hidden sheets do not count.
    """
    formulas = _check_archive(path)
    sheet, header = _sheet(path)
    return Source(header, lambda: islice(_rows(path, sheet, formulas), 1, None))


def _check_archive(path: Path) -> bool:
    """Whether the workbook has formulas."""
    with _sound(path), path.open("rb") as file:
        start = file.read(8)
    if start.startswith(_OLE):
        raise CasehandError(
            f"{path.name} is protected by a password or is an old Excel workbook: "
            "open it in Excel, take the password off and save it as .xlsx"
        )
    if not start.startswith(b"PK"):
        raise CasehandError(f"{path.name} is not an Excel workbook: save it from Excel as .xlsx")
    with _sound(path), zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        if sum(part.file_size for part in parts) > LARGEST_UNPACKED_BYTES:
            raise CasehandError(f"{path.name} is too large when unpacked: split it and hand in the parts")
        return any(_has_formula(archive, part) for part in parts if part.filename.endswith(".xml"))


def _has_formula(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> bool:
    tail = b""
    with archive.open(part) as file:
        while piece := file.read(1 << 20):
            if _FORMULA.search(tail + piece):
                return True
            tail = piece[-32:]
    return False


def _sheet(path: Path) -> tuple[str, Row]:
    """The title of the one sheet that is shown and holds anything, and its first row."""
    with _sound(path), _workbook(path, values=True) as book:
        shown_sheets = [sheet.title for sheet in book.worksheets if sheet.sheet_state == "visible"]
        found = {title: _first_row(book, title) for title in shown_sheets}
    filled = {title: row for title, row in found.items() if row}
    if len(filled) > 1:
        names = ", ".join(filled)
        raise CasehandError(
            f"{path.name} has data on {len(filled)} sheets ({names[:100]}): "
            "save the one to hand in as a file of its own"
        )
    if not filled:
        raise CasehandError(f"{path.name} is empty: check that it is the right file")
    return filled.popitem()


def _first_row(book: Workbook, title: str) -> Row | None:
    with _quiet():
        for line, cells in enumerate(_cells(book, title), start=1):
            row = tuple(map(_cell, cells))
            if any(cell is not None for cell in row):
                return Row(line, row)
    return None


def _rows(path: Path, sheet: str, formulas: bool) -> Iterator[Row]:
    width = 0
    for line, cells in enumerate(_lines(path, sheet, formulas), start=1):
        if all(cell is None for cell in cells):
            continue
        width = width or _width(cells)
        missing = width - len(cells)
        yield Row(line, cells + (None,) * missing if missing > 0 else _trim(cells, width))


def _width(cells: tuple[Cell, ...]) -> int:
    return max(number for number, cell in enumerate(cells, start=1) if cell is not None)


def _trim(cells: tuple[Cell, ...], width: int) -> tuple[Cell, ...]:
    """Formatted but empty cells to the right of the table are no part of it."""
    return cells[: max(width, _width(cells))]


def _lines(path: Path, sheet: str, formulas: bool) -> Iterator[tuple[Cell, ...]]:
    """Every line of the sheet, empty ones too."""
    with _sound(path), _workbook(path, values=True) as values:
        if not formulas:
            yield from _in_blocks(tuple(map(_cell, line)) for line in _cells(values, sheet))
            return
        # A formula that was never worked out has no value and looks like an empty cell; only a second
        # reading, of the formulas themselves, tells one from the other.
        with _workbook(path, values=False) as sources:
            pairs = zip(_cells(values, sheet), _cells(sources, sheet), strict=True)
            yield from _in_blocks(_with_formulas(*pair) for pair in pairs)


def _in_blocks(lines: Iterator[tuple[Cell, ...]]) -> Iterator[tuple[Cell, ...]]:
    while True:
        with _quiet():
            block = list(islice(lines, ROWS_AT_ONCE))
        if not block:
            return
        yield from block


def _with_formulas(values: _Cells, sources: _Cells) -> tuple[Cell, ...]:
    return tuple(
        _uncached(source) if _is_uncached(value, source) else _cell(value)
        for value, source in zip(values, sources, strict=True)
    )


def _is_uncached(value: Any, source: Any) -> bool:
    # Type "str" without a value: the formula was worked out and gave an empty text.
    return bool(source.data_type == "f" and value.value is None and value.data_type != "str")


def _uncached(source: Any) -> Fault:
    text = source.value if isinstance(source.value, str) else "="
    return Fault(FORMULA, text)


def _cell(cell: Any) -> Cell:
    value = cell.value
    if value is None:
        return None
    if cell.data_type == "e":
        text = value if value in _EXCEL_ERRORS else "an error"
        return Fault(
            f"shows {text} in Excel: mend it there", str(value), Kept(str(value), "error", str(value))
        )
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return _number(value, cell.number_format)
    if isinstance(value, datetime):
        return value.date() if value.time() == time() else value
    if isinstance(value, date):
        return value
    kept = Kept.of(str(value), value, cell.number_format)
    return Fault("is a time of day or a length of time: give it as text", str(value), kept)


def _number(value: int | float, number_format: str) -> Number | Fault:
    # Excel keeps 15 digits; the rest of a float is the noise of binary fractions.
    number = Decimal(value) if isinstance(value, int) else Decimal(f"{value:.{EXCEL_DIGITS}g}")
    if not number.is_finite() or number.adjusted() >= EXCEL_DIGITS:
        kept = Kept.of(str(value), value, number_format)
        return Fault("has more digits than Excel keeps: format the column as Text", str(value), kept)
    number = Decimal(format(number, "f"))
    odd = oddity(number_format)
    if odd:
        text = format(number, "f")
        kept = Kept.of(text, value, number_format)
        return Fault(f"is shown as {odd} in Excel: give a plain number", text, kept)
    return Number(number, shown(number, number_format), number_format)


def _cells(book: Workbook, title: str) -> Iterator[_Cells]:
    sheet: Any = book[title]
    # What a file says of its own size may be wrong, and openpyxl would leave out what lies beyond.
    sheet.reset_dimensions()
    rows: Iterator[_Cells] = sheet.iter_rows()
    return rows


@contextmanager
def _workbook(path: Path, *, values: bool) -> Iterator[Workbook]:
    # Here, since it is slow to import and few commands read a workbook.
    from openpyxl import load_workbook

    with _quiet():
        book = load_workbook(path, read_only=True, data_only=values, keep_links=False)
    try:
        yield book
    finally:
        book.close()


@contextmanager
def _quiet() -> Iterator[None]:
    """openpyxl warns of extensions it does not know, such as drop-down lists, which do not matter here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _sound(path: Path) -> Iterator[None]:
    try:
        yield
    except CasehandError:
        raise
    except Exception as error:
        if _may_pass(error):
            reason = getattr(error, "strerror", None) or "memory is short"
            raise NotNow(f"{path.name} cannot be read just now ({reason}): hand it in again") from error
        # zipfile, zlib, the XML parser and openpyxl raise a dozen kinds for a damaged file; their texts
        # may hold what is in it.
        raise CasehandError(
            f"{path.name} is cut off, damaged or protected ({type(error).__name__}): "
            "open it in Excel and save it as .xlsx, or ask the sender for it again"
        ) from None


def _may_pass(error: Exception) -> bool:
    """Whether it is this machine or a mount that fails, which says nothing of the workbook."""
    if isinstance(error, OSError):
        # openpyxl raises one of its own, without a number, for what is no workbook; and where a damaged archive
        # says that its parts are before its beginning, looking there is an invalid argument.
        return error.errno not in (None, errno.EINVAL)
    return isinstance(error, MemoryError)
