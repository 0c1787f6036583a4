"""The audit: who did what to which case or bot, when and why. Never what the case holds."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Select, insert, literal, select, tuple_

from casehand.exceptions import CasehandError
from casehand.queue import schema
from casehand.queue.ledger import Ledger
from casehand.queue.paging import ROWS
from casehand.queue.state import State

Audit = schema.audit.c


@dataclass(frozen=True)
class Entry:
    """One thing that was done."""

    id: int
    at: datetime
    actor: str
    action: str
    subject: str  #: a case's id, a batch, or such as "bot benefits"
    before: State | None
    after: State | None
    attempt: int | None
    reason: str | None  #: what a person typed
    detail: str | None  #: what an action on many was to: its filter, and how many
    place: int | None  #: in the chain; none until it is linked


@dataclass(frozen=True)
class EntryFilter:
    """Which entries are looked for."""

    subject: str | None = None
    actor: str | None = None
    action: str | None = None
    since: datetime | None = None
    until: datetime | None = None  #: before which they are


def record(
    connection: Connection,
    at: datetime,
    actor: str,
    action: str,
    subject: str,
    before: State | None = None,
    after: State | None = None,
    attempt: int | None = None,
    reason: str | None = None,
    detail: str | None = None,
) -> None:
    """Write one entry, in the transaction of what it tells of.

    `reason` is what a person typed, and never case data; `detail` what an action on many was to.
    """
    connection.execute(
        insert(schema.audit).values(
            at=at,
            actor=actor,
            action=action,
            subject=subject,
            before=before,
            after=after,
            attempt=attempt,
            reason=reason,
            detail=detail,
        )
    )


def find_entries(
    ledger: Ledger, which: EntryFilter = EntryFilter(), limit: int | None = None, after: int | None = None
) -> list[Entry]:
    """The entries that match, latest first; only those behind the entry with the id `after`.

    Raises CasehandError when there is no such entry.
    """
    query = _matching(which).order_by(Audit.at.desc(), Audit.id.desc()).limit(limit)
    with ledger.reading() as connection:
        if after is not None:
            at = connection.execute(select(Audit.at).where(Audit.id == after)).scalar()
            if at is None:
                raise CasehandError(f"there is no entry {after}: `casehand audit` lists those there are")
            place = tuple_(literal(at, Audit.at.type), literal(after))
            query = query.where(tuple_(Audit.at, Audit.id) < place)
        return [Entry(**row) for row in connection.execute(query).mappings()]


def all_entries(
    ledger: Ledger,
    which: EntryFilter = EntryFilter(),
    limit: int | None = None,
    after: int | None = None,
) -> Iterator[Entry]:
    """The same, read a page at a time: for lists of any length."""
    left = limit
    while left is None or left > 0:
        most = ROWS if left is None else min(left, ROWS)
        page = find_entries(ledger, which, most, after)
        yield from page
        if len(page) < most:
            return
        after = page[-1].id
        left = None if left is None else left - most


def _matching(which: EntryFilter) -> Select[tuple[object, ...]]:
    columns = [Audit[name] for name in Entry.__dataclass_fields__]
    given = ((Audit.subject, which.subject), (Audit.actor, which.actor), (Audit.action, which.action))
    query = select(*columns).where(*(column == value for column, value in given if value is not None))
    if which.since is not None:
        query = query.where(Audit.at >= which.since)
    if which.until is not None:
        query = query.where(Audit.at < which.until)
    return query
