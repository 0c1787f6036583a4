"""Rejects: the rows of a batch that were not taken in, as a file written as the batch's was, to be mended."""

from dataclasses import dataclass
from pathlib import PurePath
from typing import BinaryIO

from sqlalchemy import select

from casehand.queue import schema
from casehand.queue.cells import Layout
from casehand.queue.ledger import Ledger
from casehand.queue.results import reject_sheet
from casehand.queue.sheets import Sheet, as_csv, write_excel

CSV, XLSX = "csv", "xlsx"

Batches = schema.batches.c


@dataclass(frozen=True)
class RejectFile:
    """What goes back to whoever sent a file."""

    sheet: Sheet
    ending: str  #: of its name, such as .csv
    layout: Layout | None  #: None for a workbook

    def write(self, file: BinaryIO) -> None:
        """Write it, to a file that can be gone back in."""
        if self.layout is None:
            write_excel(self.sheet, file)
        else:
            file.writelines(as_csv(self.sheet, self.layout))


def reject_file(ledger: Ledger, batch: str, kind: str | None = None) -> RejectFile:
    """The rejects of a batch as "csv" or "xlsx", or as what the batch came in as, in its encoding and delimiter.

    Raises CasehandError when there are none.
    """
    ending, layout = _came_as(ledger, batch)
    if kind == XLSX or (kind is None and layout is None):
        return RejectFile(reject_sheet(ledger, batch), ".xlsx", None)
    marked = reject_sheet(ledger, batch, is_marked=True)
    return RejectFile(marked, ending, layout) if layout else RejectFile(marked, ".csv", Layout())


def kind_of_file(ledger: Ledger, batch: str) -> str:
    """What the batch came in as: "xlsx" or "csv", which is any delimited text."""
    return XLSX if _came_as(ledger, batch)[1] is None else CSV


def _came_as(ledger: Ledger, batch: str) -> tuple[str, Layout | None]:
    columns = (Batches.file, Batches.delimiter, Batches.encoding)
    with ledger.reading() as connection:
        found = connection.execute(select(*columns).where(Batches.id == batch)).one()
    ending = PurePath(found.file).suffix.lower()
    if ending == ".xlsx":
        return ending, None
    # Batches of before this was written down went back as CSV.
    return (ending, Layout(found.delimiter, found.encoding)) if found.delimiter else (".csv", Layout())
