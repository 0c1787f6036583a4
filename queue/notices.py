"""Notices: what holds up many cases and is for a person to know, told once and not once for each of them."""

from collections.abc import Collection, Set
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from casehand.queue import schema
from casehand.queue.breaker import OpenBreaker, open_breakers
from casehand.queue.ledger import Ledger
from casehand.queue.pauses import Pause, PauseKind, all_pauses
from casehand.queue.runs import GoneWrong, gone_wrong
from casehand.queue.schedules import RunState

Batches = schema.batches.c
BotsOf = schema.workflow_bots.c
Schedules = schema.schedules.c


@dataclass(frozen=True)
class Notice:
    """Something that stands until it is over or a person ends it."""

    subject: str  #: such as "bot benefits"
    reason: str
    opened_at: datetime

    def __str__(self) -> str:
        subject = "Everything" if self.subject == PauseKind.EVERYTHING else f"The {self.subject}"
        return f"{subject} {self.reason}."


def notices(
    ledger: Ledger,
    workflow: str | None = None,
    batch: str | None = None,
    workflows: Collection[str] | None = None,
) -> list[Notice]:
    """What stands now, oldest first; only what concerns that workflow, and that batch's.

    `workflows` are those that may be seen, None for all.
    """
    if workflow is not None:
        workflows = [workflow] if workflows is None or workflow in workflows else []
    concerned = _concerned(ledger, workflows, batch)
    standing = [
        *(_of_pause(pause) for pause in all_pauses(ledger)),
        *(_of_breaker(breaker) for breaker in open_breakers(ledger)),
        *(_of_runs(wrong) for wrong in gone_wrong(ledger)),
    ]
    found = [notice for notice in standing if concerned is None or notice.subject in concerned]
    return sorted(found, key=lambda notice: (notice.opened_at, notice.subject))


def _of_pause(pause: Pause) -> Notice:
    go_on = f"`casehand resume {pause}` lets it go on"
    return Notice(str(pause), f"is paused ({pause.reason}): {go_on}", pause.paused_at)


def _of_breaker(breaker: OpenBreaker) -> Notice:
    reason = (
        "fails case after case: its cases wait at no cost, and one tries from time to time; "
        f"`casehand resume bot {breaker.bot}` lets one try at once"
    )
    return Notice(f"bot {breaker.bot}", reason, breaker.opened_at)


def _of_runs(wrong: GoneWrong) -> Notice:
    last = wrong.last
    often = f"{wrong.number} times, at last" if wrong.number > 1 else "the last time"
    what = "failed" if last.state is RunState.FAILED else "did not hand in all there was"
    reason = f"{what} {often} ({last.said}): `casehand schedule seen {last.schedule}` says that it is known"
    return Notice(f"{PauseKind.SCHEDULE} {last.schedule}", reason, last.ended_at or last.at)


def _concerned(ledger: Ledger, seen: Collection[str] | None, batch: str | None) -> Set[str] | None:
    """The subjects that the cases of some workflows, or of a batch, wait for; None for all."""
    if seen is None and batch is None:
        return None
    with ledger.reading() as connection:
        matching = select(Batches.id, Batches.workflow)
        if batch is not None:
            matching = matching.where(Batches.id == batch)
        if seen is not None:
            matching = matching.where(Batches.workflow.in_(seen))
        batches = connection.execute(matching).all()
        workflows = {row.workflow for row in batches} | (set() if batch is not None else set(seen or ()))
        bots = connection.execute(select(BotsOf.bot).where(BotsOf.workflow.in_(workflows))).scalars().all()
        schedules = connection.execute(
            select(Schedules.name).where(Schedules.workflow.in_(workflows))
        ).scalars()
        names = set() if batch is not None else set(schedules)
    return {
        str(PauseKind.EVERYTHING),
        *(f"{PauseKind.BATCH} {row.id}" for row in batches),
        *(f"{PauseKind.WORKFLOW} {name}" for name in workflows),
        *(f"{PauseKind.BOT} {name}" for name in bots),
        *(f"{PauseKind.SCHEDULE} {name}" for name in names),
    }
