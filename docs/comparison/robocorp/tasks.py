"""Housing benefit: put a landlord's new rent on a claim. A task of Robocorp that works one item after another."""

import os
import re
import time
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from playwright.sync_api import Dialog, Error, Frame, Page
from robocorp import browser, workitems
from robocorp.browser import _context
from robocorp.tasks import task
from robocorp.workitems import Input

URL = os.environ["BENEFITS_URL"]
MOST = Decimal("1.10")
TRIES = 4
SETTLES = 2.0
PATIENCE = 10_000


class PersonNeeded(Exception):
    """The rules say that a person must decide."""


class Trouble(Exception):
    """The system misbehaved."""


@task
def change_rents() -> None:
    """Work every work item."""
    configure()
    for item in workitems.inputs:
        change_rent(item)


def change_rent(item: Input) -> None:
    """Work one item, with retries."""
    row: Any = item.payload
    claim = row["claim"]
    for tried in range(1, TRIES + 1):
        try:
            work(signed_in_page(), claim, Decimal(row["weekly_rent"]), date.fromisoformat(row["from_date"]))
        except PersonNeeded as reason:
            escalate(claim, str(reason))
            item.fail("BUSINESS", "PERSON_NEEDED", str(reason))
            return
        except (Trouble, Error) as trouble:
            if tried == TRIES:
                escalate(claim, str(trouble))
                item.fail("APPLICATION", "TROUBLE", str(trouble))
                return
            browser.context().clear_cookies()
            browser.page().close()
            # What was sent may still be on its way: a look that comes earlier proves nothing.
            time.sleep(SETTLES * tried)  # noqa: TID251  there is nothing else to do meanwhile
        else:
            item.done()
            return


def work(page: Page, claim: str, rent: Decimal, start: date) -> None:
    frame = page.frame(name="work")
    if frame is None:
        raise Trouble("the working screen is missing")
    address = find_claim(frame, claim)
    status, rents = read_claim(frame, address)
    new = (f"{start:%d/%m/%Y}", rent)
    if new in rents:
        return
    if status != "Live":
        raise PersonNeeded(f"the claim is {status.lower()}")
    if rent > rents[0][1] * MOST:
        raise PersonNeeded("the rent rises by more than a tenth")
    add_rent(frame, new)
    if new not in read_claim(frame, address)[1]:
        raise Trouble("the rent is not there after saving")


def find_claim(frame: Frame, claim: str) -> str:
    found = []
    frame.locator("[name=f_07]").fill(claim)
    click(frame, "button", "Find")
    while True:
        links = frame.get_by_role("link", name=claim, exact=True).all()
        found += [urljoin(URL, link.get_attribute("href") or "") for link in links]
        if not frame.get_by_role("link", name="Next").count():
            break
        click(frame, "link", "Next")
    if len(found) != 1:
        raise PersonNeeded(f"{len(found) or 'no'} claims have this reference")
    return found[0]


def read_claim(frame: Frame, address: str) -> tuple[str, list[tuple[str, Decimal]]]:
    """The claim's status and its rents, the latest first, read afresh."""
    frame.goto(address)
    text = shown(frame)
    status = re.search(r"Status\t(\w+)", text)
    if status is None:
        raise Trouble("the system shows another screen than the claim")
    rents = re.findall(r"^(\d\d/\d\d/\d{4})\t£([\d.,]+)$", text, re.MULTILINE)
    return status[1], [(start, Decimal(amount.replace(",", ""))) for start, amount in rents]


def add_rent(frame: Frame, new: tuple[str, Decimal]) -> None:
    click(frame, "link", "New rent")
    frame.locator("[name=f_11]").fill(f"{new[1]:.2f}")
    frame.locator("[name=f_12]").fill(new[0])
    frame.page.once("dialog", accept)
    click(frame, "button", "Save")
    if refusals := frame.locator("p.err").all_inner_texts():
        raise PersonNeeded(refusals[0])


def click(frame: Frame, role: str, name: str) -> None:
    with frame.expect_navigation():
        frame.get_by_role(role, name=name).click()  # type: ignore[arg-type]
    shown(frame)


def shown(frame: Frame) -> str:
    """What the screen says. Raises Trouble when that is an error."""
    text: str = frame.evaluate("document.body.innerText")
    for words in ("Your session has ended", "Someone else has edited", "Server Error", "Planned maintenance"):
        if words in text:
            raise Trouble(words)
    return text


def configure() -> None:
    # It has no public option for the browser's binary, and would download one of its own.
    _context.browser_type_launch_args().update(executable_path=os.environ.get("BROWSER"))
    if os.geteuid() == 0:
        _context.browser_type_launch_args().update(args=["--no-sandbox"])
    browser.configure(browser_engine="chromium", headless=True)
    # On a connection that was used before, Chromium sends a save a second time by itself when it is dropped.
    browser.configure_context(extra_http_headers={"Connection": "close"})


def signed_in_page() -> Page:
    """The page that Robocorp keeps, signed in."""
    page = browser.page()
    page.set_default_timeout(PATIENCE)
    page.goto(URL)
    if not page.get_by_text("Signed in as").is_visible():
        page.locator("[name=f_01]").fill(os.environ["BENEFITS_USERNAME"])
        page.locator("[name=f_02]").fill(os.environ["BENEFITS_PASSWORD"])
        page.get_by_role("button", name="Sign in").click()
        page.get_by_text("Signed in as").wait_for()
        page.wait_for_load_state()
    return page


def accept(dialog: Dialog) -> None:
    dialog.accept()


def escalate(claim: str, reason: str) -> None:
    """Leave the reason and a screenshot where people look."""
    folder = Path(os.environ["ESCALATED"]) / claim
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "reason.txt").write_text(reason)
    browser.page().screenshot(path=folder / "screen.png")
