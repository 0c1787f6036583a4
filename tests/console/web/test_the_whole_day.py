"""The whole of a supervisor's day, by mouse, by keyboard alone and without scripts, with everything real.

The console and a worker are processes of their own; the workflow pays by letter, so that no browser is needed.
"""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hands import WAYS, Hands
from playwright.sync_api import Browser, Page, expect
from processes import Console, running
from sqlalchemy import select

from casehand.queue import schema
from casehand.queue.cases import CaseStory, tell
from casehand.queue.state import State

PAY = "post/pay"
POST = '''
"""Cases that are paid by letter, without any legacy system."""

import os
from decimal import Decimal
from pathlib import Path

from pydantic import BaseModel, Field

from casehand import BusinessException, Case, CaseData, SystemException, workflow

LETTERS = Path(os.environ["LETTERS"])


class Payment(CaseData):
    payment: str = Field(pattern=r"P[0-9]{3}")
    amount: Decimal = Field(gt=0, max_digits=7, decimal_places=2)
    does: str


class Paid(BaseModel):
    paid: Decimal


@workflow("post/pay", reference="payment")
def pay(case: Case[Payment]) -> Paid:
    if case.data.amount > 500:
        raise BusinessException("the amount is above the limit")
    if case.data.does == "ask" and case.ask("Pay it?", choices=["yes", "no"]) == "no":
        raise BusinessException("it was turned down")
    with case.commit("send the letter"):
        with (LETTERS / "paid").open("a") as file:
            file.write(f"{case.reference} {case.data.amount}\\n")
        if case.data.does == "break":
            raise SystemException("the printer is on fire")
    return Paid(paid=case.data.amount)
'''
ROWS = (
    "payment,amount,does",
    "P001,10.00,pay",
    "P002,20.00,ask",
    "P003,999.00,pay",
    "P004,888.00,pay",
    "P005,50.00,break",
    "X,1.00,pay",
)

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Console]:
    (tmp_path / "post.py").write_text(POST)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("LETTERS", str(tmp_path))
    with running(tmp_path, WORKFLOWS="post", RETRY_FIRST_SECONDS="0.1") as one:
        yield one


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def page(browser: Browser, way: str) -> Iterator[Page]:
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, locale="en-GB", java_script_enabled=way != "no scripts"
    )
    yield context.new_page()
    context.close()


def test_a_batch_is_handed_in_watched_paused_settled_and_its_result_taken_home(
    console: Console,
    page: Page,
    way: str,
    tab_to: Callable[..., None],
    tmp_path: Path,
    until: Callable[..., None],
) -> None:
    hands = Hands(page, way == "keyboard", tab_to)
    file = tmp_path / "payments.csv"
    file.write_text("\n".join(ROWS) + "\n")

    batch = _hand_in(console, hands, file)
    _pause(hands)
    with console.worker():
        until(lambda: _is_worker_up(console), 60, "a worker")
        _sees(page, way, "0 of 5 cases finished.")
        assert {one.line.state for one in _stories(console)} == {State.QUEUED}
        hands.press("button", "Resume this batch")
        _sees(page, way, "1 of 5 cases finished.")
        _sees(page, way, "All of this batch that need a person (4)")
        _settle(hands, page, batch)
        page.goto(batch)
        _sees(page, way, "5 of 5 cases finished: nothing is left to do.")

    assert {one.line.reference: str(one.line.state) for one in _stories(console)} == {
        "P001": "done",
        "P002": "done",
        "P003": "closed",
        "P004": "done",
        "P005": "done",
    }
    paid = sorted((tmp_path / "paid").read_text().splitlines())
    assert paid == ["P001 10.00", "P002 20.00", "P004 444.00", "P005 50.00"]
    rows = _results(hands, page, tmp_path)
    assert [row["What became of it"] for row in rows] == [
        "done",
        "done",
        "closed by a person",
        "done",
        "done",
        "not taken in",
    ]


def _hand_in(console: Console, hands: Hands, file: Path) -> str:
    """Hand in a file; the address of the batch."""
    page = hands.page
    page.goto(console.link())
    hands.press("button", "Sign in")
    hands.press("link", "Batches", exact=True)
    hands.press("button", "Hand in a file")
    hands.select("Workflow", PAY)
    hands.give("File", file)
    hands.press("button", "Look the file over")
    expect(page.get_by_role("region", name="Rows that will not be taken in")).to_contain_text("payment")
    hands.press("button", "Take in 5 cases")
    expect(page.get_by_text("0 of 5 cases finished.")).to_be_visible()
    return page.url.partition("?")[0]


def _pause(hands: Hands) -> None:
    hands.press("button", "Pause this batch")
    hands.press("button", "Pause a batch")
    expect(hands.page.get_by_role("alert")).to_contain_text("why")
    hands.type("Why", "the landlord rings back at ten")
    hands.press("button", "Pause a batch")
    expect(hands.page.get_by_text("This batch is paused: the landlord rings back at ten")).to_be_visible()


def _settle(hands: Hands, page: Page, batch: str) -> None:
    """A question, an exception, one that is amended, and one in doubt, each from the page of the batch."""
    _open(hands, batch, "P002", "Answer what is asked")
    hands.choose("yes", "yes")
    hands.press("button", "Answer and send back")
    expect(page.get_by_role("status")).to_contain_text("P002: your answer is kept")

    _open(hands, batch, "P003", "Close it")
    hands.type("What was done about it", "paid by hand")
    hands.press("button", "Close the case")
    expect(page.get_by_role("status")).to_contain_text("P003: the case is closed")

    _open(hands, batch, "P004", "Amend it and send it back")
    hands.type("Amount", "-1")
    hands.press("button", "Check and send back")
    expect(page.get_by_role("alert")).to_contain_text("Amount must be more than 0")
    hands.type("Amount", "444.00")
    hands.press("button", "Check and send back")
    expect(page.get_by_role("status")).to_contain_text("P004: the amended case is queued")

    _open(hands, batch, "P005", "Answer what is asked")
    hands.choose("Yes, it was done", "Yes, it was done")
    hands.press("button", "Continue")
    expect(page.get_by_role("status")).to_contain_text("P005: your answer is kept")


def _open(hands: Hands, batch: str, reference: str, does: str) -> None:
    hands.page.goto(batch)
    hands.press("link", reference, exact=True)
    expect(hands.page.get_by_role("heading", level=1)).to_contain_text(reference)
    hands.press("link", does)


def _results(hands: Hands, page: Page, folder: Path) -> list[dict[str, str]]:
    with page.expect_download() as begun:
        hands.press("link", "Results as CSV")
    begun.value.save_as(folder / "results.csv")
    with (folder / "results.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def _sees(page: Page, way: str, text: str) -> None:
    """The page says so, by itself; without scripts, when one loads it again."""
    shown = page.get_by_text(text)
    if way != "no scripts":
        expect(shown).to_be_visible(timeout=90_000)
        return
    for _ in range(180):
        if shown.is_visible():
            return
        page.wait_for_timeout(500)
        page.reload()
    raise AssertionError(text)


def _stories(console: Console) -> list[CaseStory]:
    with console.ledger() as ledger:
        return [tell(ledger, f"P00{number}") for number in range(1, 6)]


def _is_worker_up(console: Console) -> Any:
    """Whether somebody has the reconciler's lease, as a worker does first."""
    with console.ledger() as ledger, ledger.reading() as connection:
        return connection.execute(
            select(schema.leases.c.name).where(schema.leases.c.name == "reconciler")
        ).first()
