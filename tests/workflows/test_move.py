"""Council tax moves: each rule with a case that meets it and one that just does not, and the faults."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from itertools import count
from typing import Any

import pytest

from casehand import BusinessException
from casehand.bots.council_tax import Account, Property, Tenancy
from casehand.bots.services import Request
from casehand.fixtures.council_tax import accounts
from casehand.fixtures.council_tax.accounts import Discount
from casehand.fixtures.council_tax.judge import Case, judge
from casehand.fixtures.council_tax.server import CouncilTaxServer
from casehand.fixtures.practice.filing import Document, keep
from casehand.fixtures.practice.mischief import Kind
from casehand.fixtures.practice.records import transaction
from casehand.fixtures.practice.sessions import COLLEAGUE
from casehand.fixtures.services.seed import move_request
from casehand.fixtures.services.server import ServicesServer
from casehand.testing import Work, faults
from casehand.workflows.move import Move, check_rules, move_account

PERSON = "Mx Test Ash"
ONE_DAY = timedelta(days=1)
TOLD, MOVES, LAST_DAY = date(2026, 5, 11), date(2026, 6, 1), date(2026, 5, 31)
MOVE = Move(
    account="70010001",
    request="CA00001",
    person=PERSON,
    new_property="P1013",
    told_on=TOLD,
    moves_on=MOVES,
    lives_alone=True,
)
OLD = Account(
    number="70010001",
    people=(PERSON,),
    last_day=None,
    has_benefits=False,
    arrears=0,  # type: ignore[arg-type]
    discounts=(),
    notes=(),
)
NEW = Property("P1013", "13 Invented Lane, Exampleton", ())
REQUEST = Request("CA00001", PERSON, "Open", None, (), ())
CLOSED = replace(REQUEST, status="Closed")

END, END_DISCOUNT = "end the old account", "end the discount on the old account"
OPEN, DISCOUNT = "open the new account", "put the discount on the new account"
NOTES, CLOSE = "put a note on both accounts", "close the request"


def lives_there(people: str, last_day: date | None, since: date = date(2024, 4, 1)) -> Property:
    return replace(NEW, tenancies=(Tenancy("70010099", people, since, last_day),))


@pytest.mark.parametrize(
    ("move", "old", "new", "words"),
    [
        ({}, {"has_benefits": True}, NEW, "benefits are on the account"),
        ({"person": "Mx Test Bay"}, {}, NEW, "another person's"),
        ({}, {"people": (PERSON, "Mx Test Bay")}, NEW, "several people are liable"),
        ({}, {"last_day": date(2026, 5, 30)}, NEW, "has ended already, on 30/05/2026"),
        ({"moves_on": date(2026, 6, 10)}, {}, NEW, "the move is 21 working days ahead"),
        ({}, {}, lives_there("Mx Test Bay", None), "account 70010099 is open at the new property"),
        ({}, {}, lives_there("Mx Test Bay", MOVES), "account 70010099 is open at the new property"),
        ({}, {}, lives_there("Mx Test Bay", None, MOVES), "account 70010099 is open at the new property"),
        ({}, {}, lives_there(PERSON, None), "account 70010099 is open at the new property"),
        ({}, {}, lives_there(PERSON, MOVES), "account 70010099 is open at the new property"),
        ({}, {}, lives_there(PERSON, None, MOVES + ONE_DAY), "account 70010099 is open at the new property"),
    ],
)
def test_a_person_decides(move: Any, old: Any, new: Property, words: str) -> None:
    with pytest.raises(BusinessException, match=words):
        check_rules(MOVE.model_copy(update=move), replace(OLD, **old), new, REQUEST)


@pytest.mark.parametrize(
    ("old", "new", "request_now", "words"),
    [
        ({}, NEW, replace(REQUEST, person="Mx Test Bay"), "the request is another person's"),
        (
            {"last_day": LAST_DAY},
            lives_there(PERSON, None, MOVES),
            replace(CLOSED, person="Mx Test Bay"),
            "the request is another person's",
        ),
        ({}, NEW, CLOSED, "the request is closed already"),
        ({"last_day": LAST_DAY}, NEW, CLOSED, "the request is closed already"),
    ],
)
def test_a_person_looks_at_the_request(old: Any, new: Property, request_now: Request, words: str) -> None:
    with pytest.raises(BusinessException, match=words):
        check_rules(MOVE, replace(OLD, **old), new, request_now)


@pytest.mark.parametrize(
    ("move", "old", "new"),
    [
        ({}, {}, NEW),
        ({}, {"last_day": LAST_DAY}, NEW),
        ({"moves_on": date(2026, 6, 9)}, {}, NEW),
        ({"moves_on": date(2026, 4, 1)}, {}, NEW),
        ({}, {}, lives_there("Mx Test Bay", LAST_DAY)),
        ({}, {}, lives_there(PERSON, None, MOVES)),
        ({}, {}, lives_there(PERSON, LAST_DAY)),
    ],
)
def test_the_robot_goes_on(move: Any, old: Any, new: Property) -> None:
    check_rules(MOVE.model_copy(update=move), replace(OLD, **old), new, REQUEST)


def test_a_request_that_was_closed_after_the_changes_stops_nothing() -> None:
    check_rules(MOVE, replace(OLD, last_day=LAST_DAY), lives_there(PERSON, None, MOVES), CLOSED)


@dataclass
class Council:
    """Two systems, and as many residents who want to move as the tests ask for."""

    council_tax: CouncilTaxServer
    services: ServicesServer
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def move(self, *, alone: bool = True, listed: bool = True, **account: Any) -> Move:
        """A move of somebody new, whose account is as given."""
        number = next(self.numbers)
        move = Move(
            account=f"700{number:03}00",
            request=f"CA{number:05}",
            person=f"Mx Mover {'ABCDEFGHIJKLMNOPQRSTUVWXYZ'[number]}",
            new_property=f"P2{number:03}",
            told_on=TOLD,
            moves_on=MOVES,
            lives_alone=alone,
        )
        # They fill the first page of what a search for the new address finds.
        alike = [
            accounts.Property(
                reference=f"P{tens}{number:03}", address=f"{tens}{number} Invented Lane, Exampleton"
            )
            for tens in (3, 4)
        ]
        self._file(
            self.council_tax,
            *alike,
            accounts.Property(reference=f"P1{number:03}", address=f"{number} Nowhere Street, Exampleton"),
            accounts.Property(
                reference=move.new_property,
                address=f"{number} Invented Lane, Exampleton",
                is_listed=listed,
            ),
            accounts.Account(
                **{
                    "reference": move.account,
                    "house": f"P1{number:03}",
                    "people": (move.person,),
                    "from_date": date(2024, 4, 1),
                    "discounts": (Discount(kind="Single person", from_date=date(2024, 4, 1)),),
                    **account,
                }
            ),
        )
        self._file(
            self.services, move_request(number, move.person).model_copy(update={"reference": move.request})
        )
        return move

    def judge(self, move: Move, state: str) -> list[str]:
        """What the journals have against how the move went."""
        return judge(self.council_tax.home, self.services.home, [Case(move.model_dump(mode="json"), state)])

    def done_by_robots(self, move: Move) -> list[str]:
        """The kinds of the changes that concern the move, in their order."""
        opened = [e.values["account"] for e in self.council_tax.journal() if e.reference == move.new_property]
        about = {move.account, move.new_property, *opened}
        return [e.kind for e in self.council_tax.journal() if e.reference in about and e.user != COLLEAGUE]

    def _file(self, system: CouncilTaxServer | ServicesServer, *documents: Document) -> None:
        with transaction(system.home) as connection:
            for document in documents:
                keep(connection, document)


@pytest.fixture(scope="module")
def council(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Council]:
    home = tmp_path_factory.mktemp("move")
    with ExitStack() as serving:
        yield Council(
            serving.enter_context(CouncilTaxServer(home / "council-tax", [])),
            serving.enter_context(ServicesServer(home / "services", [])),
        )


@pytest.fixture
def bot_settings(council: Council) -> Mapping[str, Mapping[str, str]]:
    return {
        name: {"url": one.url, "username": one.username, "password": one.password}
        for name, one in (("council-tax", council.council_tax), ("services", council.services))
    }


CHANGES = (END, END_DISCOUNT, OPEN, DISCOUNT, NOTES, CLOSE)


@faults.at_each(
    [
        *(kind(faults.FIRST_CHANGE) for kind in faults.EVERY),
        *(faults.ResponseLost(change) for change in CHANGES[1:]),
    ]
)
def test_a_move_is_made_once_and_in_order_whatever_happens(work: Work, council: Council) -> None:
    move = council.move()
    work(move_account, move).should_be_done().should_have_changed(*CHANGES)
    assert council.done_by_robots(move) == ["end", "discount-end", "open", "discount", "note", "note"]
    assert council.judge(move, "done") == []


def test_who_has_no_discount_and_does_not_live_alone_needs_fewer_changes(
    work: Work, council: Council
) -> None:
    move = council.move(alone=False, discounts=())
    work(move_account, move).should_be_done().should_have_changed(END, OPEN, NOTES, CLOSE)
    assert council.judge(move, "done") == []


def test_mischief_between_the_changes_makes_nothing_twice(work: Work, council: Council) -> None:
    move = council.move(alone=False)
    council.council_tax.plant(move.account, Kind.COLLEAGUE_SAVES)
    council.council_tax.plant(move.account, Kind.STATE_EXPIRES)
    council.council_tax.plant(move.new_property, Kind.DROP_AFTER)
    council.services.plant(move.request, Kind.ERROR_AFTER)
    work(move_account, move).should_be_done()
    assert council.done_by_robots(move) == ["end", "discount-end", "open", "note", "note"]
    assert council.judge(move, "done") == []


def test_benefits_on_the_account_are_for_a_person_before_anything_is_changed(
    work: Work, council: Council
) -> None:
    move = council.move(reduction="11.40")
    work(move_account, move).should_need_a_person("benefits").should_have_changed_nothing()
    assert council.judge(move, "escalated") == []


def test_another_persons_request_is_not_closed_and_nothing_else_is_changed(
    work: Work, council: Council
) -> None:
    move, other = council.move(), council.move()
    mixed_up = move.model_copy(update={"request": other.request})
    refused = work(move_account, mixed_up).should_need_a_person("the request is another person's")
    refused.should_have_changed_nothing()
    assert council.judge(move, "escalated") == council.judge(other, "escalated") == []


def test_a_move_that_was_made_is_found_made_though_its_request_is_closed(
    work: Work, council: Council
) -> None:
    move = council.move()
    work(move_account, move).should_be_done()
    again = work(move_account, move).should_be_done().should_have_changed_nothing()
    again.should_have_found(*CHANGES)


def test_what_was_done_stays_when_the_system_refuses_a_later_change(work: Work, council: Council) -> None:
    move = council.move(listed=False)
    waits = work(move_account, move).should_need_a_person("The property is not on the valuation list.")
    waits.should_have_changed(END, END_DISCOUNT)
    assert council.judge(move, "escalated") == []
