"""Sheets: tables written out as CSV or Excel, a row at a time, with no cell that a spreadsheet takes for a formula."""

import codecs
import csv
import io
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from tempfile import TemporaryFile
from typing import Any, BinaryIO

from casehand.queue.cells import Kept, Layout
from casehand.queue.guarded import guarded, is_formula

Cell = str | int | Kept | None

BYTES_AT_ONCE = 1 << 16
LONGEST_CELL = 32_767
"""Characters that Excel keeps of a cell."""
_CUT = " … (cut off here: the CSV file has it whole)"
_UNFIT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
"""What neither kind of file may hold."""


@dataclass(frozen=True)
class Sheet:
    """A table: the names of its columns, and its rows, which can be read once."""

    columns: tuple[str, ...]
    rows: Iterable[Sequence[Cell]]


def as_csv(sheet: Sheet, layout: Layout | None = None) -> Iterator[bytes]:
    """The sheet as delimited text, every cell in quotation marks; as CSV that Excel knows, unless a layout is given."""
    layout = layout or Layout()
    # What an encoding does not have was in no file that was written in it: it is in our own words.
    encoder = codecs.getincrementalencoder(layout.encoding)(errors="replace")
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n", delimiter=layout.delimiter)
    for row in chain([sheet.columns], sheet.rows):
        writer.writerow([_plain(cell) for cell in row])
        if text.tell() >= BYTES_AT_ONCE:
            yield encoder.encode(text.getvalue())
            text.seek(0)
            text.truncate()
    yield encoder.encode(text.getvalue(), final=True)


def write_excel(sheet: Sheet, file: BinaryIO) -> None:
    """Write the sheet as a workbook, in which what might be a formula is marked as text."""
    # Here, since it takes a tenth of a second that no other command has to wait for.
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    page = book.create_sheet("Casehand")
    page.freeze_panes = "A2"
    with _unnamed(page):
        for row in chain([sheet.columns], sheet.rows):
            page.append([_excel_cell(page, cell) for cell in row])
        book.save(file)


@contextmanager
def _unnamed(page: Any) -> Iterator[None]:
    """Let the page be written to a file that has no name, so that no kill leaves its rows behind.

    openpyxl writes it to one in /tmp, in clear, and packs that when it is whole.
    """
    from openpyxl.worksheet._writer import WorksheetWriter

    class Unnamed(WorksheetWriter):
        def cleanup(self) -> None:
            """It goes when it is closed."""

    if sys.platform != "linux":
        yield
        return
    with TemporaryFile() as file:
        page._writer = Unnamed(page, f"/proc/self/fd/{file.fileno()}")
        page._writer.write_top()
        yield


def _plain(cell: Cell) -> str:
    text = cell.text if isinstance(cell, Kept) else cell
    return guarded(_fit(text)) if isinstance(text, str) else "" if text is None else str(text)


def _fit(text: str) -> str:
    return _UNFIT.sub("\ufffd", text)


def _excel_cell(page: Any, cell: Cell) -> Any:
    from openpyxl.cell import WriteOnlyCell

    if isinstance(cell, Kept):
        made = WriteOnlyCell(page, cell.native)
        if cell.kind == "error":
            made.data_type = "e"
        elif cell.format != "General":
            made.number_format = cell.format
        return made
    if not isinstance(cell, str) or not cell:
        return None if cell == "" else cell
    text = _fit(cell)
    if len(text) > LONGEST_CELL:
        text = text[: LONGEST_CELL - len(_CUT)] + _CUT
    made = WriteOnlyCell(page, text)
    # Never a formula, whatever it begins with; the mark keeps it text when the file is saved as something else.
    made.data_type = "s"
    if is_formula(text):
        made.quotePrefix = True
    return made
