"""The one search box: the beginning of a reference, the beginning of a batch's name, or words of a reason."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, exists, func, or_, select

from casehand.queue import schema
from casehand.queue.cases import CaseLine, lines
from casehand.queue.ledger import Ledger
from casehand.queue.lists import branches, in_order
from casehand.queue.state import State
from casehand.queue.words import digests_of

Cases = schema.cases.c
Batches = schema.batches.c
Escalations = schema.escalations.c
Words = schema.words.c

LAST = chr(0x10FFFF)
"""Behind whatever a text may go on with."""

LONGEST = 1_000
"""Characters of what is typed that are looked for."""

MANY = 1_000
"""Words that more escalations have are all called common."""

SOME_BATCHES = 10

MOST_WORDS = 8
"""Of those typed, that are looked for."""

Condition = ColumnElement[bool]


def search(
    ledger: Ledger, text: str, workflows: Collection[str] | None, limit: int, after: str | None = None
) -> list[CaseLine]:
    """The cases that the text finds: by reference first, then by batch, then by the words of a reason, latest first.

    A beginning is enough for a reference or a batch, in small letters too; a reason must have every word. `after`
    is the id of the case behind which to go on. `workflows` is what a person may see, None for all.
    """
    sought = _sought(text)
    if not sought:
        return []
    with ledger.reading() as connection:
        last = None if after is None else _row(connection, after)
        rows: list[Row[Any]] = []
        if last is None or _begins(last.reference, sought):
            rows += _by_reference(connection, sought, workflows, limit, last)
            last = None
        if len(rows) < limit and (last is None or _begins(last.batch or "", sought)):
            rows += _by_batch(connection, sought, workflows, limit - len(rows), last)
            last = None
        digests = digests_of(ledger.vault, sought)[:MOST_WORDS]
        if len(rows) < limit and digests:
            rows += _by_words(connection, sought, digests, workflows, limit - len(rows), last)
        return lines(ledger, connection, rows)


def find_references(
    ledger: Ledger, text: str, workflows: Collection[str] | None, limit: int
) -> list[CaseLine]:
    """The cases whose reference begins so."""
    sought = _sought(text)
    if not sought:
        return []
    with ledger.reading() as connection:
        return lines(ledger, connection, _by_reference(connection, sought, workflows, limit, None))


def find_batches(ledger: Ledger, text: str, workflows: Collection[str] | None, limit: int) -> list[str]:
    """The names of the batches that begin so."""
    sought = _sought(text)
    if not sought:
        return []
    with ledger.reading() as connection:
        return list(_batches(connection, sought, workflows, "")[:limit])


def find_reasons(ledger: Ledger, text: str, workflows: Collection[str] | None, limit: int) -> list[CaseLine]:
    """The cases that wait for a person for a reason that has all these words, those that wait longest first."""
    digests = digests_of(ledger.vault, _sought(text))[:MOST_WORDS]
    if not digests:
        return []
    with ledger.reading() as connection:
        return lines(ledger, connection, _waiting_by_words(connection, digests, workflows, limit))


def _sought(text: str) -> str:
    """What is looked for: no database takes half a surrogate pair, nor PostgreSQL a null."""
    return text[:LONGEST].encode(errors="ignore").decode().replace("\0", "").strip()


def _spellings(sought: str) -> list[str]:
    """As typed, and as references are written, and batches named."""
    return list(dict.fromkeys((sought, sought.upper(), sought.lower())))


def _beginnings(column: ColumnElement[Any], sought: str) -> list[Condition]:
    """Each a part of an index, so that however many there are, only a page of them is read."""
    return [and_(column >= one, column < one + LAST) for one in _spellings(sought)]


def _begins(text: str, sought: str) -> bool:
    return text.startswith(tuple(_spellings(sought)))


def _row(connection: Connection, case: str) -> Row[Any] | None:
    return connection.execute(select(schema.cases).where(Cases.id == case)).first()


def _by_reference(
    connection: Connection,
    sought: str,
    workflows: Collection[str] | None,
    limit: int,
    last: Row[Any] | None,
) -> Sequence[Row[Any]]:
    order = (Cases.reference, Cases.id)
    behind = None if last is None else (last.reference, last.id)
    seen = branches((Cases.workflow, workflows))
    parts = [
        beginning if part is None else and_(part, beginning)
        for part in seen
        for beginning in _beginnings(Cases.reference, sought)
    ]
    return connection.execute(in_order(select(schema.cases), parts, order, False, behind, limit)).all()


def _by_batch(
    connection: Connection,
    sought: str,
    workflows: Collection[str] | None,
    limit: int,
    last: Row[Any] | None,
) -> list[Row[Any]]:
    order = (Cases.batch, Cases.handed_in_at, Cases.line, Cases.id)
    query = select(schema.cases).where(~or_(*_beginnings(Cases.reference, sought)))
    rows: list[Row[Any]] = []
    beginning = "" if last is None else last.batch
    while len(rows) < limit and (names := _batches(connection, sought, workflows, beginning)):
        behind = None if last is None else tuple(getattr(last, column.name) for column in order)
        parts = branches((Cases.batch, names), (Cases.state, list(State)))
        rows += connection.execute(in_order(query, parts, order, False, behind, limit - len(rows))).all()
        beginning, last = names[-1] + "\x01", None
    return rows


def _batches(
    connection: Connection, sought: str, workflows: Collection[str] | None, beginning: str
) -> Sequence[str]:
    """The names of some batches, from one on."""
    query = select(Batches.id).where(or_(*_beginnings(Batches.id, sought)), Batches.id >= beginning)
    if workflows is not None:
        query = query.where(Batches.workflow.in_(workflows))
    return connection.execute(query.order_by(Batches.id).limit(SOME_BATCHES)).scalars().all()


def _by_words(
    connection: Connection,
    sought: str,
    digests: Sequence[bytes],
    workflows: Collection[str] | None,
    limit: int,
    last: Row[Any] | None,
) -> Sequence[Row[Any]]:
    rarest, *others = _rarest_first(connection, digests)
    # A case of no batch begins with nothing, which SQL would not say of it.
    batch = func.coalesce(Cases.batch, "")
    found_before = or_(*_beginnings(Cases.reference, sought), *_beginnings(batch, sought))
    later = schema.escalations.alias("later")
    is_earlier = exists(
        select(later.c.id).where(
            later.c.case == Escalations.case, later.c.id > Escalations.id, *_has(later.c.id, digests)
        )
    )
    query = (
        select(schema.cases)
        .select_from(schema.words)
        .join(schema.escalations, Escalations.id == Words.escalation)
        .join(schema.cases, Cases.id == Escalations.case)
        .where(Words.digest == rarest, *_has(Words.escalation, others), ~found_before, ~is_earlier)
        .order_by(Words.escalation.desc())
        .limit(limit)
    )
    if workflows is not None:
        query = query.where(Escalations.workflow.in_(workflows))
    if last is not None:
        query = query.where(Words.escalation < _latest(last.id, digests))
    return connection.execute(query).all()


def _waiting_by_words(
    connection: Connection, digests: Sequence[bytes], workflows: Collection[str] | None, limit: int
) -> Sequence[Row[Any]]:
    rarest, *others = _rarest_first(connection, digests)
    listed = select(Words.escalation).where(Words.digest == rarest).limit(MANY + 1)
    query = (
        select(schema.cases)
        .join(schema.escalations, Escalations.case == Cases.id)
        .where(Escalations.settled_at.is_(None))
        .order_by(Escalations.opened_at, Escalations.id)
        .limit(limit)
    )
    if len(connection.execute(listed).all()) > MANY:
        # Far more were settled with it than wait: go through what waits, until there are enough.
        query = query.where(*_has(Escalations.id, digests))
    else:
        query = query.where(Escalations.id.in_(listed), *_has(Escalations.id, others))
    if workflows is not None:
        query = query.where(Escalations.workflow.in_(workflows))
    return connection.execute(query).all()


def _rarest_first(connection: Connection, digests: Sequence[bytes]) -> list[bytes]:
    """The list of a rare word is the shortest to go through."""
    if len(digests) == 1:
        return list(digests)
    some = [
        select(Words.escalation).where(Words.digest == digest).limit(MANY).subquery() for digest in digests
    ]
    numbers = connection.execute(
        select(*(select(func.count()).select_from(one).scalar_subquery() for one in some))
    ).one()
    return [digest for _, digest in sorted(zip(numbers, digests, strict=True))]


def _has(escalation: ColumnElement[int], digests: Sequence[bytes]) -> list[Condition]:
    return [_has_one(escalation, digest, number) for number, digest in enumerate(digests)]


def _has_one(escalation: ColumnElement[int], digest: bytes, number: int) -> Condition:
    other = schema.words.alias(f"other_{number}")
    return exists(
        select(other.c.digest)
        .where(other.c.digest == digest, other.c.escalation == escalation)
        .correlate(escalation.table)
        # So PostgreSQL looks a word up for each row, and does not read all that has it: a page is full long before.
        .offset(0)
    )


def _latest(case: str, digests: Sequence[bytes]) -> Any:
    """The escalation by which the case was found: the place to go on from."""
    of_case = schema.escalations.alias("of_case")
    found: Select[Any] = select(func.max(of_case.c.id)).where(
        of_case.c.case == case, *_has(of_case.c.id, digests)
    )
    return found.scalar_subquery()
