"""Hands in Practice Benefits, the benefits system that comes with Casehand to practise on."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from casehand import Bot, BusinessException, SessionExpired, SignInRefused, SystemException

if TYPE_CHECKING:
    from playwright.sync_api import Frame, Locator, Page

    from casehand.bots.reading import Reading

TROUBLES = {
    "Your session has ended": SessionExpired("the session had ended"),
    "Someone else has edited this claim": SystemException("someone else has edited this claim"),
    "Server Error": SystemException("the system answered with an error page"),
    "Planned maintenance": SystemException("the system is not available"),
}


class BenefitsBot(Bot):
    """Hands in the benefits system."""

    name = "benefits"
    sessions = 3
    # Practice Benefits makes a change within a second or not at all; a real system may need the full minute.
    settles = timedelta(seconds=5)
    changes_by_submit = True

    def sign_in(self) -> None:
        """Sign in; raises SignInRefused when the page says that the account was refused or locked."""
        if self.page.url != self.url:
            self.page.goto(self.url)
        if self.is_signed_in():
            return
        _raise_trouble(self.text())
        _box_beside(self.page, "User name").fill(self.account.username)
        # A password box has no role to find it by, and this one no label.
        self.page.locator("input[type=password]").fill(self.account.password.get_secret_value())
        with self.page.expect_navigation():
            self.page.get_by_role("button", name="Sign in").click()
        refusal = self.page.get_by_text(re.compile(r"not recognised|account is locked"))
        if refusal.is_visible():
            raise SignInRefused(refusal.inner_text())

    def is_signed_in(self) -> bool:
        """Whether the page's banner names somebody."""
        return "Signed in as" in self.text()

    def open_claim(self, reference: str) -> ClaimScreen:
        """The one claim with this reference.

        Raises BusinessException when there is none, or more than one.
        """
        return ClaimScreen(self, reference, self._find(reference))

    def open_award(self, reference: str) -> AwardScreen:
        """The award of the one claim with this reference. Raises as `open_claim` does."""
        return AwardScreen(self, reference, self._find(reference))

    def overpayments(self, reference: str) -> Overpayments:
        """What was overpaid on the one claim with this reference, read only. Raises as `open_claim` does."""
        page = self.read_screen(
            f"{self._find(reference)}/overpayments", f"Overpayments on claim {reference} "
        )
        (claimant,) = page.html.css("p")[:1]
        rows = [row for row in page.rows[1:] if len(row) == 3]
        owed = sum((_pounds(balance) for _, _, balance in rows), Decimal(0))
        return Overpayments(claimant.text().removeprefix("Claimant ").strip(), owed)

    def read_screen(self, address: str, heading: str) -> Reading:
        """A screen with this heading, read without showing it on the page.

        Raises SystemException or SessionExpired when the system answers with another.
        """
        page = self.read(address)
        _raise_trouble(page.text)
        if heading not in page.text:
            raise SystemException(f"the system answered with another screen than {heading.strip()}")
        return page

    def _find(self, reference: str) -> str:
        found = Results(self).addresses(reference)
        if not found:
            raise BusinessException("no claim has this reference")
        if len(found) > 1:
            raise BusinessException(f"{len(found)} claims have this reference")
        return found[0]


class Overpayments(NamedTuple):
    """What is owed of a claim's overpayments, in pounds, and by whom."""

    claimant: str
    owed: Decimal


class Rent(NamedTuple):
    """A rent as the claim shows it, in pounds a week."""

    weekly_rent: Decimal
    from_date: date


class Payment(NamedTuple):
    """A payment after an award, in pounds a week from its first day to its last."""

    first_day: date
    last_day: date
    weekly_amount: Decimal
    payee: str


@dataclass(frozen=True)
class Award:
    """An award as its screen shows it; money is in pounds a week."""

    claimant: str
    partner: str | None
    address: str
    status: str
    tenure: str
    accommodation: str
    payee: str
    weekly_rent: Decimal
    ineligible_charges: Decimal
    allowance: Decimal
    spare_bedrooms: int
    non_dependant_deduction: Decimal
    paid_up_to: date | None
    last_day: date | None
    payments: tuple[Payment, ...]


class Screen:
    """What the screens share: they come in a frame, a piece at a time, and say in words what went wrong."""

    def __init__(self, bot: BenefitsBot) -> None:
        frame = bot.page.frame(name="work")
        if frame is None:
            raise SystemException("the working screen is missing")
        self.bot = bot
        self.frame: Frame = frame

    def _reach(self, screen: str, action: Callable[[], object]) -> str:
        """Do what leads to another screen, wait until the whole of it is there, and return its text.

        Raises SystemException or SessionExpired when it is not the one whose code or heading is `screen`.
        """
        # The heading comes before the rest, so seeing it proves nothing; and a dropped connection shows
        # here at once, where waiting for a text would take the whole of the bot's patience.
        with self.frame.expect_navigation():
            action()
        return self._read(screen)

    def _go(self, screen: str, address: str) -> str:
        """Open a screen by its address, and return its text. Raises as `_reach` does."""
        self.frame.goto(address)
        return self._read(screen)

    def _read(self, screen: str) -> str:
        self.bot.check()
        text = self.bot.text(self.frame)
        _raise_trouble(text)
        if screen not in text:
            raise SystemException(f"the system shows another screen than {screen}")
        return text


class Results:
    """The claims that a part of a reference finds, read without showing them on the page."""

    def __init__(self, bot: BenefitsBot) -> None:
        self.bot = bot

    def addresses(self, reference: str) -> list[str]:
        """Those of all claims with exactly this reference, from every page of the results."""
        found: list[str] = []
        onward: str | None = f"results?{urlencode({'f_07': reference})}"
        while onward is not None:
            page = self._page(onward)
            # HB000125 also finds HB0001254.
            found += page.links(reference)
            onward = next(iter(page.links("Next")), None)
        return found

    def _page(self, address: str) -> Reading:
        return self.bot.read_screen(address, "Screen BN120")


class ClaimScreen(Screen):
    """One claim, as it was when it was last read."""

    claimant: str
    status: str
    weekly_award: Decimal  #: in pounds
    rents: list[Rent]  #: the latest first

    def __init__(self, bot: BenefitsBot, reference: str, address: str) -> None:
        super().__init__(bot)
        self.reference = reference
        self._address = address
        text = self._go(f"Claim {reference}\n", address)
        # The screen's text holds its tables, a tab between the cells: the browser need not be asked for each.
        self._take_in([line.split("\t") for line in text.splitlines()])

    def has_rent(self, weekly_rent: Decimal, from_date: date) -> bool:
        """Whether the claim has this rent, read afresh from the system without showing it on the page."""
        self._take_in(self.bot.read_screen(self._address, f"Claim {self.reference} ").rows)
        return (weekly_rent, from_date) in self.rents

    def add_rent(self, weekly_rent: Decimal, from_date: date) -> None:
        """Put a new rent on the claim.

        Raises BusinessException with the system's own words when it does not accept the rent.
        """
        heading = f"New rent on claim {self.reference}\n"
        self._reach(heading, self.frame.get_by_role("link", name="New rent").click)
        _box_beside(self.frame, "Weekly rent").fill(f"{weekly_rent:.2f}")
        # Day first: the system takes whatever it is given for a date, and changes what is none.
        _box_beside(self.frame, "Rent from").fill(f"{from_date:%d/%m/%Y}")
        with self.bot.confirming(f"Save the new rent on claim {self.reference}?"):
            text = self._reach("Screen BN2", self.frame.get_by_role("button", name="Save").click)
        if "Screen BN211" in text:
            # What the system says of a rent it does not accept may be anything: only its style tells it.
            raise BusinessException(self.frame.locator("p.err").inner_text())

    def notes(self) -> list[str]:
        """The claim's notes, oldest first, out of the window that they open in."""
        with self.bot.page.expect_popup() as opening:
            self.frame.get_by_role("link", name="Notes").click()
        window = opening.value
        # Its tables are told apart by position only: they have neither names nor headings.
        notes = window.get_by_role("table").first.get_by_role("row").all_inner_texts()
        window.close()
        return [note for note in notes if note != "There are no notes."]

    def letter(self) -> bytes:
        """The claim's decision letter, a PDF."""
        return self.bot.download(self.frame.get_by_role("link", name="Letter").click)

    def _take_in(self, rows: list[list[str]]) -> None:
        labelled = _labelled(rows)
        self.claimant = labelled["Claimant"]
        self.status = labelled["Status"]
        self.weekly_award = _pounds(labelled["Weekly award"])
        rents = rows[rows.index(["Rent from", "Weekly rent"]) + 1 :]
        shown = takewhile(lambda row: len(row) == 2, rents)
        self.rents = [Rent(_pounds(amount), _day(start)) for start, amount in shown]


class AwardScreen(Screen):
    """The award of one claim, as it was when it was last read."""

    award: Award

    def __init__(self, bot: BenefitsBot, reference: str, claim_address: str) -> None:
        super().__init__(bot)
        self.reference = reference
        self._address = f"{claim_address}/award"
        self.read()

    def read(self) -> None:
        """Read it afresh, without showing it on the page."""
        rows = self.bot.read_screen(self._address, f"Award on claim {self.reference} ").rows
        self.award = _award(rows)

    def has_ended(self, last_day: date) -> bool:
        """Whether this is the award's last day, read afresh."""
        self.read()
        return self.award.last_day == last_day

    def end(self, last_day: date, reason: str) -> None:
        """End the award. Raises BusinessException with the system's own words when it does not accept that."""
        self._go(f"Award on claim {self.reference}\n", self._address)
        self._reach("Screen BN250", self.frame.get_by_role("link", name="End award").click)
        _box_beside(self.frame, "Last day").fill(f"{last_day:%d/%m/%Y}")
        _list_beside(self.frame, "Reason").select_option(reason)
        self._save(f"End the award on claim {self.reference}?")

    def has_payment(self, payment: Payment) -> bool:
        """Whether this payment is made after the award, read afresh."""
        self.read()
        return payment in self.award.payments

    def add_payment(self, payment: Payment) -> None:
        """Have a payment made. Raises BusinessException as `end` does."""
        self._go(f"Award on claim {self.reference}\n", self._address)
        self._reach("Screen BN255", self.frame.get_by_role("link", name="Payment after the award").click)
        _box_beside(self.frame, "First day").fill(f"{payment.first_day:%d/%m/%Y}")
        _box_beside(self.frame, "Last day").fill(f"{payment.last_day:%d/%m/%Y}")
        _box_beside(self.frame, "Weekly amount").fill(f"{payment.weekly_amount:.2f}")
        _list_beside(self.frame, "Pay to").select_option(payment.payee)
        self._save(f"Pay on claim {self.reference}?")

    def _save(self, question: str) -> None:
        with self.bot.confirming(question):
            self._reach("Screen BN2", self.frame.get_by_role("button", name="Save").click)
        refusal = self.frame.locator("p.err")
        if refusal.is_visible():
            raise BusinessException(refusal.inner_text())


def _award(rows: list[list[str]]) -> Award:
    shows = _labelled(rows)
    partner, ended, paid_up_to = shows["Partner"], shows["Award ended"], shows["Paid up to"]
    payments = rows[rows.index(["From", "To", "A week", "Paid to"]) + 1 :]
    return Award(
        claimant=shows["Claimant"],
        partner=None if partner == "None" else partner,
        address=shows["Address"],
        status=shows["Status"],
        tenure=shows["Tenure"],
        accommodation=shows["Accommodation"],
        payee=shows["Paid to"],
        weekly_rent=_pounds(shows["Weekly rent"]),
        ineligible_charges=_pounds(shows["Ineligible charges"]),
        allowance=_pounds(shows["Allowance"]),
        spare_bedrooms=int(shows["Spare bedrooms"]),
        non_dependant_deduction=_pounds(shows["Non-dependant deduction"]),
        paid_up_to=_day(paid_up_to) if paid_up_to else None,
        last_day=_day(ended) if ended else None,
        payments=tuple(
            Payment(_day(first), _day(last), _pounds(amount), payee)
            for first, last, amount, payee in payments
        ),
    )


def _labelled(rows: list[list[str]]) -> dict[str, str]:
    # The tables have neither headings nor names: a value stands in the cell after its label, two to a row.
    return {label: value for row in rows for label, value in zip(row[::2], row[1::2], strict=False)}


def _raise_trouble(text: str) -> None:
    for words, trouble in TROUBLES.items():
        if words in text:
            raise type(trouble)(*trouble.args)


def _box_beside(where: Page | Frame, label: str) -> Locator:
    # The forms have no labels that belong to a box: what it is for stands in the cell to its left.
    return where.locator("tr", has_text=label).locator("input:not([type])")


def _list_beside(where: Page | Frame, label: str) -> Locator:
    return where.locator("tr", has_text=label).locator("select")


def _pounds(text: str) -> Decimal:
    return Decimal(text.replace("£", "").replace(",", ""))


def _day(text: str) -> date:
    return datetime.strptime(text, "%d/%m/%Y").date()  # noqa: DTZ007  a date has no zone
