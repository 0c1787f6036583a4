"""What may miss its due date, by measured pace and the hours that bots are open."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from casehand.queue import endings
from casehand.queue.attempts import Begun
from casehand.queue.backoff import Backoff
from casehand.queue.ledger import Ledger
from casehand.queue.outcome import Done
from casehand.queue.pace import measured
from casehand.queue.pauses import PauseKind, pause
from casehand.queue.risk import Outlook, Why, list_at_risk

TakeIn = Callable[..., str]
PassTime = Callable[..., None]


def _always(workflow: str, begin: datetime, end: datetime) -> timedelta:
    return end - begin


def _never(workflow: str, begin: datetime, end: datetime) -> timedelta:
    return timedelta()


@pytest.fixture
def worked(
    ledger: Ledger, known: str, pass_time: PassTime, take_in: TakeIn, begin: Callable[..., Begun]
) -> None:
    """Six cases worked one after another, in a minute each."""
    for number in range(6):
        begun = begin(take_in(f"HB9{number:05}"))
        pass_time(minutes=1)
        endings.end(ledger, begun, Done(None), "[]", Backoff(), 0.0)


def _due(ledger: Ledger, take_in: TakeIn, number: int, **span: float) -> list[str]:
    due = ledger.clock() + timedelta(**span)
    return [take_in(f"HB{line:06}", line=line, due=due) for line in range(number)]


@pytest.mark.usefixtures("worked")
def test_the_pace_is_that_of_the_last_time_that_cases_were_worked(
    ledger: Ledger, pass_time: PassTime
) -> None:
    assert measured(ledger) == pytest.approx(1 / 60)
    pass_time(days=3)
    assert measured(ledger) == pytest.approx(1 / 60)


@pytest.mark.usefixtures("worked")
def test_those_that_come_in_last_are_at_risk_where_not_all_are_worked_in_time(
    ledger: Ledger, take_in: TakeIn
) -> None:
    # It is 9:06: until 11:00, to which it is reckoned, 114 cases can be worked.
    cases = _due(ledger, take_in, 120, minutes=114)

    (risk,) = Outlook(ledger, _always).at_risk()

    assert (risk.queued, risk.number, risk.why) == (120, 6, Why.PACE)
    listed = [line.id for line, _ in list_at_risk(ledger, [risk], None)]
    assert listed == cases[-6:]
    assert [Outlook(ledger, _always).risk_of(case) for case in (cases[-7], cases[-6])] == [None, Why.PACE]


@pytest.mark.usefixtures("worked")
def test_what_goes_before_them_counts_and_what_comes_after_does_not(ledger: Ledger, take_in: TakeIn) -> None:
    _due(ledger, take_in, 3, minutes=114)
    assert Outlook(ledger, _always).at_risk() == []
    for number in range(120):
        take_in(f"CT{number:06}", line=number, priority=-1)
    assert Outlook(ledger, _always).at_risk() == []
    for number in range(113):
        take_in(f"PP{number:06}", line=number, priority=1)

    (risk,) = Outlook(ledger, _always).at_risk()

    assert risk.number == 2


@pytest.mark.usefixtures("worked")
def test_no_time_counts_in_which_the_bots_are_closed(ledger: Ledger, known: str, take_in: TakeIn) -> None:
    _due(ledger, take_in, 2, hours=30)
    assert Outlook(ledger, _always).at_risk([known]) == []
    assert Outlook(ledger, _never).at_risk(["another"]) == []

    (risk,) = Outlook(ledger, _never).at_risk([known])

    assert (risk.number, risk.why) == (2, Why.PACE)


@pytest.mark.usefixtures("worked")
def test_what_is_held_back_is_at_risk_on_its_last_day(
    ledger: Ledger, known: str, take_in: TakeIn, pass_time: PassTime
) -> None:
    _due(ledger, take_in, 2, hours=30)
    pause(ledger, PauseKind.BOT, "benefits", "it is being moved", "a person")
    assert Outlook(ledger, _always).at_risk() == []
    pass_time(hours=7)

    (risk,) = Outlook(ledger, _always).at_risk()

    assert (risk.number, risk.why) == (2, Why.HELD)


@pytest.mark.usefixtures("worked")
def test_what_waits_while_nothing_is_worked_is_at_risk_but_not_while_it_is_closed(
    ledger: Ledger, take_in: TakeIn, pass_time: PassTime
) -> None:
    _due(ledger, take_in, 2, hours=8)
    pass_time(minutes=20)
    assert [one.why for one in Outlook(ledger, _always).at_risk()] == [Why.STILL]

    def opens_later(workflow: str, begin: datetime, end: datetime) -> timedelta:
        return max(end - max(begin, ledger.clock()), timedelta())

    assert Outlook(ledger, opens_later).at_risk() == []


@pytest.mark.usefixtures("known")
def test_what_may_not_begin_in_time_is_at_risk_and_what_was_never_worked_has_no_pace(
    ledger: Ledger, pass_time: PassTime, take_in: TakeIn
) -> None:
    due: Any = ledger.clock() + timedelta(days=3)
    case = take_in("HB000001", due=due, not_before=due)
    take_in("HB000002", due=due)

    assert measured(ledger) is None
    assert [(one.number, one.why) for one in Outlook(ledger, _always).at_risk()] == [(1, Why.LATER)]
    assert Outlook(ledger, _always).risk_of(case) is Why.LATER
