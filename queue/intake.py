"""Intake: takes a file in as a batch, in one transaction; every row becomes a case or a rejection."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import Any

from pydantic import BaseModel
from sqlalchemy import ColumnClause, Connection, column, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from casehand.exceptions import CasehandError, NotNow
from casehand.queue import audit, schema
from casehand.queue.arrivals import Arrivals, Part
from casehand.queue.cells import as_kept
from casehand.queue.check import Accepted, Kind, Rejection, as_stored, check, title_of
from casehand.queue.dating import DueOf, due_date, no_date
from casehand.queue.ledger import Ledger
from casehand.queue.rows import Table, digest_of, read_table
from casehand.queue.state import State

MOST_ROWS = 100_000
"""Of a file where the ledger has one writer."""

LONGEST_SECONDS = 7.0
"""So long a file may keep that writer before the commit, which takes another or two: a horse whose beat, or whose next
case, has to wait for more than nine dies before its leases do."""

LONGEST_IDLE_SECONDS = 20.0
"""The same where no horse has anything to do: whoever else writes waits for 30 before that fails."""

ROWS_AT_ONCE = 2_000
MANY = 1_000
TRIES = 5
LONGEST_NAME = 80
LOCK = 20172


@dataclass(frozen=True, slots=True)
class BatchTaken:
    """What became of a file."""

    batch: str
    accepted: int  #: rows that became cases
    rejected: int
    duplicates: int
    already: bool  #: the file had been handed in before, and nothing was taken in now
    handed_in_at: datetime


def hand_in(
    ledger: Ledger,
    *,
    workflow: str,
    model: type[BaseModel],
    reference: str,
    path: Path,
    by: str,
    priority: int = 0,
    not_before: datetime | None = None,
    due: datetime | None = None,
    due_of: DueOf = no_date,
    may_be_late: bool = False,
    again: bool = False,
    known_by: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> BatchTaken:
    """Take a file in as a batch of cases for a workflow, in one transaction.

    `reference` is the model's field that names a case. By `due` each must be done, or else when `due_of` says;
    where that fails, the row is rejected. `may_be_late` has them worked though that passes. A file with the same
    bytes is taken in once for a workflow, unless `again`; one that is `known_by` some words counts as the same as
    what was known by them before. `progress` hears how many rows have been read. Raises CasehandError, having
    written nothing, when the file cannot be taken in.
    """
    known = None if known_by is None else sha256(known_by.encode()).hexdigest()
    for _ in range(TRIES):
        taken = None if again else earlier(ledger, workflow, known or digest_of(path))
        if taken:
            return taken
        table = read_table(path)
        intake = _Intake(
            ledger=ledger,
            workflow=workflow,
            table=table,
            reference_column=title_of(table, model, reference),
            batch=_free_name(ledger, path),
            by=by,
            digest=None if again else known or table.digest,
            priority=priority,
            not_before=not_before,
            due_of=due_of if due is None else lambda data: due,
            may_be_late=may_be_late,
        )
        try:
            return intake.take_in(_counted(verdicts(ledger, table, model, reference), progress))
        except IntegrityError:
            # Somebody else took the file, the batch's name or a reference meanwhile: look again.
            continue
    raise NotNow(f"{path.name}: others are handing in the same cases just now: hand it in again")


def earlier(ledger: Ledger, workflow: str, digest: str) -> BatchTaken | None:
    """The batch that a file with this digest was taken in as, if it was."""
    table = schema.batches.c
    with ledger.reading() as connection:
        found = connection.execute(
            select(table.id, table.accepted, table.rejected, table.duplicates, table.handed_in_at).where(
                table.workflow == workflow, table.digest == digest
            )
        ).one_or_none()
    if found is None:
        return None
    return BatchTaken(
        found.id,
        found.accepted,
        found.rejected,
        found.duplicates,
        already=True,
        handed_in_at=found.handed_in_at,
    )


def verdicts(
    ledger: Ledger, table: Table, model: type[BaseModel], reference: str
) -> Iterator[Accepted | Rejection]:
    """Every row's verdict, in order. Raises CasehandError where they are more than are taken in at once."""
    for number, verdict in enumerate(check(table, model, reference), start=1):
        if number > MOST_ROWS and is_one_writer(ledger):
            raise CasehandError(
                f"{table.path.name} has more than {MOST_ROWS:,} rows, which would keep the workers waiting for too "
                "long: split it and hand in the parts, or keep the ledger in PostgreSQL"
            )
        yield verdict


def is_one_writer(ledger: Ledger) -> bool:
    """Whether all others wait while one writes to the ledger."""
    return ledger.engine.dialect.name == "sqlite"


def _free_name(ledger: Ledger, path: Path) -> str:
    """The file's name and the day, with a counter where that is taken: rent-changes-2026-11-22-2."""
    stem = re.sub(r"[^a-z0-9]+", "-", path.stem.casefold())[:LONGEST_NAME].strip("-") or "batch"
    name = f"{stem}-{ledger.clock():%Y-%m-%d}"
    with ledger.reading() as connection:
        taken = set(
            connection.scalars(select(schema.batches.c.id).where(schema.batches.c.id.startswith(name)))
        )
    number = 2
    free = name
    while free in taken:
        free = f"{name}-{number}"
        number += 1
    return free


def _counted(
    verdicts: Iterator[Accepted | Rejection], progress: Callable[[int], None] | None
) -> Iterator[Accepted | Rejection]:
    count = 0
    for count, verdict in enumerate(verdicts, start=1):
        if progress and count % ROWS_AT_ONCE == 0:
            progress(count)
        yield verdict
    if progress and count % ROWS_AT_ONCE:
        progress(count)


@dataclass(kw_only=True)
class _Intake:
    """One batch on its way into the ledger."""

    ledger: Ledger
    workflow: str
    table: Table
    reference_column: str
    batch: str
    by: str
    digest: str | None
    priority: int
    not_before: datetime | None
    due_of: DueOf
    may_be_late: bool

    def __post_init__(self) -> None:
        self._now = self.ledger.clock()
        self._key, self._wrapped = self.ledger.vault.new_key(self.batch)
        self._counts = {"accepted": 0, "rejected": 0, "duplicates": 0}

    def take_in(self, verdicts: Iterator[Accepted | Rejection]) -> BatchTaken:
        with self.ledger.own_connection() as connection:
            arrivals = Arrivals(connection)
            # Reading and encrypting take longer than writing: both are over before the write lock is taken, which
            # the workers wait for.
            arrivals.take(map(self._seal, verdicts))
            with self.ledger.writing(connection):
                self._write(connection, arrivals)
        return BatchTaken(self.batch, **self._counts, already=False, handed_in_at=self._now)

    def _write(self, connection: Connection, arrivals: Arrivals) -> None:
        end = monotonic() + _longest(connection)
        self._write_batch(connection)
        audit.record(connection, self._now, self.by, "handed in", self.batch)
        for part in arrivals.parts():
            self._write_part(connection, part)
            if is_one_writer(self.ledger) and monotonic() > end:
                raise NotNow(
                    f"{self.table.path.name} would keep the workers waiting for too long: hand it in when less is "
                    "done on this machine, or in parts"
                )
        self._counts = {
            "accepted": arrivals.counts[None],
            "rejected": arrivals.counts[Kind.REJECTED],
            "duplicates": arrivals.counts[Kind.DUPLICATE],
        }
        self._write_counts(connection)
        if self._counts["accepted"] >= MANY:
            _count_anew(connection)

    def _seal(self, verdict: Accepted | Rejection) -> dict[str, Any]:
        """A row made ready for the ledger."""
        written = as_kept(self.table.header, verdict.row)
        row = self._key.seal(json.dumps(written, ensure_ascii=False).encode())
        if isinstance(verdict, Accepted):
            due = due_date(verdict, self.due_of)
            if not isinstance(due, Rejection):
                return self._case(verdict, due, row)
            verdict = due
        return self._rejection(verdict, row)

    def _case(self, accepted: Accepted, due: datetime | None, row: bytes) -> dict[str, Any]:
        case = self.ledger.new_id()
        key, wrapped = self.ledger.vault.new_key(case)
        return {
            "id": case,
            "reference": accepted.reference,
            "line": accepted.line,
            "due": due,
            "key": wrapped,
            "sealed_data": key.seal(as_stored(accepted.data)),
            "sealed_row": row,
        }

    def _rejection(self, rejection: Rejection, row: bytes) -> dict[str, Any]:
        return {
            "line": rejection.line,
            "kind": rejection.kind,
            "column": rejection.column,
            "reason": rejection.reason,
            "reference": rejection.reference,
            "sealed_row": row,
        }

    def _write_batch(self, connection: Connection) -> None:
        """The batch stands first, so that whoever takes in the same file beside us is stopped here."""
        if connection.dialect.name == "postgresql":
            # Two files with the same references in another order would wait for each other.
            connection.execute(select(func.pg_advisory_xact_lock(LOCK, func.hashtext(self.workflow))))
        layout = self.table.layout
        connection.execute(
            insert(schema.batches).values(
                id=self.batch,
                workflow=self.workflow,
                file=_storable(self.table.path.name),
                digest=self.digest,
                delimiter=layout and layout.delimiter,
                encoding=layout and layout.encoding,
                key=self._wrapped,
                **self._counts,
                handed_in_at=self._now,
                handed_in_by=self.by,
            )
        )

    def _write_part(self, connection: Connection, part: Part) -> None:
        open_cases = open_references(connection, self.workflow, part.references)
        if open_cases:
            title = self.reference_column
            reasons = {reference: there_already(title, where) for reference, where in open_cases.items()}
            part.refuse(reasons, Kind.DUPLICATE, title)
        part.write_cases(schema.cases, self._same_for_all())
        part.write_rejections(schema.rejections, {"batch": self.batch})
        entry = {"at": self._now, "actor": self.by, "action": "taken in", "after": State.QUEUED}
        part.write_entries(schema.audit, entry)

    def _same_for_all(self) -> dict[str, Any]:
        return {
            "workflow": self.workflow,
            "batch": self.batch,
            "state": State.QUEUED,
            "priority": self.priority,
            "not_before": self.not_before or self._now,
            "may_be_late": self.may_be_late,
            "attempts": 0,
            "failures": 0,
            "crashes": 0,
            "handed_in_at": self._now,
            "changed_at": self._now,
        }

    def _write_counts(self, connection: Connection) -> None:
        connection.execute(
            update(schema.batches).where(schema.batches.c.id == self.batch).values(**self._counts)
        )


def _longest(connection: Connection) -> float:
    """Seconds for which nobody is harmed by a ledger that cannot be written to."""
    state = schema.cases.c.state
    at_work = select(schema.cases.c.id).where(state.in_([State.QUEUED, State.WORKING])).limit(1)
    return LONGEST_IDLE_SECONDS if connection.execute(at_work).first() is None else LONGEST_SECONDS


def _count_anew(connection: Connection) -> None:
    """Have PostgreSQL plan for what is there now.

    It does so by itself, but up to a minute later, and until then takes the table for an empty one: handing 200 of
    20,000 new cases to the workers took it 18 s (168 ms and less once it had counted).
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("ANALYZE cases, audit")


def open_references(connection: Connection, workflow: str, references: list[str]) -> dict[str, str]:
    """Where the references are that have a case with something still to come."""
    # SQLite is told which index: left to itself it takes another, and each look goes through every open case.
    by_index = " INDEXED BY uq_cases_open_reference" if connection.dialect.name == "sqlite" else ""
    case: dict[str, ColumnClause[Any]] = {
        name: column(name) for name in ("workflow", "reference", "state", "batch")
    }
    found = connection.execute(
        select(case["reference"], case["state"], case["batch"])
        .select_from(text(f"cases{by_index}"))
        .where(
            case["workflow"] == workflow,
            # Word for word the condition of that index, which is partial.
            text(schema.OPEN_STATES),
            case["reference"].in_(references),
        )
    )
    return {
        reference: f"already {state}" + (f" in batch {batch}" if batch else "")
        for reference, state, batch in found
    }


def there_already(column: str, where: str) -> str:
    """Why a row is a duplicate of an open case."""
    return f"{column}: {where}"


def _storable(name: str) -> str:
    """A file's name may hold bytes that are no text."""
    return name.encode("utf-8", "replace").decode()
