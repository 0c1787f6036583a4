"""The chain of the audit: each entry is linked to the one before it, so that no change of the past goes unseen."""

import hmac
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, Row, bindparam, func, select, update
from sqlalchemy.exc import IntegrityError

from casehand.exceptions import CasehandError
from casehand.queue import schema
from casehand.queue.ledger import Ledger

LABEL = "audit"
ROWS = 1_000
"""Linked in one transaction: a few milliseconds, for which nobody else writes to SQLite."""

ROUNDS = 5
"""In one pass of the reconciler, which has more to do."""

TOLD_EVERY = timedelta(days=1)

CONTENT = ("id", "at", "actor", "action", "subject", "before", "after", "attempt", "reason", "detail")

log = structlog.get_logger()

Audit = schema.audit.c
Head = schema.audit_head.c


@dataclass(frozen=True)
class ChainHead:
    """How long the chain is, and its last link: who keeps this elsewhere can tell if the end is cut off."""

    length: int
    link: bytes

    @classmethod
    def parse(cls, text: str) -> "ChainHead":
        """Read what `str` gave. Raises CasehandError that says what it looks like."""
        if not re.fullmatch(r"[0-9]+:([0-9a-f]{64})?", text.strip().casefold()):
            raise CasehandError(f"{text!r} is no head: give it as `casehand audit verify` printed it, N:HASH")
        length, _, link = text.strip().partition(":")
        return cls(int(length), bytes.fromhex(link))

    def __str__(self) -> str:
        return f"{self.length}:{self.link.hex()}"


@dataclass(frozen=True)
class Verdict:
    """Whether the chain is whole."""

    broken: str | None  #: the first broken place, in words
    head: ChainHead | None  #: none where even that is lost
    checked: int  #: entries that were found as they were written
    not_linked: int  #: entries that are too new to be in the chain


def link_new(ledger: Ledger) -> int:
    """Link entries that are not linked yet, in the order in which they are seen; returns how many.

    Two that link at once wait for each other at the head, so that the chain never forks. A chain that is broken
    is left as it is, and logged: it is for `verify` to say.
    """
    if not _has_new(ledger):
        return 0
    linked = 0
    try:
        for _ in range(ROUNDS):
            new, head = _link_some(ledger)
            linked += new
            if head is None:
                log.error("audit_not_linked", why="the head is gone: run `casehand audit verify`")
            if new < ROWS:
                break
    except IntegrityError:
        log.error("audit_not_linked", why="the head and the entries disagree: run `casehand audit verify`")
    return linked


def tell_head(ledger: Ledger) -> None:
    """Write the head to the log once a day: by that an end is missed that was cut off together with the head."""
    now = ledger.clock()
    is_due = (Head.length > 0) & (Head.told_at.is_(None) | (Head.told_at <= now - TOLD_EVERY))
    with ledger.reading() as connection:
        if connection.execute(select(Head.id).where(is_due)).first() is None:
            return
    with ledger.writing() as connection:
        head = _head(connection, lock=True)
        if connection.execute(update(schema.audit_head).where(is_due).values(told_at=now)).rowcount:
            log.info("audit_head", head=str(head))


def verify(ledger: Ledger, kept: Sequence[ChainHead] = ()) -> Verdict:
    """Link what is new, then go through the whole chain from its beginning.

    `kept` are heads that were printed or logged at other times and kept elsewhere: the chain must have gone on from
    each of them.
    """
    # Where the head and the entries disagree, nothing can be linked, and the walk below says why.
    with suppress(IntegrityError):
        while _link_some(ledger)[0] == ROWS:
            pass
    with ledger.reading() as connection:
        head = _head(connection)
        beyond = _beyond(connection, head.length if head else 0)
        not_linked = connection.execute(
            select(func.count()).select_from(schema.audit).where(Audit.place.is_(None))
        ).scalar_one()
    if head is None:
        return Verdict("the head of the chain is gone", None, 0, not_linked)
    checked, broken = _walk(ledger, head, kept)
    return Verdict(broken or beyond, head, checked, not_linked)


def _has_new(ledger: Ledger) -> bool:
    with ledger.reading() as connection:
        return connection.execute(select(Audit.id).where(Audit.place.is_(None)).limit(1)).first() is not None


def _link_some(ledger: Ledger) -> tuple[int, ChainHead | None]:
    secret = ledger.vault.derived(LABEL)
    with ledger.writing() as connection:
        # Whoever comes second waits here, and then sees what the first has linked.
        head = _head(connection, lock=True)
        if head is None:
            return 0, None
        rows = connection.execute(
            _contents().where(Audit.place.is_(None)).order_by(Audit.id).limit(ROWS)
        ).all()
        if not rows:
            return 0, head
        links = []
        for row in rows:
            head = _next(secret, head, row)
            links.append({"entry": row.id, "new_place": head.length, "new_link": head.link})
        linking = update(schema.audit).where(Audit.id == bindparam("entry"))
        connection.execute(linking.values(place=bindparam("new_place"), link=bindparam("new_link")), links)
        connection.execute(update(schema.audit_head).values(length=head.length, link=head.link))
    return len(rows), head


def _head(connection: Connection, lock: bool = False) -> ChainHead | None:
    query = select(Head.length, Head.link)
    row = connection.execute(query.with_for_update() if lock else query).first()
    return None if row is None else ChainHead(row.length, row.link)


def _contents() -> Any:
    return select(*(Audit[name] for name in CONTENT), Audit.place, Audit.link)


def _next(secret: bytes, head: ChainHead, row: Row[Any]) -> ChainHead:
    """The head once the entry is linked to it."""
    place = head.length + 1
    # Names, so that no two contents look the same; times as UTC, as both databases give them.
    content = {name: _plain(getattr(row, name)) for name in CONTENT} | {"place": place}
    return ChainHead(place, hmac.digest(secret, head.link + json.dumps(content).encode(), "sha256"))


def _plain(value: object) -> object:
    return value.isoformat(timespec="microseconds") if isinstance(value, datetime) else value


def _beyond(connection: Connection, length: int) -> str | None:
    found = connection.execute(select(func.min(Audit.place)).where(Audit.place > length)).scalar()
    if found is None:
        return None
    return f"place {found}: there are entries behind the head of the chain, which is at {length}"


def _walk(ledger: Ledger, head: ChainHead, kept: Sequence[ChainHead]) -> tuple[int, str | None]:
    """How many entries are as they were written, from the beginning, and what is wrong with the next."""
    secret = ledger.vault.derived(LABEL)
    reached = ChainHead(0, b"")
    known: dict[int, set[bytes]] = {}
    for one in kept:
        known.setdefault(one.length, set()).add(one.link)
    for row in _linked(ledger, head.length):
        if broken := _fault(row, reached.length + 1, _next(secret, reached, row)):
            return reached.length, broken
        reached = ChainHead(row.place, row.link)
        if known.pop(reached.length, {reached.link}) != {reached.link}:
            return reached.length - 1, f"place {reached.length}: the link is not the one that was kept"
    return reached.length, _end_fault(reached, head, sorted(known.items()))


def _linked(ledger: Ledger, length: int) -> Iterator[Row[Any]]:
    """Page by page: one long look would keep SQLite from tidying up its log."""
    last = (0, 0)
    while True:
        behind = (Audit.place > last[0]) | ((Audit.place == last[0]) & (Audit.id > last[1]))
        query = _contents().where(Audit.place >= last[0], behind, Audit.place <= length)
        with ledger.reading() as connection:
            page = connection.execute(query.order_by(Audit.place, Audit.id).limit(ROWS)).all()
        yield from page
        if len(page) < ROWS:
            return
        last = (page[-1].place, page[-1].id)


def _fault(row: Row[Any], place: int, expected: ChainHead) -> str | None:
    if row.place > place:
        return f"place {place}: the entry that stood there is gone"
    if row.place < place:
        return f"place {row.place}: there is a second entry ({_named(row)})"
    if row.link is None or not hmac.compare_digest(row.link, expected.link):
        return f"place {place}: the entry is not as it was written ({_named(row)})"
    return None


def _named(row: Row[Any]) -> str:
    return f"{row.at:%Y-%m-%d %H:%M:%S} UTC, {row.actor}, {row.action}, {row.subject}"


def _end_fault(reached: ChainHead, head: ChainHead, left: list[tuple[int, set[bytes]]]) -> str | None:
    if reached.length < head.length:
        return f"place {reached.length + 1}: the end of the chain is cut off, which had {head.length} entries"
    if reached != head:
        return f"place {reached.length}: the link is not that of the head"
    for length, links in left:
        if length or links != {b""}:
            return f"place {reached.length + 1}: the end of the chain is cut off, which had {length} entries"
    return None
