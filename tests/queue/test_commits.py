"""Intents: written before a change is tried, and what becomes of them."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from casehand.queue import attempts, commits, endings, escalations
from casehand.queue.attempts import LEASE, Begun
from casehand.queue.backoff import Backoff
from casehand.queue.commits import CommitState, Intent, StillUnresolved
from casehand.queue.endings import Loss
from casehand.queue.ledger import Ledger
from casehand.queue.outcome import Done, Escalated, EscalationKind, Failed

TakeIn = Callable[..., str]
Begin = Callable[..., Begun]
PassTime = Callable[..., None]
AuditOf = Callable[[str], list[tuple[str, str | None, str | None]]]

SETTLES = timedelta(seconds=60)
RENT, LETTER = "put the new rent on the claim", "send the letter"


def _intend(ledger: Ledger, begun: Begun, name: str = RENT) -> int:
    intent = commits.intend(ledger, begun.case, begun.number, name, "benefits", SETTLES)
    assert intent is not None
    return intent


def _of(ledger: Ledger, case: str) -> list[Intent]:
    with ledger.reading() as connection:
        return commits.of_case(connection, case)


def _crash(ledger: Ledger, begun: Begun) -> None:
    endings.abandon(ledger, begun.case, begun.number, "died", "worker-1", Loss.CRASH, Backoff(), 0.0)


def test_the_time_to_settle_is_never_cut_short_by_rounding(
    ledger: Ledger, take_in: TakeIn, begin: Begin
) -> None:
    begun = begin(take_in())

    commits.intend(ledger, begun.case, 1, RENT, "benefits", timedelta(seconds=2.4))

    assert _of(ledger, begun.case)[0].settles == timedelta(seconds=3)


def test_an_intent_is_in_the_ledger_before_the_body_runs(
    ledger: Ledger, take_in: TakeIn, begin: Begin, pass_time: PassTime
) -> None:
    begun = begin(take_in())

    intent = _intend(ledger, begun)

    (written,) = _of(ledger, begun.case)
    assert written == Intent(
        id=intent,
        attempt=1,
        name=RENT,
        bot="benefits",
        state=CommitState.INTENDED,
        settles=SETTLES,
        intended_at=ledger.clock(),
        body_ended_at=None,
        resolved_at=None,
        resolved_by=None,
    )
    assert written.counts_from is None


def test_a_change_that_was_made_is_noted_with_who_found_so(
    ledger: Ledger, take_in: TakeIn, begin: Begin, audit_of: AuditOf
) -> None:
    begun = begin(take_in())
    intent = _intend(ledger, begun)

    assert commits.resolve(ledger, begun.case, 1, intent, CommitState.MADE)

    (made,) = _of(ledger, begun.case)
    assert (made.state, made.resolved_by) == (CommitState.MADE, "attempt 1")
    assert audit_of(begun.case)[-1][0] == "commit made"
    with ledger.reading() as connection:
        assert commits.unresolved(connection, begun.case) == []


def test_what_is_resolved_once_stays_as_it_is(
    ledger: Ledger, take_in: TakeIn, begin: Begin, audit_of: AuditOf
) -> None:
    begun = begin(take_in())
    intent = _intend(ledger, begun)
    commits.resolve(ledger, begun.case, 1, intent, CommitState.MADE)

    commits.resolve(ledger, begun.case, 1, intent, CommitState.NOT_MADE)

    (made,) = _of(ledger, begun.case)
    assert made.state is CommitState.MADE
    assert [action for action, _, _ in audit_of(begun.case)] == ["begun", "commit made"]


def test_an_attempt_cannot_resolve_an_intent_of_another_case(
    ledger: Ledger, take_in: TakeIn, begin: Begin
) -> None:
    mine, other = begin(take_in("HB000001")), begin(take_in("HB000002"))
    intent = _intend(ledger, other)

    commits.resolve(ledger, mine.case, 1, intent, CommitState.NOT_MADE)

    assert [one.state for one in _of(ledger, other.case)] == [CommitState.INTENDED]


def test_what_was_there_already_is_noted_and_open_no_more(
    ledger: Ledger, take_in: TakeIn, begin: Begin
) -> None:
    begun = begin(take_in())

    assert commits.found(ledger, begun.case, 1, RENT, "benefits")

    (found,) = _of(ledger, begun.case)
    assert found.state is CommitState.FOUND
    assert endings.end(ledger, begun, Done(None), "[]", Backoff(), 0.0) == "done"


def _lease_run_out(ledger: Ledger, begun: Begun, pass_time: PassTime) -> None:
    pass_time(seconds=LEASE.total_seconds())


def _worked_by_another(ledger: Ledger, begun: Begun, pass_time: PassTime) -> None:
    _crash(ledger, begun)
    pass_time(minutes=15)
    assert attempts.begin(ledger, begun.case, begun.number + 1, "worker-2")


def _over(ledger: Ledger, begun: Begun, pass_time: PassTime) -> None:
    endings.end(ledger, begun, Failed("the page is late"), "[]", Backoff(), 0.0)


@pytest.mark.parametrize("lose", [_lease_run_out, _worked_by_another, _over])
def test_an_attempt_that_no_longer_holds_the_case_can_write_nothing_of_a_change(
    ledger: Ledger,
    take_in: TakeIn,
    begin: Begin,
    pass_time: PassTime,
    lose: Callable[[Ledger, Begun, PassTime], None],
) -> None:
    begun = begin(take_in())
    intent = _intend(ledger, begun)
    lose(ledger, begun, pass_time)
    before = _of(ledger, begun.case)

    assert commits.intend(ledger, begun.case, 1, LETTER, "post", SETTLES) is None
    assert not commits.found(ledger, begun.case, 1, LETTER, "post")
    assert not commits.resolve(ledger, begun.case, 1, intent, CommitState.MADE)

    assert _of(ledger, begun.case) == before


def test_no_second_body_may_run_while_the_first_is_not_known_as_not_made(
    ledger: Ledger, take_in: TakeIn, begin: Begin, pass_time: PassTime
) -> None:
    first = begin(take_in())
    _intend(ledger, first)
    with pytest.raises(StillUnresolved, match=RENT):
        _intend(ledger, first)
    _crash(ledger, first)
    pass_time(minutes=15)
    second = begin(first.case)
    with pytest.raises(StillUnresolved, match=RENT):
        _intend(ledger, second)

    commits.resolve(ledger, second.case, 2, second.unresolved[0].id, CommitState.NOT_MADE)

    _intend(ledger, second)
    assert [intent.state for intent in _of(ledger, first.case)] == [
        CommitState.NOT_MADE,
        CommitState.INTENDED,
    ]


def test_two_changes_of_one_case_are_resolved_each_on_its_own(
    ledger: Ledger, take_in: TakeIn, begin: Begin, pass_time: PassTime
) -> None:
    first = begin(take_in())
    rent = _intend(ledger, first, RENT)
    _intend(ledger, first, LETTER)
    commits.resolve(ledger, first.case, 1, rent, CommitState.MADE)
    _crash(ledger, first)
    pass_time(minutes=15)

    second = begin(first.case)

    assert [intent.name for intent in second.unresolved] == [LETTER]
    assert second.made == {RENT}


def test_a_no_counts_only_when_a_body_that_has_ended_has_settled(
    ledger: Ledger, take_in: TakeIn, begin: Begin, pass_time: PassTime
) -> None:
    begun = begin(take_in())
    _intend(ledger, begun)
    pass_time(seconds=7)
    endings.end(ledger, begun, Failed("the answer never came"), "[]", Backoff(), 0.0)
    ended = ledger.clock()
    pass_time(minutes=1)

    (intent,) = begin(begun.case).unresolved

    assert intent.body_ended_at == ended
    assert intent.counts_from == ended + SETTLES


def test_a_later_attempt_does_not_move_the_time_from_which_a_no_counts(
    ledger: Ledger, take_in: TakeIn, begin: Begin, pass_time: PassTime
) -> None:
    case = take_in()
    begun = begin(case)
    _intend(ledger, begun)
    _crash(ledger, begun)
    (before,) = _of(ledger, case)
    for _ in range(2):
        pass_time(minutes=15)
        endings.end(ledger, begin(case), Failed("the system is away"), "[]", Backoff(), 0.0)

    (after,) = _of(ledger, case)
    assert after.counts_from == before.counts_from


def test_changes_that_stand_are_told_to_every_later_attempt_until_the_data_is_amended(
    ledger: Ledger, take_in: TakeIn, begin: Begin
) -> None:
    begun = begin(take_in())
    commits.resolve(ledger, begun.case, 1, _intend(ledger, begun), CommitState.MADE)
    outcome = Escalated(EscalationKind.BUSINESS, "the letter cannot be sent")
    endings.end(ledger, begun, outcome, "[]", Backoff(), 0.0)
    escalations.send_back(ledger, begun.case, "a person")
    assert begin(begun.case).made == {RENT}

    endings.abandon(ledger, begun.case, 2, "stopped", "worker-1", Loss.ORDER, Backoff(), 0.0)
    escalations.send_back(ledger, begun.case, "a person", amended='{"weekly_rent": "120.00"}')
    third = begin(begun.case)
    assert third.made == frozenset()

    commits.resolve(ledger, begun.case, 3, _intend(ledger, third), CommitState.MADE)
    endings.abandon(ledger, begun.case, 3, "stopped", "worker-1", Loss.STOP, Backoff(), 0.0)
    assert begin(begun.case).made == {RENT}
    assert [intent.state for intent in _of(ledger, begun.case)] == [CommitState.MADE] * 2


def test_the_audit_tells_nothing_of_a_change_that_nobody_intended(
    ledger: Ledger, take_in: TakeIn, escalate: Callable[..., Begun], audit_of: AuditOf
) -> None:
    case = take_in()
    escalate(case, EscalationKind.IN_DOUBT)

    escalations.answer(ledger, case, escalations.WAS_NOT_DONE, "a person")

    assert [action for action, _, _ in audit_of(case)] == ["begun", "escalated", "answered"]
