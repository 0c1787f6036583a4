"""Hands in Practice Benefits, the benefits system that comes with Casehand to practise on."""

from __future__ import annotations

import re
from collections.abc import Callable
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
        found = Results(self).addresses(reference)
        if not found:
            raise BusinessException("no claim has this reference")
        if len(found) > 1:
            raise BusinessException(f"{len(found)} claims have this reference")
        return ClaimScreen(self, reference, found[0])


class Rent(NamedTuple):
    """A rent as the claim shows it, in pounds a week."""

    weekly_rent: Decimal
    from_date: date


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
        page = self.bot.read(address)
        _raise_trouble(page.text)
        if "Screen BN120" not in page.text:
            raise SystemException("the system answered with another screen than the results")
        return page


class ClaimScreen(Screen):
    """One claim, as it was when it was last read."""

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
        reading = self.bot.read(self._address)
        _raise_trouble(reading.text)
        if f"Claim {self.reference} " not in reading.text:
            raise SystemException("the system answered with another screen than the claim")
        self._take_in(reading.rows)
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
        # The tables have neither headings nor names: a value stands in the cell after its label.
        labelled = {label: value for row in rows for label, value in zip(row[::2], row[1::2], strict=False)}
        self.status = labelled["Status"]
        self.weekly_award = _pounds(labelled["Weekly award"])
        rents = rows[rows.index(["Rent from", "Weekly rent"]) + 1 :]
        shown = takewhile(lambda row: len(row) == 2, rents)
        self.rents = [Rent(_pounds(amount), _day(start)) for start, amount in shown]


def _raise_trouble(text: str) -> None:
    for words, trouble in TROUBLES.items():
        if words in text:
            raise type(trouble)(*trouble.args)


def _box_beside(where: Page | Frame, label: str) -> Locator:
    # The forms have no labels that belong to a box: what it is for stands in the cell to its left.
    return where.locator("tr", has_text=label).locator("input:not([type])")


def _pounds(text: str) -> Decimal:
    return Decimal(text.replace("£", "").replace(",", ""))


def _day(text: str) -> date:
    return datetime.strptime(text, "%d/%m/%Y").date()  # noqa: DTZ007  a date has no zone
