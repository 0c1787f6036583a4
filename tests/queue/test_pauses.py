"""Pauses: what is not to be worked for now."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from redis import Redis
from sqlalchemy import select

from casehand.exceptions import CasehandError
from casehand.queue import attempts, endings, schema
from casehand.queue.backlog import unfinished
from casehand.queue.backoff import Backoff
from casehand.queue.dispatch import Dispatcher
from casehand.queue.known import make_known
from casehand.queue.ledger import Ledger
from casehand.queue.notices import notices
from casehand.queue.outcome import Done
from casehand.queue.pauses import ALL, PauseKind, all_pauses, count_held, held, is_paused, pause, resume
from casehand.queue.state import State

TakeIn = Callable[..., str]
AuditOf = Callable[[str], list[tuple[str, str | None, str | None]]]


def _is_held(ledger: Ledger, case: str) -> bool:
    with ledger.reading() as connection:
        query = select(schema.cases.c.id).where(schema.cases.c.id == case, held())
        return connection.execute(query).first() is not None


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (PauseKind.BOT, "benefits"),
        (PauseKind.WORKFLOW, "housing-benefit/rent-change"),
        (PauseKind.BATCH, "rents-2026-11"),
        (PauseKind.EVERYTHING, ALL),
    ],
)
def test_a_case_waits_at_no_cost_while_anything_of_it_is_paused(
    ledger: Ledger, take_in: TakeIn, known: str, kind: PauseKind, name: str
) -> None:
    case = take_in(batch="rents-2026-11")
    assert pause(ledger, kind, name, "they asked for it", "a person")

    assert _is_held(ledger, case)
    assert attempts.begin(ledger, case, 1, "worker-1") is None
    assert unfinished(ledger, timedelta()) == 0

    resume(ledger, kind, name, "a person")
    assert unfinished(ledger, timedelta()) == 1
    assert attempts.begin(ledger, case, 1, "worker-1") is not None


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (PauseKind.BOT, "council-tax"),
        (PauseKind.BOT, "rents-2026-11"),
        (PauseKind.WORKFLOW, "housing-benefit"),
        (PauseKind.WORKFLOW, "benefits"),
        (PauseKind.BATCH, "rents-2026-1"),
    ],
)
def test_what_is_none_of_its_business_does_not_hold_a_case(
    ledger: Ledger, take_in: TakeIn, known: str, kind: PauseKind, name: str
) -> None:
    case = take_in(batch="rents-2026-11")
    pause(ledger, kind, name, "they asked for it", "a person")

    assert not _is_held(ledger, case)


def test_a_pause_of_one_of_two_bots_holds_the_case(ledger: Ledger, take_in: TakeIn) -> None:
    make_known(ledger, "both", ["benefits", "council-tax"], timedelta(minutes=5))
    case = take_in(workflow="both")
    pause(ledger, PauseKind.BOT, "council-tax", "sign-in refused", "worker-1")

    assert _is_held(ledger, case)


def test_a_case_in_work_is_not_disturbed_by_a_pause(ledger: Ledger, take_in: TakeIn, known: str) -> None:
    case = take_in()
    attempts.begin(ledger, case, 1, "worker-1")
    pause(ledger, PauseKind.WORKFLOW, known, "they asked for it", "a person")

    assert not attempts.renew(ledger, [(case, 1)])
    assert unfinished(ledger, timedelta()) == 1


def test_the_first_reason_stands(ledger: Ledger, audit_of: AuditOf) -> None:
    assert pause(ledger, PauseKind.BOT, "benefits", "sign-in refused", "worker-1")
    assert not pause(ledger, PauseKind.BOT, "benefits", "month end", "a person")

    (only,) = all_pauses(ledger)
    assert (only.reason, only.paused_by) == ("sign-in refused", "worker-1")
    assert audit_of("bot benefits") == [("paused", None, None)]


def test_to_resume_what_is_not_paused_is_an_error_that_says_where_to_look(ledger: Ledger) -> None:
    with pytest.raises(CasehandError, match="the bot benefits is not paused: see `casehand status`"):
        resume(ledger, PauseKind.BOT, "benefits", "a person")


def test_pause_and_resume_leave_who_did_it_in_the_audit(ledger: Ledger, audit_of: AuditOf) -> None:
    pause(ledger, PauseKind.BATCH, "rents", "month end", "a person")
    assert is_paused(ledger, PauseKind.BATCH, "rents")
    assert not is_paused(ledger, PauseKind.BOT, "rents")
    resume(ledger, PauseKind.BATCH, "rents", "another person")

    assert not is_paused(ledger, PauseKind.BATCH, "rents")
    assert [action for action, _, _ in audit_of("batch rents")] == ["paused", "resumed"]


def test_ten_that_pause_at_once_leave_one_pause_and_one_audit_entry(
    ledger: Ledger, audit_of: AuditOf
) -> None:
    bots = [f"bot-{number}" for number in range(8)]
    together = Barrier(10)

    def pause_all(worker: int) -> list[bool]:
        together.wait()
        return [pause(ledger, PauseKind.BOT, bot, "refused", f"worker-{worker}") for bot in bots]

    with ThreadPoolExecutor(10) as pool:
        was_first = list(pool.map(pause_all, range(10)))

    assert [sum(one) for one in zip(*was_first, strict=True)] == [1] * 8
    assert all(audit_of(f"bot {bot}") == [("paused", None, None)] for bot in bots)


def test_ten_that_make_a_workflow_known_at_once_do_not_disturb_each_other(ledger: Ledger) -> None:
    together = Barrier(10)

    def make(_: int) -> None:
        together.wait()
        for number in range(5):
            make_known(ledger, f"workflow-{number}", ["benefits", "council-tax"], timedelta(minutes=5))

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(make, range(10)))

    with ledger.reading() as connection:
        assert len(connection.execute(select(schema.workflows)).all()) == 5
        assert len(connection.execute(select(schema.workflow_bots)).all()) == 10


def test_a_workflow_that_changes_is_known_as_it_is_now(ledger: Ledger, take_in: TakeIn) -> None:
    make_known(ledger, "w", ["benefits"], timedelta(minutes=5))
    make_known(ledger, "w", ["council-tax"], timedelta(minutes=9))
    pause(ledger, PauseKind.BOT, "benefits", "month end", "a person")

    assert not _is_held(ledger, take_in(workflow="w"))
    with ledger.reading() as connection:
        assert connection.execute(select(schema.workflows.c.timeout_seconds)).scalars().all() == [540]


def test_while_everything_is_paused_nothing_is_handed_over_and_what_is_in_work_is_finished(
    ledger: Ledger, redis: Redis, take_in: TakeIn, known: str
) -> None:
    make_known(ledger, "council-tax/moves", [], timedelta(minutes=5))
    first, second = take_in("HB000001"), take_in("HB000002", workflow="council-tax/moves")
    begun = attempts.begin(ledger, first, 1, "worker-1")
    assert begun is not None
    dispatcher = Dispatcher(ledger, redis)

    assert pause(ledger, PauseKind.EVERYTHING, ALL, "fire alarm", "s.sample")
    assert not pause(ledger, PauseKind.EVERYTHING, ALL, "again", "p.sample")
    assert dispatcher.top_up() == 0
    assert attempts.begin(ledger, second, 1, "worker-1") is None
    assert attempts.renew(ledger, [(first, 1)]) == set()
    assert endings.end(ledger, begun, Done(None), "[]", Backoff(), 0.0) is State.DONE
    (standing,) = notices(ledger)
    assert str(standing) == "Everything is paused (fire alarm): `casehand resume everything` lets it go on."
    assert notices(ledger, workflow=known) == notices(ledger, batch="none") == [standing]

    resume(ledger, PauseKind.EVERYTHING, ALL, "s.sample")
    assert dispatcher.top_up() == 1
    assert notices(ledger) == []
    with pytest.raises(CasehandError, match="everything is not paused"):
        resume(ledger, PauseKind.EVERYTHING, ALL, "s.sample")


def test_another_pause_holds_on_when_everything_goes_on(ledger: Ledger, take_in: TakeIn, known: str) -> None:
    case = take_in()
    pause(ledger, PauseKind.BOT, "benefits", "upgrade", "a person")
    pause(ledger, PauseKind.EVERYTHING, ALL, "fire alarm", "s.sample")
    resume(ledger, PauseKind.EVERYTHING, ALL, "s.sample")

    assert _is_held(ledger, case)


def test_a_pause_is_told_of_with_how_many_wait_for_it(ledger: Ledger, take_in: TakeIn, known: str) -> None:
    take_in("HB000001", batch="a")
    take_in("HB000002", batch="b")
    take_in("HB000003", workflow="council-tax/moves")
    take_in("HB000004", state=State.DONE)
    for kind, name in (
        (PauseKind.BATCH, "a"),
        (PauseKind.BOT, "benefits"),
        (PauseKind.EVERYTHING, ALL),
        (PauseKind.WORKFLOW, "council-tax/moves"),
    ):
        pause(ledger, kind, name, "they asked for it", "a person")

    waiting = {str(one): count_held(ledger, one) for one in all_pauses(ledger)}
    seen = {str(one): count_held(ledger, one, {known}) for one in all_pauses(ledger)}

    assert waiting == {"batch a": 1, "bot benefits": 2, "everything": 3, "workflow council-tax/moves": 1}
    assert seen == {"batch a": 1, "bot benefits": 2, "everything": 2, "workflow council-tax/moves": 0}
