"""The outbox: messages to people, each written once and tried until it is sent.

How one is sent is not known here. A message holds no data of a case: it may be read by whoever reads mail.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, exists, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from casehand.exceptions import CasehandError
from casehand.queue import audit, occasions, schema
from casehand.queue.backoff import Backoff
from casehand.queue.ledger import Ledger
from casehand.queue.lists import in_order
from casehand.queue.occasions import Occasion, What

Messages = schema.messages.c
Told = schema.told.c

MOST_ALONE = 5
"""So many things of one sort are told each by itself; more become one message that says how many."""

GATHERING = timedelta(minutes=5)
"""The time within which that counts."""

KEEPS_TRYING = timedelta(days=1)
RETRIES = Backoff(timedelta(minutes=1), timedelta(minutes=15), 0)

KEPT = timedelta(days=90)
"""How long a message that was sent can be looked up; one that could not be sent stays until a person looks at it."""

AT_ONCE = 1000
"""Messages that are cleared in one transaction."""

NO_WORD = "how the last try went is not known: it is tried again"
NO_RECEIVER = "no [[tell]] in the settings names this receiver any more"


class MessageState(StrEnum):
    """What became of a message."""

    WAITING = "waiting"  #: not sent yet
    SENT = "sent"
    GIVEN_UP = "given up"  #: could not be sent for a day: a person may have it tried again


@dataclass(frozen=True)
class Message:
    """One message to one receiver."""

    id: int
    key: str  #: the same at each try, so that a message that comes twice can be known
    what: What
    receiver: str  #: whom, as a name that tells nothing of a secret address
    shown: str  #: whom, as people are shown it
    subject: str
    body: str
    things: int  #: how many things it tells of
    state: MessageState
    tries: int
    written_at: datetime
    not_before: datetime
    sent_at: datetime | None
    error: str | None

    @property
    def is_unsent(self) -> bool:
        """Whether it could not be sent: given up, or tried in vain so far."""
        return self.state is MessageState.GIVEN_UP or (self.state is MessageState.WAITING and self.tries > 0)


@dataclass(frozen=True)
class Wording:
    """How a message is put."""

    subject: str
    body: str


@dataclass(frozen=True)
class Writing:
    """To whom messages are written, and how one thing and how many are put."""

    receiver: str
    shown: str
    what: What
    word_one: Callable[[Occasion], Wording]
    word_many: Callable[[dict[str | None, int]], Wording]  #: from how many, by workflow


def write(ledger: Ledger, writing: Writing, found: Sequence[Occasion]) -> int:
    """Write to a receiver of what was found that he has not been told of; returns how many things that were.

    A few things are told each by itself. Many become one message, which takes in more until it is tried, and
    within GATHERING of the last no further one is begun: then 0 is returned, and they are for a later time.
    So is what another has written meanwhile.
    """
    try:
        with ledger.writing() as connection:
            return _write(ledger, connection, writing, found)
    except IntegrityError:
        return 0


def next_due(ledger: Ledger, receivers: Collection[str]) -> Message | None:
    """The oldest message that may be tried now, to one of these receivers.

    A receiver to whom a message is on its way, or could not be sent just now, rests with all his messages.
    """
    now = ledger.clock()
    resting = select(Messages.receiver).where(_waits(), Messages.tries > 0, Messages.not_before > now)
    due = (
        select(schema.messages)
        .where(_waits(), Messages.not_before <= now, Messages.receiver.in_(receivers))
        .where(Messages.receiver.not_in(resting))
        .order_by(Messages.not_before, Messages.id)
        .limit(1)
    )
    with ledger.reading() as connection:
        row = connection.execute(due).first()
    return None if row is None else _message(row)


def begin_try(ledger: Ledger, message: Message, chance: float) -> Message | None:
    """Note that it is about to be sent; returns it as it now stands, or None when another is about to.

    Whoever dies now leaves a message that is tried again: it may come twice, and is never lost. `chance` is
    between 0 and 1, and spreads the tries.
    """
    with ledger.writing() as connection:
        now = ledger.clock()
        theirs = select(func.sum(Messages.tries)).where(_waits(), Messages.receiver == message.receiver)
        tries = connection.execute(theirs).scalar() or 0
        untouched = (Messages.id == message.id, _waits(), Messages.tries == message.tries)
        begun = connection.execute(
            update(schema.messages)
            .where(*untouched, Messages.not_before <= now)
            .values(tries=message.tries + 1, not_before=now + RETRIES.delay(tries + 1, chance), error=NO_WORD)
        )
        if begun.rowcount != 1:
            return None
        # It may have gathered more since it was read.
        row = connection.execute(select(schema.messages).where(Messages.id == message.id)).one()
        return _message(row)


def note_sent(ledger: Ledger, message: Message) -> None:
    """Note that it was sent."""
    with ledger.writing() as connection:
        connection.execute(
            update(schema.messages)
            .where(Messages.id == message.id)
            .values(state=MessageState.SENT, sent_at=ledger.clock(), error=None)
        )


def note_failed(ledger: Ledger, message: Message, why: str) -> MessageState:
    """Note that the try that was begun failed; returns what becomes of the message."""
    with ledger.writing() as connection:
        now = ledger.clock()
        mine = (Messages.id == message.id, _waits(), Messages.tries == message.tries)
        connection.execute(update(schema.messages).where(*mine).values(error=why))
        given_up = connection.execute(
            update(schema.messages)
            .where(*mine, Messages.give_up_at <= now)
            .values(state=MessageState.GIVEN_UP)
        )
    return MessageState.GIVEN_UP if given_up.rowcount else MessageState.WAITING


def give_up_lost(ledger: Ledger, receivers: Collection[str]) -> None:
    """Give up what has waited for a day for receivers that are none of these any more."""
    lost = (_waits(), Messages.give_up_at <= ledger.clock(), Messages.receiver.not_in(receivers))
    with ledger.reading() as connection:
        if connection.execute(select(Messages.id).where(*lost).limit(1)).first() is None:
            return
    with ledger.writing() as connection:
        connection.execute(
            update(schema.messages).where(*lost).values(state=MessageState.GIVEN_UP, error=NO_RECEIVER)
        )


def clear(ledger: Ledger) -> int:
    """Let go of what was sent long ago, with what it told of; returns how many messages that were.

    One that tells of something that still stands is kept: nobody must be told of that again.
    """
    past = ledger.clock() - KEPT
    stands = exists().where(Told.message == Messages.id, occasions.still_stands(past))
    old = select(Messages.id).where(Messages.state == MessageState.SENT, Messages.sent_at < past, ~stands)
    with ledger.reading() as connection:
        ids = connection.execute(old.order_by(Messages.id).limit(AT_ONCE)).scalars().all()
    if not ids:
        return 0
    with ledger.writing() as connection:
        connection.execute(delete(schema.told).where(Told.message.in_(ids)))
        connection.execute(delete(schema.messages).where(Messages.id.in_(ids)))
    return len(ids)


def retry(ledger: Ledger, id: int, by: str, workflows: Collection[str] | None = None) -> None:
    """Have a message tried again at once, and for another day; `workflows` is what whoever asks may know of.

    Raises CasehandError when it was sent or is none.
    """
    with ledger.writing() as connection:
        now = ledger.clock()
        asked = select(Messages.state).where(Messages.id == id, *_of(workflows))
        state = connection.execute(asked).scalar()
        if state is None:
            raise CasehandError(f"there is no message {id}: `casehand messages` lists those there are")
        if state == MessageState.SENT:
            raise CasehandError(f"message {id} was sent: see `casehand messages`")
        connection.execute(
            update(schema.messages)
            .where(Messages.id == id)
            .values(state=MessageState.WAITING, not_before=now, give_up_at=now + KEEPS_TRYING)
        )
        # His other messages would have him rest until their own time.
        receiver = select(Messages.receiver).where(Messages.id == id).scalar_subquery()
        connection.execute(
            update(schema.messages).where(_waits(), Messages.receiver == receiver).values(not_before=now)
        )
        audit.record(connection, now, by, "message to be sent", f"message {id}")


def find_messages(
    ledger: Ledger,
    state: MessageState | None = None,
    limit: int | None = None,
    after: int | None = None,
    workflows: Collection[str] | None = None,
    is_unsent: bool = False,
    *,
    oldest_first: bool = False,
) -> list[Message]:
    """Messages, latest first or the other way round; only those behind the message `after`, or not sent.

    `workflows` is what a person may see: only messages that tell of these alone; None for all.
    """
    query = select(schema.messages).where(*_of(workflows))
    if state is not None:
        query = query.where(Messages.state == state)
    place = None if after is None else [after]
    parts = _unsent() if is_unsent else [None]
    listed = in_order(query, parts, [Messages.id], not oldest_first, place, limit)
    with ledger.reading() as connection:
        return [_message(row) for row in connection.execute(listed).all()]


def count_unsent(ledger: Ledger, workflows: Collection[str] | None = None) -> int:
    """How many messages could not be sent."""
    with ledger.reading() as connection:
        return connection.execute(select(func.count()).where(or_(*_unsent()), *_of(workflows))).scalar_one()


def _write(ledger: Ledger, connection: Connection, writing: Writing, found: Sequence[Occasion]) -> int:
    now = ledger.clock()
    theirs = (Messages.receiver == writing.receiver, Messages.what == writing.what)
    lately = select(func.count()).where(*theirs, or_(_waits(), Messages.written_at > now - GATHERING))
    before = connection.execute(lately).scalar_one()
    gathering = select(Messages.id).where(*theirs, _waits(), Messages.tries == 0, Messages.gathers)
    message = connection.execute(gathering.with_for_update()).scalars().first()
    if message is None and len(found) <= MOST_ALONE - before:
        for one in found:
            alone = _insert(ledger, connection, writing, now, writing.word_one(one), gathers=False)
            _note_told(connection, alone, writing, [one])
        return len(found)
    if message is None and before:
        return 0
    if message is None:
        message = _insert(ledger, connection, writing, now, Wording("", ""), gathers=True)
    _note_told(connection, message, writing, found)
    _word_again(connection, message, writing)
    return len(found)


def _insert(
    ledger: Ledger, connection: Connection, writing: Writing, now: datetime, wording: Wording, gathers: bool
) -> int:
    written = connection.execute(
        insert(schema.messages).values(
            key=ledger.new_id(),
            what=writing.what,
            receiver=writing.receiver,
            shown=writing.shown,
            subject=wording.subject,
            body=wording.body,
            things=1,
            gathers=gathers,
            state=MessageState.WAITING,
            tries=0,
            written_at=now,
            not_before=now,
            give_up_at=now + KEEPS_TRYING,
        )
    )
    assert written.inserted_primary_key is not None  # noqa: S101 — one row was inserted
    return int(written.inserted_primary_key[0])


def _note_told(connection: Connection, message: int, writing: Writing, occasions: Sequence[Occasion]) -> None:
    rows: list[dict[str, Any]] = [
        {
            "receiver": writing.receiver,
            "what": one.what,
            "subject": one.subject,
            "since": one.since,
            "workflow": one.workflow,
            "message": message,
        }
        for one in occasions
    ]
    connection.execute(insert(schema.told), rows)


def _word_again(connection: Connection, message: int, writing: Writing) -> None:
    by_workflow = select(Told.workflow, func.count()).where(Told.message == message).group_by(Told.workflow)
    counted: dict[str | None, int] = dict(connection.execute(by_workflow).all())
    wording = writing.word_many(counted)
    connection.execute(
        update(schema.messages)
        .where(Messages.id == message)
        .values(subject=wording.subject, body=wording.body, things=sum(counted.values()))
    )


def _unsent() -> list[ColumnElement[bool]]:
    """Given up, or tried in vain so far."""
    return [Messages.state == MessageState.GIVEN_UP, _waits() & (Messages.tries > 0)]


def _of(workflows: Collection[str] | None) -> list[ColumnElement[bool]]:
    """That a message tells of something, and of nothing that is not of these workflows."""
    if workflows is None:
        return []
    theirs = select(Told.message).where(Told.message == Messages.id)
    foreign = or_(Told.workflow.is_(None), Told.workflow.not_in(workflows))
    return [exists(theirs), ~exists(theirs.where(foreign))]


def _waits() -> ColumnElement[bool]:
    return Messages.state == MessageState.WAITING


def _message(row: Row[Any]) -> Message:
    return Message(
        id=row.id,
        key=row.key,
        what=What(row.what),
        receiver=row.receiver,
        shown=row.shown,
        subject=row.subject,
        body=row.body,
        things=row.things,
        state=MessageState(row.state),
        tries=row.tries,
        written_at=row.written_at,
        not_before=row.not_before,
        sent_at=row.sent_at,
        error=row.error,
    )
