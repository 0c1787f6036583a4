"""A ledger of many cases, written as bulk rows but real: each has a key of its own, and its reasons can be read.

They came in over the year up to the clock's now, in batches, of three workflows. One in twenty waits for a person
(of a few, more): most of the latest, and one in most batches of long ago. What is listed is as long with a thousand
as with a million: as many batches are open, and somebody has taken as many. What stands here is what `test_many.py` and
`bench/pages.py` look at.
"""

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from itertools import islice
from typing import Any
from urllib.parse import quote

from samples import PERMIT, RENT, WORKFLOWS, Clock
from sqlalchemy import ColumnElement, Connection, event, insert, literal, select, text, true
from starlette.testclient import TestClient
from timetable import PLANNED

from casehand.console.person import Person
from casehand.console.web.app import application
from casehand.console.web.door import as_who
from casehand.console.web.settings import ConsoleSettings
from casehand.console.web.site import Site
from casehand.queue import schema, sessions
from casehand.queue.batches import note_finished
from casehand.queue.chain import link_new
from casehand.queue.known import make_known
from casehand.queue.ledger import Ledger
from casehand.queue.outcome import EscalationKind
from casehand.queue.rolling import catch_up
from casehand.queue.words import alike_of, digests_of
from casehand.settings import load_settings

Cases = schema.cases.c

TAX = "council-tax/moves"
NAMES = (RENT, PERMIT, TAX)
CHUNK = 10_000
YEAR = timedelta(days=365)
SAME_SITE = {"sec-fetch-site": "same-origin"}
KINDS = tuple(EscalationKind)
TAKEN_BY = ("test.supervisor@example.test", *(f"c.sample-{one}@example.test" for one in range(1, 40)))
SQLITE_INDEXES = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql <> ''"
POSTGRES_INDEXES = (
    "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema()"
    " AND indexname NOT IN (SELECT conname FROM pg_constraint)"
)
REASONS = (
    "the claim is closed since {} weeks",
    "the rent rises by {}%, which is more than usual",
    "the page of claim {} did not load in time",
    "a permit for zone {} is asked for, and there is no such zone",
    "nobody of that name lives at number {}",
)


@dataclass
class Many:
    """What to look at among the many."""

    done: str = ""
    waiting: str = ""
    queued: str = ""
    finished_batch: str = ""
    open_batch: str = ""
    alike: str = ""
    kind: str = ""
    bulk: str = "b" * 32
    references: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One case to be written, and why it waits or waited, if it did."""

    case: dict[str, Any]
    escalation: dict[str, Any] | None
    reason: str


def fill_many(ledger: Ledger, clock: Clock, number: int) -> Many:
    """Put so many cases into an empty ledger, with all that belongs to them."""
    for name, bots in ((RENT, ["benefits"]), (PERMIT, ["permits"]), (TAX, ["tax"])):
        make_known(ledger, name, bots, timedelta(minutes=5), 4)
    many = Many()
    with ledger.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            # With SQLite's usual two megabytes, indexes of random ids are read and written over and over.
            connection.exec_driver_sql("PRAGMA cache_size = -2000000")
            connection.exec_driver_sql("PRAGMA synchronous = OFF")
        with _indexed_afterwards(connection):
            _write_batches(ledger, connection, clock, number)
            _write_cases(ledger, connection, _rows(ledger, clock, number), many)
            _write_the_rest(connection)
            _write_bulk_and_messages(connection, clock, number, many)
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    ledger.engine.dispose()
    note_finished(ledger)
    while link_new(ledger):
        pass
    catch_up(ledger, load_settings().zone)
    _tidy(ledger)
    return many


def addresses(many: Many) -> dict[str, str]:
    """Every page of the console, each with the filters that could make it slow, by the path of its route."""
    case, waiting = quote(many.references[many.done]), quote(many.references[many.waiting])
    return {
        "/": "/",
        "/sessions": "/sessions",
        "/signed-in": "/signed-in",
        "/search": f"/search?q={case}",
        "/search beginning": "/search?q=HB00",
        "/search batch": "/search?q=batch-0",
        "/search words": "/search?q=rent+rises+usual",
        "/search nothing": "/search?q=nothing+is+so",
        "/cases": "/cases",
        "/cases by change": "/cases?sort=changed",
        "/cases by due": "/cases?sort=-due",
        "/cases that are done": "/cases?state=done&sort=-changed",
        "/cases that wait": "/cases?state=escalated",
        "/cases of a workflow": f"/cases?workflow={quote(TAX)}",
        "/cases of a batch": f"/cases?batch={many.finished_batch}&state=done",
        "/cases of a time": "/cases?since=2026-03-01&until=2026-03-31",
        "/cases of a time and state": "/cases?since=2026-03-01&until=2026-03-31&state=closed",
        "/cases of no such reference": "/cases?reference=nothing",
        "/cases from the middle": f"/cases?after={many.done}",
        "/cases/{reference:path}": f"/cases/{case}",
        "/cases/{reference:path} that waits": f"/cases/{waiting}",
        "/case/{case}/cancel": f"/case/{many.queued}/cancel",
        "/case/{case}/comment": f"/case/{many.done}/comment",
        "/case/{case}/due": f"/case/{many.queued}/due",
        "/case/{case}/priority": f"/case/{many.queued}/priority",
        "/escalations": "/escalations",
        "/escalations unassigned": "/escalations?show=unassigned",
        "/escalations mine": "/escalations?show=mine",
        "/escalations of a kind": "/escalations?kind=failure",
        "/escalations of a rare kind": "/escalations?kind=in+doubt",
        "/escalations of a workflow": f"/escalations?workflow={quote(PERMIT)}",
        "/escalations of a batch": f"/escalations?batch={many.open_batch}",
        "/escalations of a reason": f"/escalations?alike={many.alike}",
        "/escalations of a reason by due": f"/escalations?alike={many.alike}&sort=-due",
        "/escalations of a reason and a kind": f"/escalations?alike={many.alike}&kind={quote(many.kind)}&sort=opened",
        "/escalations overdue": "/escalations?due=overdue",
        "/escalations soon due": "/escalations?due=soon",
        "/escalations without a date": "/escalations?due=none",
        "/escalations by due": "/escalations?sort=due",
        "/escalations by age": "/escalations?sort=-opened",
        "/escalations by reason": "/escalations?show=reasons",
        "/escalations/{which:path}": f"/escalations/{waiting}",
        "/batches": "/batches",
        "/batches open": "/batches?open=yes",
        "/batches of a workflow": f"/batches?workflow={quote(TAX)}",
        "/batches by name": "/batches?sort=name",
        "/batches/new": "/batches/new",
        "/batches/{name}": f"/batches/{many.open_batch}",
        "/batches/{name} finished": f"/batches/{many.finished_batch}",
        "/batches/{name}/not-taken-in": f"/batches/{many.finished_batch}/not-taken-in",
        "/batches/{name}/cancel": f"/batches/{many.open_batch}/cancel",
        "/schedules": "/schedules",
        "/pausing": "/pausing",
        "/pausing/new": "/pausing/new",
        "/bulk": "/bulk",
        "/bulk oldest first": "/bulk?sort=when",
        "/bulk/new": f"/bulk/new?action=close&workflow={quote(TAX)}&state=escalated",
        "/bulk/new of a batch": f"/bulk/new?action=cancel&batch={many.open_batch}",
        "/bulk/{bulk}": f"/bulk/{many.bulk}",
        "/figures": "/figures",
        "/figures of a year": "/figures?from=2025-11-25&until=2026-11-24",
        "/figures of a workflow": f"/figures?from=2026-01-01&until=2026-11-24&workflow={quote(RENT)}",
        "/figures/{section}.csv": "/figures/ends.csv?from=2025-11-25&until=2026-11-24",
        "/audit": "/audit",
        "/audit of somebody": "/audit?actor=s.sample%40example.test",
        "/audit of an action": "/audit?action=closed",
        "/audit of a case": f"/audit?subject={case}",
        "/audit of a time": "/audit?since=2026-03-01&until=2026-03-01",
        "/audit of all that": "/audit?actor=s.sample%40example.test&action=done&since=2026-03-01",
        "/audit of nobody": "/audit?actor=nobody",
        "/audit oldest first": "/audit?sort=when",
        "/audit of somebody oldest first": "/audit?actor=s.sample%40example.test&sort=when",
        "/messages": "/messages",
        "/messages oldest first": "/messages?sort=when",
        "/messages not sent oldest first": "/messages?state=unsent&sort=when",
        "/messages not sent": "/messages?state=unsent",
    }


@dataclass(frozen=True)
class Looker:
    """A browser of somebody who is signed in, in this process, and the statements that his pages ask."""

    client: TestClient
    ledger: Ledger

    def get(self, address: str) -> Any:
        """Fetch a page."""
        return self.client.get(address, headers=SAME_SITE)

    def asked(self, address: str) -> list[tuple[str, Any]]:
        """The SQL statements of a page, with what is given to them."""
        with noted(self.ledger) as statements:
            answer = self.get(address)
        assert answer.status_code == 200, (address, answer.status_code, answer.text[-3000:])
        return statements

    def next_page(self, address: str) -> str | None:
        """The address that the page calls the next one."""
        body = self.get(address).text
        found = re.findall(r'href="([^"]*[?&;](?:after|before)=[^"]*)"', body)
        mine = [one for one in found if one.startswith(address.partition("?")[0])]
        return mine[-1].replace("&amp;", "&") if mine else None


@contextmanager
def looking(ledger: Ledger, person: Person) -> Iterator[Looker]:
    """Somebody at the console over this ledger."""
    site = Site(ledger, WORKFLOWS, load_settings(), ConsoleSettings(), lambda: None, PLANNED)
    # Not entered: no chores go on beside what is counted and timed.
    client = TestClient(
        application(site), base_url=site.console.address, follow_redirects=True, client=("127.0.0.1", 1)
    )
    token = sessions.offer_link(ledger, as_who(person))
    answer = client.post("/sign-in/link", data={"token": token}, headers=SAME_SITE)
    assert "Signed in as" in answer.text, answer.text
    yield Looker(client, ledger)
    client.close()


@contextmanager
def noted(ledger: Ledger) -> Iterator[list[tuple[str, Any]]]:
    """Notes the statements that are asked meanwhile."""
    asked: list[tuple[str, Any]] = []

    def note(connection: object, cursor: object, statement: str, parameters: Any, *others: object) -> None:
        if not statement.startswith("BEGIN"):
            asked.append((statement, parameters))

    event.listen(ledger.engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(ledger.engine, "before_cursor_execute", note)


def batch_name(number: int) -> str:
    """The name of a batch."""
    return f"batch-{number:05}"


@contextmanager
def _indexed_afterwards(connection: Connection) -> Iterator[None]:
    """A million rows are written in half the time where each index is made of them all at once."""
    is_sqlite = connection.dialect.name == "sqlite"
    indexes = connection.exec_driver_sql(SQLITE_INDEXES if is_sqlite else POSTGRES_INDEXES).all()
    for name, _ in indexes:
        connection.exec_driver_sql(f"DROP INDEX {name}")
    connection.commit()
    yield
    connection.commit()
    for _, made_by in indexes:
        connection.exec_driver_sql(made_by)
    connection.commit()


def _batch_size(number: int) -> int:
    return max(number // 500, 30)


def _batch_of(one: int, size: int) -> int:
    """Batches come in by threes, one of each workflow, so that each day has some of all."""
    return one // (size * len(NAMES)) * len(NAMES) + one % len(NAMES)


def _write_batches(ledger: Ledger, connection: Connection, clock: Clock, number: int) -> None:
    size = _batch_size(number)
    accepted = Counter(_batch_of(one, size) for one in range(number))
    rows = [
        {
            "id": batch_name(one),
            "workflow": NAMES[one % len(NAMES)],
            "file": f"{batch_name(one)}.csv",
            "digest": f"{one:064}",
            "key": ledger.vault.new_key(batch_name(one))[1],
            "accepted": cases,
            "rejected": 3,
            "duplicates": 0,
            "handed_in_at": clock.now - YEAR * (1 - one // len(NAMES) * len(NAMES) * size / number),
            "handed_in_by": "s.sample@example.test",
        }
        for one, cases in accepted.items()
    ]
    connection.execute(insert(schema.batches), rows)
    connection.commit()


def _rows(ledger: Ledger, clock: Clock, number: int) -> Iterator[Row]:
    # Some hundreds even of a thousand, so that a page of each list is as long as it is with a million.
    size, latest = _batch_size(number), max(number // 14, min(number, 400))
    for one in range(number):
        workflow, batch = NAMES[one % len(NAMES)], _batch_of(one, size)
        line = one // len(NAMES) % size
        came = clock.now - YEAR * (1 - one / number)
        state = _state(one, one >= number - latest, batch % 5 > 0 and line == size - 1)
        is_open = state in ("queued", "escalated")
        changed = _changed(came, one, number, clock.now)
        case = os.urandom(16).hex()
        key, wrapped = ledger.vault.new_key(case)
        reference = f"{'HB' if workflow == RENT else 'PP' if workflow == PERMIT else 'CT'}{one:07}"
        reason = REASONS[_reason(one)].format(one % 90)
        sealed = key.seal_text(reason) if state in ("closed", "escalated") else None
        row = {
            "id": case,
            "reference": reference,
            "workflow": workflow,
            "batch": batch_name(batch),
            "line": line + 2,
            "state": state,
            "priority": 5 if one % 40 == 0 else 0,
            "not_before": came,
            "due": _due(came, one, is_open),
            "attempts": 0 if state == "queued" else 1,
            "failures": 0,
            "crashes": 0,
            "worker": None,
            "lease_until": None,
            "key": wrapped,
            "sealed_data": key.seal_text(_data(workflow, reference)),
            "sealed_result": None,
            "sealed_reason": sealed,
            "handed_in_at": came,
            "changed_at": changed,
            "escalated_kind": None,
            "escalated_alike": None,
        }
        is_asked = sealed is not None or (state == "done" and one // 3 % 12 == 3)
        if is_asked and sealed is None:
            sealed = key.seal_text(reason)
        taken = _taken_by(number - 1 - one, latest) if state == "escalated" else None
        yield Row(row, _escalation(row, one, sealed, taken) if is_asked else None, reason)


def _state(one: int, is_late: bool, is_left: bool) -> str:
    if is_late:
        return "queued" if one % 7 in (1, 4) else "escalated"
    if is_left:
        return "escalated"
    return "closed" if one % 20 == 0 else "cancelled" if one % 50 == 7 else "done"


def _changed(came: datetime, one: int, number: int, now: datetime) -> datetime:
    """Within some days of its arrival, and of the very latest some within a quarter of an hour, for the pace."""
    if one >= number - 30:
        return max(came, now - timedelta(minutes=one % 15))
    return came + min(timedelta(minutes=5_000), now - came) * ((one * 37 % 5_000 + 1) / 5_001)


def _reason(one: int) -> int:
    """More than half for the same."""
    return min(one // 7 % 10, len(REASONS) - 1)


def _kind(one: int) -> EscalationKind:
    """Of a reason, nearly always the same."""
    return KINDS[(_reason(one) + (one // 70 % 10 == 0)) % 3]


def _taken_by(back: int, latest: int) -> str | None:
    """Some thirty by the one who looks, and one in thirty of the rest by others."""
    if back < latest and back % (latest // 40) == 0:
        return TAKEN_BY[0]
    return TAKEN_BY[1 + back // 30 % (len(TAKEN_BY) - 1)] if back % 30 == 0 else None


def _due(came: datetime, one: int, is_open: bool) -> datetime | None:
    if one % 5 == 4 if is_open else one % 10 > 0:
        return None
    return came + timedelta(days=10 + one % 20)


@cache
def _template(workflow: str) -> str:
    data = {
        RENT: {"weekly_rent": "112.40", "from_date": "2026-11-30", "claimant": "Mx Test Ash"},
        PERMIT: {"vehicle": "TE57 AAA", "zone": "B", "notes": ""},
        TAX: {"house": "1 Test Street"},
    }
    return json.dumps(data[workflow])[1:]


def _data(workflow: str, reference: str) -> str:
    name = {RENT: "claim", PERMIT: "permit", TAX: "account"}[workflow]
    return f'{{"{name}": "{reference}", {_template(workflow)}'


def _escalation(
    case: Mapping[str, Any], one: int, sealed: bytes | None, taken_by: str | None
) -> dict[str, Any]:
    is_open = case["state"] == "escalated"
    opened = case["handed_in_at"] + (case["changed_at"] - case["handed_in_at"]) / 2
    return {
        "case": case["id"],
        "workflow": case["workflow"],
        "attempt": 1,
        "kind": _kind(one),
        "opened_at": opened,
        "sealed_reason": sealed,
        "settled_at": None if is_open else case["changed_at"],
        "settled_by": None if is_open else "c.sample@example.test",
        "settlement": None if is_open else "closed" if case["state"] == "closed" else "returned",
        "assigned_to": taken_by,
        "due": case["due"],
    }


def _write_cases(ledger: Ledger, connection: Connection, rows: Iterator[Row], many: Many) -> None:
    written, waiting = 0, Counter[tuple[bytes, str]]()
    digests = cache(lambda reason: digests_of(ledger.vault, reason))
    alike = cache(lambda workflow, reason: alike_of(ledger.vault, workflow, reason))
    while chunk := list(islice(rows, CHUNK)):
        asked = [row for row in chunk if row.escalation is not None]
        words = []
        for row in asked:
            assert row.escalation is not None
            written += 1
            row.escalation.update(id=written, alike=alike(row.case["workflow"], row.reason))
            row.case.update(escalated_kind=row.escalation["kind"], escalated_alike=row.escalation["alike"])
            words += [{"digest": one, "escalation": written} for one in digests(row.reason)]
            if row.escalation["settled_at"] is None:
                waiting[row.escalation["alike"], row.escalation["kind"]] += 1
        connection.execute(insert(schema.cases), [row.case for row in chunk])
        if asked:
            connection.execute(insert(schema.escalations), [row.escalation for row in asked])
            connection.execute(insert(schema.words), words)
        _note(many, chunk)
        connection.commit()
    (alike_most, many.kind), _ = waiting.most_common(1)[0]
    many.alike = alike_most.hex()
    if connection.dialect.name == "postgresql":
        connection.execute(
            text("SELECT setval(pg_get_serial_sequence('escalations', 'id'), :last)"), {"last": written}
        )


def _note(many: Many, chunk: Sequence[Row]) -> None:
    """Remember a case in each state: of the first chunk that has one, about the middle."""
    for name, state in (("done", "done"), ("waiting", "escalated"), ("queued", "queued")):
        found = [row.case for row in chunk if row.case["state"] == state and _may_be_noted(row.case)]
        if found and (not getattr(many, name) or state != "done"):
            one = found[len(found) // 2]
            setattr(many, name, one["id"])
            many.references[one["id"]] = one["reference"]
            if state == "done":
                many.finished_batch = one["batch"]
            if state == "queued":
                many.open_batch = one["batch"]


def _may_be_noted(case: Mapping[str, Any]) -> bool:
    """Of those that are done, one of a batch of which none is left waiting."""
    return case["state"] != "done" or int(case["batch"].rpartition("-")[2]) % 5 == 0


def _write_the_rest(connection: Connection) -> None:
    """Attempts, changes and the audit, from the cases themselves."""
    statements = [
        'INSERT INTO attempts ("case", number, worker, begun_at, ended_at, "end", traced) SELECT id, 1, '
        "'worker-1.x', handed_in_at, changed_at, CASE state WHEN 'done' THEN 'done' ELSE 'escalated' END, "
        "false FROM cases WHERE attempts > 0",
        'INSERT INTO commits ("case", attempt, name, bot, state, settles_seconds, intended_at, resolved_at)'
        " SELECT id, 1, 'put it on', 'benefits', 'made', 5, changed_at, changed_at FROM cases"
        " WHERE state = 'done'",
    ]
    for statement in statements:
        connection.exec_driver_sql(statement)
        connection.commit()
    sample, worker, caseworker = "s.sample@example.test", "worker-1.x", "c.sample@example.test"
    _audit(connection, "taken in", sample, Cases.handed_in_at, (None, "queued"), true())
    _audit(connection, "begun", worker, Cases.handed_in_at, ("queued", "working"), Cases.attempts > 0)
    for state, actor, before in (
        ("done", worker, "working"),
        ("closed", caseworker, "escalated"),
        ("escalated", worker, "working"),
    ):
        _audit(connection, state, actor, Cases.changed_at, (before, state), Cases.state == state)


def _audit(
    connection: Connection,
    action: str,
    actor: str,
    at: ColumnElement[Any],
    states: tuple[str | None, str],
    which: ColumnElement[bool],
) -> None:
    names = ("at", "actor", "action", "subject", "before", "after", "attempt")
    entries = select(at, *map(literal, (actor, action)), Cases.id, *map(literal, states), literal(1))
    connection.execute(insert(schema.audit).from_select(names, entries.where(which).order_by(at)))
    connection.commit()


def _write_bulk_and_messages(connection: Connection, clock: Clock, number: int, many: Many) -> None:
    bulk = {
        "action": "close",
        "value": "done by hand",
        "reason": "the system was away",
        "filter": json.dumps({"workflow": RENT, "state": "escalated"}),
        "workflows": json.dumps([RENT]),
        "state": "done",
        "begun_at": clock.now - timedelta(days=3),
        "begun_by": "s.sample@example.test",
        "listed_at": clock.now - timedelta(days=3),
        "ended_at": clock.now - timedelta(days=2),
        "total": number // 20,
        "done": number // 20,
        "refused": 0,
    }
    connection.execute(
        insert(schema.bulk_actions), [{**bulk, "id": one} for one in (many.bulk, "c" * 32, "d" * 32)]
    )
    connection.execute(
        text(
            'INSERT INTO bulk_cases (bulk, number, "case", outcome, at)'
            " SELECT :bulk, row_number() OVER (ORDER BY id), id, 'done', changed_at FROM cases"
            " WHERE state = 'closed'"
        ),
        {"bulk": many.bulk},
    )
    connection.execute(
        insert(schema.messages), [_message(clock, one) for one in range(min(number // 100, 5_000))]
    )
    told = [
        {
            "receiver": "r",
            "what": "escalation",
            "subject": str(one),
            "since": clock.now,
            "workflow": RENT,
            "message": one + 1,
        }
        for one in range(min(number // 100, 5_000))
    ]
    connection.execute(insert(schema.told), told)


def _message(clock: Clock, one: int) -> dict[str, Any]:
    at = clock.now - timedelta(minutes=one)
    state = "given up" if one % 100 == 0 else "sent"
    return {
        "key": f"{one:032}",
        "what": "escalation",
        "receiver": "r",
        "shown": "mailto:team@council.example",
        "subject": f"Casehand: HB{one:07} waits for a person",
        "body": "The case waits.",
        "things": 1,
        "gathers": False,
        "state": state,
        "tries": 1,
        "written_at": at,
        "not_before": at,
        "give_up_at": at,
        "sent_at": at if state == "sent" else None,
        "error": None if state == "sent" else "the mail server does not answer",
    }


def _tidy(ledger: Ledger) -> None:
    """What both databases do by themselves while they are used for a year."""
    with ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("VACUUM ANALYZE")
