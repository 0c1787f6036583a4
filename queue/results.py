"""Results: what became of every row of a batch's file, and the rows that were not taken in, to be mended."""

import heapq
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any

from sqlalchemy import Connection, Row, func, select

from casehand.exceptions import CasehandError
from casehand.queue import audit, schema
from casehand.queue.cells import Kept, read_kept
from casehand.queue.check import Kind
from casehand.queue.commits import CommitState
from casehand.queue.ledger import Ledger
from casehand.queue.rows import LINE_COLUMN, MARKED_WHY_COLUMN, WHY_COLUMN, plain_name
from casehand.queue.sheets import Cell, Sheet
from casehand.queue.state import State
from casehand.queue.vault import Key

AT_ONCE = 500
"""Rows to a look: a long one would keep SQLite from tidying up its log."""

WORDS: Mapping[str, str] = {
    State.QUEUED: "not worked yet",
    State.WORKING: "being worked",
    State.DONE: "done",
    State.ESCALATED: "waits for a person",
    State.CLOSED: "closed by a person",
    State.CANCELLED: "cancelled",
    Kind.REJECTED: "not taken in",
    Kind.DUPLICATE: "not taken in, duplicate",
}
"""What became of a row, for those who read it in a file."""

_BEFORE = ("Line", "Reference", "What became of it", "Why", "Last changed", "Attempts", "Changes made")
_OTHER = "Other"

Batches = schema.batches.c
Cases = schema.cases.c
Commits = schema.commits.c
Rejections = schema.rejections.c


@dataclass(frozen=True)
class RowResult:
    """What became of one row."""

    line: int
    reference: str | None
    came: str  #: a state, or why it is no case
    why: str | None = field(repr=False)
    changed_at: datetime | None
    attempts: int
    changes: int  #: made in the legacy system
    data: dict[str, Any] = field(repr=False)  #: as it is now; as it was written, for what is no case
    result: dict[str, Any] = field(repr=False)


def note_taken_out(ledger: Ledger, what: str, batch: str, kind: str, by: str) -> None:
    """Write to the audit that somebody takes such data out of the ledger."""
    with ledger.writing() as connection:
        audit.record(connection, ledger.clock(), by, f"took out {what}", batch, detail=f"as {kind}")


def results_of(ledger: Ledger, batch: str) -> Iterator[RowResult]:
    """What became of every row, in the order of the file."""
    return heapq.merge(_of_cases(ledger, batch), _of_rejections(ledger, batch), key=lambda one: one.line)


def result_sheet(ledger: Ledger, batch: str, zone: tzinfo) -> Sheet:
    """The same as a table: what became of each row, then what came in, then what came out of it."""
    fields, results = _first_fields(ledger, batch)
    columns = (*_BEFORE, *fields, *(f"Result: {name}" for name in results), _OTHER)
    rows = (_as_row(one, fields, results, zone) for one in results_of(ledger, batch))
    return Sheet(columns, rows)


def reject_sheet(ledger: Ledger, batch: str, is_marked: bool = False) -> Sheet:
    """The rows that were not taken in, as they stood in the file, each with its line and why.

    Mended, the file can be handed in again: those two columns are then left aside. `is_marked` says that it is
    written as CSV, in which a cell that might be a formula has a mark before it; that is then taken off again.
    Raises CasehandError when there are no rejects.
    """
    columns = _columns_of_rejections(ledger, batch)
    rows = ([*map(kept.get, columns), row.line, row.reason] for row, kept in _rejected_rows(ledger, batch))
    return Sheet((*columns, LINE_COLUMN, MARKED_WHY_COLUMN if is_marked else WHY_COLUMN), rows)


def plain_cell(cell: Cell) -> str | int | None:
    """A cell as a person sees it."""
    return cell.text if isinstance(cell, Kept) else cell


def _of_cases(ledger: Ledger, batch: str) -> Iterator[RowResult]:
    """Which cases there are is read first, and each but once then: whatever becomes of them meanwhile, all are told."""
    made = (
        select(func.count())
        .where(Commits.case == Cases.id, Commits.state == CommitState.MADE)
        .correlate(schema.cases)
        .scalar_subquery()
    )
    query = select(schema.cases, made.label("changes"))
    with ledger.reading() as connection:
        whole = select(Cases.id).where(Cases.batch == batch).order_by(Cases.line, Cases.id)
        cases = connection.execute(whole).scalars().all()
    for start in range(0, len(cases), AT_ONCE):
        some = cases[start : start + AT_ONCE]
        with ledger.reading() as connection:
            rows = {row.id: row for row in connection.execute(query.where(Cases.id.in_(some)))}
        for case in some:
            yield _case(ledger, rows[case], rows[case].changes)


def _case(ledger: Ledger, row: Row[Any], changes: int) -> RowResult:
    opened: dict[str, Any] = {"why": "erased", "data": {}, "result": {}}
    if row.key is not None:
        key = ledger.vault.open_key(row.id, row.key)
        opened = {
            "why": None if row.sealed_reason is None else key.open_text(row.sealed_reason),
            "data": json.loads(key.open_text(row.sealed_data)),
            "result": _result(key, row.sealed_result),
        }
    return RowResult(
        line=row.line,
        reference=row.reference,
        came=row.state,
        changed_at=row.changed_at,
        attempts=row.attempts,
        changes=changes,
        **opened,
    )


def _result(key: Key, sealed: bytes | None) -> dict[str, Any]:
    if sealed is None:
        return {}
    result = json.loads(key.open_text(sealed))
    return result if isinstance(result, dict) else {"result": result}


def _of_rejections(ledger: Ledger, batch: str) -> Iterator[RowResult]:
    for row, kept in _rejected_rows(ledger, batch):
        data = {name: one.text if isinstance(one, Kept) else one for name, one in kept.items()}
        yield RowResult(row.line, row.reference, row.kind, row.reason, None, 0, 0, data, {})


def _rejected_rows(ledger: Ledger, batch: str) -> Iterator[tuple[Row[Any], dict[str, str | Kept | None]]]:
    """Read by their number, which is that of the file: it is written from its beginning to its end."""
    key, last = _key_of(ledger, batch), 0
    query = select(schema.rejections).where(Rejections.batch == batch).order_by(Rejections.id).limit(AT_ONCE)
    while True:
        with ledger.reading() as connection:
            rows = connection.execute(query.where(Rejections.id > last)).all()
        for row in rows:
            written = json.loads(key.open_text(row.sealed_row))
            yield row, {name: read_kept(one) for name, one in written.items()}
        if len(rows) < AT_ONCE:
            return
        last = rows[-1].id


def _key_of(ledger: Ledger, batch: str) -> Key:
    with ledger.reading() as connection:
        wrapped = connection.execute(select(Batches.key).where(Batches.id == batch)).scalar_one()
    return ledger.vault.open_key(batch, wrapped)


def _columns_of_rejections(ledger: Ledger, batch: str) -> tuple[str, ...]:
    """The columns of the file: a row that is too long has more."""
    longest: tuple[str, ...] = ()
    for _, kept in _rejected_rows(ledger, batch):
        if len(kept) > len(longest):
            longest = tuple(kept)
    if not longest:
        raise CasehandError(f"every row of the batch {batch} was taken in: there are no rejects")
    return longest


def _first_fields(ledger: Ledger, batch: str) -> tuple[list[str], list[str]]:
    """The fields of what came in and of what came out, as the first case that has any says them."""
    with ledger.reading() as connection:
        first = _first(connection, batch, None)
        done = _first(connection, batch, State.DONE)
    data = {} if first is None else _case(ledger, first, 0).data
    result = {} if done is None else _case(ledger, done, 0).result
    if data:
        return list(data), list(result)
    return list(next((one.data for one in _of_rejections(ledger, batch)), {})), []


def _first(connection: Connection, batch: str, state: State | None) -> Row[Any] | None:
    query = select(schema.cases).where(Cases.batch == batch, Cases.key.is_not(None))
    if state is not None:
        query = query.where(Cases.state == state)
    return connection.execute(query.limit(1)).first()


def _as_row(one: RowResult, fields: list[str], results: list[str], zone: tzinfo) -> list[Cell]:
    given = {plain_name(name): value for name, value in one.data.items()}
    known = {plain_name(name) for name in fields}
    others = {name: value for name, value in one.data.items() if plain_name(name) not in known}
    others |= {name: value for name, value in one.result.items() if name not in results}
    changed = None if one.changed_at is None else one.changed_at.astimezone(zone).isoformat(" ", "seconds")
    return [
        one.line,
        one.reference,
        WORDS[one.came],
        one.why,
        changed,
        one.attempts,
        one.changes,
        *(_as_cell(given.get(plain_name(name))) for name in fields),
        *(_as_cell(one.result.get(name)) for name in results),
        "; ".join(f"{name}: {_as_cell(value)}" for name, value in others.items()),
    ]


def _as_cell(value: object) -> Cell:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if isinstance(value, int | float) else json.dumps(value, ensure_ascii=False)
