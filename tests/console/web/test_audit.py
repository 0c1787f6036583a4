"""The audit page: who did what, when and why; whether it is whole; and for whom which part of it."""

import csv
import io
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from samples import PERMIT, hostile

from casehand.queue import audit, escalations, pauses
from casehand.queue.chain import verify
from casehand.queue.pauses import PauseKind
from casehand.queue.verification import last_verified

PageFor = Callable[..., Page]
FindsNothing = Callable[[Page], None]
NARROW = {"width": 375, "height": 740}


def actions(page: Page) -> list[str]:
    """What was done, latest first, as the table has it."""
    cells = page.get_by_role("table").locator("tbody tr td:nth-of-type(2)").all()
    return [one.evaluate("cell => cell.firstChild.textContent.trim()") for one in cells]


def moments(page: Page) -> list[str]:
    """When it was done, as the table has it."""
    days: list[str] = (
        page.get_by_role("table")
        .locator("tbody th")
        .evaluate_all(
            "cells => cells.map(cell => [...cell.querySelectorAll('time')].map(one => one.dateTime).join(' '))"
        )
    )
    return days


def lines_of(page: Page, query: str = "") -> list[dict[str, str]]:
    """The file."""
    return list(csv.DictReader(io.StringIO(page.request.get(f"/audit.csv{query}").text())))


def test_a_supervisor_finds_out_who_closed_a_case_and_why(
    page_for: PageFor, served: Any, finds_nothing: FindsNothing
) -> None:
    escalations.close(served.ledger, served.made.business, "s.sample@example.test", "the award was put right")
    page = page_for("supervisor")
    page.get_by_role("link", name="Audit", exact=True).click()
    page.get_by_label("Did").select_option("closed")
    page.get_by_label("Who", exact=True).fill("s.sample@example.test")
    page.get_by_role("button", name="Show these").click()
    assert actions(page) == ["Closed", "Closed"]
    first = page.get_by_role("table").get_by_role("row").nth(1)
    expect(first).to_contain_text("24 November 2026")
    expect(first).to_contain_text("s.sample@example.test")
    expect(first).to_contain_text("HB000106")
    finds_nothing(page)
    first.get_by_role("link", name="HB000106").click()
    expect(page.get_by_role("heading", name="HB000106")).to_be_visible()


def test_what_was_done_to_one_case_is_found_by_its_reference_as_by_its_id(
    page_for: PageFor, served: Any
) -> None:
    page = page_for("supervisor")
    page.goto("/audit?subject=HB000111")
    assert actions(page) == ["Closed", "Escalated", "Begun", "Taken in"]
    page.goto(f"/audit?subject={served.made.closed}")
    assert actions(page) == ["Closed", "Escalated", "Begun", "Taken in"]
    page.goto("/audit?subject=bot+permits")
    assert actions(page) == ["Paused"]


def test_the_days_are_local_and_with_both(page_for: PageFor) -> None:
    page = page_for("supervisor")
    page.goto("/audit?since=2026-11-22&until=2026-11-22")
    days = (
        page.get_by_role("table")
        .locator("tbody th time")
        .evaluate_all("times => times.map(one => one.dateTime.slice(0, 10))")
    )
    assert days
    assert set(days) == {"2026-11-22"}


def test_the_list_goes_on_page_by_page_and_back_and_nothing_is_missed(
    page_for: PageFor, served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("casehand.console.web.audit.ON_A_PAGE", 20)
    page = page_for("supervisor")
    page.goto("/audit")
    rows, onward = page.get_by_role("table").locator("tbody tr"), page.get_by_role("link", name="Next page")
    seen = [rows.all_inner_texts()]
    while onward.count():
        onward.click()
        seen.append(rows.all_inner_texts())
    assert sum(map(len, seen)) == len(audit.find_entries(served.ledger))
    assert len(seen) > 3
    for before in reversed(seen[:-1]):
        page.get_by_role("link", name="Previous page").click()
        assert rows.all_inner_texts() == before
    expect(page.get_by_role("link", name="Previous page")).to_have_count(0)
    assert page.url == f"{served.url}/audit"


def test_the_list_is_turned_round_by_its_heading_by_keyboard_and_without_scripts(
    page_for: PageFor, tab_to: Any, finds_nothing: FindsNothing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("casehand.console.web.audit.ON_A_PAGE", 20)
    page = page_for("supervisor", java_script_enabled=False)
    page.goto("/audit?subject=HB000111")
    expect(page.get_by_role("columnheader", name="When")).to_have_attribute("aria-sort", "descending")
    page.get_by_role("link", name="When").click()
    assert actions(page) == ["Taken in", "Begun", "Escalated", "Closed"]
    assert lines_of(page, "?subject=HB000111&sort=when")[0]["Did"] == "taken in"
    page = page_for("supervisor", viewport=NARROW)
    page.goto("/audit")
    page.get_by_role("link", name="Next page").click()
    tab_to(page, "link", "When")
    page.keyboard.press("Enter")
    expect(page.get_by_role("columnheader", name="When")).to_have_attribute("aria-sort", "ascending")
    expect(page.get_by_text("Oldest first", exact=True)).to_be_visible()
    finds_nothing(page)
    # It begins anew, and goes on in that order; so does whatever is looked for next.
    seen = moments(page)
    page.get_by_role("link", name="Next page").click()
    seen += moments(page)
    assert len(seen) == 40
    assert seen == sorted(seen)
    page.get_by_label("Did").select_option("closed")
    page.get_by_role("button", name="Show these").click()
    expect(page.get_by_text("Oldest first", exact=True)).to_be_visible()


def test_the_file_has_all_of_the_list_and_no_formula(page_for: PageFor, served: Any) -> None:
    pauses.pause(served.ledger, PauseKind.WORKFLOW, PERMIT, hostile()["formula"], "s.sample@example.test")
    page = page_for("supervisor")
    lines = lines_of(page)
    assert len(lines) == len(audit.find_entries(served.ledger))
    (paused,) = [one for one in lines if one["Kind"] == "workflow"]
    assert paused["Why"] == "'" + hostile()["formula"]
    assert {one["Did"] for one in lines_of(page, "?action=paused")} == {"paused"}
    assert lines_of(page, "?subject=HB000111")[0]["To"] == "HB000111"


def test_whether_the_audit_is_whole_is_verified_and_noted(
    page_for: PageFor, served: Any, finds_nothing: FindsNothing
) -> None:
    page = page_for("supervisor")
    page.goto("/audit")
    expect(page.get_by_text("Nobody has verified that yet")).to_be_visible()
    page.get_by_role("button", name="Verify it now").click()
    expect(page.get_by_text("Whole", exact=True)).to_be_visible()
    expect(page.get_by_role("region", name="Is it whole?")).to_contain_text(
        "Tuesday 24 November 2026 at 10:42am by test.supervisor@example.test"
    )
    finds_nothing(page)
    verified = last_verified(served.ledger)
    assert verified is not None
    page.get_by_text("Head of the chain").click()
    expect(page.get_by_text(verified.found).first).to_be_visible()
    # It is not gone through again and again: within a minute what was found stands.
    page.get_by_role("button", name="Verify it now").click()
    assert len(audit.find_entries(served.ledger, audit.EntryFilter(action="audit verified"))) == 1
    served.clock.pass_time(minutes=2)
    page.get_by_role("button", name="Verify it now").click()
    expect(page.get_by_role("region", name="Is it whole?")).to_contain_text("at 10:44am")
    assert len(audit.find_entries(served.ledger, audit.EntryFilter(action="audit verified"))) == 2


def test_an_audit_that_somebody_has_meddled_with_is_said_to_be_so(
    page_for: PageFor, served: Any, finds_nothing: FindsNothing
) -> None:
    verify(served.ledger)
    with sqlite3.connect(str(served.ledger.engine.url.database)) as connection:
        connection.execute("DROP TRIGGER IF EXISTS audit_is_kept")
        connection.execute("UPDATE audit SET actor = 'nobody' WHERE place = 3")
    page = page_for("supervisor")
    page.goto("/audit")
    page.get_by_role("button", name="Verify it now").click()
    warning = page.get_by_text("The audit is not as it was written")
    expect(warning).to_contain_text("place 3: the entry is not as it was written")
    finds_nothing(page)


def test_a_supervisor_of_one_workflow_sees_what_was_done_to_that_alone(
    page_for: PageFor, finds_nothing: FindsNothing
) -> None:
    page = page_for("supervisor", workflows=(PERMIT,))
    page.goto("/audit")
    assert "HB0001" not in page.content()
    expect(page.get_by_text("PP-2026-0900").first).to_be_visible()
    expect(page.get_by_role("button", name="Verify it now")).to_be_hidden()
    finds_nothing(page)
    assert {one["Kind"] for one in lines_of(page)} == {"case", "batch", "bot"}
    assert not [one for one in lines_of(page) if one["To"].startswith("HB")]
    assert lines_of(page, "?subject=HB000111") == []
    answer = page.request.post("/audit/verify", headers={"sec-fetch-site": "same-origin"})
    assert answer.status == 403


@pytest.mark.parametrize("role", ["viewer", "caseworker", "developer"])
def test_nobody_else_sees_the_audit(page_for: PageFor, role: str) -> None:
    page = page_for(role)
    expect(page.get_by_role("link", name="Audit", exact=True)).to_be_hidden()
    for path in ("/audit", "/audit.csv"):
        assert page.request.get(path).status == 403
    assert page.request.post("/audit/verify", headers={"sec-fetch-site": "same-origin"}).status == 403


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("since=yesterday", "Give a day as 2026-04-06"),
        ("since=2026-11-24&until=2026-11-23", "The first day must not be later than the last"),
        ("subject=%00", "Nothing is named so"),
    ],
)
def test_a_wrong_filter_is_said(
    page_for: PageFor, finds_nothing: FindsNothing, query: str, said: str
) -> None:
    page = page_for("supervisor")
    page.goto(f"/audit?{query}")
    expect(page.get_by_role("alert")).to_contain_text(said)
    finds_nothing(page)
    assert page.request.get(f"/audit.csv?{query}").status == 400


def test_what_nobody_did_is_said_to_be_nothing(page_for: PageFor, finds_nothing: FindsNothing) -> None:
    page = page_for("supervisor")
    page.goto("/audit?actor=nobody")
    expect(page.get_by_text("Nothing that was done matches.")).to_be_visible()
    finds_nothing(page)
    assert page.request.get("/audit?after=999999").status == 400
    assert page.request.get("/audit?after=x").status == 400


def test_hostile_reasons_run_nothing_and_break_nothing(
    page_for: PageFor, served: Any, finds_nothing: FindsNothing
) -> None:
    with served.ledger.writing() as connection:
        for name, text in hostile().items():
            clean = text.encode("utf-8", "replace").decode()
            audit.record(
                connection,
                served.clock(),
                clean[:200],
                name,
                f"bot {clean}"[:200],
                reason=clean,
                detail=clean,
            )
    page = page_for("supervisor", viewport=NARROW)
    page.goto("/audit")
    assert page.title().startswith("Audit ")
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    finds_nothing(page)
    assert not [one for one in lines_of(page) if one["Why"].startswith(("=", "+", "-", "@"))]


def test_the_audit_is_filtered_by_keyboard_and_without_scripts(page_for: PageFor, tab_to: Any) -> None:
    page = page_for("supervisor", java_script_enabled=False)
    page.goto("/audit")
    page.get_by_label("Did").select_option("paused")
    page.get_by_role("button", name="Show these").click()
    assert actions(page) == ["Paused"]
    page = page_for("supervisor")
    page.goto("/audit")
    tab_to(page, "textbox", "Who")
    page.keyboard.type("nobody")
    page.keyboard.press("Enter")
    page.wait_for_url("**/audit?actor=nobody*")
