"""The extent of a file: about how many rows it has, so that one sees how far the reading is."""

import re
import zipfile
from contextlib import suppress
from pathlib import Path

PIECE = 1 << 20
HEAD = 4_096
"""Bytes of a sheet in which it says how large it is, if it does."""

_DIMENSION = re.compile(rb'<dimension ref="[A-Z]+[0-9]+:[A-Z]+([0-9]{1,7})"')


def about_rows(path: Path) -> int | None:
    """How many rows there are below the header, as far as the file says so at once; None where it does not."""
    with suppress(OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError):
        lines = _of_workbook(path) if path.suffix.lower() == ".xlsx" else _of_text(path)
        return None if lines is None or lines < 2 else lines - 1
    return None


def _of_text(path: Path) -> int:
    with path.open("rb") as file:
        return sum(piece.count(b"\n") for piece in iter(lambda: file.read(PIECE), b""))


def _of_workbook(path: Path) -> int | None:
    found = []
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.startswith("xl/worksheets/") and name.endswith(".xml"):
                with archive.open(name) as file:
                    found += _DIMENSION.findall(file.read(HEAD))
    return max(map(int, found), default=None)
