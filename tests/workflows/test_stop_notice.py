"""Universal Credit stop notices: each rule with a case that meets it and one that just does not, and the faults."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from casehand import BusinessException
from casehand.bots.benefits import Award, Payment
from casehand.fixtures.practice.mischief import Kind
from casehand.fixtures.practice.options import Options
from casehand.fixtures.practice.seed import ordinary_claim
from casehand.fixtures.practice.server import PracticeServer
from casehand.testing import Work, faults
from casehand.workflows.stop_notice import (
    StopNotice,
    check_rules,
    maximum_benefit,
    run_on_of,
    stop_award,
)

STARTS, LAST_DAY = date(2026, 6, 8), date(2026, 6, 7)
NOTICE = StopNotice(
    claim="HB000001", claimant="Mx Test Ash", address="1 Nowhere Street, Exampleton", starts=STARTS
)
AWARD = Award(
    claimant="Mx Test Ash",
    partner=None,
    address="1 Nowhere Street, Exampleton",
    status="Live",
    tenure="Social",
    accommodation="General",
    payee="Landlord",
    weekly_rent=Decimal("110.00"),
    ineligible_charges=Decimal("10.00"),
    allowance=Decimal("95.00"),
    spare_bedrooms=0,
    non_dependant_deduction=Decimal("0.00"),
    paid_up_to=None,
    last_day=None,
    payments=(),
)
PAID_AHEAD, CREDITED = "HB400101", "HB400102"
RUN_ON = Payment(STARTS, date(2026, 6, 21), Decimal("100.00"), "Landlord")


@pytest.mark.parametrize(
    ("award", "notice", "words"),
    [
        ({"accommodation": "Specified"}, {}, "the accommodation is specified: the award goes on"),
        ({"accommodation": "Temporary"}, {}, "the accommodation is temporary: the award goes on"),
        ({"partner": "Mx Partner Ash"}, {}, "the claim is a joint one"),
        ({"status": "Ended", "last_day": date(2026, 6, 6)}, {}, "has ended already, on 06/06/2026"),
        ({"paid_up_to": STARTS}, {}, "there would be an overpayment: paid up to 08/06/2026"),
        ({"status": "Suspended"}, {}, "the claim is suspended"),
        ({"status": "Ended"}, {}, "the claim is ended"),
        ({}, {"address": "11 Nowhere Street, Exampleton"}, "the address on the notice is not the claim's"),
        ({}, {"claimant": "Mx Test Aspen"}, "another person"),
        ({"payments": (RUN_ON._replace(payee="Claimant"),)}, {}, "something else has been paid"),
        ({"payments": (RUN_ON, RUN_ON._replace(payee="Claimant"))}, {}, "something else has been paid"),
    ],
)
def test_a_person_decides(award: Any, notice: Any, words: str) -> None:
    with pytest.raises(BusinessException, match=words):
        check_rules(NOTICE.model_copy(update=notice), replace(AWARD, **award))


@pytest.mark.parametrize(
    ("award", "notice"),
    [
        ({}, {}),
        ({"paid_up_to": LAST_DAY}, {}),
        ({"status": "Ended", "last_day": LAST_DAY}, {}),
        ({"status": "Ended", "last_day": LAST_DAY, "paid_up_to": STARTS}, {}),
        ({"status": "Ended", "last_day": LAST_DAY, "payments": (RUN_ON,)}, {}),
        ({}, {"address": "1  nowhere street Exampleton"}),
        ({}, {"address": "5 Elsewhere Road, Exampleton", "moved": True}),
    ],
)
def test_the_robot_goes_on(award: Any, notice: Any) -> None:
    check_rules(NOTICE.model_copy(update=notice), replace(AWARD, **award))


@pytest.mark.parametrize(
    ("payee", "moved", "paid_to"),
    [
        ("Landlord", False, "Landlord"),
        ("Landlord", True, "Claimant"),
        ("Claimant", False, "Claimant"),
        ("Claimant", True, "Claimant"),
    ],
)
def test_the_landlord_is_paid_if_he_was_paid_before_and_nobody_has_moved(
    payee: str, moved: bool, paid_to: str
) -> None:
    run_on = run_on_of(NOTICE.model_copy(update={"moved": moved}), replace(AWARD, payee=payee))
    assert run_on.payee == paid_to


def test_the_run_on_is_fourteen_days_from_the_first_day_of_universal_credit() -> None:
    run_on = run_on_of(NOTICE, AWARD)
    assert run_on == RUN_ON
    assert (run_on.last_day - run_on.first_day).days + 1 == 14


@pytest.mark.parametrize(
    ("award", "weekly"),
    [
        ({}, "100.00"),
        ({"spare_bedrooms": 1}, "86.00"),
        ({"spare_bedrooms": 2}, "75.00"),
        ({"spare_bedrooms": 3}, "75.00"),
        ({"non_dependant_deduction": Decimal("19.65")}, "80.35"),
        ({"non_dependant_deduction": Decimal("200.00")}, "0.00"),
        ({"tenure": "Private"}, "95.00"),
        ({"tenure": "Private", "allowance": Decimal("250.00")}, "110.00"),
        ({"tenure": "Private", "spare_bedrooms": 1}, "95.00"),
        ({"weekly_rent": Decimal("110.01"), "spare_bedrooms": 2}, "75.01"),
    ],
)
def test_the_run_on_is_at_the_maximum_whatever_income_took(award: Any, weekly: str) -> None:
    assert maximum_benefit(replace(AWARD, **award)) == Decimal(weekly)


@pytest.fixture(scope="module")
def practice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PracticeServer]:
    claims = [ordinary_claim(f"HB{number:06}") for number in range(400001, 400041)]
    claims.append(replace(ordinary_claim(PAID_AHEAD), paid_up_to=STARTS))
    # Charges that are a credit make the maximum more than the rent, which the system does not pay.
    claims.append(replace(ordinary_claim(CREDITED), ineligible_charges=Decimal("-0.01")))
    with PracticeServer(tmp_path_factory.mktemp("stop") / "practice", claims, Options(pieces=0)) as server:
        yield server


@pytest.fixture
def bot_settings(practice: PracticeServer) -> Mapping[str, Mapping[str, str]]:
    given = {"url": practice.url, "username": practice.username, "password": practice.password}
    return {"benefits": given}


@pytest.fixture
def count_changes(practice: PracticeServer) -> Callable[[], int]:
    return lambda: len(practice.journal())


@pytest.fixture
def notice(practice: PracticeServer, tmp_path: Path) -> StopNotice:
    """A notice for a claim that no other test has ended."""
    used = {entry.reference for entry in practice.journal()}
    claim = next(
        one
        for one in (ordinary_claim(f"HB{number:06}") for number in range(400001, 400041))
        if one.reference not in used
    )
    return StopNotice(claim=claim.reference, claimant=claim.claimant, address=claim.address, starts=STARTS)


@faults.every(faults.BEGIN, "end the award", "pay two more weeks")
def test_an_award_is_ended_and_the_run_on_paid_once_whatever_happens(work: Work, notice: StopNotice) -> None:
    work(stop_award, notice).should_be_done(last_day=LAST_DAY).should_have_changed(
        "end the award", "pay two more weeks"
    )


def test_a_second_notice_for_the_same_date_is_done_already(work: Work, notice: StopNotice) -> None:
    work(stop_award, notice).should_be_done()
    again = work(stop_award, notice).should_be_done().should_have_changed_nothing()
    again.should_have_found("end the award", "pay two more weeks")


def test_a_second_notice_for_another_date_is_for_a_person(work: Work, notice: StopNotice) -> None:
    work(stop_award, notice).should_be_done()
    other = notice.model_copy(update={"starts": date(2026, 6, 9)})
    work(stop_award, other).should_need_a_person("has ended already").should_have_changed_nothing()


@pytest.mark.parametrize("kind", [Kind.ERROR_AFTER, Kind.COLLEAGUE_SAVES])
def test_mischief_of_the_system_is_met(
    work: Work, notice: StopNotice, practice: PracticeServer, count_changes: Any, kind: Kind
) -> None:
    practice.plant(notice.claim, kind)
    work.count_changes = None
    work(stop_award, notice).should_be_done()
    kinds = [entry.kind for entry in practice.journal() if entry.reference == notice.claim]
    assert [one for one in kinds if one != "contact"] == ["award-end", "payment"]


def notice_about(reference: str) -> StopNotice:
    claim = ordinary_claim(reference)
    return StopNotice(claim=reference, claimant=claim.claimant, address=claim.address, starts=STARTS)


def test_an_award_that_is_paid_beyond_its_end_is_for_a_person_before_anything_is_changed(work: Work) -> None:
    paid_ahead = work(stop_award, notice_about(PAID_AHEAD))
    paid_ahead.should_need_a_person("an overpayment: paid up to 08/06/2026").should_have_changed_nothing()


def test_what_the_system_refuses_is_for_a_person_in_its_own_words(work: Work, notice: StopNotice) -> None:
    early = notice.model_copy(update={"starts": date(2020, 1, 6)})
    refused = work(stop_award, early).should_need_a_person("Last day is before the award began")
    refused.should_have_changed_nothing()


def test_what_was_done_stays_visible_when_the_system_refuses_the_payment(work: Work) -> None:
    refused = work(stop_award, notice_about(CREDITED))
    refused.should_need_a_person("Weekly amount is above the rent").should_have_changed("end the award")
