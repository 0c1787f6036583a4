"""Housing benefit: put a landlord's new rent on a claim. A job of RQ, in a browser that its worker keeps.

`rq worker rents --worker-class rq.SimpleWorker --with-scheduler`
"""

import os
import re
import time
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from urllib.parse import urljoin

from playwright.sync_api import Browser, Dialog, Error, Frame, Page, sync_playwright
from rq import get_current_job
from rq.job import Job

URL = os.environ["BENEFITS_URL"]
ESCALATED = Path(os.environ["ESCALATED"])
MOST = Decimal("1.10")
SETTLES = 2.0
PATIENCE = 10_000

kept: list[Page] = []


class PersonNeeded(Exception):
    """The rules say that a person must decide."""


class Trouble(Exception):
    """The system misbehaved."""


def change_rent(claim: str, weekly_rent: str, from_date: str) -> str:
    job, page = get_current_job(), None
    try:
        page = signed_in_page()
        work(page, job, claim, Decimal(weekly_rent), date.fromisoformat(from_date))
    except PersonNeeded as reason:
        escalate(page, claim, str(reason))
        return "escalated"
    except (Trouble, Error) as trouble:
        if not job.should_retry:
            escalate(page, claim, str(trouble))
            forget_page()
            return "escalated"
        forget_page()
        raise
    return "done"


def work(page: Page, job: Job, claim: str, rent: Decimal, start: date) -> None:
    settle(job)
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
    # Whoever comes after a crash in here must not believe that nothing was saved before it has settled.
    job.meta["saving"] = time.time()
    job.save_meta()
    add_rent(frame, new)
    if new not in read_claim(frame, address)[1]:
        raise Trouble("the rent is not there after saving")


def settle(job: Job) -> None:
    """Wait until what an earlier attempt may have sent has been made or not."""
    remaining = job.meta.get("saving", 0) + SETTLES - time.time()
    if remaining > 0:
        time.sleep(remaining)  # noqa: TID251  the worker works one job at a time


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


def signed_in_page() -> Page:
    """The page that the last job left, or a new one."""
    page = kept.pop() if kept else open_page()
    kept.append(page)
    page.goto(URL)
    if not page.get_by_text("Signed in as").is_visible():
        page.locator("[name=f_01]").fill(os.environ["BENEFITS_USERNAME"])
        page.locator("[name=f_02]").fill(os.environ["BENEFITS_PASSWORD"])
        page.get_by_role("button", name="Sign in").click()
        page.get_by_text("Signed in as").wait_for()
        page.wait_for_load_state()
    return page


def open_page() -> Page:
    # On a connection that was used before, Chromium sends a save a second time by itself when it is dropped.
    page = browser().new_page(extra_http_headers={"Connection": "close"})
    page.set_default_timeout(PATIENCE)
    return page


def accept(dialog: Dialog) -> None:
    dialog.accept()


@cache
def browser() -> Browser:
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    playwright = sync_playwright().start()
    return playwright.chromium.launch(executable_path=os.environ.get("BROWSER"), args=arguments)


def forget_page() -> None:
    """Throw the signed-in page away, and the browser too when it has died."""
    while kept:
        kept.pop().context.close()
    if not browser().is_connected():
        browser.cache_clear()


def escalate(page: Page | None, claim: str, reason: str) -> None:
    """Leave the reason and a screenshot where people look."""
    folder = ESCALATED / claim
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "reason.txt").write_text(reason)
    if page is not None:
        page.screenshot(path=folder / "screen.png")
