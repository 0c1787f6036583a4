"""What there is to tell people of, as the ledger stands."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from casehand.queue import breaker, escalations, occasions, pauses, schema
from casehand.queue.attempts import Begun
from casehand.queue.batches import note_finished
from casehand.queue.breaker import BreakerPolicy
from casehand.queue.known import make_known
from casehand.queue.ledger import Ledger
from casehand.queue.messages import Wording, Writing, write
from casehand.queue.occasions import Occasion, What
from casehand.queue.pauses import PauseKind
from casehand.queue.policy import BatchStop
from casehand.queue.stopping import stop_if_wrong

WORKFLOW = "housing-benefit/rent-change"
OTHER = "council-tax/single-person"
RECEIVER = "somebody"

TakeIn = Callable[..., str]
Escalate = Callable[..., Begun]


def untold(ledger: Ledger, what: What, workflows: frozenset[str] | None = None) -> list[Occasion]:
    with ledger.reading() as connection:
        return occasions.untold(connection, what, RECEIVER, workflows, ledger.clock(), 1000)


def tell(ledger: Ledger, what: What, receiver: str = RECEIVER) -> int:
    """Tell of all there is, so that it is told."""
    with ledger.reading() as connection:
        found = occasions.untold(connection, what, receiver, None, ledger.clock(), 1000)
    put = Wording("subject", "body")
    return write(ledger, Writing(receiver, receiver, what, lambda _: put, lambda _: put), found)


@pytest.fixture(autouse=True)
def clock(pass_time: Callable[..., None], known: str) -> Callable[..., None]:
    return pass_time


def test_an_escalation_of_high_priority_is_told_once_and_one_of_the_usual_priority_is_not(
    ledger: Ledger, take_in: TakeIn, escalate: Escalate
) -> None:
    escalate(take_in("HB000001", priority=1))
    escalate(take_in("HB000002", priority=0))
    take_in("HB000003", priority=1)

    (found,) = untold(ledger, What.ESCALATION)

    assert (found.name, found.workflow, found.kind) == ("HB000001", WORKFLOW, "business")
    assert tell(ledger, What.ESCALATION) == 1
    assert untold(ledger, What.ESCALATION) == []


def test_a_case_that_escalates_again_is_another_thing(
    ledger: Ledger, take_in: TakeIn, escalate: Escalate
) -> None:
    case = take_in(priority=1)
    escalate(case)
    tell(ledger, What.ESCALATION)

    escalations.send_back(ledger, case, "a person")
    assert untold(ledger, What.ESCALATION) == []
    escalate(case)

    assert len(untold(ledger, What.ESCALATION)) == 1


def test_what_was_settled_before_it_was_told_is_not_told(
    ledger: Ledger, take_in: TakeIn, escalate: Escalate
) -> None:
    case = take_in(priority=1)
    escalate(case)
    escalations.close(ledger, case, "a person", "by hand")

    assert untold(ledger, What.ESCALATION) == []


def test_an_escalation_is_overdue_from_its_due_date_on_and_again_from_another(
    ledger: Ledger, take_in: TakeIn, escalate: Escalate, clock: Callable[..., None]
) -> None:
    case = take_in()
    escalate(case)
    _set_due(ledger, ledger.clock() + timedelta(hours=1))
    assert untold(ledger, What.OVERDUE) == []

    clock(hours=2)
    assert [one.name for one in untold(ledger, What.OVERDUE)] == ["HB000125"]
    tell(ledger, What.OVERDUE)
    assert untold(ledger, What.OVERDUE) == []

    _set_due(ledger, ledger.clock() + timedelta(hours=1))
    assert untold(ledger, What.OVERDUE) == []
    clock(hours=2)
    assert len(untold(ledger, What.OVERDUE)) == 1


def test_an_escalation_without_a_date_of_its_own_goes_by_its_cases(
    ledger: Ledger, take_in: TakeIn, escalate: Escalate, clock: Callable[..., None]
) -> None:
    due = ledger.clock() + timedelta(hours=1)
    escalate(take_in("HB000001", due=due))
    take_in("HB000002", due=due)
    clock(hours=2)

    (found,) = untold(ledger, What.OVERDUE)

    assert (found.name, found.since) == ("HB000001", due)
    assert tell(ledger, What.OVERDUE) == 1
    assert untold(ledger, What.OVERDUE) == []


def test_a_paused_bot_and_one_whose_system_fails_are_told_each_time_that_it_begins(ledger: Ledger) -> None:
    pauses.pause(ledger, PauseKind.BOT, "benefits", "upgrade", "a person")
    pauses.pause(ledger, PauseKind.WORKFLOW, WORKFLOW, "upgrade", "a person")
    with ledger.writing() as connection:
        breaker.note_failure(connection, WORKFLOW, ledger.clock(), BreakerPolicy(failures=1), "worker-1")

    found = untold(ledger, What.PAUSED)

    assert [(one.kind, one.name) for one in found] == [("failing", "benefits"), ("paused", "benefits")]
    assert tell(ledger, What.PAUSED) == 2
    assert untold(ledger, What.PAUSED) == []


def test_a_bot_that_is_paused_again_is_told_again(ledger: Ledger, clock: Callable[..., None]) -> None:
    pauses.pause(ledger, PauseKind.BOT, "benefits", "upgrade", "a person")
    tell(ledger, What.PAUSED)
    pauses.resume(ledger, PauseKind.BOT, "benefits", "a person")
    clock(seconds=1)
    pauses.pause(ledger, PauseKind.BOT, "benefits", "upgrade", "a person")

    assert len(untold(ledger, What.PAUSED)) == 1


def test_a_batch_is_told_when_nothing_of_it_is_open_any_more_and_old_ones_are_no_news(
    ledger: Ledger, take_in: TakeIn, escalate: Escalate, clock: Callable[..., None]
) -> None:
    case = take_in(batch="rents")
    escalate(case)
    note_finished(ledger)
    assert untold(ledger, What.FINISHED) == []

    escalations.close(ledger, case, "a person", "by hand")
    note_finished(ledger)
    (found,) = untold(ledger, What.FINISHED)
    assert (found.name, dict(found.numbers)["closed"]) == ("rents", 1)

    clock(seconds=1)
    note_finished(ledger)
    assert untold(ledger, What.FINISHED) == [found]
    clock(days=4)
    assert untold(ledger, What.FINISHED) == []


def test_only_the_workflows_asked_for_are_told_of(
    ledger: Ledger, take_in: TakeIn, escalate: Escalate
) -> None:
    make_known(ledger, OTHER, ["tax"], timedelta(minutes=5))
    late: dict[str, Any] = {"due": ledger.clock() - timedelta(hours=1), "may_be_late": True}
    escalate(take_in("HB000001", priority=1, **late))
    escalate(take_in("CT000001", priority=1, workflow=OTHER, **late))
    pauses.pause(ledger, PauseKind.BOT, "benefits", "upgrade", "a person")
    pauses.pause(ledger, PauseKind.BOT, "tax", "upgrade", "a person")

    for what, name in (
        (What.ESCALATION, "CT000001"),
        (What.OVERDUE, "CT000001"),
        (What.PAUSED, "tax"),
    ):
        assert [one.name for one in untold(ledger, what, frozenset({OTHER}))] == [name]
        assert len(untold(ledger, what)) == 2


def test_each_receiver_is_told_of_everything(ledger: Ledger, take_in: TakeIn, escalate: Escalate) -> None:
    escalate(take_in(priority=1))

    assert tell(ledger, What.ESCALATION) == 1
    assert tell(ledger, What.ESCALATION, "another") == 1
    assert tell(ledger, What.ESCALATION, "another") == 0


def test_the_standing_counts_what_a_summary_tells(
    ledger: Ledger, take_in: TakeIn, escalate: Escalate
) -> None:
    for number in range(3):
        escalate(take_in(f"HB00000{number}", priority=int(number == 0)))
    _set_due(ledger, ledger.clock() - timedelta(hours=1), "HB000001")
    take_in("HB000004")
    take_in("HB000005", state="done")
    take_in("HB000006", state="done", changed_at=ledger.clock() - timedelta(days=2))
    pauses.pause(ledger, PauseKind.BOT, "benefits", "upgrade", "a person")

    with ledger.reading() as connection:
        all_of_it = occasions.standing(connection, None, ledger.clock())
        none_of_it = occasions.standing(connection, frozenset({OTHER}), ledger.clock())

    told: dict[str, Any] = vars(all_of_it)
    assert told == {
        "queued": 1,
        "working": 0,
        "escalated": 3,
        "overdue": 1,
        "urgent": 1,
        "done": 1,
        "asked": 3,
        "oldest": ledger.clock(),
        "bots": ("benefits",),
    }
    assert (none_of_it.escalated, none_of_it.oldest, none_of_it.bots) == (0, None, ())


def test_the_one_thing_that_is_new_is_found_among_ten_thousand_that_were_told(
    ledger: Ledger, take_in: TakeIn, escalate: Escalate
) -> None:
    for number in range(50):
        escalate(take_in(f"HB{number:06}", priority=1))
    tell(ledger, What.ESCALATION)
    with ledger.writing() as connection:
        connection.execute(
            insert(schema.told),
            [
                {
                    "receiver": RECEIVER,
                    "what": "escalation",
                    "subject": str(number),
                    "since": datetime(2020, 1, 1, tzinfo=UTC),
                    "message": 1,
                }
                for number in range(10_000)
            ],
        )
    escalate(take_in("HB999999", priority=1))

    assert [one.name for one in untold(ledger, What.ESCALATION)] == ["HB999999"]


def test_a_batch_that_stopped_itself_is_told_of_once_until_somebody_resumes_it(
    ledger: Ledger, known: str, take_in: TakeIn, escalate: Escalate
) -> None:
    make_known(ledger, known, ["benefits"], timedelta(minutes=5), stop=BatchStop(share=0, first=1))
    pauses.pause(ledger, PauseKind.BATCH, "by-hand", "a look", "a person")
    case = take_in("HB000001", batch="november")
    escalate(case)
    assert untold(ledger, What.STOPPED) == []
    assert stop_if_wrong(ledger, case)

    (found,) = untold(ledger, What.STOPPED)

    assert (found.subject, found.since, found.workflow) == ("november", ledger.clock(), WORKFLOW)
    assert untold(ledger, What.STOPPED, frozenset({OTHER})) == []
    assert tell(ledger, What.STOPPED) == 1
    assert untold(ledger, What.STOPPED) == []
    with ledger.reading() as connection:
        standing = select(schema.told.c.subject).where(occasions.still_stands(ledger.clock()))
        assert connection.execute(standing).scalars().all() == ["november"]
    pauses.resume(ledger, PauseKind.BATCH, "november", "a person")
    with ledger.reading() as connection:
        assert connection.execute(standing).scalars().all() == []


def _set_due(ledger: Ledger, due: datetime, reference: str | None = None) -> None:
    statement = update(schema.escalations).values(due=due)
    if reference is not None:
        cases = schema.cases.c
        statement = statement.where(schema.escalations.c.case == cases.id, cases.reference == reference)
    with ledger.writing() as connection:
        connection.execute(statement)
