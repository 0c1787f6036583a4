"""Single view of debt: three systems are read, none is changed, and nobody's debt is told as another's."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

import pytest

from casehand.fixtures.council_tax.accounts import Account as TaxAccount
from casehand.fixtures.council_tax.accounts import Property
from casehand.fixtures.council_tax.server import CouncilTaxServer
from casehand.fixtures.practice.claims import Overpayment
from casehand.fixtures.practice.mischief import Kind
from casehand.fixtures.practice.options import Options
from casehand.fixtures.practice.seed import ordinary_claim
from casehand.fixtures.practice.server import PracticeServer
from casehand.fixtures.practice.system import PracticeSystem
from casehand.fixtures.services.documents import Notice
from casehand.fixtures.services.server import ServicesServer
from casehand.testing import Work, faults
from casehand.workflows.debt import Debts, view_debt

CLAIM = replace(
    ordinary_claim("HB500001"),
    claimant="Mx Test Ash",
    overpayments=(
        Overpayment("OP0001", "Claimant error", Decimal("120.50")),
        Overpayment("OP0002", "Official error", Decimal("9.50")),
    ),
)
CLEAR = replace(ordinary_claim("HB500002"), claimant="Mx Test Ash")
ACCOUNT = TaxAccount(
    reference="70050001",
    house="P5001",
    people=("Mx Test Ash", "Mx Test Bay"),
    from_date=date(2024, 4, 1),
    arrears=Decimal("1212.50"),
)
EVERYTHING = {
    "number": "PE00001",
    "name": "Mx Test Ash",
    "claim": "HB500001",
    "account": "70050001",
    "registration": "te57 aaa",
}


def parking(number: int, registration: str, keeper: str, balance: int) -> Notice:
    return Notice(
        reference=f"PN{number:06}",
        registration=registration,
        keeper=keeper,
        issued=date(2026, 3, 1),
        balance=Decimal(balance),
    )


@dataclass(frozen=True)
class Systems:
    benefits: PracticeServer
    council_tax: CouncilTaxServer
    services: ServicesServer

    def named(self) -> dict[str, PracticeSystem]:
        return {"benefits": self.benefits, "council-tax": self.council_tax, "services": self.services}


@pytest.fixture(scope="module")
def systems(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Systems]:
    home = tmp_path_factory.mktemp("debt")
    notices = [
        parking(1, "TE57 AAA", "Mx Test Ash", 35),
        parking(2, "TE57 AAA", "Mx Test Ash", 70),
        parking(3, "TE57 AAAB", "Mx Test Bay", 90),
        parking(4, "TE57 CCC", "Mx Test Bay", 50),
    ]
    with ExitStack() as serving:
        enter = serving.enter_context
        house = Property(reference="P5001", address="1 Invented Lane, Exampleton")
        yield Systems(
            enter(PracticeServer(home / "benefits", [CLAIM, CLEAR], Options(pieces=0))),
            enter(CouncilTaxServer(home / "council-tax", [house, ACCOUNT])),
            enter(ServicesServer(home / "services", notices)),
        )


@pytest.fixture
def bot_settings(systems: Systems) -> Mapping[str, Mapping[str, str]]:
    return {
        name: {"url": one.url, "username": one.username, "password": one.password}
        for name, one in systems.named().items()
    }


@faults.every(faults.BEGIN)
def test_what_is_owed_in_three_places_is_one_record_whatever_happens(work: Work, systems: Systems) -> None:
    seen = work(view_debt, EVERYTHING).should_be_done(
        overpayments=Decimal("130.00"),
        council_tax=Decimal("1212.50"),
        parking=Decimal("105.00"),
        total=Decimal("1447.50"),
    )
    seen.should_have_changed_nothing()
    assert systems.benefits.journal() == systems.council_tax.journal() == systems.services.journal() == []


def test_without_a_commit_point_it_is_simply_tried_again(work: Work, systems: Systems) -> None:
    systems.benefits.plant("HB500001", Kind.CLAIM_ERROR, times=2)
    work(view_debt, EVERYTHING).should_be_done(total=Decimal("1447.50")).should_have_taken(3)


def test_nothing_owed_is_not_the_same_as_not_known_there(work: Work) -> None:
    row = {"number": "PE00002", "name": "Mx Test Ash", "claim": "HB500002", "registration": "TE57 ZZZ"}
    known = work(view_debt, row).should_be_done(overpayments=Decimal(0), parking=Decimal(0), total=Decimal(0))
    assert known.result["council_tax"] is None


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"claim": "HB500001", "name": "Mx Test Bay"}, "the claim is another person's"),
        ({"account": "70050001", "name": "Mx Test Elm"}, "the account is another person's"),
        ({"registration": "TE57 CCC", "name": "Mx Test Ash"}, "the vehicle is another person's"),
        ({"claim": "HB599999", "name": "Mx Test Ash"}, "no claim has this reference"),
        ({"account": "79999999", "name": "Mx Test Ash"}, "there is no such account"),
    ],
)
def test_nobody_is_told_another_persons_debt(work: Work, row: dict[str, str], words: str) -> None:
    work(view_debt, {"number": "PE00003", **row}).should_need_a_person(words)


def test_each_of_several_liable_people_owes_the_council_tax(work: Work) -> None:
    row = {"number": "PE00004", "name": "Mx Test Bay", "account": "70050001"}
    work(view_debt, row).should_be_done(council_tax=Decimal("1212.50"))


def test_a_total_counts_what_is_known() -> None:
    assert Debts(overpayments=Decimal(1), council_tax=None, parking=Decimal(2)).total == 3
    assert Debts(overpayments=None, council_tax=None, parking=None).total == 0
