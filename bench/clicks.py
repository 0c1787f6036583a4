"""The same work written straight in Playwright, as well as we can: what the floor and the Python peers do.

It needs Playwright alone, since the peers have an environment of their own.
"""

import csv
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from playwright.sync_api import Browser, Dialog, Frame, Page, Playwright


@dataclass(frozen=True)
class Row:
    """One line of the batch."""

    claim: str
    weekly_rent: str  #: in pounds, with two decimals
    from_date: str  #: as the screens show it, day first


@dataclass(frozen=True)
class Place:
    """Where the practice system is, and who signs in there."""

    url: str
    username: str
    password: str
    browser: str

    @classmethod
    def given(cls) -> "Place":
        """What the benchmark has put in the environment."""
        return cls(*(os.environ[f"BENCH_{name}"] for name in ("URL", "USERNAME", "PASSWORD", "BROWSER")))


def read_rows(path: Path) -> list[Row]:
    """The lines of a batch."""
    with path.open(newline="", encoding="utf-8") as file:
        return [as_row(line) for line in csv.DictReader(file)]


def as_row(line: dict[str, Any]) -> Row:
    """One line, its date as the screens show it."""
    year, month, day = str(line["from_date"]).split("-")
    return Row(str(line["claim"]), str(line["weekly_rent"]), f"{day}/{month}/{year}")


def launch(playwright: Playwright, place: Place) -> Browser:
    """The same browser that Casehand takes."""
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    return playwright.chromium.launch(executable_path=place.browser, args=arguments)


def open_page(browser: Browser) -> Page:
    """A page as large as Casehand's, whose confirmations are accepted."""
    page = browser.new_page(viewport={"width": 1024, "height": 700})
    page.on("dialog", accept)
    return page


def accept(dialog: Dialog) -> None:
    """Say yes."""
    dialog.accept()


def sign_in(page: Page, place: Place) -> None:
    """Sign in."""
    page.goto(place.url)
    page.locator("[name=f_01]").fill(place.username)
    page.locator("[name=f_02]").fill(place.password)
    page.locator("[type=submit]").click()
    page.get_by_text("Signed in as").wait_for()


def change_rent(page: Page, place: Place, row: Row) -> None:
    """Every page that a clerk would see: from the desk; look before the change, make it, and read it back afresh."""
    page.goto(place.url)
    frame = work_frame(page)
    address = find(frame, row)
    _check(row, _read_claim(frame, address))
    if _has(row, _read_claim(frame, address)):
        return
    put_on(frame, row)
    if not _has(row, _read_claim(frame, address)):
        raise AssertionError(f"{row.claim}: the rent is not there")


def change_rent_reading(page: Page, place: Place, row: Row) -> None:
    """The same, but for the search and the looks before and after: they are asked for and not rendered."""
    page.goto(place.url)
    frame = work_frame(page)
    results = page.context.request.get(urljoin(place.url, f"/results?f_07={row.claim}")).text()
    address = urljoin(place.url, found_in(results, row))
    _check(row, _read_claim(frame, address))
    shown = shown_as(row)
    if shown in page.context.request.get(address).text():
        return
    put_on(frame, row)
    if shown not in page.context.request.get(address).text():
        raise AssertionError(f"{row.claim}: the rent is not there")


def found_in(results: str, row: Row) -> str:
    """The address of the one claim with exactly this reference."""
    (address,) = re.findall(rf'<a href="([^"]+)">{row.claim}</a>', results)
    return str(address)


def shown_as(row: Row) -> str:
    """A rent as the claim's page has it."""
    return f"<td>{row.from_date}</td><td>£{row.weekly_rent}</td>"


def change_rent_shortest(page: Page, place: Place, row: Row) -> None:
    """As few pages as it can be done in: no second look before, and what the save answers is believed."""
    frame = work_frame(page)
    if not frame.url.endswith("/search"):
        frame.goto(urljoin(place.url, "/search"))
    address = find(frame, row)
    _check(row, _read_claim(frame, address))
    put_on(frame, row)
    if not _has(row, _rents(frame)):
        raise AssertionError(f"{row.claim}: the rent is not there")


def work_frame(page: Page) -> Frame:
    """Where the screens come."""
    frame = page.frame(name="work")
    assert frame is not None
    return frame


def find(frame: Frame, row: Row) -> str:
    """The address of the claim."""
    frame.locator("[name=f_07]").fill(row.claim)
    with frame.expect_navigation():
        frame.locator("[type=submit]").click()
    address = frame.get_by_role("link", name=row.claim, exact=True).get_attribute("href")
    assert address is not None
    return urljoin(frame.url, address)


def _read_claim(frame: Frame, address: str) -> str:
    frame.goto(address)
    return _rents(frame)


def _rents(frame: Frame) -> str:
    """The claim's whole text, its tables' cells apart by tabs."""
    text: str = frame.evaluate("document.body.innerText")
    return text


def put_on(frame: Frame, row: Row) -> None:
    """Put the new rent on the claim that is shown."""
    with frame.expect_navigation():
        frame.get_by_role("link", name="New rent").click()
    frame.locator("[name=f_11]").fill(row.weekly_rent)
    frame.locator("[name=f_12]").fill(row.from_date)
    with frame.expect_navigation():
        frame.locator("[type=submit]").click()


def _has(row: Row, text: str) -> bool:
    return f"{row.from_date}\t£{row.weekly_rent}" in text


def _check(row: Row, text: str) -> None:
    """The rules of the workflow that an ordinary claim keeps to."""
    found = re.search(r"Rent from\s+Weekly rent\s+\S+\s+£([\d.]+)", text)
    if "Live" not in text or found is None or float(row.weekly_rent) > float(found[1]) * 1.1:
        raise AssertionError(f"{row.claim}: a person must decide")
