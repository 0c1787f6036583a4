"""The circuit breaker: when a bot's system fails case after case, its cases wait, and one at a time tries."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, exists, insert, select, update

from casehand.queue import audit, schema
from casehand.queue.ledger import Ledger

Breakers = schema.breakers.c
Cases = schema.cases.c
BotsOf = schema.workflow_bots.c


@dataclass(frozen=True)
class BreakerPolicy:
    """When a breaker opens, and when a case may probe."""

    failures: int = 5  #: attempts in a row that must fail
    first: timedelta = timedelta(seconds=30)  #: until the first probe; twice as long until each further one
    longest: timedelta = timedelta(minutes=15)

    def interval(self, probes: int) -> timedelta:
        """How long after so many probes the next may begin."""
        wait: timedelta = min(self.first * 2 ** min(probes, 20), self.longest)
        return wait


@dataclass(frozen=True)
class OpenBreaker:
    """A bot whose system fails: since when, and when a case probes."""

    bot: str
    opened_at: datetime
    probe_at: datetime
    probes: int


def open_breakers(ledger: Ledger) -> list[OpenBreaker]:
    """The breakers that are open now."""
    query = select(schema.breakers).where(Breakers.opened_at.is_not(None)).order_by(Breakers.bot)
    with ledger.reading() as connection:
        rows = connection.execute(query).all()
    return [OpenBreaker(row.bot, row.opened_at, row.probe_at, row.probes) for row in rows]


def broken(now: ColumnElement[datetime]) -> ColumnElement[bool]:
    """The SQL condition that a case of `cases` waits for a bot whose breaker is open and lets none probe yet."""
    # Two queries down, SQLAlchemy would not know `cases` for the outer one, and hold every case.
    bots = select(BotsOf.bot).where(BotsOf.workflow == Cases.workflow).correlate(schema.cases)
    return exists(
        select(Breakers.bot).where(
            Breakers.opened_at.is_not(None), Breakers.probe_at > now, Breakers.bot.in_(bots)
        )
    )


def lock(connection: Connection, workflow: str) -> Sequence[OpenBreaker]:
    """The open breakers that concern a workflow, locked, so that one case at a time becomes the probe."""
    return _open_among(connection, _bots(connection, workflow))


def begin_probe(
    connection: Connection, breakers: Sequence[OpenBreaker], now: datetime, policy: BreakerPolicy
) -> None:
    """Note that a case probes, and when the next may if this one is not heard of."""
    for breaker in breakers:
        connection.execute(
            update(schema.breakers)
            .where(Breakers.bot == breaker.bot)
            .values(probe_at=now + policy.interval(breaker.probes + 1), probes=breaker.probes + 1)
        )


def note_failure(
    connection: Connection,
    workflow: str,
    now: datetime,
    policy: BreakerPolicy,
    actor: str,
    bot: str | None = None,
) -> datetime | None:
    """Count a failed attempt against `bot`, or all the workflow's bots when it is not known which failed.

    Returns when a case may probe next, if a breaker was open already: then the failure is not the case's.
    """
    bots = _bots(connection, workflow)
    concerned = [bot] if bot in bots else bots
    counted = _locked(connection, concerned)
    probe_at = max((row.probe_at for row in counted.values() if row.opened_at is not None), default=None)
    if probe_at is None:
        for one in concerned:
            _count(connection, one, counted.get(one), now, policy, actor)
    return probe_at


def note_success(connection: Connection, workflow: str, now: datetime, actor: str) -> None:
    """The workflow's systems answered: close their breakers and count from nought again."""
    bots = _bots(connection, workflow)
    for breaker in _open_among(connection, bots):
        audit.record(connection, now, actor, "breaker closed", f"bot {breaker.bot}")
    connection.execute(delete(schema.breakers).where(Breakers.bot.in_(bots)))


def probe_now(connection: Connection, bot: str, now: datetime, by: str) -> bool:
    """Let one case try a bot's system at once, by a person's word; False when its breaker is not open."""
    tried = connection.execute(
        update(schema.breakers)
        .where(Breakers.bot == bot, Breakers.opened_at.is_not(None))
        .values(probe_at=now, probes=0)
    )
    if tried.rowcount:
        audit.record(connection, now, by, "breaker to be tried", f"bot {bot}")
    return tried.rowcount > 0


def _bots(connection: Connection, workflow: str) -> list[str]:
    query = select(BotsOf.bot).where(BotsOf.workflow == workflow).order_by(BotsOf.bot)
    return list(connection.execute(query).scalars())


def _open_among(connection: Connection, bots: Sequence[str]) -> list[OpenBreaker]:
    return [
        OpenBreaker(row.bot, row.opened_at, row.probe_at, row.probes)
        for row in _locked(connection, bots).values()
        if row.opened_at is not None
    ]


def _locked(connection: Connection, bots: Sequence[str]) -> dict[str, Row[Any]]:
    # Those that are not open too: whoever is about to open one is waited for.
    rows = connection.execute(
        select(schema.breakers).where(Breakers.bot.in_(bots)).order_by(Breakers.bot).with_for_update()
    )
    return {row.bot: row for row in rows}


def _count(
    connection: Connection, bot: str, row: Row[Any] | None, now: datetime, policy: BreakerPolicy, actor: str
) -> None:
    if row is None:
        connection.execute(insert(schema.breakers).values(bot=bot, failures=0, probes=0))
    failed = (0 if row is None else row.failures) + 1
    opens = failed >= policy.failures
    connection.execute(
        update(schema.breakers)
        .where(Breakers.bot == bot)
        .values(
            failures=failed,
            opened_at=now if opens else None,
            probe_at=now + policy.interval(0) if opens else None,
        )
    )
    if opens:
        audit.record(connection, now, actor, "breaker opened", f"bot {bot}")
