"""Leases: something that one process at a time may hold, and that comes back by itself when it dies."""

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from casehand.queue import schema
from casehand.queue.ledger import Ledger

Leases = schema.leases.c


def hold(ledger: Ledger, name: str, holder: str, length: timedelta) -> bool:
    """Take or renew a lease; False while another holds it."""
    if _is_with_another(ledger, name, holder):
        # Most who ask are told so: they need not wait for the ledger's one writer to hear it.
        return False
    try:
        with ledger.writing() as connection:
            return _hold(connection, name, holder, ledger.clock(), length)
    except IntegrityError:
        # Another took it for the first time between our look and our insert.
        return False


def renew(ledger: Ledger, held: Collection[tuple[str, str]], length: timedelta) -> set[tuple[str, str]]:
    """Renew leases, each named with its holder; returns those that are still theirs."""
    with ledger.writing() as connection:
        until = ledger.clock() + length
        return {one for one in sorted(held) if _renewed(connection, *one, until)}


def _renewed(connection: Connection, name: str, holder: str, until: datetime) -> bool:
    theirs = (Leases.name == name, Leases.holder == holder)
    return connection.execute(update(schema.leases).where(*theirs).values(until=until)).rowcount == 1


def is_held(ledger: Ledger, name: str) -> bool:
    """Whether anybody holds it now."""
    with ledger.reading() as connection:
        until = connection.execute(select(Leases.until).where(Leases.name == name)).scalar()
    return until is not None and until >= ledger.clock()


def let_go(ledger: Ledger, name: str, holder: str) -> None:
    """Give a lease back, if it is still this holder's."""
    with ledger.writing() as connection:
        connection.execute(delete(schema.leases).where(Leases.name == name, Leases.holder == holder))


def _is_with_another(ledger: Ledger, name: str, holder: str) -> bool:
    with ledger.reading() as connection:
        found = connection.execute(select(Leases.holder, Leases.until).where(Leases.name == name)).first()
    return found is not None and found.holder != holder and bool(found.until >= ledger.clock())


def _hold(connection: Connection, name: str, holder: str, now: datetime, length: timedelta) -> bool:
    taken = connection.execute(
        update(schema.leases)
        .where(Leases.name == name, or_(Leases.holder == holder, Leases.until < now))
        .values(holder=holder, until=now + length)
    )
    if taken.rowcount:
        return True
    if connection.execute(select(Leases.name).where(Leases.name == name)).first():
        return False
    connection.execute(insert(schema.leases).values(name=name, holder=holder, until=now + length))
    return True
