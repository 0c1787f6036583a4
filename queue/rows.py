"""Rows: reads a table handed in as a file, without changing or losing anything in it."""

import hashlib
import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from casehand.exceptions import CasehandError
from casehand.queue.cells import Cell, Row, Source, as_text
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
        header = _header(path, source.header.cells)
        self._is_marked = MARKED_WHY_COLUMN in header
        self._others = [place for place, name in enumerate(header) if name in REJECTS_COLUMNS]
        self.header = tuple(name for name in header if name not in REJECTS_COLUMNS)
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
            raise CasehandError(f"{self.path.name} changed while it was being read: hand it in again")
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
                yield Row(row.line, tuple(own))


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
        raise CasehandError(f"{path} may not be read: ask for the right to read it") from None
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "unknown reason"
        raise CasehandError(f"{path} cannot be read ({reason}): copy it and hand in the copy") from error


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
        raise CasehandError(f"{path} does not exist: check the name") from None
    except PermissionError:
        raise CasehandError(f"{path} may not be read: ask for the right to read it") from None
    except (OSError, ValueError):
        raise CasehandError(f"{path!s:.200} cannot be opened: check the name") from None
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
