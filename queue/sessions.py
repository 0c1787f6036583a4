"""Sessions: who is signed in to the pages, and the links and sign-ins that a session begins with.

Only digests are kept of what opens a door: whoever reads the ledger cannot sign in with it.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, delete, func, insert, select, update

from casehand.queue import audit, schema
from casehand.queue.ledger import Ledger

Sessions = schema.sessions.c
Links = schema.sign_in_links.c
SignIns = schema.sign_ins.c

LINK_LASTS = timedelta(minutes=10)
SIGN_IN_LASTS = timedelta(minutes=10)
KEPT = timedelta(days=30)
"""How long it can be looked up that somebody was signed in; the audit has it for good."""
SEEN_EVERY = timedelta(minutes=1)
"""No oftener is it written down that a session is in use."""


@dataclass(frozen=True)
class Who:
    """Somebody who signs in, as the ledger keeps him; `roles` is JSON that the console reads."""

    person: str
    name: str
    roles: str


@dataclass(frozen=True)
class Limits:
    """How long a session lasts: when nothing is done in it, and at most."""

    idle: timedelta
    longest: timedelta


@dataclass(frozen=True)
class Session:
    """Somebody who is signed in."""

    id: int
    who: Who
    way: str  #: how he signed in: "link" or "openid connect"
    begun_at: datetime
    seen_at: datetime
    ended_at: datetime | None


def offer_link(ledger: Ledger, who: Who) -> str:
    """The token of a link that signs somebody in once, within ten minutes."""
    token, now = _token(), ledger.clock()
    with ledger.writing() as connection:
        _forget(connection, now)
        connection.execute(
            insert(schema.sign_in_links).values(
                digest=_digest(token),
                person=who.person,
                name=who.name,
                roles=who.roles,
                until=now + LINK_LASTS,
            )
        )
    return token


def look_at_link(ledger: Ledger, token: str) -> Who | None:
    """Whom a link signs in; None when it was used, is too old, or never was one."""
    query = select(schema.sign_in_links).where(_is_good(schema.sign_in_links, _digest(token), ledger.clock()))
    with ledger.reading() as connection:
        row = connection.execute(query).first()
    return None if row is None else Who(row.person, row.name, row.roles)


def begin_by_link(ledger: Ledger, token: str) -> str | None:
    """Use a link up; the token of the session that begins, or None when the link is no good any more."""
    now = ledger.clock()
    with ledger.writing() as connection:
        row = _use_up(connection, schema.sign_in_links, _digest(token), now)
        if row is None:
            return None
        return _begin(connection, now, Who(row.person, row.name, row.roles), "link")


def expect_sign_in(ledger: Ledger, browser: str, back: str) -> str:
    """The state that a sign-in elsewhere must bring back, once, to the same browser, within ten minutes."""
    state, now = _token(), ledger.clock()
    with ledger.writing() as connection:
        _forget(connection, now)
        connection.execute(
            insert(schema.sign_ins).values(
                digest=_digest(state), browser=_digest(browser), back=back, until=now + SIGN_IN_LASTS
            )
        )
    return state


def accept_sign_in(ledger: Ledger, state: str, browser: str) -> str | None:
    """Use a state up: where the person wanted to go; None when nobody of that browser is expected with it."""
    with ledger.writing() as connection:
        row = _use_up(connection, schema.sign_ins, _digest(state), ledger.clock())
    if row is None or not secrets.compare_digest(row.browser, _digest(browser)):
        return None
    return str(row.back)


def begin(ledger: Ledger, who: Who, way: str) -> str:
    """Begin a session; its token, which is told to the person's browser and to nobody else."""
    with ledger.writing() as connection:
        return _begin(connection, ledger.clock(), who, way)


def find(ledger: Ledger, token: str, limits: Limits, is_used: bool = True) -> Session | None:
    """The session of a token; None when there is none, or it has come to its end.

    `is_used` says that somebody does something in it, so that it goes on.
    """
    now = ledger.clock()
    with ledger.reading() as connection:
        query = select(schema.sessions).where(Sessions.digest == _digest(token), _is_open(now, limits))
        row = connection.execute(query).first()
    if row is None:
        return None
    if is_used and now - row.seen_at >= min(SEEN_EVERY, limits.idle / 10):
        _note_seen(ledger, row.id, now)
    return _session(row)


def open_sessions(ledger: Ledger, limits: Limits, person: str | None = None) -> list[Session]:
    """Who is signed in, those seen last first; only of one person."""
    query = select(schema.sessions).where(_is_open(ledger.clock(), limits))
    if person is not None:
        query = query.where(Sessions.person == person)
    with ledger.reading() as connection:
        rows = connection.execute(query.order_by(Sessions.seen_at.desc(), Sessions.id.desc())).all()
    return [_session(row) for row in rows]


def people(ledger: Ledger) -> list[Who]:
    """Everybody who has signed in of late, with what he was then, by name."""
    latest = select(func.max(Sessions.id)).group_by(Sessions.person)
    query = select(schema.sessions).where(Sessions.id.in_(latest)).order_by(Sessions.name, Sessions.person)
    with ledger.reading() as connection:
        return [Who(row.person, row.name, row.roles) for row in connection.execute(query)]


def end(ledger: Ledger, session: int, by: str) -> bool:
    """End a session; False when it had ended already."""
    with ledger.writing() as connection:
        now = ledger.clock()
        whose = select(Sessions.person).where(Sessions.id == session, Sessions.ended_at.is_(None))
        person = connection.execute(whose.with_for_update()).scalar()
        if person is None:
            return False
        connection.execute(update(schema.sessions).where(Sessions.id == session).values(ended_at=now))
        audit.record(connection, now, by, "signed out", _subject(person))
        return True


def end_all(ledger: Ledger, person: str, by: str, but: int | None = None) -> int:
    """End all sessions of a person, but that one; how many there were."""
    with ledger.writing() as connection:
        now = ledger.clock()
        theirs = update(schema.sessions).where(Sessions.person == person, Sessions.ended_at.is_(None))
        if but is not None:
            theirs = theirs.where(Sessions.id != but)
        ended = connection.execute(theirs.values(ended_at=now)).rowcount
        if ended:
            audit.record(connection, now, by, "signed out", _subject(person))
        return ended


def _begin(connection: Connection, now: datetime, who: Who, way: str) -> str:
    token = _token()
    connection.execute(
        insert(schema.sessions).values(
            digest=_digest(token),
            person=who.person,
            name=who.name,
            roles=who.roles,
            way=way,
            begun_at=now,
            seen_at=now,
        )
    )
    audit.record(connection, now, who.person, "signed in", _subject(who.person))
    return token


def _use_up(connection: Connection, table: Table, digest: str, now: datetime) -> Row[Any] | None:
    """What is good once: of two that come with it at the same moment, one gets it."""
    row = connection.execute(select(table).where(_is_good(table, digest, now))).first()
    used = update(table).where(_is_good(table, digest, now)).values(used_at=now)
    return row if connection.execute(used).rowcount else None


def _is_good(table: Table, digest: str, now: datetime) -> ColumnElement[bool]:
    return (table.c.digest == digest) & table.c.used_at.is_(None) & (table.c.until > now)


def _is_open(now: datetime, limits: Limits) -> ColumnElement[bool]:
    is_fresh = (Sessions.seen_at > now - limits.idle) & (Sessions.begun_at > now - limits.longest)
    return Sessions.ended_at.is_(None) & is_fresh


def _note_seen(ledger: Ledger, session: int, now: datetime) -> None:
    with ledger.writing() as connection:
        connection.execute(
            update(schema.sessions).where(Sessions.id == session, Sessions.seen_at < now).values(seen_at=now)
        )


def _forget(connection: Connection, now: datetime) -> None:
    """Let go of what is past."""
    for table in (schema.sign_in_links, schema.sign_ins):
        connection.execute(delete(table).where(table.c.until < now))
    connection.execute(delete(schema.sessions).where(Sessions.begun_at < now - KEPT))


def _session(row: Row[Any]) -> Session:
    who = Who(row.person, row.name, row.roles)
    return Session(row.id, who, row.way, row.begun_at, row.seen_at, row.ended_at)


def _subject(person: str) -> str:
    return f"person {person}"[:200]


def _token() -> str:
    return secrets.token_urlsafe(32)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
