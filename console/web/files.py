"""Files that are given out: lists as CSV, of any length, with no cell that is taken for a formula."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

from starlette.responses import StreamingResponse

from casehand.console.listing import harmless

LINES = 200


def as_csv(name: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> StreamingResponse:
    """A file of that name, sent in pieces of some lines: each piece is a step of its own for the server."""
    return StreamingResponse(
        _pieces(map(_line, chain([columns], rows))),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="{name}.csv"'},
    )


def _pieces(lines: Iterator[bytes]) -> Iterator[bytes]:
    while piece := b"".join(islice(lines, LINES)):
        yield piece


def _line(cells: Sequence[object]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerow([harmless(cell) for cell in cells])
    return text.getvalue().encode("utf-8", "replace")
