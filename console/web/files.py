"""Files that are given out: lists as CSV, of any length, with no cell that is taken for a formula."""

import csv
import io
from collections.abc import Iterable, Sequence
from itertools import chain

from starlette.responses import StreamingResponse

from casehand.console.listing import harmless


def as_csv(name: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> StreamingResponse:
    """A file of that name, sent a line at a time."""
    return StreamingResponse(
        map(_line, chain([columns], rows)),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="{name}.csv"'},
    )


def _line(cells: Sequence[object]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerow([harmless(cell) for cell in cells])
    return text.getvalue().encode("utf-8", "replace")
