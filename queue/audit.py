"""The audit: who did what to which case or bot, when and why. Never what the case holds."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Select, func, insert, select

from casehand.exceptions import CasehandError
from casehand.queue import schema
from casehand.queue.ledger import Ledger
from casehand.queue.lists import in_order
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

    subject: str | Collection[str] | None = None  #: several, where one name is that of several cases
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
    ledger: Ledger,
    which: EntryFilter = EntryFilter(),
    limit: int | None = None,
    after: int | None = None,
    *,
    oldest_first: bool = False,
) -> list[Entry]:
    """The entries that match, latest first or the other way round; only those behind the one with the id `after`.

    Raises CasehandError when there is no such entry.
    """
    with ledger.reading() as connection:
        place = None if after is None else _place(connection, after)
        order = (Audit.at, Audit.id)
        query = in_order(_matching(which), [None], order, not oldest_first, place, limit)
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


def all_actions(ledger: Ledger) -> list[str]:
    """What has ever been done: each is the next in the index, however many entries there are."""
    first = select(func.min(Audit.action).label("action")).cte("actions", recursive=True)
    behind = select(func.min(Audit.action)).where(Audit.action > first.c.action).scalar_subquery()
    actions = first.union_all(select(behind).where(first.c.action.is_not(None)))
    with ledger.reading() as connection:
        found = connection.execute(select(actions.c.action).where(actions.c.action.is_not(None)))
        return list(found.scalars())


def _place(connection: Connection, entry: int) -> tuple[datetime, int]:
    at = connection.execute(select(Audit.at).where(Audit.id == entry)).scalar()
    if at is None:
        raise CasehandError(f"there is no entry {entry}: `casehand audit` lists those there are")
    return at, entry


def _matching(which: EntryFilter) -> Select[tuple[object, ...]]:
    columns = [Audit[name] for name in Entry.__dataclass_fields__]
    given = ((Audit.actor, which.actor), (Audit.action, which.action))
    query = select(*columns).where(*(column == value for column, value in given if value is not None))
    if isinstance(which.subject, str):
        query = query.where(Audit.subject == which.subject)
    elif which.subject is not None:
        query = query.where(Audit.subject.in_(which.subject))
    if which.since is not None:
        query = query.where(Audit.at >= which.since)
    if which.until is not None:
        query = query.where(Audit.at < which.until)
    return query
