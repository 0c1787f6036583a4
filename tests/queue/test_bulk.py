"""Acting on many: the list of the moment it began, each case once, whatever dies."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import event, func, select

from casehand.exceptions import CasehandError
from casehand.queue import (
    assignments,
    attempts,
    bulk,
    bulk_turn,
    commits,
    endings,
    escalations,
    leases,
    schema,
)
from casehand.queue.attempts import Begun
from casehand.queue.backoff import Backoff
from casehand.queue.bulk import (
    STATES,
    BulkAction,
    BulkState,
    Came,
    NoSuchBulk,
    all_bulks,
    begin,
    find_bulk,
    list_bulks,
    outcomes,
    preview_bulk,
)
from casehand.queue.bulk_filter import FIRST, BulkFilter, digests_of_words
from casehand.queue.cases import tell
from casehand.queue.escalations import similar, waiting
from casehand.queue.ledger import Ledger
from casehand.queue.outcome import Escalated, EscalationKind
from casehand.queue.state import State
from casehand.queue.vault import KEY_BYTES, Vault
from casehand.queue.waiting import NoSuchCase

TakeIn = Callable[..., str]
Escalate = Callable[..., Begun]
PassTime = Callable[..., None]
RowOf = Callable[[str], Any]

WORKFLOW = "housing-benefit/rent-change"
RENTS = BulkFilter(workflow=WORKFLOW)
WHY = "the wrong file"


def work_through(ledger: Ledger, which: str) -> None:
    bulk_turn.turn(ledger, "worker-1", timedelta(minutes=1))
    assert find_bulk(ledger, which).state is BulkState.DONE


def states(ledger: Ledger) -> Counter[str]:
    with ledger.reading() as connection:
        return Counter(connection.execute(select(schema.cases.c.state)).scalars())


def test_many_are_cancelled_each_with_an_audit_entry_that_names_the_action(
    ledger: Ledger, take_in: TakeIn
) -> None:
    cases = [take_in(f"HB{number:06}") for number in range(45)]

    which = begin(ledger, BulkAction.CANCEL, RENTS, WHY, "s.sample")
    assert states(ledger) == {State.QUEUED: 45}
    work_through(ledger, which)

    assert states(ledger) == {State.CANCELLED: 45}
    done = find_bulk(ledger, which)
    assert (done.total, done.done, done.refused, done.left) == (45, 45, 0, 0)
    entries = schema.audit.c
    with ledger.reading() as connection:
        of_cases = connection.execute(
            select(entries.actor, entries.detail).where(entries.subject.in_(cases))
        ).all()
        of_bulk = connection.execute(
            select(entries.action, entries.reason, entries.detail)
            .where(entries.subject == f"bulk {which}")
            .order_by(entries.id)
        ).all()
    assert [tuple(row) for row in of_cases] == [("s.sample", f"bulk {which}")] * 45
    assert [tuple(row) for row in of_bulk] == [
        ("bulk begun", WHY, f'cancel: {{"workflow": "{WORKFLOW}"}}'),
        ("bulk listed", None, "45 cases"),
        ("bulk done", None, "45 done, 0 refused, of 45"),
    ]
    assert {tell(ledger, case).line.reason for case in cases} == {WHY}


def test_there_is_no_bare_all(ledger: Ledger, take_in: TakeIn) -> None:
    take_in()

    for act in (
        lambda: begin(ledger, BulkAction.CANCEL, BulkFilter(), WHY, "s.sample"),
        lambda: preview_bulk(ledger, BulkAction.CANCEL, BulkFilter()),
    ):
        with pytest.raises(CasehandError, match="say which cases"):
            act()
    assert all_bulks(ledger) == []


def test_a_preview_tells_how_many_and_which_come_first_and_writes_nothing(
    ledger: Ledger, take_in: TakeIn, pass_time: PassTime
) -> None:
    for number in range(FIRST + 5):
        take_in(f"HB{number:06}")
        pass_time(seconds=1)

    seen = preview_bulk(ledger, BulkAction.CANCEL, RENTS)

    assert seen.total == FIRST + 5
    assert [one.reference for one in seen.first] == [f"HB{number:06}" for number in range(FIRST)]
    assert all_bulks(ledger) == []
    assert preview_bulk(ledger, BulkAction.CLOSE, RENTS).total == 0


def test_the_list_is_that_of_the_moment_it_began(
    ledger: Ledger, take_in: TakeIn, pass_time: PassTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "LISTED_AT_ONCE", 2)
    early = [take_in(f"HB{number:06}") for number in range(5)]
    which = begin(ledger, BulkAction.CANCEL, RENTS, WHY, "s.sample")
    pass_time(seconds=1)
    late = take_in("HB000099")

    work_through(ledger, which)

    assert [one.case for one in outcomes(ledger, which)] == sorted(early)
    assert tell(ledger, late).line.state is State.QUEUED


def test_a_filter_takes_in_what_all_of_it_applies_to(
    ledger: Ledger, take_in: TakeIn, escalate: Escalate
) -> None:
    soon, later = datetime(2026, 12, 1, tzinfo=UTC), datetime(2026, 12, 31, tzinfo=UTC)
    take_in("HB000001", batch="a")
    take_in("HB000002", batch="b", due=soon)
    take_in("HB000003", batch="b", due=later)
    escalate(take_in("HB000004", batch="b"))
    failed = take_in("HB000005", batch="a")
    escalate(failed, EscalationKind.FAILURE)
    assignments.take(ledger, failed, "m.sample")
    take_in("HB000006", workflow="council-tax/moves")
    take_in("HB000007", batch="a", state=State.DONE)

    def found(**what: Any) -> list[str]:
        seen = preview_bulk(ledger, BulkAction.SET_PRIORITY, BulkFilter(**what))
        assert seen.total == len(seen.first)
        return [one.reference[-1] for one in sorted(seen.first, key=lambda one: one.reference)]

    assert found(workflow=WORKFLOW) == ["1", "2", "3", "4", "5"]
    assert found(batch="a") == ["1", "5"]
    assert found(batch="b", state=State.QUEUED) == ["2", "3"]
    assert found(state=State.ESCALATED) == ["4", "5"]
    assert found(kind=EscalationKind.FAILURE) == ["5"]
    assert found(due_before=datetime(2026, 12, 24, tzinfo=UTC)) == ["2"]
    assert found(assigned_to="m.sample") == ["5"]
    assert found(batch="b", kind=EscalationKind.FAILURE) == []
    assert found(alike=b"nothing".hex()) == []
    with pytest.raises(CasehandError, match="are over"):
        found(state=State.DONE)
    with pytest.raises(CasehandError, match="no such reason"):
        found(alike="not a digest")


def test_a_filter_finds_cases_by_the_words_of_why_they_wait_and_keeps_no_word(
    ledger: Ledger, take_in: TakeIn, escalate: Escalate
) -> None:
    escalate(take_in("HB000001"), reason="the claim of Ms Invented is closed")
    escalate(take_in("HB000002"), reason="the claim of Mr Sample is closed")
    take_in("HB000003")

    def found(words: str) -> list[str]:
        which = BulkFilter(words=digests_of_words(ledger.vault, words))
        return sorted(one.reference for one in preview_bulk(ledger, BulkAction.CLOSE, which).first)

    assert found("closed CLAIM") == ["HB000001", "HB000002"]
    assert found("invented closed") == ["HB000001"]
    assert found("invented sample") == []
    with pytest.raises(CasehandError, match="too short"):
        found("of")
    which = BulkFilter(words=digests_of_words(ledger.vault, "Invented"))
    bulk_id = begin(ledger, BulkAction.CLOSE, which, WHY, "s.sample", "by hand")
    assert "nvented" not in find_bulk(ledger, bulk_id).filter
    work_through(ledger, bulk_id)
    assert [one.reference for one in outcomes(ledger, bulk_id)] == ["HB000001"]


def test_similar_ones_are_settled_together(ledger: Ledger, take_in: TakeIn, escalate: Escalate) -> None:
    for number in range(3):
        escalate(take_in(f"HB{number:06}"), reason=f"the rent rises by {number}%")
    escalate(take_in("HB000009"), reason="the claim is closed")
    first = waiting(ledger)[0]

    assert [one.reference for one in similar(ledger, first.id)] == ["HB000001", "HB000002"]
    which = begin(ledger, BulkAction.RETURN, BulkFilter(alike=first.alike), WHY, "s.sample")
    work_through(ledger, which)
    assert [one.reference for one in waiting(ledger)] == ["HB000009"]


def test_a_filter_comes_back_from_the_ledger_as_it_was() -> None:
    due = datetime(2026, 12, 24, tzinfo=UTC)
    which = BulkFilter("w", "b", State.QUEUED, EscalationKind.IN_DOUBT, "00", due, "m.sample", ("00", "11"))

    assert BulkFilter.from_text(which.as_text()) == which


@pytest.mark.parametrize(
    ("action", "value"),
    [
        (BulkAction.RETURN, None),
        (BulkAction.CLOSE, "told the landlord"),
        (BulkAction.HAND_ON, "p.sample"),
        (BulkAction.SET_DUE, "2026-12-24T12:00:00+00:00"),
        (BulkAction.SET_PRIORITY, "7"),
        (BulkAction.CANCEL, None),
    ],
)
def test_each_action_does_to_each_case_what_it_does_to_one(
    ledger: Ledger, take_in: TakeIn, escalate: Escalate, row_of: RowOf, action: BulkAction, value: str | None
) -> None:
    cases = [take_in(f"HB{number:06}") for number in range(3)]
    for case in cases:
        escalate(case)
    assignments.take(ledger, cases[1], "m.sample")

    which = begin(ledger, action, BulkFilter(kind=EscalationKind.BUSINESS), WHY, "s.sample", value)
    work_through(ledger, which)

    assert {one.outcome for one in outcomes(ledger, which)} == {Came.DONE}
    for case in cases:
        row = row_of(case)
        match action:
            case BulkAction.RETURN:
                assert row.state == State.QUEUED
            case BulkAction.CLOSE:
                assert (row.state, tell(ledger, case).line.reason) == (State.CLOSED, value)
            case BulkAction.CANCEL:
                assert row.state == State.CANCELLED
            case BulkAction.SET_PRIORITY:
                assert row.priority == 7
            case BulkAction.SET_DUE:
                assert row.due == datetime(2026, 12, 24, 12, tzinfo=UTC)
            case BulkAction.HAND_ON:
                assert tell(ledger, case).escalations[-1].assigned_to == "p.sample"


@pytest.mark.parametrize(
    ("action", "value", "words"),
    [
        (BulkAction.CLOSE, None, "say what was done"),
        (BulkAction.HAND_ON, " ", "say to whom"),
        (BulkAction.SET_DUE, "2026-12-24", "with the time zone"),
        (BulkAction.SET_DUE, None, "with the time zone"),
        (BulkAction.SET_PRIORITY, "high", "a whole number"),
        (BulkAction.SET_PRIORITY, "1001", "from -1000 to 1000"),
        (BulkAction.PUT_OFF, "2026-12-24", "with the time zone"),
        (BulkAction.PUT_OFF, "1999-12-24T12:00+00:00", "a year from 2000"),
        (BulkAction.RETURN, "soon", "or 'late'"),
        (BulkAction.CANCEL, "something", "nothing more than a reason"),
    ],
)
def test_what_an_action_needs_is_asked_for_before_anything_begins(
    ledger: Ledger, take_in: TakeIn, action: BulkAction, value: str | None, words: str
) -> None:
    take_in()

    with pytest.raises(CasehandError, match=words):
        begin(ledger, action, RENTS, WHY, "s.sample", value)
    with pytest.raises(CasehandError, match="say why"):
        begin(ledger, BulkAction.CANCEL, RENTS, " ", "s.sample")
    with pytest.raises(CasehandError, match="a reason has at most"):
        begin(ledger, BulkAction.CANCEL, RENTS, "x" * 1_001, "s.sample")
    assert all_bulks(ledger) == []


def test_a_selection_is_taken_as_it_was_made(ledger: Ledger, take_in: TakeIn) -> None:
    cases = [take_in(f"HB{number:06}") for number in range(4)]

    which = begin(ledger, BulkAction.CANCEL, [cases[2], cases[0], cases[2]], WHY, "s.sample")
    work_through(ledger, which)

    assert [one.case for one in outcomes(ledger, which)] == [cases[2], cases[0]]
    assert states(ledger) == {State.CANCELLED: 2, State.QUEUED: 2}
    with pytest.raises(NoSuchCase):
        begin(ledger, BulkAction.CANCEL, [cases[1], "nowhere"], WHY, "s.sample")
    with pytest.raises(NoSuchCase):
        begin(ledger, BulkAction.CANCEL, [cases[1]], WHY, "s.sample", workflows={"another"})
    for nothing in ([], BulkFilter(batch="nowhere")):
        with pytest.raises(CasehandError, match=r"no case is selected|no such cases"):
            begin(ledger, BulkAction.CANCEL, nothing, WHY, "s.sample")
    assert len(all_bulks(ledger)) == 1


def test_actions_on_many_are_listed_from_either_end_in_parts(
    ledger: Ledger, take_in: TakeIn, pass_time: PassTime
) -> None:
    for number in range(6):
        workflow = "another" if number == 2 else WORKFLOW
        case = take_in(f"HB{number:06}", workflow=workflow)
        begin(ledger, BulkAction.CANCEL, [case], WHY, "s.sample")
        # Some begin at the same moment.
        pass_time(seconds=number % 2)
    latest, oldest = list_bulks(ledger), list_bulks(ledger, oldest_first=True)
    (others,) = list_bulks(ledger, ["another"])

    assert latest == oldest[::-1]
    assert [one.begun_at for one in oldest] == sorted(one.begun_at for one in oldest)
    for listed, oldest_first in ((latest, False), (oldest, True)):
        mine = [one for one in listed if one != others]
        assert list_bulks(ledger, [WORKFLOW], oldest_first=oldest_first) == mine
        for place, one in enumerate(listed):
            behind = list_bulks(ledger, limit=2, after=one.id, oldest_first=oldest_first)
            assert behind == listed[place + 1 : place + 3]
    with pytest.raises(NoSuchBulk):
        list_bulks(ledger, after="nowhere")


def test_a_case_that_it_cannot_be_done_to_is_kept_with_why_and_holds_up_no_other(
    ledger: Ledger, take_in: TakeIn, begin: Callable[..., Begun]
) -> None:
    ended, worked, fine = (take_in(f"HB{number:06}") for number in range(3))
    begin(worked)
    which = bulk.begin(ledger, BulkAction.CANCEL, RENTS, WHY, "s.sample")
    escalations.cancel(ledger, ended, "m.sample")

    work_through(ledger, which)

    came = {one.case: (one.outcome, one.why) for one in outcomes(ledger, which)}
    assert came[fine] == (Came.DONE, None)
    assert came[worked] == (Came.REFUSED, "only a case that is queued or escalated can be cancelled")
    assert came[ended][0] is Came.REFUSED
    assert "m.sample settled it on" in str(came[ended][1])
    assert [one.case for one in outcomes(ledger, which, Came.DONE)] == [fine]
    assert (find_bulk(ledger, which).done, find_bulk(ledger, which).refused) == (1, 2)


def test_what_a_case_waits_for_later_is_not_what_was_decided_on(
    ledger: Ledger, take_in: TakeIn, escalate: Escalate
) -> None:
    case = take_in()
    escalate(case)
    bulks = [
        begin(ledger, action, [case], WHY, "s.sample", value)
        for action, value in (
            (BulkAction.CLOSE, "told the landlord"),
            (BulkAction.RETURN, None),
            (BulkAction.HAND_ON, "p.sample"),
            (BulkAction.CANCEL, None),
        )
    ]
    escalations.send_back(ledger, case, "m.sample")
    escalate(case, EscalationKind.FAILURE, "the screen is another")

    bulk_turn.turn(ledger, "worker-1")

    for which in bulks:
        (one,) = outcomes(ledger, which)
        assert one.outcome is Came.REFUSED
        assert "m.sample settled it on" in str(one.why)
    assert [one.assigned_to for one in waiting(ledger)] == [None]


def test_a_case_in_doubt_is_not_ended_among_many(
    ledger: Ledger, take_in: TakeIn, begin: Callable[..., Begun]
) -> None:
    case = take_in()
    begun = begin(case)
    commits.intend(ledger, case, begun.number, "pay", "benefits", timedelta(seconds=60))
    endings.end(ledger, begun, Escalated(EscalationKind.IN_DOUBT, "no way to tell"), "[]", Backoff(), 0.0)

    for action, value in ((BulkAction.CANCEL, None), (BulkAction.CLOSE, "by hand")):
        which = bulk.begin(ledger, action, RENTS, WHY, "s.sample", value)
        work_through(ledger, which)
        (one,) = outcomes(ledger, which)
        assert (one.outcome, "settle this case by itself" in str(one.why)) == (Came.REFUSED, True)
    assert tell(ledger, case).line.state is State.ESCALATED
    assert len(waiting(ledger)) == 1


def test_it_waits_while_it_is_paused_and_ends_where_it_is_cancelled(
    ledger: Ledger, take_in: TakeIn, pass_time: PassTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_turn, "A_FEW", 2)
    for number in range(7):
        take_in(f"HB{number:06}")
    which = begin(ledger, BulkAction.CANCEL, RENTS, WHY, "s.sample")
    some_of = find_bulk(ledger, which)
    assert bulk_turn._some(ledger, some_of) == 2

    bulk.pause(ledger, which, "s.sample")
    assert bulk_turn.turn(ledger, "worker-1") == 0
    assert bulk_turn._some(ledger, some_of) == 0  # one who looked before it was paused
    assert states(ledger) == {State.CANCELLED: 2, State.QUEUED: 5}
    with pytest.raises(CasehandError, match="is paused"):
        bulk.pause(ledger, which, "s.sample")

    bulk.resume(ledger, which, "s.sample")
    assert bulk_turn._some(ledger, some_of) == 2
    bulk.cancel(ledger, which, "s.sample")
    assert bulk_turn.turn(ledger, "worker-1") == 0
    assert states(ledger) == {State.CANCELLED: 4, State.QUEUED: 3}
    over = find_bulk(ledger, which)
    assert (over.state, over.done, over.left, over.ended_at) == (BulkState.CANCELLED, 4, 3, ledger.clock())
    for change in (bulk.pause, bulk.resume, bulk.cancel):
        with pytest.raises(CasehandError, match="is cancelled"):
            change(ledger, which, "s.sample")
    with pytest.raises(NoSuchBulk):
        bulk.pause(ledger, "nowhere", "s.sample")


def test_one_process_at_a_time_goes_on_with_it(ledger: Ledger, take_in: TakeIn) -> None:
    take_in()
    begin(ledger, BulkAction.CANCEL, RENTS, WHY, "s.sample")
    assert leases.hold(ledger, bulk_turn.LEASE, "worker-2", timedelta(seconds=10))

    assert bulk_turn.turn(ledger, "worker-1") == 0
    bulk_turn.end_turn(ledger, "worker-2")
    assert bulk_turn.turn(ledger, "worker-1") == 1


def test_several_that_go_on_with_it_at_once_do_each_case_once(
    ledger: Ledger, ledger_url: str, vault: Vault, take_in: TakeIn
) -> None:
    cases = [take_in(f"HB{number:06}") for number in range(60)]
    which = begin(ledger, BulkAction.SET_PRIORITY, RENTS, WHY, "s.sample", "3")
    others = [Ledger.open(ledger_url, vault) for _ in range(3)]

    def go_on(one: Ledger) -> None:
        while find_bulk(one, which).state is BulkState.WORKING:
            bulk_turn._some(one, find_bulk(one, which))

    threads = [Thread(target=go_on, args=(one,)) for one in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in others:
        one.close()

    assert_each_was_done_once(ledger, which, cases)


def assert_each_was_done_once(ledger: Ledger, which: str, cases: list[str]) -> None:
    entries = schema.audit.c
    with ledger.reading() as connection:
        told = Counter(
            connection.execute(
                select(entries.subject).where(entries.detail.contains(f"bulk {which}"))
            ).scalars()
        )
        listed = connection.execute(select(func.count()).select_from(schema.bulk_cases)).scalar_one()
    assert told == dict.fromkeys(cases, 1)
    over = find_bulk(ledger, which)
    assert (over.state, over.total, over.done, over.refused) == (BulkState.DONE, len(cases), len(cases), 0)
    assert listed == len(cases)
    assert {one.outcome for one in outcomes(ledger, which)} == {Came.DONE}


KILLED = """
import json, os, signal, sys
from sqlalchemy import event
from casehand.queue import bulk, bulk_turn
from casehand.queue.bulk import BulkAction
from casehand.queue.bulk_filter import BulkFilter
from casehand.queue.ledger import Ledger
from casehand.queue.vault import Vault

url, key, action, value, moment = json.loads(sys.argv[1])
ledger = Ledger.open(url, Vault(bytes.fromhex(key)))
bulk.LISTED_AT_ONCE = 3
left = moment

def strike(*_):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

def written(connection, cursor, statement, *_):
    if statement.lstrip().split()[0] in ("INSERT", "UPDATE", "DELETE"):
        strike()

event.listen(ledger.engine, "after_cursor_execute", written)
event.listen(ledger.engine, "commit", strike)
begun = bulk.all_bulks(ledger)
if not begun:
    bulk.begin(ledger, BulkAction(action), BulkFilter(workflow="housing-benefit/rent-change"), "why", "s.sample", value)
bulk_turn.turn(ledger, f"worker-{os.getpid()}")
print(moment - left)
"""


def go_on_and_die(
    url: str, vault_key: bytes, action: BulkAction, value: str | None, moment: int
) -> int | None:
    """A process that begins a bulk action, or goes on with it, and dies at a write; how many there were if not."""
    order = json.dumps([url, vault_key.hex(), action, value, moment])
    ran = subprocess.run([sys.executable, "-c", KILLED, order], capture_output=True, text=True, check=False)
    if ran.returncode == -signal.SIGKILL:
        return None
    assert ran.returncode == 0, ran.stderr
    return int(ran.stdout)


@pytest.fixture
def vault_key() -> bytes:
    return os.urandom(KEY_BYTES)


@pytest.fixture
def vault(vault_key: bytes) -> Vault:
    """One whose key another process can be given."""
    return Vault(vault_key)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("action", "value"),
    [(BulkAction.CANCEL, None), (BulkAction.SET_PRIORITY, "3")],
    ids=["cancel", "priority"],
)
def test_a_process_killed_between_any_two_writes_neither_leaves_a_case_out_nor_does_one_twice(
    ledger: Ledger,
    ledger_url: str,
    vault_key: bytes,
    take_in: TakeIn,
    monkeypatch: pytest.MonkeyPatch,
    action: BulkAction,
    value: str | None,
) -> None:
    cases = [take_in(f"HB{number:06}") for number in range(4)]
    deaths = 0
    # Dies at its first write, at its second and so on; what each leaves, the next goes on with.
    for moment in range(1, 200):
        writes = go_on_and_die(ledger_url, vault_key, action, value, moment)
        if writes is not None:
            break
        deaths += 1
        with ledger.writing() as connection:
            # Its lease would run out by itself; the next must not wait ten seconds for that.
            connection.execute(schema.leases.delete())

    assert deaths >= 10
    (only,) = all_bulks(ledger)
    assert_each_was_done_once(ledger, only.id, cases)


class PowerCut(Exception):
    """Everything is gone that was not committed."""


@pytest.mark.parametrize("action", BulkAction)
def test_power_cut_at_each_statement_of_a_turn_leaves_nothing_half_done(
    ledger: Ledger, take_in: TakeIn, escalate: Escalate, action: BulkAction
) -> None:
    values = {
        BulkAction.CLOSE: "by hand",
        BulkAction.HAND_ON: "p.sample",
        BulkAction.SET_DUE: "2026-12-24T12:00:00+00:00",
        BulkAction.SET_PRIORITY: "7",
        BulkAction.PUT_OFF: "2026-12-24T12:00:00+00:00",
    }
    state = State.QUEUED if action is BulkAction.PUT_OFF else State.ESCALATED
    cases = [take_in(f"HB{number:06}") for number in range(2)]
    for case in cases if state is State.ESCALATED else []:
        escalate(case)
    which = begin(ledger, action, BulkFilter(state=state), WHY, "s.sample", values.get(action))
    cuts = 0
    for moment in range(1, 500):
        left = moment

        def strike(*_: Any) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise PowerCut

        event.listen(ledger.engine, "before_cursor_execute", strike)
        event.listen(ledger.engine, "commit", strike)
        try:
            bulk_turn.turn(ledger, "worker-1")
        except PowerCut:
            cuts += 1
        finally:
            event.remove(ledger.engine, "before_cursor_execute", strike)
            event.remove(ledger.engine, "commit", strike)
        assert_audit_and_list_agree(ledger, which)
        if find_bulk(ledger, which).state is BulkState.DONE and left > 0:
            break
    assert cuts >= 10
    assert_each_was_done_once(ledger, which, cases)


def assert_audit_and_list_agree(ledger: Ledger, which: str) -> None:
    entries = schema.audit.c
    with ledger.reading() as connection:
        told = connection.execute(
            select(entries.subject).where(entries.detail.contains(f"bulk {which}"))
        ).scalars()
        noted = {one.case for one in outcomes(ledger, which, Came.DONE)}
        assert Counter(told) == dict.fromkeys(noted, 1)
    assert find_bulk(ledger, which).done == len(noted)


def test_states_are_given_for_every_action() -> None:
    assert set(STATES) == set(bulk_turn._DO) == set(BulkAction)


def test_what_is_queued_is_put_off_and_what_is_in_work_is_left_alone(
    ledger: Ledger, take_in: TakeIn, row_of: Callable[[str], Any]
) -> None:
    until = datetime(2026, 12, 24, 12, tzinfo=UTC)
    queued, working = take_in("HB000001"), take_in("HB000002")
    selected = begin(ledger, BulkAction.PUT_OFF, [queued, working], WHY, "s.sample", until.isoformat())
    assert attempts.begin(ledger, working, 1, "worker-1") is not None

    work_through(ledger, selected)

    assert row_of(queued).not_before == until
    assert attempts.begin(ledger, queued, 1, "worker-1") is None
    (refused,) = outcomes(ledger, selected, Came.REFUSED)
    assert refused.why == "the case is working: only one that is queued can be put off"
