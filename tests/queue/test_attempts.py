"""How a case comes into one worker's hands, and leaves them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta
from threading import Barrier, Event
from typing import Any

import pytest
from sqlalchemy import event, select, update

from casehand.queue import attempts, commits, endings, escalations, schema
from casehand.queue.attempts import GRACE, LEASE, Begun
from casehand.queue.backoff import Backoff
from casehand.queue.commits import CommitState
from casehand.queue.endings import MOST_CRASHES, Loss
from casehand.queue.known import make_known
from casehand.queue.ledger import Ledger
from casehand.queue.outcome import Done, Escalated, EscalationKind, Failed, Outcome, Scene, Waiting
from casehand.queue.state import State
from casehand.queue.vault import KEY_BYTES, Vault

TakeIn = Callable[..., str]
Begin = Callable[..., Begun]
PassTime = Callable[..., None]
RowOf = Callable[[str], Any]
AuditOf = Callable[[str], list[tuple[str, str | None, str | None]]]

BACKOFF = Backoff()
SETTLES = timedelta(seconds=60)
CHANGE = "put the new rent on the claim"

WORK_ALL = """
import sys
from casehand.queue import attempts, endings
from casehand.queue.backoff import Backoff
from casehand.queue.ledger import Ledger
from casehand.queue.outcome import Done
from casehand.queue.vault import KEY_BYTES, Vault

_, url, master, worker, *cases = sys.argv
ledger = Ledger.open(url, Vault(bytes.fromhex(master)))
for case in cases:
    begun = attempts.begin(ledger, case, 1, worker)
    if begun is not None and endings.end(ledger, begun, Done(None), "[]", Backoff(), 0.0):
        print(case)
ledger.close()
"""


def _end(ledger: Ledger, begun: Begun, outcome: Outcome) -> State | None:
    return endings.end(ledger, begun, outcome, '[{"name": "find the claim"}]', BACKOFF, 0.0)


def _lose(ledger: Ledger, begun: Begun, loss: Loss = Loss.CRASH) -> State | None:
    why = "the horse died"
    return endings.abandon(ledger, begun.case, begun.number, why, "worker-1", loss, BACKOFF, 0.0)


def _attempt_rows(ledger: Ledger, case: str) -> list[Any]:
    query = select(schema.attempts).where(schema.attempts.c.case == case).order_by(schema.attempts.c.number)
    with ledger.reading() as connection:
        return list(connection.execute(query))


def _reason(ledger: Ledger, row: Any) -> str:
    return ledger.vault.open_key(row.id, row.key).open_text(row.sealed_reason)


def test_an_attempt_that_begins_has_all_it_needs_of_its_case(
    ledger: Ledger, take_in: TakeIn, row_of: RowOf, audit_of: AuditOf, pass_time: PassTime
) -> None:
    case = take_in("HB000125", {"weekly_rent": "112.40"})

    begun = attempts.begin(ledger, case, 1, "worker-1")

    assert begun is not None
    assert (begun.case, begun.number, begun.worker, begun.reference) == (case, 1, "worker-1", "HB000125")
    assert json.loads(begun.data) == {"weekly_rent": "112.40"}
    assert not begun.after_failure
    assert (dict(begun.answers), begun.unresolved, begun.made) == ({}, (), frozenset())
    row = row_of(case)
    assert (row.state, row.attempts, row.worker) == ("working", 1, "worker-1")
    assert row.lease_until == ledger.clock() + LEASE
    assert audit_of(case) == [("begun", "queued", "working")]


@pytest.mark.parametrize("number", [0, 1, 3, -1])
def test_an_attempt_of_the_wrong_number_does_not_begin(
    ledger: Ledger, take_in: TakeIn, row_of: RowOf, number: int
) -> None:
    case = take_in(attempts=1)

    assert attempts.begin(ledger, case, number, "worker-1") is None
    assert row_of(case).state == "queued"


@pytest.mark.parametrize("state", [state for state in State if state is not State.QUEUED])
def test_a_case_that_is_not_queued_does_not_begin(
    ledger: Ledger, take_in: TakeIn, row_of: RowOf, state: State
) -> None:
    case = take_in(state=state)

    assert attempts.begin(ledger, case, 1, "worker-1") is None
    assert row_of(case).state == state


def test_an_unknown_case_is_nobodys_to_begin_renew_or_lose(ledger: Ledger) -> None:
    assert attempts.begin(ledger, "nowhere", 1, "worker-1") is None
    assert attempts.renew(ledger, [("nowhere", 1)])
    assert (
        endings.abandon(ledger, "nowhere", 1, "the horse died", "worker-1", Loss.CRASH, BACKOFF, 0.0) is None
    )


def test_a_case_does_not_begin_before_its_time(
    ledger: Ledger, take_in: TakeIn, begin: Begin, pass_time: PassTime
) -> None:
    case = take_in(not_before=ledger.clock() + timedelta(seconds=10))

    pass_time(seconds=9.999)
    assert attempts.begin(ledger, case, 1, "worker-1") is None
    pass_time(seconds=0.001)
    begin(case)


def test_a_job_whose_case_was_cancelled_meanwhile_begins_nothing(
    ledger: Ledger, take_in: TakeIn, row_of: RowOf
) -> None:
    case = take_in()
    escalations.cancel(ledger, case, "a person")

    assert attempts.begin(ledger, case, 1, "worker-1") is None
    assert row_of(case).state == "cancelled"


def test_a_job_handed_over_twice_begins_once(ledger: Ledger, take_in: TakeIn, begin: Begin) -> None:
    case = take_in()
    begun = begin(case)
    assert attempts.begin(ledger, case, 1, "worker-2") is None

    _end(ledger, begun, Waiting("the bot is closed"))
    assert attempts.begin(ledger, case, 1, "worker-2") is None
    assert attempts.begin(ledger, case, 2, "worker-2") is not None


def test_a_lease_lives_as_long_as_it_is_renewed(
    ledger: Ledger, take_in: TakeIn, begin: Begin, pass_time: PassTime
) -> None:
    begun = begin(take_in())
    for _ in range(4):
        pass_time(seconds=LEASE.total_seconds() - 0.001)
        assert not attempts.renew(ledger, [(begun.case, 1)])
    assert endings.take_back_expired(ledger, "worker-2", BACKOFF, 0.0) == []


def test_a_lease_that_ran_out_cannot_be_renewed_though_nobody_has_taken_the_case_yet(
    ledger: Ledger, take_in: TakeIn, begin: Begin, pass_time: PassTime
) -> None:
    begun = begin(take_in())
    pass_time(seconds=LEASE.total_seconds())

    assert attempts.renew(ledger, [(begun.case, 1)])
    assert commits.intend(ledger, begun.case, 1, CHANGE, "benefits", SETTLES) is None


def test_a_case_whose_lease_ran_out_is_taken_back_after_the_grace_and_begun_by_another(
    ledger: Ledger, take_in: TakeIn, begin: Begin, row_of: RowOf, audit_of: AuditOf, pass_time: PassTime
) -> None:
    case = take_in()
    begin(case)
    pass_time(seconds=(LEASE + GRACE).total_seconds())
    assert endings.take_back_expired(ledger, "worker-2", BACKOFF, 0.0) == []
    pass_time(seconds=0.001)

    assert endings.take_back_expired(ledger, "worker-2", BACKOFF, 0.0) == [case]

    row = row_of(case)
    assert (row.state, row.worker, row.lease_until, row.crashes, row.failures) == ("queued", None, None, 1, 0)
    assert _reason(ledger, row) == "the worker was lost"
    assert [action for action, _, _ in audit_of(case)] == ["begun", "lost"]
    (lost,) = _attempt_rows(ledger, case)
    assert (lost.end, lost.ended_at) == ("lost", ledger.clock())
    assert begin(case, "worker-2").after_failure


def test_a_case_whose_key_is_damaged_does_not_keep_another_from_being_taken_back(
    ledger: Ledger, take_in: TakeIn, begin: Begin, row_of: RowOf, pass_time: PassTime
) -> None:
    damaged, sound = take_in("HB000125"), take_in("HB000126")
    begin(damaged)
    begin(sound)
    with ledger.writing() as connection:
        connection.execute(
            update(schema.cases).where(schema.cases.c.id == damaged).values(key=b"no key at all")
        )
    pass_time(seconds=(LEASE + GRACE).total_seconds() + 1)

    assert endings.take_back_expired(ledger, "worker-2", BACKOFF, 0.0) == [sound]
    assert row_of(damaged).state == "working"


def test_a_clock_put_back_takes_no_case_from_anybody(
    ledger: Ledger, take_in: TakeIn, begin: Begin, pass_time: PassTime
) -> None:
    begun = begin(take_in())
    pass_time(hours=-1)

    assert endings.take_back_expired(ledger, "worker-2", BACKOFF, 0.0) == []
    assert not attempts.renew(ledger, [(begun.case, 1)])
    assert _end(ledger, begun, Done(None)) is State.DONE


def test_an_attempt_that_ends_after_its_lease_but_before_anybody_took_the_case_is_heard(
    ledger: Ledger, take_in: TakeIn, begin: Begin, pass_time: PassTime
) -> None:
    begun = begin(take_in())
    pass_time(hours=1)

    assert _end(ledger, begun, Done(None)) is State.DONE


@pytest.mark.parametrize(
    "outcome",
    [
        Done('{"weekly_award": "80.00"}'),
        Failed("the page is late"),
        Waiting("the bot is closed"),
        Escalated(EscalationKind.BUSINESS, "the claim is closed"),
    ],
    ids=lambda outcome: type(outcome).__name__,
)
def test_an_attempt_that_ends_after_the_case_went_to_another_writes_nothing(
    ledger: Ledger,
    take_in: TakeIn,
    begin: Begin,
    row_of: RowOf,
    audit_of: AuditOf,
    pass_time: PassTime,
    outcome: Outcome,
) -> None:
    case = take_in()
    late = begin(case)
    commits.intend(ledger, case, 1, CHANGE, "benefits", SETTLES)
    pass_time(seconds=30)
    endings.take_back_expired(ledger, "worker-2", BACKOFF, 0.0)
    pass_time(seconds=61)
    current = begin(case, "worker-2")
    assert commits.resolve(ledger, case, 2, current.unresolved[0].id, CommitState.NOT_MADE)
    commits.intend(ledger, case, 2, CHANGE, "benefits", SETTLES)
    before = row_of(case), audit_of(case), _attempt_rows(ledger, case)

    assert _end(ledger, late, outcome) is None

    assert (row_of(case), audit_of(case), _attempt_rows(ledger, case)) == before
    with ledger.reading() as connection:
        (open_one,) = commits.unresolved(connection, case)
    assert (open_one.attempt, open_one.body_ended_at) == (2, None)


def test_an_attempt_ends_once(ledger: Ledger, take_in: TakeIn, begin: Begin, audit_of: AuditOf) -> None:
    begun = begin(take_in())
    assert _end(ledger, begun, Done(None)) is State.DONE

    assert _end(ledger, begun, Failed("the page is late")) is None
    assert _lose(ledger, begun) is None
    assert [action for action, _, _ in audit_of(begun.case)] == ["begun", "done"]


def test_a_case_that_is_done_keeps_its_result_and_the_steps_of_the_attempt(
    ledger: Ledger, take_in: TakeIn, begin: Begin, row_of: RowOf
) -> None:
    begun = begin(take_in())
    _end(ledger, begun, Done('{"weekly_award": "80.00"}'))

    row = row_of(begun.case)
    assert begun.key.open_text(row.sealed_result) == '{"weekly_award": "80.00"}'
    assert (row.worker, row.lease_until, row.sealed_reason) == (None, None, None)
    (attempt,) = _attempt_rows(ledger, begun.case)
    assert attempt.end == "done"
    assert begun.key.open_text(attempt.sealed_steps) == '[{"name": "find the claim"}]'


def test_a_failure_is_tried_again_after_a_wait_until_its_tries_are_spent(
    ledger: Ledger, take_in: TakeIn, begin: Begin, row_of: RowOf, pass_time: PassTime
) -> None:
    case = take_in()
    waits = []
    for _ in range(BACKOFF.limit):
        begun = begin(case)
        assert _end(ledger, begun, Failed("the page is late")) is State.QUEUED
        waits.append((row_of(case).not_before - ledger.clock()).total_seconds())
        pass_time(minutes=15)

    assert (
        _end(ledger, begin(case), Failed("the page is late", Scene("http://x/", "1.png"))) is State.ESCALATED
    )

    assert waits == [5, 15, 45]
    (waiting,) = escalations.waiting(ledger)
    assert (waiting.kind, waiting.reason) == (EscalationKind.FAILURE, "the page is late")
    assert (waiting.page, waiting.screenshot, waiting.attempt) == ("http://x/", "1.png", BACKOFF.limit + 1)


def test_to_wait_costs_a_case_none_of_its_tries(
    ledger: Ledger, take_in: TakeIn, begin: Begin, row_of: RowOf, pass_time: PassTime
) -> None:
    case = take_in()
    for _ in range(10):
        until = ledger.clock() + timedelta(minutes=1)
        assert _end(ledger, begin(case), Waiting("the bot is closed", until)) is State.QUEUED
        assert row_of(case).not_before == until
        pass_time(minutes=1)

    row = row_of(case)
    assert (row.failures, row.crashes, _reason(ledger, row)) == (0, 0, "the bot is closed")


def test_the_attempt_after_a_failure_is_traced(
    ledger: Ledger, take_in: TakeIn, begin: Begin, pass_time: PassTime
) -> None:
    case = take_in()
    _end(ledger, begin(case), Waiting("the bot is closed"))
    _end(ledger, begin(case), Failed("the page is late"))
    pass_time(minutes=1)
    _end(ledger, begin(case), Done(None))

    assert [row.traced for row in _attempt_rows(ledger, case)] == [False, False, True]


def test_a_case_that_kills_its_horse_three_times_is_put_in_front_of_a_person(
    ledger: Ledger, take_in: TakeIn, begin: Begin, pass_time: PassTime
) -> None:
    case = take_in()
    for _ in range(MOST_CRASHES - 1):
        assert _lose(ledger, begin(case)) is State.QUEUED
        pass_time(minutes=15)

    assert _lose(ledger, begin(case)) is State.ESCALATED

    (waiting,) = escalations.waiting(ledger)
    assert waiting.kind is EscalationKind.FAILURE
    assert waiting.reason == "the horse died, 3 times with this case"


def test_a_worker_that_is_stopped_costs_the_case_nothing(
    ledger: Ledger, take_in: TakeIn, begin: Begin, row_of: RowOf
) -> None:
    case = take_in()
    for _ in range(MOST_CRASHES + 2):
        assert _lose(ledger, begin(case), Loss.STOP) is State.QUEUED

    row = row_of(case)
    assert (row.crashes, row.failures, row.not_before <= ledger.clock()) == (0, 0, True)


def test_a_case_that_was_stopped_by_hand_waits_for_a_person(
    ledger: Ledger, take_in: TakeIn, begin: Begin
) -> None:
    assert _lose(ledger, begin(take_in()), Loss.ORDER) is State.ESCALATED


def test_a_horse_that_is_said_to_be_dead_after_it_ended_its_attempt_changes_nothing(
    ledger: Ledger, take_in: TakeIn, begin: Begin, row_of: RowOf
) -> None:
    begun = begin(take_in())
    _end(ledger, begun, Done(None))

    assert _lose(ledger, begun) is None
    assert row_of(begun.case).state == "done"


def test_a_worker_that_was_given_the_same_job_too_late_takes_nothing_from_the_one_that_has_it(
    ledger: Ledger, take_in: TakeIn, begin: Begin, row_of: RowOf
) -> None:
    begun = begin(take_in())
    assert attempts.begin(ledger, begun.case, 1, "worker-2") is None

    given = (ledger, begun.case, 1, "the horse died", "worker-2", Loss.CRASH, BACKOFF, 0.0)
    assert endings.abandon(*given) is None

    assert (row_of(begun.case).state, row_of(begun.case).worker) == ("working", "worker-1")
    assert not attempts.renew(ledger, [(begun.case, 1)])


def test_two_with_one_reference_are_never_in_work_at_once_though_the_first_comes_back_meanwhile(
    ledger: Ledger,
    known: str,
    take_in: TakeIn,
    escalate: Callable[..., Begun],
    pass_time: PassTime,
) -> None:
    make_known(ledger, "housing-benefit/letter", ["benefits"], timedelta(minutes=5))
    first = escalate(take_in()).case
    pass_time(seconds=1)
    second = take_in(workflow="housing-benefit/letter")
    in_the_midst, go_on = Event(), Event()

    def hold_up(*given: Any) -> None:
        # The second has been moved, and no other transaction can see that yet.
        if "INSERT INTO attempts" in given[2] and not in_the_midst.is_set():
            in_the_midst.set()
            assert go_on.wait(30)

    def bring_back() -> Begun | None:
        escalations.send_back(ledger, first, "a person")
        return attempts.begin(ledger, first, 2, "worker-1")

    event.listen(ledger.engine, "before_cursor_execute", hold_up)
    with ThreadPoolExecutor(2) as pool:
        of_the_second = pool.submit(attempts.begin, ledger, second, 1, "worker-2")
        assert in_the_midst.wait(30)
        of_the_first = pool.submit(bring_back)
        wait([of_the_first], timeout=1)
        go_on.set()
        assert of_the_second.result() is not None
        assert of_the_first.result() is None


@pytest.mark.parametrize("loss", [Loss.CRASH, Loss.STOP])
def test_a_case_with_a_change_that_may_be_on_its_way_waits_until_that_has_settled(
    ledger: Ledger, take_in: TakeIn, begin: Begin, row_of: RowOf, pass_time: PassTime, loss: Loss
) -> None:
    begun = begin(take_in())
    commits.intend(ledger, begun.case, 1, CHANGE, "benefits", SETTLES)
    pass_time(seconds=3)

    _lose(ledger, begun, loss)

    assert row_of(begun.case).not_before == ledger.clock() + SETTLES
    pass_time(seconds=60)
    (unresolved,) = begin(begun.case).unresolved
    assert (unresolved.name, unresolved.attempt) == (CHANGE, 1)
    assert unresolved.counts_from == ledger.clock()


def test_a_failure_in_the_midst_of_a_change_is_looked_at_once_more_and_is_then_in_doubt(
    ledger: Ledger, take_in: TakeIn, begin: Begin, pass_time: PassTime
) -> None:
    case = take_in(failures=BACKOFF.limit)
    begun = begin(case)
    commits.intend(ledger, case, begun.number, CHANGE, "benefits", SETTLES)
    assert _end(ledger, begun, Failed("the answer never came")) is State.QUEUED
    pass_time(minutes=30)

    assert _end(ledger, begin(case), Failed("the system is away")) is State.ESCALATED

    (waiting,) = escalations.waiting(ledger)
    assert waiting.kind is EscalationKind.IN_DOUBT


def test_a_case_is_not_done_while_nobody_knows_whether_its_change_was_made(
    ledger: Ledger, take_in: TakeIn, begin: Begin
) -> None:
    begun = begin(take_in())
    commits.intend(ledger, begun.case, 1, CHANGE, "benefits", SETTLES)

    assert _end(ledger, begun, Done(None)) is State.ESCALATED

    (waiting,) = escalations.waiting(ledger)
    assert waiting.kind is EscalationKind.IN_DOUBT


def test_a_reason_of_a_megabyte_or_with_half_a_character_is_kept(
    ledger: Ledger, take_in: TakeIn, begin: Begin, row_of: RowOf
) -> None:
    huge = "the page said \x00 and \ud83d then " + "é" * 1_000_000
    begun = begin(take_in())

    assert _end(ledger, begun, Escalated(EscalationKind.FAULT, huge)) is State.ESCALATED

    assert _reason(ledger, row_of(begun.case)) == huge.replace("\ud83d", "\\ud83d")


def test_nothing_of_a_case_is_readable_in_any_table_but_its_reference(
    ledger: Ledger, take_in: TakeIn, begin: Begin, pass_time: PassTime
) -> None:
    secrets = ["Mrs Invented", "112.40", "80.15", "cancelled since", "rises by", "anyway", "/claims/"]
    case = take_in("HB000125", {"claimant": "Mrs Invented", "weekly_rent": "112.40"})
    question = {"prompt": "The rent rises by 14%", "choices": ["yes anyway"], "key": "f" * 64}
    scene = Scene("http://127.0.0.1/claims/HB000125")
    _end(ledger, begin(case), Escalated(EscalationKind.QUESTION, "rises by 14%", json.dumps(question), scene))
    escalations.answer(ledger, case, "yes anyway", "a person")
    _end(ledger, begin(case), Failed("cancelled since", scene))
    pass_time(minutes=1)
    _end(ledger, begin(case), Done('{"weekly_award": "80.15"}'))

    with ledger.reading() as connection:
        rows = [
            str(value)
            for table in schema.metadata.sorted_tables
            for row in connection.execute(select(table))
            for value in row
        ]
    assert "HB000125" in rows
    assert [secret for secret in secrets for value in rows if secret in value] == []


def test_of_twenty_threads_that_begin_one_case_one_gets_it(ledger: Ledger, take_in: TakeIn) -> None:
    cases = [take_in(f"HB{number:06}") for number in range(5)]
    together = Barrier(20)

    def reach(worker: int) -> list[Begun | None]:
        together.wait()
        return [attempts.begin(ledger, case, 1, f"worker-{worker}") for case in cases]

    with ThreadPoolExecutor(20) as pool:
        got = list(pool.map(reach, range(20)))

    assert [sum(begun is not None for begun in of_case) for of_case in zip(*got, strict=True)] == [1] * 5
    assert all(len(_attempt_rows(ledger, case)) == 1 for case in cases)


def test_of_four_processes_that_work_the_same_cases_each_case_is_worked_once(
    ledger: Ledger, ledger_url: str, take_in: TakeIn, audit_of: AuditOf
) -> None:
    master = os.urandom(KEY_BYTES)
    ledger.vault = Vault(master)
    cases = [take_in(f"HB{number:06}") for number in range(25)]
    work = [sys.executable, "-c", WORK_ALL, ledger_url, master.hex()]
    workers = [
        subprocess.Popen([*work, f"worker-{number}", *cases], stdout=subprocess.PIPE, text=True)
        for number in range(4)
    ]

    worked = [worker.communicate(timeout=60)[0].split() for worker in workers]

    assert [worker.returncode for worker in workers] == [0] * 4
    assert sorted(case for one in worked for case in one) == sorted(cases)
    moves = [("begun", "queued", "working"), ("done", "working", "done")]
    assert all(audit_of(case) == moves for case in cases)


def test_an_end_and_a_taking_back_at_the_same_moment_leave_one_of_the_two(
    ledger: Ledger, take_in: TakeIn, begin: Begin, row_of: RowOf, audit_of: AuditOf, pass_time: PassTime
) -> None:
    begun = [begin(take_in(f"HB{number:06}")) for number in range(15)]
    for one in begun:
        commits.intend(ledger, one.case, 1, CHANGE, "benefits", SETTLES)
    pass_time(minutes=1)
    together = Barrier(2)

    def end_all() -> list[State | None]:
        together.wait()
        return [_end(ledger, one, Failed("the answer never came")) for one in begun]

    def take_back_all() -> list[State | None]:
        together.wait()
        return [_lose(ledger, one) for one in begun]

    with ThreadPoolExecutor(2) as pool:
        ended, lost = (future.result() for future in [pool.submit(end_all), pool.submit(take_back_all)])

    assert [(one is None) + (other is None) for one, other in zip(ended, lost, strict=True)] == [1] * 15
    for one in begun:
        assert row_of(one.case).state == "queued"
        assert len(audit_of(one.case)) == 2
