"""A supervisor's day, with everything real: the console and a worker as processes, and the practice system."""

import csv
import io
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from hands import until_it_listens
from openpyxl import load_workbook
from playwright.sync_api import Browser, Page, expect
from processes import CASEHAND, running

from casehand.fixtures.practice.seed import generate
from casehand.fixtures.practice.server import PracticeServer
from casehand.queue.batches import find_batch
from casehand.queue.cases import find_case, find_cases, tell
from casehand.queue.state import State

RENTS = "housing-benefit/rent-change"
CASES = 10
MANY = 100_000
MOST_MEGABYTES = 300
"""What the console may hold at most while it takes in a hundred thousand rows."""

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    yield context.new_page()
    context.close()


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_a_supervisor_hands_in_a_batch_watches_it_pauses_it_and_takes_the_result_home(
    tmp_path: Path, page: Page, finds_nothing: Callable[[Page], None], until: Callable[..., None]
) -> None:
    claims = generate(tmp_path, CASES)
    (later,) = generate(tmp_path / "later.csv", 1, first=300001)
    file = tmp_path / "batch.csv"
    with file.open("a") as opened:
        opened.write("HB1,12.00,2026-04-06,Mx Test Ash\n=1+1,12.00,2026-04-06,+Mx Test Birch\n")
    with PracticeServer(tmp_path / "practice", [*claims, later]) as practice:
        bot = {"URL": practice.url, "USERNAME": practice.username, "PASSWORD": practice.password}
        given = {f"BOT_BENEFITS_{name}": value for name, value in bot.items()}
        with running(tmp_path, **given) as console:
            page.goto(console.link())
            page.get_by_role("button", name="Sign in").click()
            page.get_by_role("link", name="Batches", exact=True).click()
            expect(page.get_by_text("No file has been handed in yet.")).to_be_visible()
            finds_nothing(page)
            page.get_by_role("button", name="Hand in a file").click()
            page.get_by_label("Workflow").select_option(RENTS)
            page.get_by_label("File").set_input_files(file)
            page.get_by_role("button", name="Look the file over").click()
            expect(page.get_by_role("region", name="Rows that will not be taken in")).to_contain_text("HB000")
            page.get_by_role("button", name=f"Take in {CASES} cases").click()
            name = page.url.rpartition("/")[2].partition("?")[0]
            page.get_by_role("button", name="Pause this batch").click()
            page.get_by_label("Why").fill("the landlord rings back at ten")
            page.get_by_role("button", name="Pause a batch").click()
            expect(page.get_by_text("This batch is paused: the landlord rings back at ten")).to_be_visible()
            # Handed in later, it is worked later, unless what was handed in before is held back.
            command = [CASEHAND, "enqueue", RENTS, tmp_path / "later.csv"]
            subprocess.run(command, env=console.environment, cwd=tmp_path, check=True, capture_output=True)
            with console.worker(), console.ledger() as ledger:
                until(lambda: find_case(ledger, later.reference).state is State.DONE, 90, "the later case")
                assert [one.attempts for one in find_cases(ledger, batch=name)] == [0] * CASES
                expect(page.get_by_text(f"0 of {CASES} cases finished.")).to_be_visible()
                page.get_by_role("button", name="Resume this batch").click()
                page.wait_for_url("**said=resumed")
                until_it_listens(page)
                page.evaluate("window.stayed = true")
                ended = page.get_by_text(f"{CASES} of {CASES} cases finished: nothing is left to do.")
                expect(ended).to_be_visible(timeout=120_000)
                assert page.evaluate("window.stayed"), "the page was loaded anew"
            finds_nothing(page)

            with page.expect_download() as begun:
                page.get_by_role("link", name="Results as CSV").click()
            begun.value.save_as(tmp_path / "results.csv")
            rows = rows_of(tmp_path / "results.csv")
            assert [row["Line"] for row in rows] == [str(line) for line in range(2, CASES + 4)]
            assert [row["What became of it"] for row in rows] == ["done"] * CASES + ["not taken in"] * 2
            assert all(row["Changes made"] == "1" and row["Result: weekly_award"] for row in rows[:CASES])
            assert rows[-1]["claim"] == "'=1+1"

            with page.expect_download() as begun:
                page.get_by_role("link", name="Results as Excel").click()
            begun.value.save_as(tmp_path / "results.xlsx")
            sheet = load_workbook(tmp_path / "results.xlsx").active
            assert [cell.value for cell in sheet["B"]][1 : CASES + 1] == [one.reference for one in claims]
            with page.expect_download() as begun:
                page.get_by_role("link", name="Rejects as CSV").click()
            begun.value.save_as(tmp_path / "rejects.csv")
            assert [row["claim"] for row in rows_of(tmp_path / "rejects.csv")] == ["HB1", "'=1+1"]

            with console.ledger() as ledger:
                assert find_batch(ledger, name).counts["done"] == CASES
                stories = [tell(ledger, one.id) for one in find_cases(ledger)]
                told = [(one.line.reference, one.data, str(one.line.state), False) for one in stories]
            assert practice.judge(told) == []


def test_a_hundred_thousand_rows_are_looked_over_and_taken_in_within_bounds(tmp_path: Path) -> None:
    text = io.StringIO()
    text.write("claim,weekly_rent,from_date,claimant\n")
    for number in range(MANY):
        rent = "nothing" if number % 10 == 0 else f"{100 + number % 90}.40"
        text.write(f"HB{number:06},{rent},2026-04-06,Mx Test Hawthorn the {number}th\n")
    content = text.getvalue().encode()
    with running(tmp_path) as console, console.client() as client, console.client() as other:
        before = console.megabytes()
        sent = client.post("/batches/new", data={"workflow": RENTS}, files={"file": ("large.csv", content)})
        path = sent.headers["location"]
        shown = client.get(path).text
        assert "90,000 cases" in shown
        assert "10,000 rows" in shown
        assert "These are the first 2,000 of 10,000 such rows." in shown
        answer = client.post(path)
        name = answer.headers["location"].rpartition("/")[2].partition("?")[0]
        assert "0 of 90,000 cases finished" in other.get(f"/batches/{name}").text
        with client.stream("GET", f"/batches/{name}/results.csv") as stream:
            lines = sum(chunk.count(b"\r\n") for chunk in stream.iter_bytes())
        assert lines == MANY + 1
        peak = console.megabytes()
        assert other.get("/batches").status_code == 200
    assert peak < MOST_MEGABYTES, f"{before:.0f} MB before, {peak:.0f} MB at most"


def test_pages_answer_while_a_large_file_is_looked_over(tmp_path: Path, until: Callable[..., None]) -> None:
    rows = "".join(f"HB{number:06},100.40,2026-04-06,Mx Test Hawthorn\n" for number in range(40_000))
    content = f"claim,weekly_rent,from_date,claimant\n{rows}".encode()
    with running(tmp_path) as console, console.client() as client, console.client() as other:
        answers: list[Any] = []
        files = {"file": ("large.csv", content)}
        sending = Thread(
            target=lambda: answers.append(client.post("/batches/new", data={"workflow": RENTS}, files=files))
        )
        sending.start()
        until(lambda: is_looked_over(console.home, len(content)), what="the look at the file")
        meanwhile = 0
        while not answers:
            assert other.get("/batches").status_code == 200
            meanwhile += not answers
        sending.join()
        assert answers[0].status_code == 303
    # The last may have waited for the look to end.
    assert meanwhile > 1


def is_looked_over(home: Path, size: int) -> bool:
    """Whether what was sent is there whole and is being looked over: it stands in the clear only meanwhile."""
    return any(path.stat().st_size == size for path in home.glob("uploads/**/large.csv"))
