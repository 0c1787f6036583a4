"""Housing benefit: put a landlord's new rent on a claim."""

from datetime import date
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, Field

from casehand import BusinessException, Case, CaseData, Personal, workflow
from casehand.bots.benefits import BenefitsBot, ClaimScreen

ASK_ABOVE = Decimal(10)
"""A rise of more than so many per cent is put in front of a person as a question."""
REFUSE_ABOVE = Decimal(25)
"""A rise of more than so many per cent is not put through by a robot at all."""


class RentChange(CaseData):
    """One row of a landlord's rent file."""

    claim: str = Field(pattern=r"^HB[0-9]{6}$", examples=["HB000125"])
    weekly_rent: Decimal = Field(gt=0, max_digits=7, decimal_places=2)
    from_date: date
    claimant: Annotated[str, Personal]


class RentChanged(BaseModel):
    """What came of it."""

    weekly_award: Decimal


@workflow("housing-benefit/rent-change", reference="claim", minutes_by_hand=4)
def change_rent(case: Case[RentChange], benefits: BenefitsBot) -> RentChanged:
    """Put the new rent on the claim, unless the rules say that a person must decide."""
    rent, start = case.data.weekly_rent, case.data.from_date
    with case.step("find the claim"):
        claim = benefits.open_claim(case.data.claim)
    if (rent, start) not in claim.rents:
        check_rules(case, claim)
    with case.commit(
        "put the new rent on the claim",
        done=lambda: claim.has_rent(rent, start),
        shows=lambda: shown_of(claim),
    ):
        claim.add_rent(rent, start)
    return RentChanged(weekly_award=claim.weekly_award)


def shown_of(claim: ClaimScreen) -> dict[str, str]:
    """What the claim shows, for people to see what the change did."""
    rent = (
        f"£{claim.rents[0].weekly_rent} from {claim.rents[0].from_date:%d/%m/%Y}" if claim.rents else "none"
    )
    return {"weekly rent": rent, "weekly award": f"£{claim.weekly_award}"}


def check_rules(case: Case[RentChange], claim: ClaimScreen) -> None:
    """Raise BusinessException, or ask, where the rules put the case in front of a person."""
    if claim.status != "Live":
        raise BusinessException(f"the claim is {claim.status.lower()}")
    if not claim.rents:
        raise BusinessException("the claim has no rent to change")
    current = claim.rents[0]
    if current.from_date > case.data.from_date:
        raise BusinessException(f"the claim's rent already starts later, on {current.from_date:%d/%m/%Y}")
    rise = (case.data.weekly_rent / current.weekly_rent - 1) * 100
    if rise > REFUSE_ABOVE:
        raise BusinessException(f"the rent rises by {rise:.0f}%")
    if rise > ASK_ABOVE:
        ask_about(case, rise)


def ask_about(case: Case[RentChange], rise: Decimal) -> None:
    """Have a person decide about the rise, in per cent."""
    percent = f"{rise:.1f}".removesuffix(".0")
    if case.ask(f"The rent rises by {percent}%. Put it through?", choices=["yes", "no"]) == "no":
        raise BusinessException(f"a rise of {percent}% was turned down")
