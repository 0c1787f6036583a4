"""Council tax: somebody has moved from one property to another."""

from datetime import date, timedelta
from typing import Annotated

from pydantic import BaseModel, Field

from casehand import BusinessException, Case, CaseData, Personal, workflow
from casehand.bots.council_tax import Account, CouncilTaxBot, Property
from casehand.bots.services import Request, ServicesBot
from casehand.queue.calendar import WorkingCalendar

FURTHEST_AHEAD = 20
"""A move more working days ahead than that is not put through yet: plans change."""
SINGLE = "Single person"


class Move(CaseData):
    """One row of the moves that residents have told of."""

    account: str = Field(pattern=r"^[0-9]{8}$", examples=["70010001"])
    request: str = Field(pattern=r"^CA[0-9]{5}$", examples=["CA00001"])
    person: Annotated[str, Personal]
    new_property: str = Field(pattern=r"^P[0-9]{4}$", examples=["P1013"])
    told_on: date
    moves_on: date
    lives_alone: bool

    @property
    def last_day(self) -> date:
        """The last day at the old property."""
        return self.moves_on - timedelta(days=1)


class Moved(BaseModel):
    """What came of it."""

    new_account: str


@workflow("council-tax/move", reference="account", minutes_by_hand=25, timeout=timedelta(minutes=10))
def move_account(case: Case[Move], council_tax: CouncilTaxBot, services: ServicesBot) -> Moved:
    """End the old account, open the new one, and say so in both systems."""
    move = case.data
    with case.step("read the account, the property and the request"):
        old = council_tax.account_of(move.account)
        new = council_tax.property_of(move.new_property)
        request = services.request(move.request)
    check_rules(move, old, new, request)
    leave(case, council_tax, old, new)
    number = arrive(case, council_tax, new)
    tell(case, council_tax, services, number)
    return Moved(new_account=number)


def check_rules(move: Move, old: Account, new: Property, request: Request) -> None:
    """Raise BusinessException where a person has to decide, before anything is changed."""
    ahead = WorkingCalendar().working_days_between(move.told_on, move.moves_on)
    if ahead > FURTHEST_AHEAD:
        raise BusinessException(f"the move is {ahead} working days ahead")
    if old.has_benefits:
        raise BusinessException("benefits are on the account")
    if move.person not in old.people:
        raise BusinessException("the account is another person's")
    if len(old.people) > 1:
        raise BusinessException("several people are liable on the account")
    if old.last_day not in (None, move.last_day):
        raise BusinessException(f"the account has ended already, on {old.last_day:%d/%m/%Y}")
    opened = new.account_of(move.person, move.moves_on)
    for tenancy in new.tenancies:
        is_open = tenancy.last_day is None or tenancy.last_day >= move.moves_on
        if is_open and tenancy.account != opened:
            raise BusinessException(f"account {tenancy.account} is open at the new property")
    if request.person != move.person:
        raise BusinessException("the request is another person's")
    # Closing it is the last of the changes: it may be closed where the others have been made, and nowhere else.
    if request.status != "Open" and (old.last_day is None or opened is None):
        raise BusinessException("the request is closed already")


def leave(case: Case[Move], council_tax: CouncilTaxBot, old: Account, new: Property) -> None:
    """End the old account, and the discount on it: the system takes no new one while it goes on."""
    last_day = case.data.last_day
    with case.commit(
        "end the old account",
        done=lambda: council_tax.account_of(old.number).last_day == last_day,
        bot=council_tax,
    ):
        council_tax.end_account(old.number, last_day, new.address)
    if any(discount.last_day in (None, last_day) for discount in old.discounts):
        with case.commit(
            "end the discount on the old account",
            done=lambda: council_tax.account_of(old.number).open_discount is None,
            bot=council_tax,
        ):
            council_tax.end_discount(old.number, last_day)


def arrive(case: Case[Move], council_tax: CouncilTaxBot, new: Property) -> str:
    """Open the new account, with a discount for who lives alone; its number."""
    move = case.data

    def number() -> str | None:
        return council_tax.property_of(new.reference).account_of(move.person, move.moves_on)

    with case.commit("open the new account", done=lambda: number() is not None, bot=council_tax):
        council_tax.open_account(new, move.person, move.moves_on)
    opened = number() or ""
    if move.lives_alone:
        with case.commit(
            "put the discount on the new account",
            done=lambda: (SINGLE, move.moves_on, None) in council_tax.account_of(opened).discounts,
            bot=council_tax,
        ):
            council_tax.add_discount(opened, SINGLE, move.moves_on)
    return opened


def tell(case: Case[Move], council_tax: CouncilTaxBot, services: ServicesBot, number: str) -> None:
    """Put a note on both accounts, and close the resident's request."""
    move = case.data
    accounts = [move.account, number]
    note = f"Moved on {move.moves_on:%d/%m/%Y} from account {move.account} to {number}."
    with case.commit(
        "put a note on both accounts",
        done=lambda: all(note in council_tax.account_of(one).notes for one in accounts),
        bot=council_tax,
    ):
        council_tax.add_notes(accounts, note)
    with case.commit(
        "close the request",
        done=lambda: services.request(move.request).status == "Closed",
        bot=services,
    ):
        services.close(move.request, f"Your new council tax account is {number}.")
