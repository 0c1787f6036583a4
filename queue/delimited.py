"""Delimited text: .csv, .tsv and .txt files, in the encodings and with the delimiters that offices use."""

import codecs
import csv
import math
import re
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from casehand.exceptions import CasehandError
from casehand.queue.cells import Layout, Row, Source

LONGEST_LINE = 1_000_000
DELIMITERS = ",;\t"
PIECE = 1 << 16

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_KNOWN_STARTS = {
    b"PK\x03\x04": "is an Excel workbook or a zip file: give it its right ending, such as .xlsx",
    b"\xd0\xcf\x11\xe0": "is an old Excel workbook: open it in Excel and save it as .xlsx",
    b"%PDF": "is a PDF: ask the sender for the table as .xlsx or .csv",
}


def delimited(path: Path) -> Source:
    """Look the file over and find its encoding, delimiter and header; empty rows are left out.

    Raises CasehandError for what is not text, and reading the rows does so for quotes that do not close.
    """
    encoding = _encoding(path)
    _check_text(path, encoding)
    declared = _declared_delimiter(path, encoding)
    skip = 1 if declared else 0
    delimiter = declared or _delimiter(path, encoding)
    header = next(_rows(path, encoding, delimiter, skip), None)
    if header is None:
        raise CasehandError(f"{path.name} is empty: check that it is the right file")
    return Source(
        header, lambda: islice(_rows(path, encoding, delimiter, skip), 1, None), Layout(delimiter, encoding)
    )


def _encoding(path: Path) -> str:
    """UTF-16 where a mark says so, UTF-8 where it fits, else Windows-1252 where there is no doubt."""
    with path.open("rb") as file:
        start = file.read(4)
    for known, advice in _KNOWN_STARTS.items():
        if start.startswith(known):
            raise CasehandError(f"{path.name} {advice}")
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if _fits(path, "utf-8"):
        return "utf-8-sig"
    if _fits(path, "cp1252") and not _has_utf8_letters(path):
        return "cp1252"
    raise CasehandError(
        f"{path.name} is neither UTF-8 nor Windows-1252 text, or it is damaged: "
        "open it in Excel and save it as 'CSV UTF-8'"
    )


def _fits(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for piece in _pieces(path):
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _has_utf8_letters(path: Path) -> bool:
    """Whether some of the bytes that are not ASCII are UTF-8: then a damaged UTF-8 file is likelier."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="ignore")
    return any(not decoder.decode(piece).isascii() for piece in _pieces(path))


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


def _check_text(path: Path, encoding: str) -> None:
    line, length = 1, 0
    with path.open(encoding=encoding, newline="") as file:
        for piece in _text_pieces(path, file.read):
            if _CONTROL.search(piece):
                raise CasehandError(
                    f"{path.name} holds bytes that are not text: save the table as .xlsx or .csv"
                )
            end = max(piece.rfind("\n"), piece.rfind("\r"))
            length = length + len(piece) if end < 0 else len(piece) - end - 1
            line += piece.count("\n")
            if length > LONGEST_LINE:
                raise CasehandError(
                    f"{path.name}, line {line} is longer than {LONGEST_LINE:,} characters: "
                    "check that it is a table with one row on each line"
                )


def _text_pieces(path: Path, read: Callable[[int], str]) -> Iterator[str]:
    try:
        while piece := read(PIECE):
            yield piece
    except UnicodeError:
        raise CasehandError(f"{path.name} is cut off or damaged: ask the sender for it again") from None


def _declared_delimiter(path: Path, encoding: str) -> str | None:
    """Excel writes `sep=;` on the first line of some files."""
    with path.open(encoding=encoding, newline="") as file:
        found = re.fullmatch(rf'"?sep=([{DELIMITERS}])"?', file.readline(20).rstrip("\r\n"))
    return found[1] if found else None


def _delimiter(path: Path, encoding: str) -> str:
    """The delimiter that splits the header into the most names."""
    return max(DELIMITERS, key=lambda delimiter: _names(path, encoding, delimiter))


def _names(path: Path, encoding: str, delimiter: str) -> float:
    try:
        header = next(_rows(path, encoding, delimiter), None)
    except CasehandError:
        return 0
    # No header: the file is empty but for this delimiter.
    return len(header.cells) if header else math.inf


def _rows(path: Path, encoding: str, delimiter: str, skip: int = 0) -> Iterator[Row]:
    with path.open(encoding=encoding, newline="") as file:
        for _ in range(skip):
            file.readline()
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        while True:
            line = reader.line_num + skip + 1
            try:
                texts = next(reader, None)
            except csv.Error as error:
                raise CasehandError(_advice(path, line, str(error))) from None
            if texts is None:
                return
            cells = tuple(text.strip() or None for text in texts)
            if any(cells):
                yield Row(line, cells)


def _advice(path: Path, line: int, error: str) -> str:
    where = f"{path.name}, line {line}"
    if "unexpected end of data" in error:
        return (
            f"{where}: a quotation mark opens here and never closes: the file is cut off, or one is missing"
        )
    if "field larger" in error:
        return f"{where}: a cell is far too long: look for a quotation mark that never closes"
    if "expected after" in error:
        return f"{where}: text follows a closing quotation mark: write a quotation mark inside a cell twice"
    return f"{where} cannot be read as a row: open the file in Excel, mend the line and save it again"
