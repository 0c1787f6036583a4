"""Rows: reads a table handed in as a file, without changing or losing anything in it."""

import hashlib
import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from casehand.exceptions import CasehandError, NotNow
from casehand.queue.cells import FORMULA, Cell, Fault, Row, Source, as_text, beyond
from casehand.queue.delimited import delimited
from casehand.queue.guarded import unguarded
from casehand.queue.spreadsheet import spreadsheet

LARGEST_BYTES = 200_000_000
LONGEST_NAME = 200
SHOWN_CHARACTERS = 40

LINE_COLUMN = "Casehand: line"
WHY_COLUMN = "Casehand: why not taken in"
MARKED_WHY_COLUMN = f"{WHY_COLUMN} (a ' before =, +, - or @ is a mark, and no part of the cell)"
REJECTS_COLUMNS = (LINE_COLUMN, WHY_COLUMN, MARKED_WHY_COLUMN)
"""What a file of rejects has besides the columns of the file they came from: when it is mended and handed in again,
they are no part of the table. The last stands where cells may have a mark before them that keeps them text."""

_READERS: dict[str, Callable[[Path], Source]] = {
    ".csv": delimited,
    ".tsv": delimited,
    ".txt": delimited,
    ".xlsx": spreadsheet,
}


class Table:
    """A file's header and rows; the rows are read anew, one after another, each time they are asked for."""

    def __init__(self, path: Path, digest: str, source: Source, stamp: tuple[int, int, int]) -> None:
        self.path = path
        self.digest = digest  #: SHA-256 of the file's bytes
        self.line = source.header.line  #: where the header stands
        self.layout = source.layout
        header = _header(path, source.header.cells)
        self._is_marked = MARKED_WHY_COLUMN in header
        self._others = [place for place, name in enumerate(header) if name in REJECTS_COLUMNS]
        self._why = next((place for place, name in enumerate(header) if name in REJECTS_COLUMNS[1:]), None)
        own = tuple(name for name in header if name not in REJECTS_COLUMNS)
        self.header = _without_beyond(own) if self._others else own
        self._source = source
        self._stamp = stamp

    def rows(self) -> Iterator[Row]:
        """Every row below the header that holds anything, in order.

        Raises CasehandError when there is none, when what follows cannot be read, or when the file
        changed meanwhile.
        """
        any_rows = False
        for row in self._own_rows():
            any_rows = True
            yield row
        if _stamp(self.path) != self._stamp:
            raise NotNow(f"{self.path.name} changed while it was being read: hand it in again")
        if not any_rows:
            raise CasehandError(f"{self.path.name} has a header but no rows: check that it is the right file")

    def _own_rows(self) -> Iterator[Row]:
        """The rows; those of a file of rejects as they stood in the file that they came from."""
        if not self._others:
            yield from self._source.rows()
            return
        for row in self._source.rows():
            own = [cell for place, cell in enumerate(row.cells) if place not in self._others]
            if self._is_marked:
                own = [unguarded(cell) if isinstance(cell, str) else cell for cell in own]
            if any(cell is not None for cell in own):
                why = (
                    None
                    if self._why is None or self._why >= len(row.cells)
                    else as_text(row.cells[self._why])
                )
                yield Row(row.line, _as_it_was(tuple(own), self.header, why or ""))


def read_table(path: Path) -> Table:
    """Open a .csv, .tsv, .txt or .xlsx file.

    Raises CasehandError, with what to do, for anything that is not a table with a header.
    """
    stamp = _stamp(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        kinds = ", ".join(_READERS)
        raise CasehandError(f"{path.name} is none of {kinds}: save it as .xlsx or .csv and hand that in")
    digest = digest_of(path)
    return Table(path, digest, reader(path), stamp)


def digest_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal.

    Raises CasehandError when there is no such file or it cannot be read.
    """
    _stamp(path)
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except PermissionError:
        raise NotNow(f"{path} may not be read: ask for the right to read it") from None
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "unknown reason"
        raise NotNow(f"{path} cannot be read ({reason}): copy it and hand in the copy") from error


def plain_name(name: str) -> str:
    """A column's name without the differences that people do not mean: case, blanks, hyphens."""
    return re.sub(r"[\W_]+", "_", name.casefold()).strip("_")


def quoted(name: str) -> str:
    """A name from a file, for a message: on one line and not too long."""
    text = " ".join(name.split())
    return f"'{text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + '…'}'"


def _stamp(path: Path) -> tuple[int, int, int]:
    """What changes when the file does."""
    try:
        found = path.stat()
    except FileNotFoundError:
        raise NotNow(f"{path} does not exist: check the name") from None
    except PermissionError:
        raise NotNow(f"{path} may not be read: ask for the right to read it") from None
    except (OSError, ValueError):
        raise NotNow(f"{path!s:.200} cannot be opened: check the name") from None
    if stat.S_ISDIR(found.st_mode):
        raise CasehandError(f"{path} is a folder: name the file in it")
    if not stat.S_ISREG(found.st_mode):
        raise CasehandError(f"{path} is no ordinary file: save the table as a file and hand that in")
    if found.st_size == 0:
        raise CasehandError(f"{path.name} is empty: check that it is the right file")
    if found.st_size > LARGEST_BYTES:
        raise CasehandError(
            f"{path.name} is larger than {LARGEST_BYTES // 1_000_000} MB: split it and hand in the parts"
        )
    return found.st_ino, found.st_size, found.st_mtime_ns


def misshapen(count: int, expected: int) -> str:
    """Why a row with another number of cells than the header is no case."""
    return f"the row has {count} cells where the header has {expected}"


def _without_beyond(header: tuple[str, ...]) -> tuple[str, ...]:
    """The columns of the file that rejects came from: theirs have one more for each cell that was beyond those."""
    while header and header[-1] == beyond(len(header)):
        header = header[:-1]
    return header


def _as_it_was(cells: tuple[Cell, ...], header: tuple[str, ...], why: str) -> tuple[Cell, ...]:
    """The cells of a reject, with what no cell can say of them, where nobody has changed that.

    A row that was too short has empty cells instead, and a formula that was never worked out is text.
    """
    filled = max(number for number, cell in enumerate(cells, start=1) if cell is not None)
    short = next((n for n in range(filled, len(header)) if why == misshapen(n, len(header))), None)
    if short is not None:
        return cells[:short]
    names = (*header, *map(beyond, range(len(header) + 1, len(cells) + 1)))
    return tuple(
        Fault(FORMULA, cell)
        if isinstance(cell, str) and cell.startswith("=") and f"{name}: {FORMULA}" in why
        else cell
        for name, cell in zip(names, cells, strict=False)
    )


def _header(path: Path, cells: tuple[Cell, ...]) -> tuple[str, ...]:
    names = [as_text(cell) for cell in cells]
    while names and names[-1] is None:
        names.pop()
    if None in names:
        number = names.index(None) + 1
        raise CasehandError(f"{path.name}: column {number} has no name: name it or take it out")
    header = tuple(name for name in names if name is not None)
    if any(len(name) > LONGEST_NAME for name in header):
        raise CasehandError(f"{path.name} has a column whose name is too long: check that it has a header")
    twice = [name for name, times in Counter(map(plain_name, header)).items() if times > 1]
    if twice:
        shown = ", ".join(quoted(name) for name in header if plain_name(name) in twice)
        raise CasehandError(f"{path.name} has the same column more than once ({shown}): leave one of each")
    return header
