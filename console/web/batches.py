"""Batches: the list of them, and each with its progress, what of it needs a person, and what may be done to it."""

from starlette.requests import Request
from starlette.responses import Response

from casehand.console.desk import Desk
from casehand.console.rights import Right
from casehand.console.web.home import WHY
from casehand.console.web.page import page
from casehand.console.web.rendering import render, see
from casehand.console.web.typed import sentence, typed, what_was_said
from casehand.exceptions import CasehandError
from casehand.queue.batches import BatchLine, BatchSort, list_batches, rejections_of, waiting_in
from casehand.queue.ledger import Ledger
from casehand.queue.pace import pace
from casehand.queue.pauses import PauseKind, pauses_of_batch
from casehand.queue.rejects import kind_of_file
from casehand.queue.state import State

AT_ONCE = 25
FIRST = 20
"""Cases that wait for a person that are listed with their batch."""
REJECTIONS_AT_ONCE = 50

SAID = {
    "handed-in": "The file was handed in. Its cases are worked as their turn comes.",
    "already": "This file was handed in before as this batch: nothing was taken in now.",
    "paused": "The batch is paused. Cases in work are finished, and no other begins.",
    "paused-already": "The batch was paused already: the first reason stands.",
    "resumed": "The batch goes on.",
}

STATES = {
    State.QUEUED: "Not worked yet",
    State.WORKING: "In work now",
    State.ESCALATED: "Needs a person",
    State.DONE: "Done",
    State.CLOSED: "Closed by a person",
    State.CANCELLED: "Cancelled",
}
"""What each state is called where cases are counted."""


def batches(request: Request) -> Response:
    """List the batches that the person may know of."""
    desk: Desk = request.state.desk
    query = request.query_params
    mine = desk.workflows_with(Right.SEE_STRUCTURE)
    wanted = query.get("workflow") or None
    seen = mine if wanted is None else ({wanted} if mine is None or wanted in mine else set())
    by, backwards = _order(query.get("sort", ""))
    found = list_batches(
        desk.ledger,
        seen,
        by,
        backwards,
        AT_ONCE + 1,
        query.get("after"),
        is_open=query.get("open") == "yes",
    )
    return render(
        request,
        "batches/list.html",
        batches=found[:AT_ONCE],
        after=found[AT_ONCE - 1].name if len(found) > AT_ONCE else None,
        sorted_by=f"{'-' if backwards else ''}{by}",
        states=STATES,
        workflows=sorted(desk.workflows if mine is None else mine),
        workflow=wanted,
        is_open=query.get("open") == "yes",
    )


def show_batch(request: Request) -> Response:
    """Show one batch."""
    desk, batch = request.state.desk, _batch(request)
    ledger = desk.ledger
    kinds, waiting = waiting_in(ledger, batch.name, FIRST)
    held = pauses_of_batch(ledger, batch.name, batch.workflow)
    return render(
        request,
        "batches/show.html",
        batch=batch,
        states=STATES,
        why=WHY,
        kinds={kind: kinds[kind] for kind in WHY if kind in kinds},
        waiting=waiting,
        held=held,
        at_risk=sum(one.number for one in desk.at_risk(batch=batch.name))
        if batch.counts[State.QUEUED]
        else 0,
        own_pause=next((one for one in held if one.kind is PauseKind.BATCH), None),
        rest=_rest(ledger, batch),
        kind=kind_of_file(ledger, batch.name),
        refused=rejections_of(ledger, batch.name, FIRST) if batch.refused else [],
        said=what_was_said(request, SAID),
    )


def not_taken_in(request: Request) -> Response:
    """List the rows of a batch's file that were not taken in, with the reasons."""
    desk, batch = request.state.desk, _batch(request)
    after = request.query_params.get("after", "0")
    behind = int(after) if after.isdecimal() and len(after) < 10 else 0
    found = rejections_of(desk.ledger, batch.name, REJECTIONS_AT_ONCE + 1, behind)
    return render(
        request,
        "batches/not_taken_in.html",
        batch=batch,
        refused=found[:REJECTIONS_AT_ONCE],
        after=found[REJECTIONS_AT_ONCE - 1].line if len(found) > REJECTIONS_AT_ONCE else None,
        kind=kind_of_file(desk.ledger, batch.name),
    )


def ask_to_cancel(request: Request) -> Response:
    """Say what cancelling the batch would do, and ask why."""
    batch = _batch(request)
    request.state.desk.check(Right.ACT_ON_MANY, batch.workflow)
    return _show_cancelling(request, batch)


def cancel_batch(request: Request) -> Response:
    """Cancel what has not begun and what waits for a person."""
    desk, batch = request.state.desk, _batch(request)
    desk.check(Right.ACT_ON_MANY, batch.workflow)
    given = typed(request, "reason")
    if not given["reason"].strip():
        return _show_cancelling(request, batch, {"reason": "Enter why the batch is cancelled"}, given)
    try:
        bulk = desk.cancel_batch(batch.name, given["reason"])
    except CasehandError as error:
        return _show_cancelling(request, batch, {"reason": sentence(error)}, given)
    return see(request, "show_bulk", bulk=bulk)


routes = [
    page("/batches", batches, right=Right.SEE_STRUCTURE),
    page("/batches/{name}", show_batch, right=Right.SEE_STRUCTURE),
    page("/batches/{name}/not-taken-in", not_taken_in, right=Right.SEE_STRUCTURE),
    page("/batches/{name}/cancel", ask_to_cancel, right=Right.ACT_ON_MANY),
    page("/batches/{name}/cancel", cancel_batch, right=Right.ACT_ON_MANY, methods=["POST"]),
]


def _batch(request: Request) -> BatchLine:
    """The batch of the address, if the person may know of it; else NoSuchBatch is the answer."""
    batch: BatchLine = request.state.desk.find_batch(request.path_params["name"])
    return batch


def _order(sort: str) -> tuple[BatchSort, bool]:
    name = sort.removeprefix("-")
    if name not in set(BatchSort):
        return BatchSort.WHEN, True
    return BatchSort(name), sort.startswith("-")


def _rest(ledger: Ledger, batch: BatchLine) -> object:
    """How long what is left would take at the workflow's pace of late; None while nothing moves."""
    left = batch.counts["queued"] + batch.counts["working"]
    now = ledger.clock()
    finish = pace(ledger, {batch.workflow}).finish(left, now) if left else None
    return None if finish is None else finish - now


def _show_cancelling(
    request: Request,
    batch: BatchLine,
    errors: dict[str, str] | None = None,
    given: dict[str, str] | None = None,
) -> Response:
    return render(
        request,
        "batches/cancel.html",
        422 if errors else 200,
        batch=batch,
        errors=errors or {},
        given=given or {},
    )
