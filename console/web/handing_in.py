"""Handing in: a file is sent and looked over, line by line, and taken in when its sender says so."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from casehand.console.desk import Desk
from casehand.console.rights import Right
from casehand.console.web.page import page
from casehand.console.web.rendering import render, see
from casehand.console.web.site import Site
from casehand.console.web.typed import moment_typed, priority_typed, see_and_say, sentence, typed
from casehand.exceptions import CasehandError
from casehand.queue.batches import Rejected
from casehand.queue.preview import BatchPreview, taken_before
from casehand.queue.uploads import NoSuchUpload, Upload, Uploads
from casehand.queue.when import Edge

LARGEST_UPLOAD = 50_000_000
"""Bytes of a file that is sent here; the command line takes larger ones."""
FORM = 100_000
"""What goes with it."""
AT_ONCE = 50
FIELDS = ("workflow", "priority", "not_before", "due")


def new_batch(request: Request) -> Response:
    """Ask for a file."""
    uploads_of(request).clear()
    return _show_form(request, {"workflow": request.query_params.get("workflow", "")})


def send_batch(request: Request) -> Response:
    """Look over the file that was sent, and keep it until its sender says that it is to be taken in."""
    given, file = typed(request, *FIELDS), request.state.form.get("file")
    wanted, errors = _read(request, given)
    if not isinstance(file, UploadFile) or not file.filename:
        errors["file"] = "Choose a file"
    if errors:
        return _show_form(request, given, errors)
    try:
        upload = _look_over(request, wanted, file)
    except CasehandError as error:
        return _show_form(request, given, {"file": sentence(error)})
    return see(request, "preview_batch", upload=upload.id)


def refuse_large(request: Request) -> Response:
    """Say that the file is too large, which was not kept."""
    megabytes = LARGEST_UPLOAD // 1_000_000
    text = f"The file is larger than {megabytes} MB: split it and hand in the parts"
    return _show_form(request, {}, {"file": text}, status=413)


def preview_batch(request: Request) -> Response:
    """Show what will be taken in and what not."""
    try:
        return _show_preview(request, _find(request))
    except NoSuchUpload:
        return render(request, "batches/gone.html", 404)


def confirm_batch(request: Request) -> Response:
    """Take the file in."""
    desk, uploads = request.state.desk, uploads_of(request)
    try:
        upload = _find(request)
        again = _is_again(desk, upload)
        if again and request.state.form.get("again") != "yes":
            error = "Tick the box if the file is to be taken in once more"
            return _show_preview(request, upload, {"again": error})
        with uploads.opened(upload) as path:
            taken = desk.hand_in(path=path, again=again, **_wanted(request, upload))
    except NoSuchUpload:
        return render(request, "batches/gone.html", 404)
    uploads.forget(upload)
    request.app.state.site.nudge()
    said = "already" if taken.already else "handed-in"
    return see_and_say(request, "show_batch", said, name=taken.batch)


def discard_batch(request: Request) -> Response:
    """Throw the file away."""
    with suppress(NoSuchUpload):
        uploads_of(request).forget(_find(request))
    return see(request, "new_batch")


def uploads_of(request: Request) -> Uploads:
    """Where files are kept that are not taken in yet."""
    return uploads_at(request.app.state.site)


def uploads_at(site: Site) -> Uploads:
    """The same, of a site."""
    ledger = site.ledger
    return Uploads(site.settings.home / "uploads", ledger.vault, ledger.clock, ledger.new_id)


routes = [
    page("/batches/new", new_batch, right=Right.HAND_IN),
    page(
        "/batches/new",
        send_batch,
        right=Right.HAND_IN,
        methods=["POST"],
        largest=LARGEST_UPLOAD + FORM,
        too_large=refuse_large,
    ),
    page("/batches/new/{upload}", preview_batch, right=Right.HAND_IN),
    page("/batches/new/{upload}", confirm_batch, right=Right.HAND_IN, methods=["POST"]),
    page("/batches/new/{upload}/discard", discard_batch, right=Right.HAND_IN, methods=["POST"]),
]


def _read(request: Request, given: dict[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """What was asked for, as it is kept with the file, and what is wrong with it."""
    errors: dict[str, str] = {}
    if given["workflow"] not in _workflows(request):
        errors["workflow"] = "Choose the workflow that works its cases"
    wanted: dict[str, Any] = {"workflow": given["workflow"]}
    readers: dict[str, Callable[[str], object]] = {
        "priority": priority_typed,
        "not_before": lambda text: moment_typed(request, text),
        "due": lambda text: moment_typed(request, text, Edge.END),
    }
    for name, read in readers.items():
        try:
            wanted[name] = read(given[name])
        except CasehandError as error:
            errors[name] = str(error)
    return wanted, errors


def _look_over(request: Request, wanted: dict[str, Any], file: UploadFile) -> Upload:
    desk, uploads = request.state.desk, uploads_of(request)
    uploads.clear()
    with uploads.received(file.filename or "", file.file) as path:
        found = desk.preview_batch(wanted["workflow"], path, wanted["due"])
        times = {name: wanted[name] and wanted[name].isoformat() for name in ("not_before", "due")}
        return uploads.keep(path, desk.person.id, {**wanted, **times, "preview": asdict(found)})


def _find(request: Request) -> Upload:
    """The file that the address names, if it is the person's own. Raises NoSuchUpload."""
    desk = request.state.desk
    upload = uploads_of(request).find(request.path_params["upload"], desk.person.id)
    desk.check(Right.HAND_IN, upload.notes["workflow"])
    return upload


def _is_again(desk: Desk, upload: Upload) -> bool:
    return taken_before(desk.ledger, upload.notes["workflow"], upload.notes["preview"]["digest"]) is not None


def _wanted(request: Request, upload: Upload) -> dict[str, Any]:
    """How the file is to be taken in."""
    notes = upload.notes
    return {
        "workflow": notes["workflow"],
        "priority": notes["priority"],
        "not_before": moment_typed(request, notes["not_before"] or ""),
        "due": moment_typed(request, notes["due"] or ""),
    }


def _preview_of(upload: Upload) -> BatchPreview:
    kept = upload.notes["preview"]
    refused = [Rejected(**one) for one in kept["refused"]]
    return BatchPreview(**kept | {"columns": tuple(kept["columns"]), "refused": refused})


def _show_preview(request: Request, upload: Upload, errors: dict[str, str] | None = None) -> Response:
    found = _preview_of(upload)
    number = request.query_params.get("page", "1")
    here = max(int(number), 1) if number.isdecimal() and len(number) < 6 else 1
    notes = upload.notes
    return render(
        request,
        "batches/preview.html",
        422 if errors else 200,
        upload=upload,
        wanted=_wanted(request, upload),
        preview=found,
        earlier=taken_before(request.state.desk.ledger, notes["workflow"], found.digest),
        refused=found.refused[(here - 1) * AT_ONCE : here * AT_ONCE],
        page=here,
        pages=-(-len(found.refused) // AT_ONCE),
        errors=errors or {},
    )


def _workflows(request: Request) -> list[str]:
    """The workflows for which the person hands in files."""
    desk: Desk = request.state.desk
    return [name for name in sorted(desk.workflows) if desk.may(Right.HAND_IN, name)]


def _show_form(
    request: Request,
    given: dict[str, str],
    errors: dict[str, str] | None = None,
    status: int | None = None,
) -> Response:
    return render(
        request,
        "batches/new.html",
        status or (422 if errors else 200),
        given=given,
        errors=errors or {},
        workflows=_workflows(request),
        models={name: _columns_of(request.state.desk, name) for name in _workflows(request)},
        megabytes=LARGEST_UPLOAD // 1_000_000,
    )


def _columns_of(desk: Desk, workflow: str) -> list[tuple[str, bool]]:
    """The columns that a file for a workflow has, and whether each must be there."""
    found = desk.workflows[workflow]
    return [
        (info.alias or name, info.is_required() or name == found.reference)
        for name, info in found.model.model_fields.items()
    ]
