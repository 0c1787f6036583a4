"""Housing benefit: put a landlord's new rent on a claim."""

from collections.abc import Sequence
from datetime import date
from decimal import ROUND_UP, Decimal
from typing import Annotated

from pydantic import BaseModel, Field

from casehand import BusinessException, Case, CaseData, Personal, workflow
from casehand.bots.benefits import BenefitsBot, ClaimScreen, Rent

ASK_ABOVE = Decimal(10)
"""A rise or fall of more than so many per cent is put in front of a person as a question."""
REFUSE_ABOVE = Decimal(25)
"""A rise or fall of more than so many per cent is not put through by a robot at all."""


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
    if claim.claimant != case.data.claimant:
        raise BusinessException("the claim is another person's")
    if (rent, start) not in claim.rents:
        check_rules(case.data, claim.status, claim.rents)
        ask_about(case, percent_of(case.data, claim.rents[0]))
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


def check_rules(change: RentChange, status: str, rents: Sequence[Rent]) -> None:
    """Raise BusinessException where a person has to decide; the latest of the rents comes first."""
    if status != "Live":
        raise BusinessException(f"the claim is {status.lower()}")
    if not rents or not rents[0].weekly_rent:
        raise BusinessException("the claim has no rent to change")
    current = rents[0]
    if current.from_date > change.from_date:
        raise BusinessException(f"the claim's rent already starts later, on {current.from_date:%d/%m/%Y}")
    if current.from_date == change.from_date:
        raise BusinessException(f"the claim has another rent from that day: £{current.weekly_rent}")
    percent = percent_of(change, current)
    if abs(percent) > REFUSE_ABOVE:
        raise BusinessException(f"the rent {'rises' if percent > 0 else 'falls'} by {in_words(percent)}%")


def ask_about(case: Case[RentChange], percent: Decimal) -> None:
    """Have a person decide about a rise, or a fall, of more than usual."""
    if abs(percent) <= ASK_ABOVE:
        return
    noun, verb = ("rise", "rises") if percent > 0 else ("fall", "falls")
    question = f"The rent {verb} by {in_words(percent)}%. Put it through?"
    if case.ask(question, choices=["yes", "no"]) == "no":
        raise BusinessException(f"a {noun} of {in_words(percent)}% was turned down")


def percent_of(change: RentChange, current: Rent) -> Decimal:
    """By how much the rent rises; a fall is below nothing."""
    return (change.weekly_rent / current.weekly_rent - 1) * 100


def in_words(percent: Decimal) -> str:
    """Without its sign, and rounded up, so that nothing above a bound looks as if it were on it."""
    return f"{abs(percent).quantize(Decimal('0.1'), ROUND_UP)}".removesuffix(".0")
