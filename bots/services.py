"""Hands in Practice Services, which comes with Casehand to practise on: requests and parking notices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from casehand import Bot, BusinessException, SessionExpired, SignInRefused, SystemException

if TYPE_CHECKING:
    from casehand.bots.reading import Reading

TROUBLES = {
    "You have been signed off": SessionExpired("the session had ended"),
    "something went wrong": SystemException("the system answered with an error page"),
    "away for maintenance": SystemException("the system is not available"),
}


class Task(NamedTuple):
    """Something that has to be ready for a new starter."""

    name: str
    state: str


class Message(NamedTuple):
    """What stands in a request's thread."""

    number: int
    kind: str
    by: str
    day: date
    text: str


@dataclass(frozen=True)
class Request:
    """A request as its page shows it."""

    reference: str
    person: str
    status: str
    starts: date | None
    tasks: tuple[Task, ...]
    thread: tuple[Message, ...]


class Notice(NamedTuple):
    """A parking notice; its balance is in pounds."""

    reference: str
    registration: str
    keeper: str
    balance: Decimal


class ServicesBot(Bot):
    """Hands in the services system."""

    name = "services"
    sessions = 3
    settles = timedelta(seconds=5)
    changes_by_submit = True

    def sign_in(self) -> None:
        """Sign in; raises SignInRefused when the page says that the account was refused or locked."""
        if self.page.url != self.url:
            self.page.goto(self.url)
        if self.is_signed_in():
            return
        _raise_trouble(self.text())
        self.page.get_by_placeholder("Your name").fill(self.account.username)
        self.page.get_by_placeholder("Your password").fill(self.account.password.get_secret_value())
        with self.page.expect_navigation():
            self.page.get_by_role("button", name="Go").click()
        refusal = self.page.locator("p.refusal")
        if refusal.is_visible():
            raise SignInRefused(refusal.inner_text())

    def is_signed_in(self) -> bool:
        """Whether the page's head names somebody."""
        return "You are" in self.text()

    def open_requests(self, kind: str) -> Iterator[Request]:
        """Every open request of a kind, the latest first, each read afresh."""
        onward: str | None = f"requests?{urlencode({'kind': kind, 'status': 'Open'})}"
        while onward is not None:
            page = self._read(onward, "Requests ")
            for reference, *_ in page.rows:
                yield self.request(reference)
            onward = next(iter(page.links("Show more")), None)

    def request(self, reference: str) -> Request:
        """One request, read afresh."""
        page = self._read(f"requests/{reference}", f"Request {reference} ")
        facts = dict(_rows(page, "facts"))
        return Request(
            reference,
            facts["Person"],
            facts["Status"],
            _day(facts["Starts"]) if facts["Starts"] else None,
            tuple(Task(name, state) for name, state in _rows(page, "tasks")),
            tuple(
                Message(int(number), kind, by, _day(day), text)
                for number, kind, by, day, text in _rows(page, "thread")
            ),
        )

    def answer(self, reference: str, text: str) -> None:
        """Write an answer on a request. Raises BusinessException when the system does not accept it."""
        self._send(reference, "Write an answer", text, "Send answer")

    def close(self, reference: str, outcome: str) -> None:
        """Close a request. Raises BusinessException as `answer` does."""
        self._send(reference, "What came of it", outcome, "Close request")

    def parking_notices(self, registration: str) -> list[Notice]:
        """The notices of exactly this registration, read afresh."""
        page = self._read(f"parking?{urlencode({'registration': registration})}", "Parking notices for ")
        notices = [
            Notice(row[0], row[1], row[2], Decimal(row[5].replace("£", "").replace(",", "")))
            for row in page.rows
            if len(row) == 6
        ]
        # The search takes a part of a registration for the whole.
        return [one for one in notices if _plain(one.registration) == _plain(registration)]

    def _send(self, reference: str, box: str, text: str, button: str) -> None:
        self.page.goto(f"{self.url}requests/{reference}")
        _raise_trouble(self.text())
        self.page.get_by_placeholder(box).fill(text)
        with self.page.expect_navigation():
            self.page.get_by_role("button", name=button).click()
        self.check()
        _raise_trouble(self.text())
        refusal = self.page.locator("p.refusal")
        if refusal.is_visible():
            raise BusinessException(refusal.inner_text())

    def _read(self, address: str, heading: str) -> Reading:
        page = self.read(address)
        _raise_trouble(page.text)
        if heading not in page.text:
            raise SystemException(f"the system answered with another page than {heading.strip()}")
        return page


def _raise_trouble(text: str) -> None:
    for words, trouble in TROUBLES.items():
        if words in text:
            raise type(trouble)(*trouble.args)


def _rows(page: Reading, table: str) -> list[list[str]]:
    rows = page.html.css(f"table.{table} tr")
    return [[cell.text().strip() for cell in row.css("td")] for row in rows]


def _day(text: str) -> date:
    return datetime.strptime(text, "%d/%m/%Y").date()  # noqa: DTZ007  a date has no zone


def _plain(registration: str) -> str:
    return "".join(registration.upper().split())
