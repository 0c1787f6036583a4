"""Rolling up: what is past is counted once for the figures, by local day."""

from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Table, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from casehand.queue import schema
from casehand.queue.ledger import Ledger
from casehand.queue.state import State
from casehand.queue.tally import Window, asked_by_kind, count_ends, count_reasons, summed_up, windows

Cases = schema.cases.c
Escalations = schema.escalations.c
Head = schema.figures_head.c

ROLLED = (schema.figures, schema.figures_times, schema.figures_asked, schema.figures_reasons)

LAG = timedelta(minutes=10)
"""What is younger may still be written: a transaction that is slow to commit, or a machine whose clock is late."""

EVERY = timedelta(minutes=10)
"""How much must have come together to be rolled up: figures count the rest as they are asked for."""

AT_ONCE = 5
"""Days in one pass of the reconciler, which has more to do."""


def roll_up(ledger: Ledger, zone: ZoneInfo, most: int = AT_ONCE) -> int:
    """Count what has ended and been opened since the last time, a day or part of one at a time; returns how many.

    Whoever counts the same at once comes too late and changes nothing. After a change of the time zone all is
    counted anew.
    """
    upto = ledger.clock() - LAG
    for done in range(most):
        if not _roll_one(ledger, zone, upto):
            return done
    return most


def catch_up(ledger: Ledger, zone: ZoneInfo) -> None:
    """Count all there is, so that only the last minutes are left; takes long where nobody has reconciled for long."""
    while roll_up(ledger, zone):
        pass


def _roll_one(ledger: Ledger, zone: ZoneInfo, upto: datetime) -> bool:
    with ledger.reading() as connection:
        head = connection.execute(select(schema.figures_head)).one()
        rolled = head.until if head.zone == zone.key else None
        if rolled is not None and upto <= rolled:
            return False
        if rolled is not None and upto - rolled < EVERY and not _ends_a_day(rolled, upto, zone):
            return False
        window = _next(connection, rolled, upto, zone)
        ends, times = summed_up([] if window is None else count_ends(connection, window))
        reasons = [] if window is None else count_reasons(connection, window)
    with ledger.writing() as connection:
        if not _claim(connection, head, zone, upto if window is None else window.end):
            return True
        if head.zone != zone.key:
            for table in ROLLED:
                connection.execute(delete(table))
        _add(connection, schema.figures, [(*key, number) for key, number in ends.items()])
        _add(connection, schema.figures_times, [(*key, number) for key, number in times.items()])
        _add(
            connection,
            schema.figures_asked,
            [(*key, number) for key, number in asked_by_kind(reasons).items()],
        )
        _add(connection, schema.figures_reasons, reasons)
    return window is not None


def _ends_a_day(rolled: datetime, upto: datetime, zone: ZoneInfo) -> bool:
    return rolled.astimezone(zone).date() != upto.astimezone(zone).date()


def _next(connection: Connection, rolled: datetime | None, upto: datetime, zone: ZoneInfo) -> Window | None:
    """The part of the first day on which anything ended or was opened; None for nothing before `upto`."""
    first = _first(connection, rolled)
    if first is None or first >= upto:
        return None
    begin = datetime.combine(first.astimezone(zone).date(), time(), zone)
    if rolled is not None:
        begin = max(begin, rolled)
    return next(windows(begin, upto, zone))


def _first(connection: Connection, rolled: datetime | None) -> datetime | None:
    ended = [
        select(func.min(Cases.changed_at)).where(Cases.state == state)
        for state in (State.DONE, State.CLOSED, State.CANCELLED)
    ]
    opened = select(func.min(Escalations.opened_at))
    if rolled is not None:
        ended = [query.where(Cases.changed_at >= rolled) for query in ended]
        opened = opened.where(Escalations.opened_at >= rolled)
    firsts = select(*(query.scalar_subquery() for query in (*ended, opened)))
    return min((at for at in connection.execute(firsts).one() if at is not None), default=None)


def _claim(connection: Connection, head: Any, zone: ZoneInfo, until: datetime) -> bool:
    """Move the head on, if it is still where it was read."""
    same = Head.until.is_(None) if head.until is None else Head.until == head.until
    moved = update(schema.figures_head).where(same, Head.zone == head.zone)
    return connection.execute(moved.values(zone=zone.key, until=until)).rowcount == 1


def _add(connection: Connection, table: Table, rows: list[tuple[Any, ...]]) -> None:
    if not rows:
        return
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table)
    statement = statement.on_conflict_do_update(
        index_elements=list(table.primary_key),
        set_={"number": table.c.number + statement.excluded.number},
    )
    connection.execute(statement, [dict(zip(table.c.keys(), row, strict=True)) for row in rows])
