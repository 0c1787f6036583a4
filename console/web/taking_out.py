"""Taking out: a batch's results and its rejects, as files."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from casehand.console.desk import Desk
from casehand.console.listing import as_json
from casehand.console.rights import Right
from casehand.console.web.page import page
from casehand.queue.sheets import Sheet, as_csv, write_excel

TYPES = {
    # Without a character set where a file may be in that of its sender.
    ".csv": "text/csv",
    ".tsv": "text/tab-separated-values",
    ".txt": "text/plain",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".json": "application/json",
}
KINDS = ("csv", "xlsx", "json")
PIECE = 1 << 16


def batch_results(request: Request) -> Response:
    """Give out what became of every row."""
    desk: Desk = request.state.desk
    name, kind = _asked(request)
    if kind == "json":
        pieces = as_json(desk.result_rows(name))
    else:
        sheet = desk.results(name, kind, request.app.state.site.zone)
        pieces = as_csv(sheet) if kind == "csv" else _excel(request, sheet)
    return _as_file(pieces, f"{name}-results", f".{kind}")


def batch_rejects(request: Request) -> Response:
    """Give out the rows that were not taken in."""
    desk: Desk = request.state.desk
    name, kind = _asked(request)
    if kind == "json":
        return _as_file(as_json(desk.reject_rows(name)), f"{name}-rejects", ".json")
    found = desk.rejects(name, kind)
    pieces = as_csv(found.sheet, found.layout) if found.layout else _excel(request, found.sheet)
    return _as_file(pieces, f"{name}-rejects", found.ending)


routes = [
    page("/batches/{name}/results.{kind}", batch_results, right=Right.HAND_IN),
    page("/batches/{name}/rejects.{kind}", batch_rejects, right=Right.HAND_IN),
]


def _asked(request: Request) -> tuple[str, str]:
    kind = request.path_params["kind"]
    if kind not in KINDS:
        raise HTTPException(404)
    return request.path_params["name"], kind


def _as_file(pieces: Iterator[bytes], name: str, ending: str) -> Response:
    # A batch's name is letters, figures and hyphens, so it needs no marks here.
    headers = {"content-disposition": f'attachment; filename="{name}{ending}"'}
    return StreamingResponse(pieces, media_type=TYPES[ending], headers=headers)


def _excel(request: Request, sheet: Sheet) -> Iterator[bytes]:
    """A workbook can only be sent when it is whole: until then it is a file that has no name."""
    home: Path = request.app.state.site.settings.home
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with TemporaryFile(dir=home) as file:
        write_excel(sheet, file)
        yield from _read_back(file)


def _read_back(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    while piece := file.read(PIECE):
        yield piece
