"""Single view of debt: what one person owes the council, read in three systems and changed in none."""

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, Field, computed_field

from casehand import BusinessException, Case, CaseData, Personal, workflow
from casehand.bots.benefits import BenefitsBot
from casehand.bots.council_tax import CouncilTaxBot
from casehand.bots.services import ServicesBot


class Person(CaseData):
    """Somebody, and under which references the systems know them; empty where they do not."""

    number: str = Field(pattern=r"^PE[0-9]{5}$", examples=["PE00001"])
    name: Annotated[str, Personal]
    claim: str | None = Field(default=None, pattern=r"^HB[0-9]{6}$", examples=["HB000125"])
    account: str | None = Field(default=None, pattern=r"^[0-9]{8}$", examples=["70010001"])
    registration: Annotated[str | None, Personal] = None


class Debts(BaseModel):
    """What is owed, in pounds; nothing is said where a system does not know the person."""

    overpayments: Decimal | None
    council_tax: Decimal | None
    parking: Decimal | None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def total(self) -> Decimal:
        """All of it."""
        return sum(filter(None, (self.overpayments, self.council_tax, self.parking)), Decimal(0))


@workflow("debt/single-view", reference="number", minutes_by_hand=15)
def view_debt(
    case: Case[Person], benefits: BenefitsBot, council_tax: CouncilTaxBot, services: ServicesBot
) -> Debts:
    """Read what the person owes in each system that knows them."""
    person = case.data
    with case.step("read the overpayments"):
        overpayments = overpaid(person, benefits)
    with case.step("read the council tax"):
        arrears = in_arrears(person, council_tax)
    with case.step("read the parking notices"):
        parking = parked(person, services)
    return Debts(overpayments=overpayments, council_tax=arrears, parking=parking)


def overpaid(person: Person, benefits: BenefitsBot) -> Decimal | None:
    """What is owed of housing benefit."""
    if person.claim is None:
        return None
    overpayments = benefits.overpayments(person.claim)
    require_theirs("claim", overpayments.claimant == person.name)
    return overpayments.owed


def in_arrears(person: Person, council_tax: CouncilTaxBot) -> Decimal | None:
    """What is owed of council tax; each of several liable people owes all of it."""
    if person.account is None:
        return None
    account = council_tax.account_of(person.account)
    require_theirs("account", person.name in account.people)
    return account.arrears


def parked(person: Person, services: ServicesBot) -> Decimal | None:
    """What is owed for parking."""
    if person.registration is None:
        return None
    notices = services.parking_notices(person.registration)
    require_theirs("vehicle", all(one.keeper == person.name for one in notices))
    return sum((one.balance for one in notices), Decimal(0))


def require_theirs(what: str, is_theirs: bool) -> None:
    """Raise BusinessException rather than tell one person's debt as another's."""
    if not is_theirs:
        raise BusinessException(f"the {what} is another person's")
