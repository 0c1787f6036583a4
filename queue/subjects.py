"""The subjects of the audit: what its entries are to, by the names that people know, and of which workflows."""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, select

from casehand.queue import schema
from casehand.queue.ledger import Ledger

Cases = schema.cases.c
Batches = schema.batches.c
BotsOf = schema.workflow_bots.c
Bulks = schema.bulk_actions.c
Schedules = schema.schedules.c

CASE, BATCH, BOT, WORKFLOW, BULK, EVERYTHING = "case", "batch", "bot", "workflow", "bulk", "everything"
SCHEDULE = "schedule"
AT_ONCE = 500
"""SQLite takes so many names in one statement, and many more."""


@dataclass(frozen=True)
class Subject:
    """What something was done to."""

    kind: str  #: "case", "batch", "bot", "workflow", "bulk", "schedule", "everything", or another word
    name: str  #: a case's reference; else as the audit has it, without its kind
    workflows: frozenset[str] = frozenset()  #: whose work it is; empty where that cannot be said


def subjects_of(ledger: Ledger, names: Collection[str]) -> dict[str, Subject]:
    """What the audit names so, by name."""
    alone = [name for name in names if " " not in name]
    found = {name: _named(name) for name in names}
    with ledger.reading() as connection:
        found |= _batches(connection, [*alone, *_of_kind(found, BATCH)])
        found |= _bots(connection, _of_kind(found, BOT))
        found |= _bulks(connection, _of_kind(found, BULK))
        found |= _schedules(connection, _of_kind(found, SCHEDULE))
        found |= _cases(connection, alone)
    return {name: found[name] for name in names}


def cases_named(ledger: Ledger, name: str) -> list[str]:
    """The ids of the cases with this reference, or this id."""
    with ledger.reading() as connection:
        query = select(Cases.id).where(Cases.reference == name).limit(AT_ONCE)
        ids = list(connection.execute(query).scalars())
        return ids or list(connection.execute(select(Cases.id).where(Cases.id == name)).scalars())


def _named(name: str) -> Subject:
    kind, space, rest = name.partition(" ")
    if not space:
        return Subject(name, name)
    return Subject(kind, rest, frozenset({rest}) if kind == WORKFLOW else frozenset())


def _of_kind(found: dict[str, Subject], kind: str) -> list[str]:
    return [name for name, one in found.items() if one.kind == kind and " " in name]


def _cases(connection: Connection, ids: list[str]) -> dict[str, Subject]:
    query = select(Cases.id, Cases.reference, Cases.workflow)
    found = {}
    for part in _parts(ids):
        for row in connection.execute(query.where(Cases.id.in_(part))):
            found[row.id] = Subject(CASE, row.reference, frozenset({row.workflow}))
    return found


def _batches(connection: Connection, names: list[str]) -> dict[str, Subject]:
    """Some by their names alone, as one that was handed in; some with their kind, as one that was paused."""
    by_batch = {name.removeprefix(f"{BATCH} "): name for name in names}
    found: dict[str, Subject] = {}
    for part in _parts(by_batch):
        query = select(Batches.id, Batches.workflow).where(Batches.id.in_(part))
        for row in connection.execute(query):
            subject = Subject(BATCH, row.id, frozenset({row.workflow}))
            found |= dict.fromkeys((row.id, f"{BATCH} {row.id}"), subject)
    return found


def _bots(connection: Connection, names: list[str]) -> dict[str, Subject]:
    workflows: dict[str, set[str]] = {name.partition(" ")[2]: set() for name in names}
    for part in _parts(workflows):
        for row in connection.execute(select(schema.workflow_bots).where(BotsOf.bot.in_(part))):
            workflows[row.bot].add(row.workflow)
    return {f"{BOT} {bot}": Subject(BOT, bot, frozenset(of)) for bot, of in workflows.items()}


def _bulks(connection: Connection, names: list[str]) -> dict[str, Subject]:
    found = {}
    for part in _parts([name.partition(" ")[2] for name in names]):
        query = select(Bulks.id, Bulks.workflows).where(Bulks.id.in_(part))
        for row in connection.execute(query):
            of = frozenset(json.loads(row.workflows))
            found[f"{BULK} {row.id}"] = Subject(BULK, row.id, of)
    return found


def _schedules(connection: Connection, names: list[str]) -> dict[str, Subject]:
    workflows: dict[str, set[str]] = {name.partition(" ")[2]: set() for name in names}
    for part in _parts(workflows):
        query = select(Schedules.name, Schedules.workflow).where(Schedules.name.in_(part))
        for row in connection.execute(query):
            workflows[row.name].add(row.workflow)
    return {f"{SCHEDULE} {name}": Subject(SCHEDULE, name, frozenset(of)) for name, of in workflows.items()}


def _parts(names: Iterable[str]) -> Iterable[list[str]]:
    whole = list(names)
    return [whole[start : start + AT_ONCE] for start in range(0, len(whole), AT_ONCE)]
