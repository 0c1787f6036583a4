"""Rent changes: each rule with a case that meets it and one that just does not, and the faults."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from itertools import count
from typing import Any

import pytest

from casehand import BusinessException
from casehand.bots.benefits import Rent
from casehand.fixtures.practice import claims
from casehand.fixtures.practice.options import Options
from casehand.fixtures.practice.seed import ordinary_claim
from casehand.fixtures.practice.server import PracticeServer
from casehand.testing import Work, faults
from casehand.workflows.rent_change import RentChange, change_rent, check_rules, in_words

STARTS = date(2026, 4, 6)
CHANGE = RentChange(claim="HB000001", weekly_rent=Decimal("105.00"), from_date=STARTS, claimant="Mx Test Ash")
LAST_YEARS = Rent(Decimal("100.00"), date(2025, 4, 7))
COMMIT = "put the new rent on the claim"
NUMBERS = range(410001, 410041)


@pytest.mark.parametrize(
    ("change", "status", "rents", "words"),
    [
        ({}, "Ended", [LAST_YEARS], "the claim is ended"),
        ({}, "Suspended", [LAST_YEARS], "the claim is suspended"),
        ({}, "Live", [], "the claim has no rent to change"),
        ({}, "Live", [LAST_YEARS._replace(weekly_rent=Decimal("0.00"))], "the claim has no rent to change"),
        (
            {},
            "Live",
            [Rent(Decimal("105.00"), date(2026, 4, 7)), LAST_YEARS],
            "rent already starts later, on 07/04/2026",
        ),
        ({}, "Live", [Rent(Decimal("104.99"), STARTS), LAST_YEARS], "another rent from that day: £104.99"),
        ({"weekly_rent": Decimal("125.01")}, "Live", [LAST_YEARS], "the rent rises by 25.1%"),
        ({"weekly_rent": Decimal("74.99")}, "Live", [LAST_YEARS], "the rent falls by 25.1%"),
        ({"weekly_rent": Decimal("1.00")}, "Live", [LAST_YEARS], "the rent falls by 99%"),
    ],
)
def test_a_person_decides(change: Any, status: str, rents: list[Rent], words: str) -> None:
    with pytest.raises(BusinessException, match=words):
        check_rules(CHANGE.model_copy(update=change), status, rents)


@pytest.mark.parametrize(
    ("change", "rents"),
    [
        ({}, [LAST_YEARS]),
        ({}, [Rent(Decimal("104.99"), date(2026, 4, 5)), LAST_YEARS]),
        ({"weekly_rent": Decimal("125.00")}, [LAST_YEARS]),
        ({"weekly_rent": Decimal("75.00")}, [LAST_YEARS]),
        ({"weekly_rent": Decimal("0.01")}, [LAST_YEARS._replace(weekly_rent=Decimal("0.01"))]),
    ],
)
def test_no_rule_stops_it(change: Any, rents: list[Rent]) -> None:
    check_rules(CHANGE.model_copy(update=change), "Live", rents)


@pytest.mark.parametrize(
    ("percent", "words"), [("10.01", "10.1"), ("-10.01", "10.1"), ("14", "14"), ("25.00", "25")]
)
def test_what_is_above_a_bound_does_not_look_as_if_it_were_on_it(percent: str, words: str) -> None:
    assert in_words(Decimal(percent)) == words


@pytest.fixture(scope="module")
def practice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PracticeServer]:
    """Claims with a rent of £100."""
    rents = (claims.Rent(date(2025, 4, 7), Decimal("100.00")),)
    given = [replace(ordinary_claim(f"HB{number}"), rents=rents) for number in NUMBERS]
    with PracticeServer(tmp_path_factory.mktemp("rents") / "practice", given, Options(pieces=0)) as server:
        yield server


@pytest.fixture
def bot_settings(practice: PracticeServer) -> Mapping[str, Mapping[str, str]]:
    given = {"url": practice.url, "username": practice.username, "password": practice.password}
    return {"benefits": given}


@pytest.fixture
def count_changes(practice: PracticeServer) -> Callable[[], int]:
    return lambda: len(practice.journal())


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    return count(NUMBERS[0])


@pytest.fixture
def change(numbers: Iterator[int]) -> RentChange:
    """A new rent for a claim that no other test changes."""
    claim = ordinary_claim(f"HB{next(numbers)}")
    return CHANGE.model_copy(update={"claim": claim.reference, "claimant": claim.claimant})


@faults.every()
def test_a_rent_is_put_on_once_whatever_happens(work: Work, change: RentChange) -> None:
    work(change_rent, change).should_be_done().should_have_changed(COMMIT)


@pytest.mark.parametrize("rent", ["110.00", "90.00"])
def test_ten_per_cent_is_put_through(work: Work, change: RentChange, rent: str) -> None:
    within = change.model_copy(update={"weekly_rent": Decimal(rent)})
    work(change_rent, within).should_be_done().should_have_changed(COMMIT)


@pytest.mark.parametrize(("rent", "verb"), [("110.01", "rises"), ("89.99", "falls")])
def test_more_than_ten_per_cent_is_asked_about(work: Work, change: RentChange, rent: str, verb: str) -> None:
    above = change.model_copy(update={"weekly_rent": Decimal(rent)})
    asked = work(change_rent, above).should_have_asked(f"The rent {verb} by 10.1%. Put it through?")
    asked.should_have_changed_nothing()


@pytest.mark.parametrize(("rent", "noun"), [("125.00", "rise"), ("75.00", "fall")])
def test_what_is_turned_down_is_for_a_person(work: Work, change: RentChange, rent: str, noun: str) -> None:
    above = change.model_copy(update={"weekly_rent": Decimal(rent)})
    turned_down = work(change_rent, above, answers={"by 25%": "no"})
    turned_down.should_need_a_person(f"a {noun} of 25% was turned down").should_have_changed_nothing()


def test_the_same_rent_from_the_same_day_is_done_already_and_another_is_for_a_person(
    work: Work, change: RentChange
) -> None:
    work(change_rent, change).should_be_done()
    work(change_rent, change).should_be_done().should_have_changed_nothing().should_have_found(COMMIT)
    corrected = change.model_copy(update={"weekly_rent": Decimal("106.00")})
    refused = work(change_rent, corrected).should_need_a_person("another rent from that day: £105.00")
    refused.should_have_changed_nothing()


def test_another_persons_claim_is_left_alone(work: Work, change: RentChange) -> None:
    other = change.model_copy(update={"claimant": "Mx Test Other"})
    work(change_rent, other).should_need_a_person("another person's").should_have_changed_nothing()
