"""Hands in Practice Council Tax, which comes with Casehand to practise on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl

from casehand import Bot, BusinessException, SessionExpired, SignInRefused, SystemException

if TYPE_CHECKING:
    from casehand.bots.reading import Reading

TROUBLES = {
    "Your session is over": SessionExpired("the session had ended"),
    "This page has expired": SystemException("the page had expired before it was sent"),
    "changed by another user": SystemException("someone else has changed the account"),
    "An unexpected problem": SystemException("the system answered with an error page"),
    "closed for maintenance": SystemException("the system is not available"),
}
"""What a page says that is not the one asked for: all of them come as ordinary pages."""


class Discount(NamedTuple):
    """A discount as an account shows it; without a last day it goes on."""

    kind: str
    from_date: date
    last_day: date | None


class Tenancy(NamedTuple):
    """An account as its property shows it."""

    account: str
    people: str
    from_date: date
    last_day: date | None


@dataclass(frozen=True)
class Account:
    """An account as it is printed; money is in pounds."""

    number: str
    people: tuple[str, ...]
    last_day: date | None
    has_benefits: bool
    arrears: Decimal
    discounts: tuple[Discount, ...]
    notes: tuple[str, ...]

    @property
    def open_discount(self) -> Discount | None:
        """The discount that goes on."""
        return next((one for one in self.discounts if one.last_day is None), None)


@dataclass(frozen=True)
class Property:
    """A property as it is printed."""

    reference: str
    address: str
    tenancies: tuple[Tenancy, ...]

    def account_of(self, person: str, from_date: date) -> str | None:
        """The number of the account that this person has here from that day."""
        return next(
            (one.account for one in self.tenancies if (one.people, one.from_date) == (person, from_date)),
            None,
        )


class CouncilTaxBot(Bot):
    """Hands in the council tax system.

    Its screens can only be reached by sending forms; what is printed can be read by its address.
    """

    name = "council-tax"
    sessions = 3
    # Practice Council Tax makes a change within a second or not at all; a real system may need the full minute.
    settles = timedelta(seconds=5)
    changes_by_submit = True

    def sign_in(self) -> None:
        """Sign in; raises SignInRefused when the page says that the account was refused or locked."""
        if self.page.url != self.url:
            self.page.goto(self.url)
        if self.is_signed_in():
            return
        _raise_trouble(self.text())
        self.page.get_by_label("Account name").fill(self.account.username)
        self.page.get_by_label("Pass phrase").fill(self.account.password.get_secret_value())
        with self.page.expect_navigation():
            self.page.get_by_role("button", name="Continue").click()
        if self._refusal():
            raise SignInRefused(self._refusal())

    def is_signed_in(self) -> bool:
        """Whether the menu is somebody's."""
        return "Menu for" in self.text()

    @classmethod
    def only_looks(cls, address: str, sent: str) -> bool:
        """Every form is sent with what is to be done, such as "find:" or "end:save"."""
        return "save" not in dict(parse_qsl(sent)).get("__TODO", "save")

    def account_of(self, number: str) -> Account:
        """The account with this number, read afresh. Raises BusinessException when there is none."""
        page = self._read(f"print/account/{number}", f"Account {number} ", "account")
        shows = _described(page)
        return Account(
            number=number,
            people=tuple(shows["Liable"].split(" and ")),
            last_day=_day(shows["Last day"]),
            has_benefits=shows["Council tax reduction"] != "None",
            arrears=_pounds(shows["Arrears"]),
            discounts=tuple(
                Discount(kind, _a_day(first), _day(last)) for kind, first, last in _rows(page, "discounts")
            ),
            notes=tuple(note for _, note in _rows(page, "notes")),
        )

    def property_of(self, reference: str) -> Property:
        """The property with this reference, read afresh. Raises BusinessException when there is none."""
        page = self._read(f"print/property/{reference}", f"Property {reference} ", "property")
        address = page.html.css_first("p.address")
        return Property(
            reference,
            address.text().strip() if address else "",
            tuple(
                Tenancy(account, people, _a_day(first), _day(last))
                for account, people, first, last in _rows(page, "accounts")
            ),
        )

    def end_account(self, number: str, last_day: date, forwarding: str) -> None:
        """End an account. Raises BusinessException with the system's own words when it does not accept that."""
        self._be_at_account(number)
        self._press("End account")
        self.page.get_by_label("Last day").fill(_typed(last_day))
        self.page.get_by_label("Forwarding address").fill(forwarding)
        self._save()

    def end_discount(self, number: str, last_day: date) -> None:
        """End the discount that goes on. Raises BusinessException as `end_account` does."""
        self._be_at_account(number)
        self._press("End discount")
        self.page.get_by_label("Last day").fill(_typed(last_day))
        self._save()

    def add_discount(self, number: str, kind: str, from_date: date) -> None:
        """Add a discount. Raises BusinessException as `end_account` does."""
        self._be_at_account(number)
        self._press("Add discount")
        self.page.get_by_label("Discount").select_option(kind)
        self.page.get_by_label("From").fill(_typed(from_date))
        self._save()

    def open_account(self, property: Property, person: str, from_date: date) -> None:
        """Open an account. Raises BusinessException as `end_account` does."""
        self._choose("properties", "Address", property.address, property.reference)
        self.page.get_by_label("Liable person").fill(person)
        self.page.get_by_label("From").fill(_typed(from_date))
        self._save()

    def add_notes(self, numbers: list[str], note: str) -> None:
        """Put one note on all these accounts, or on none. Raises BusinessException as `end_account` does."""
        self._reach(lambda: self.page.goto(f"{self.url}notes"))
        self.page.get_by_label("Accounts, one a line").fill("\n".join(numbers))
        self.page.get_by_label("Note", exact=True).fill(note)
        self._save()

    def _be_at_account(self, number: str) -> None:
        if not self.page.get_by_role("heading", name=f"Account {number}", exact=True).is_visible():
            self._choose("accounts", "Number or name", number, number)

    def _choose(self, screen: str, label: str, text: str, reference: str) -> None:
        """Find in a grid, which may have many pages, the row with exactly this reference, and open it."""
        self._reach(lambda: self.page.goto(f"{self.url}{screen}"))
        self.page.get_by_label(label).fill(text)
        self._press("Find")
        for onward in count(2):
            cell = self.page.get_by_role("cell", name=reference, exact=True)
            row = self.page.get_by_role("row").filter(has=cell)
            if row.count():
                self._reach(row.get_by_role("link", name="Open").click)
                return
            other = self.page.get_by_role("link", name=str(onward), exact=True)
            if not other.count():
                raise BusinessException(f"the search does not find {reference}")
            self._reach(other.click)

    def _press(self, button: str) -> None:
        self._reach(self.page.get_by_role("button", name=button).click)

    def _save(self) -> None:
        self.page.get_by_role("button", name="Save", exact=True).click()
        self._press("Yes, save")
        if self._refusal():
            raise BusinessException(self._refusal())

    def _reach(self, action: Callable[[], object]) -> None:
        with self.page.expect_navigation():
            action()
        self.check()
        _raise_trouble(self.text())

    def _refusal(self) -> str:
        alert = self.page.get_by_role("alert")
        return alert.inner_text() if alert.is_visible() else ""

    def _read(self, address: str, heading: str, what: str) -> Reading:
        page = self.read(address)
        _raise_trouble(page.text)
        if "Nothing is kept under this reference" in page.text:
            raise BusinessException(f"there is no such {what}")
        if heading not in page.text:
            raise SystemException(f"the system answered with another page than the {what}")
        return page


def _raise_trouble(text: str) -> None:
    for words, trouble in TROUBLES.items():
        if words in text:
            raise type(trouble)(*trouble.args)


def _described(page: Reading) -> dict[str, str]:
    names = [node.text().strip() for node in page.html.css("dt")]
    values = [node.text().strip() for node in page.html.css("dd")]
    return dict(zip(names, values, strict=True))


def _rows(page: Reading, table: str) -> list[list[str]]:
    rows = page.html.css(f"table.{table} tr")
    return [[cell.text().strip() for cell in row.css("td")] for row in rows]


def _typed(day: date) -> str:
    # All four digits of the year: the system takes two for a year of the last century.
    return f"{day:%d-%b-%Y}".upper()


def _a_day(text: str) -> date:
    return datetime.strptime(text, "%d-%b-%Y").date()  # noqa: DTZ007  a date has no zone


def _day(text: str) -> date | None:
    return _a_day(text) if text else None


def _pounds(text: str) -> Decimal:
    return Decimal(text.split()[0].replace("£", "").replace(",", ""))
