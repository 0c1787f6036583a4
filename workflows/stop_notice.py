"""Housing benefit: end an award because Universal Credit begins, and pay two more weeks."""

from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated

from pydantic import BaseModel, Field

from casehand import BusinessException, Case, CaseData, Personal, workflow
from casehand.bots.benefits import Award, BenefitsBot, Payment

RUN_ON = timedelta(weeks=2)
"""So much longer is paid, without anybody asking for it."""
GOES_ON_IN = ("Specified", "Temporary")
"""Accommodation for which housing benefit is paid beside Universal Credit."""
SPARE_BEDROOMS_COST = (Decimal(0), Decimal("0.14"), Decimal("0.25"))
"""The share of a social rent that is not paid for none, one, and two or more spare bedrooms."""


class StopNotice(CaseData):
    """One notice that somebody's Universal Credit begins."""

    claim: str = Field(pattern=r"^HB[0-9]{6}$", examples=["HB000125"])
    claimant: Annotated[str, Personal]
    address: Annotated[str, Personal]
    starts: date
    """The first day of Universal Credit."""
    moved: bool = False
    """Whether the notice says that the claimant has moved, so that the address is another."""


class Stopped(BaseModel):
    """What came of it."""

    last_day: date
    weekly_amount: Decimal
    paid_to: str


@workflow("housing-benefit/stop-notice", reference="claim", minutes_by_hand=12)
def stop_award(case: Case[StopNotice], benefits: BenefitsBot) -> Stopped:
    """End the award the day before Universal Credit begins, and pay two more weeks at the maximum."""
    notice = case.data
    with case.step("read the award"):
        screen = benefits.open_award(notice.claim)
    check_rules(notice, screen.award)
    last_day, run_on = last_day_of(notice), run_on_of(notice, screen.award)
    with case.commit("end the award", done=lambda: screen.has_ended(last_day)):
        screen.end(last_day, "Universal Credit")
    with case.commit("pay two more weeks", done=lambda: screen.has_payment(run_on)):
        screen.add_payment(run_on)
    return Stopped(last_day=last_day, weekly_amount=run_on.weekly_amount, paid_to=run_on.payee)


def check_rules(notice: StopNotice, award: Award) -> None:
    """Raise BusinessException where a person has to decide."""
    if award.claimant != notice.claimant:
        raise BusinessException("the notice is about another person than the claim")
    if award.accommodation in GOES_ON_IN:
        raise BusinessException(f"the accommodation is {award.accommodation.lower()}: the award goes on")
    if award.partner is not None:
        raise BusinessException("the claim is a joint one")
    if not notice.moved and not is_same_address(notice.address, award.address):
        raise BusinessException("the address on the notice is not the claim's")
    if award.last_day not in (None, last_day_of(notice)):
        raise BusinessException(f"the award has ended already, on {award.last_day:%d/%m/%Y}")
    if award.last_day is None and award.status != "Live":
        raise BusinessException(f"the claim is {award.status.lower()}")
    # Once it has ended so, by whose hand ever, the overpayment has been seen to.
    if award.last_day is None and award.paid_up_to is not None and award.paid_up_to > last_day_of(notice):
        raise BusinessException(f"there would be an overpayment: paid up to {award.paid_up_to:%d/%m/%Y}")
    if any(paid != run_on_of(notice, award) for paid in award.payments):
        raise BusinessException("something else has been paid after the award")


def last_day_of(notice: StopNotice) -> date:
    """The day before Universal Credit begins."""
    return notice.starts - timedelta(days=1)


def run_on_of(notice: StopNotice, award: Award) -> Payment:
    """What is paid for the two weeks after the award: to the landlord if he had it and nobody has moved."""
    to_landlord = award.payee == "Landlord" and not notice.moved
    return Payment(
        notice.starts,
        notice.starts + RUN_ON - timedelta(days=1),
        maximum_benefit(award),
        "Landlord" if to_landlord else "Claimant",
    )


def maximum_benefit(award: Award) -> Decimal:
    """What would be paid a week, in pounds, to somebody without income."""
    if award.tenure == "Private":
        eligible = min(award.weekly_rent, award.allowance)
    else:
        cost = SPARE_BEDROOMS_COST[min(award.spare_bedrooms, len(SPARE_BEDROOMS_COST) - 1)]
        eligible = (award.weekly_rent - award.ineligible_charges) * (1 - cost)
    return max(eligible - award.non_dependant_deduction, Decimal(0)).quantize(Decimal("0.01"), ROUND_HALF_UP)


def is_same_address(one: str, other: str) -> bool:
    """Whether two addresses differ in nothing but capitals, commas and blanks."""
    return _words(one) == _words(other)


def _words(address: str) -> list[str]:
    return address.replace(",", " ").casefold().split()
