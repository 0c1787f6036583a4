"""With many cases in the ledger, every page asks few statements, and none that goes through a large table.

40,000 cases by themselves; a million with MANY_CASES=1000000, and then they are timed against a thousand too.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import pytest
from many import TAX, Looker, Many, addresses, fill_many, looking
from samples import Clock
from starlette.routing import Route

from casehand.console.person import Person
from casehand.console.rights import EVERY, Role
from casehand.console.web.app import FAMILIES
from casehand.queue.ledger import Ledger
from casehand.queue.vault import KEY_BYTES, Vault

NUMBER = int(os.environ.get("MANY_CASES", "40000"))
FEW = 1_000
MOST_STATEMENTS = 20
ROUNDS = 7

NOT_LOOKED_AT = {
    "/events",  # a stream: one statement a second for all that look
    "/sign-in",
    "/sign-in/begin",
    "/sign-in/back",
    "/sign-in/link",
    "/cases.csv",  # files of any length, read a page at a time: that they are is tested with their families
    "/audit.csv",
    "/batches/{name}/results.{kind}",
    "/batches/{name}/rejects.{kind}",
    "/batches/new/{upload}",  # of one file
    "/evidence/{case}/{attempt:int}/{file}",  # a file
    "/evidence/{case}/{attempt:int}/{file}/large",
    "/pictures/{case}/{attempt:int}/{file}",
}

SUPERVISOR = Person("test.supervisor@example.test", "Test Supervisor", {EVERY: frozenset({Role.SUPERVISOR})})
OF_ONE = Person("test.tax@example.test", "Test Tax", {TAX: frozenset({Role.SUPERVISOR})})
PEOPLE = {"all": SUPERVISOR, "one workflow": OF_ONE}

LARGE = {"cases", "attempts", "commits", "audit", "escalations", "words", "bulk_cases"}
READ_IN_PART = {
    "sqlite_autoindex_cases_1",  # counted as far as a page says how many there are
    "ix_cases_came_in",
    "ix_audit_at",
    "ix_escalations_waiting",
    "ix_escalations_waiting_workflow",
    "ix_escalations_waiting_reason",
    "ix_escalations_waiting_kind",
}
"""Indexes that are gone through, in their order, only as far as a page needs, or that hold only what waits."""


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Ledger, Many]]:
    """A ledger with many cases, of either kind."""
    yield from _filled(request, tmp_path_factory, request.param, NUMBER)


@pytest.fixture(params=PEOPLE)
def looker(request: pytest.FixtureRequest, filled: tuple[Ledger, Many]) -> Iterator[Looker]:
    """Somebody at the console."""
    with looking(filled[0], PEOPLE[request.param]) as one:
        yield one


def test_every_page_is_looked_at(filled: tuple[Ledger, Many]) -> None:
    paths = {route.path for family in FAMILIES for route in family.routes if _is_page(route)}
    looked_at = {name.partition(" ")[0] for name in addresses(filled[1])}
    assert paths - NOT_LOOKED_AT == looked_at


def test_every_page_asks_few_statements_and_none_goes_through_a_large_table(
    filled: tuple[Ledger, Many], looker: Looker
) -> None:
    faults = []
    for name, address in _seen(filled[1], looker).items():
        statements = looker.asked(address)
        if len(statements) >= MOST_STATEMENTS:
            faults.append(f"{name}: {len(statements)} statements")
        faults += [f"{name}: {one}" for one in _whole(filled[0], statements)]
    assert not faults, "\n".join(faults)


@pytest.mark.skipif(NUMBER < 1_000_000, reason="takes minutes: set MANY_CASES=1000000")
def test_with_a_million_cases_every_page_takes_less_than_twice_as_long_as_with_a_thousand(
    request: pytest.FixtureRequest, filled: tuple[Ledger, Many], tmp_path_factory: pytest.TempPathFactory
) -> None:
    kind = filled[0].engine.dialect.name
    few = _filled(request, tmp_path_factory, kind, FEW)
    small, few_made = next(few)
    with looking(small, SUPERVISOR) as one, looking(filled[0], SUPERVISOR) as other:
        times = {
            name: _times((one, address), (other, addresses(filled[1])[name]))
            for name, address in addresses(few_made).items()
        }
    slow = {name: f"{b / a:.2f} ({a:.0f} ms, {b:.0f} ms)" for name, (a, b) in times.items() if b >= 2 * a}
    next(few, None)
    assert not slow


def _filled(
    request: pytest.FixtureRequest, folders: pytest.TempPathFactory, kind: str, number: int
) -> Iterator[tuple[Ledger, Many]]:
    clock = Clock()
    if kind == "sqlite":
        url = f"sqlite:///{folders.mktemp('many') / 'many.db'}"
    else:
        url = request.getfixturevalue("new_database")()
    ledger = Ledger.open(url, Vault(os.urandom(KEY_BYTES)), clock)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CASEHAND_HOME", str(folders.mktemp("home")))
        made = fill_many(ledger, clock, number)
    yield ledger, made
    ledger.close()
    if kind == "sqlite":
        Path(str(ledger.engine.url.database)).unlink()


def _is_page(route: Any) -> bool:
    return isinstance(route, Route) and "GET" in (route.methods or ())


def _seen(many: Many, looker: Looker) -> dict[str, str]:
    """The pages that somebody may see, and behind each list its next page."""
    found = {}
    for name, address in addresses(many).items():
        if looker.get(address).status_code == 200:
            found[name] = address
            if behind := looker.next_page(address):
                found[f"{name}, next page"] = behind
    return found


def _whole(ledger: Ledger, statements: list[tuple[str, Any]]) -> list[str]:
    """The large tables, or large indexes, that the database would go through from one end to the other."""
    plans = _sqlite_plan if ledger.engine.dialect.name == "sqlite" else _postgres_plan
    found = []
    with ledger.engine.connect() as connection:
        for statement, parameters in statements:
            if statement.lstrip().startswith(("SELECT", "UPDATE", "DELETE", "WITH")):
                found += [
                    f"{step} in {_short(statement)}" for step in plans(connection, statement, parameters)
                ]
        connection.rollback()
    return found


def _sqlite_plan(connection: Any, statement: str, parameters: Any) -> list[str]:
    rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
    steps = [row[3] for row in rows]
    scans = [step for step in steps if step.startswith("SCAN ") and step.split()[1] in LARGE]
    return [step for step in scans if step.split()[-1] not in READ_IN_PART]


def _postgres_plan(connection: Any, statement: str, parameters: Any) -> list[str]:
    if NUMBER < 1_000_000:
        # To go through some thousand rows is right where there are no more: whether there is an index is asked here.
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
    plan = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).scalar()[0]["Plan"]
    return [
        f"Seq Scan on {one['Relation Name']}"
        for one in _nodes(plan)
        if one["Node Type"].endswith("Seq Scan") and one["Relation Name"] in LARGE
    ]


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _short(statement: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"SELECT .*?FROM", "SELECT … FROM", statement, flags=re.DOTALL))[:300]


def _times(*looks: tuple[Looker, str]) -> list[float]:
    """Milliseconds for each, one after the other, so that what else the machine does is shared by them."""
    took: list[list[float]] = [[] for _ in looks]
    for _ in range(ROUNDS):
        for place, (looker, address) in enumerate(looks):
            begun = perf_counter()
            looker.get(address)
            took[place].append((perf_counter() - begun) * 1000)
    return [median(one) for one in took]
