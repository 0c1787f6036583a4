"""Which cases a bulk action is for: a filter that says something, or a selection, and what it would take in."""

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, func, select

from casehand.exceptions import CasehandError
from casehand.queue import schema
from casehand.queue.cases import CaseLine, cases_by_id
from casehand.queue.ledger import Ledger
from casehand.queue.outcome import EscalationKind
from casehand.queue.state import OPEN, State
from casehand.queue.storable import is_storable
from casehand.queue.urgency import checked_due
from casehand.queue.vault import Vault
from casehand.queue.waiting import NoSuchCase
from casehand.queue.words import digests_of

MOST_SELECTED = 10_000
FIRST = 20
"""How many cases a preview shows."""

Cases = schema.cases.c
Escalations = schema.escalations.c
Words = schema.words.c


@dataclass(frozen=True)
class BulkFilter:
    """The open cases to which all of this applies."""

    workflow: str | None = None
    batch: str | None = None
    state: State | None = None
    kind: EscalationKind | None = None  #: of what they wait for
    alike: str | None = None  #: as `Escalation.alike`: those that wait for the same reason
    due_before: datetime | None = None
    assigned_to: str | None = None
    words: tuple[str, ...] | None = None  #: of the reason they wait for, as `digests_of_words` has them

    def as_text(self) -> str:
        """What it says, as JSON, without what it leaves open."""
        said = {name: value for name, value in asdict(self).items() if value is not None}
        return json.dumps(said, default=datetime.isoformat, sort_keys=True)

    @classmethod
    def from_text(cls, text: str) -> "BulkFilter":
        """What `as_text` made."""
        said = json.loads(text)
        if "due_before" in said:
            said["due_before"] = datetime.fromisoformat(said["due_before"])
        if "words" in said:
            said["words"] = tuple(said["words"])
        return cls(**said)

    def check(self) -> None:
        """Raise CasehandError unless it says something, and something that can be."""
        if not any(getattr(self, field.name) is not None for field in fields(self)):
            raise CasehandError(
                "say which cases: by workflow, batch, state, kind, reason, due date or who has them"
            )
        if self.state is not None and self.state not in OPEN:
            raise CasehandError(f"cases that are {self.state} are over: nothing can be done to them")
        named = (self.workflow, self.batch, self.assigned_to)
        if not all(is_storable(name) for name in named if name is not None):
            raise CasehandError("there are no such cases: nothing is named so")
        if self.due_before is not None:
            checked_due(self.due_before)
        if self.alike is not None:
            _digest(self.alike)
        if self.words is not None:
            _of_words(self.words)


def digests_of_words(vault: Vault, text: str) -> tuple[str, ...]:
    """The words of a text as a filter has them: the ledger keeps no word that somebody looked for."""
    return tuple(digest.hex() for digest in digests_of(vault, text))


@dataclass(frozen=True)
class Preview:
    """What a bulk action would take in."""

    total: int
    first: list[CaseLine]  #: the first FIRST, in the order they came in


def preview(
    ledger: Ledger, which: BulkFilter, states: Collection[State], workflows: Collection[str] | None = None
) -> Preview:
    """How many cases match that are in one of `states`, and which come first; only in `workflows`, if given."""
    which.check()
    with ledger.reading() as connection:
        total = connection.execute(_how_many(which, states, workflows)).scalar_one()
        ids = [
            row.id
            for row in connection.execute(in_order(find_matching(which, states, workflows)).limit(FIRST))
        ]
    return Preview(total, cases_by_id(ledger, ids))


def preview_selection(ledger: Ledger, cases: Sequence[str]) -> Preview:
    """The same for cases whose ids are given, in the order they are given."""
    return Preview(len(cases), cases_by_id(ledger, cases[:FIRST]))


def workflows_of_selection(ledger: Ledger, cases: Sequence[str]) -> dict[str, str]:
    """The workflow of each case whose id is given.

    Raises NoSuchCase for one that is not there, CasehandError for none at all or too many.
    """
    if not cases:
        raise CasehandError("no case is selected: choose some")
    if len(cases) > MOST_SELECTED:
        raise CasehandError(f"at most {MOST_SELECTED:,} cases can be selected: use a filter for more")
    found: dict[str, str] = {}
    named = list(filter(is_storable, cases))
    with ledger.reading() as connection:
        for start in range(0, len(named), 500):
            query = select(Cases.id, Cases.workflow).where(Cases.id.in_(named[start : start + 500]))
            found |= {row.id: row.workflow for row in connection.execute(query)}
    for case in cases:
        if case not in found:
            raise NoSuchCase(case)
    return found


def find_matching(
    which: BulkFilter, states: Collection[State], workflows: Collection[str] | None = None
) -> Select[Any]:
    """The cases that match, each with what it waits for."""
    waits = and_(Escalations.case == Cases.id, Escalations.settled_at.is_(None))
    query = (
        select(Cases.id, Escalations.id.label("escalation"))
        .outerjoin_from(schema.cases, schema.escalations, waits)
        .where(Cases.state.in_(states), *_conditions(which))
    )
    return query if workflows is None else query.where(Cases.workflow.in_(workflows))


def in_order(query: Select[Any]) -> Select[Any]:
    """In the order the cases came in."""
    return query.order_by(Cases.handed_in_at, Cases.line, Cases.id)


def workflows_of(
    connection: Connection, which: BulkFilter, states: Collection[State], workflows: Collection[str] | None
) -> list[str]:
    """The workflows of the cases that match."""
    matching = find_matching(which, states, workflows).with_only_columns(Cases.workflow).distinct()
    return sorted(connection.execute(matching).scalars())


def _how_many(which: BulkFilter, states: Collection[State], workflows: Collection[str] | None) -> Select[int]:
    if any((which.kind, which.alike, which.assigned_to, which.due_before, which.words)):
        return select(func.count()).select_from(find_matching(which, states, workflows).subquery())
    # An index counts them, where what they wait for need not be looked at.
    query = select(func.count()).select_from(schema.cases).where(Cases.state.in_(states), *_conditions(which))
    return query if workflows is None else query.where(Cases.workflow.in_(workflows))


def _conditions(which: BulkFilter) -> list[ColumnElement[bool]]:
    given = (
        (Cases.workflow, which.workflow),
        (Cases.batch, which.batch),
        (Cases.state, which.state),
        (Escalations.kind, which.kind),
        (Escalations.alike, None if which.alike is None else _digest(which.alike)),
        (Escalations.assigned_to, which.assigned_to),
    )
    conditions: list[ColumnElement[bool]] = [column == value for column, value in given if value is not None]
    if which.due_before is not None:
        conditions.append(func.coalesce(Escalations.due, Cases.due) < which.due_before)
    if which.words is not None:
        conditions += [
            exists(select(Words.escalation).where(Words.escalation == Escalations.id, Words.digest == digest))
            for digest in _of_words(which.words)
        ]
    return conditions


def _of_words(words: Sequence[str]) -> list[bytes]:
    if not words:
        raise CasehandError(
            "these words are too short to be found: give one of three letters or more, or a number"
        )
    return [_digest(word) for word in words]


def _digest(alike: str) -> bytes:
    try:
        return bytes.fromhex(alike)
    except ValueError:
        raise CasehandError("there is no such reason: take it from the case you are looking at") from None
