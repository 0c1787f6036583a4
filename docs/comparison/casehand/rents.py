"""Housing benefit: put a landlord's new rent on a claim."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated
from urllib.parse import urlencode

from pydantic import Field

from casehand import (
    Bot,
    BusinessException,
    Case,
    CaseData,
    Personal,
    SessionExpired,
    SignInRefused,
    SystemException,
    workflow,
)

MOST = Decimal("1.10")


class BenefitsBot(Bot):
    name = "rents"
    settles = timedelta(seconds=2)

    def sign_in(self) -> None:
        self.page.goto(self.url)
        self.page.locator("[name=f_01]").fill(self.account.username)
        self.page.locator("[name=f_02]").fill(self.account.password.get_secret_value())
        with self.page.expect_navigation():
            self.page.get_by_role("button", name="Sign in").click()
        if "not recognised" in self.text():
            raise SignInRefused("the password was refused")

    def is_signed_in(self) -> bool:
        return "Signed in as" in self.text()

    def open_claim(self, reference: str) -> None:
        found, onward = [], f"results?{urlencode({'f_07': reference})}"
        while onward:
            page = self.read(onward)
            found += page.links(reference)
            onward = next(iter(page.links("Next")), "")
        if len(found) != 1:
            raise BusinessException(f"{len(found) or 'no'} claims have this reference")
        frame = self.page.frame(name="work")
        if frame is None:
            raise SystemException("the working screen is missing")
        self.frame, self.address = frame, found[0]
        self.frame.goto(self.address)

    def claim(self) -> tuple[str, list[tuple[date, Decimal]]]:
        """The claim's status and its rents, the latest first, read afresh."""
        rows = self.read(self.address).rows
        status = next(row[3] for row in rows if row[2:3] == ["Status"])
        rents = rows[rows.index(["Rent from", "Weekly rent"]) + 1 :]
        return status, [(day(start), Decimal(amount.strip("£").replace(",", ""))) for start, amount in rents]

    def add_rent(self, start: date, rent: Decimal) -> None:
        with self.frame.expect_navigation():
            self.frame.get_by_role("link", name="New rent").click()
        self.frame.locator("[name=f_11]").fill(f"{rent:.2f}")
        self.frame.locator("[name=f_12]").fill(f"{start:%d/%m/%Y}")
        with self.confirming("Save the new rent"), self.frame.expect_navigation():
            self.frame.get_by_role("button", name="Save").click()
        if "Your session has ended" in self.text(self.frame):
            raise SessionExpired("the session had ended")
        if refusals := self.frame.locator("p.err").all_inner_texts():
            raise BusinessException(refusals[0])


class RentChange(CaseData):
    claim: str = Field(pattern=r"^HB[0-9]{6}$")
    weekly_rent: Decimal = Field(gt=0, max_digits=7, decimal_places=2)
    from_date: date
    claimant: Annotated[str, Personal]


@workflow("rents/change", reference="claim")
def change_rent(case: Case[RentChange], benefits: BenefitsBot) -> None:
    new = (case.data.from_date, case.data.weekly_rent)
    benefits.open_claim(case.data.claim)
    status, rents = benefits.claim()
    if new not in rents:
        if status != "Live":
            raise BusinessException(f"the claim is {status.lower()}")
        if new[1] > rents[0][1] * MOST:
            raise BusinessException("the rent rises by more than a tenth")
    with case.commit("put the new rent on the claim", done=lambda: new in benefits.claim()[1]):
        benefits.add_rent(*new)


def day(text: str) -> date:
    return datetime.strptime(text, "%d/%m/%Y").date()  # noqa: DTZ007
