"""The list of cases: filtered, sorted and paged by its address, and as a file that no spreadsheet runs."""

import csv
import functools
import io
import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from samples import RENT, WORKFLOWS, Sampler
from sqlalchemy import event

from casehand.console.web import cases as family
from casehand.console.web.paths import case_path
from casehand.settings import load_settings

PageFor = Callable[..., Page]
FindsNothing = Callable[[Page], None]

MOST_STATEMENTS = 20


@contextmanager
def counted(ledger: Any) -> Iterator[list[str]]:
    """The SQL statements while the context lasts."""
    seen: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        if statement not in ("BEGIN", "BEGIN IMMEDIATE"):
            seen.append(statement)

    event.listen(ledger.engine, "before_cursor_execute", note)
    yield seen
    event.remove(ledger.engine, "before_cursor_execute", note)


def listed(page: Page) -> list[str]:
    """The references in the list, when all of the page is there."""
    page.wait_for_load_state()
    return page.get_by_role("rowheader").all_inner_texts()


def test_the_list_is_filtered_by_what_is_chosen_and_the_address_says_so(
    page_for: PageFor, finds_nothing: FindsNothing
) -> None:
    page = page_for("supervisor")
    page.get_by_role("link", name="Cases").click()
    expect(page.get_by_role("status")).to_have_text("26 cases")
    page.get_by_label("State").select_option("Needs a person")
    page.get_by_label("Workflow").select_option(RENT)
    page.get_by_role("button", name="Show these").click()
    expect(page.get_by_role("status")).to_have_text("5 cases")
    assert "state=escalated" in page.url
    assert listed(page) == ["HB000110", "HB000109", "HB000108", "HB000107", "HB000106"]
    finds_nothing(page)
    address = page.url
    page.get_by_role("link", name="Show all").click()
    expect(page.get_by_role("status")).to_have_text("26 cases")
    page.goto(address)
    expect(page.get_by_role("status")).to_have_text("5 cases")
    expect(page.get_by_label("State")).to_have_value("escalated")


def test_days_are_local_and_both_are_included(page_for: PageFor) -> None:
    page = page_for("viewer")
    page.goto("/cases?since=2026-11-23&until=2026-11-23")
    assert listed(page) == ["PP-2026-0901", "PP-2026-0900"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [("since=2026-13-45", "Give a day as 2026-04-06"), ("state=lost", "Choose a state from the list")],
)
def test_a_wrong_filter_is_said_and_kept(
    page_for: PageFor, finds_nothing: FindsNothing, wrong: str, said: str
) -> None:
    page = page_for("viewer")
    answer = page.goto(f"/cases?{wrong}&reference=HB000100")
    assert answer is not None
    assert answer.status == 422
    expect(page.get_by_role("alert")).to_contain_text(said)
    expect(page.get_by_label("Reference")).to_have_value("HB000100")
    finds_nothing(page)


def test_an_empty_list_says_so(page_for: PageFor, finds_nothing: FindsNothing) -> None:
    page = page_for("viewer")
    page.goto("/cases?reference=HB999999")
    expect(page.get_by_role("status")).to_have_text("No case matches")
    finds_nothing(page)


def look_at_cancelling(page: Page) -> None:
    """Go on to which cases would be cancelled, and go no further."""
    page.get_by_role("radio", name="Cancel").check()
    page.get_by_role("button", name="See which cases these are").click()
    expect(page.get_by_role("table", name="2 cases")).to_be_visible()


@pytest.mark.parametrize("sort", ["arrival", "-arrival", "changed", "-changed", "due", "-due"])
def test_the_pages_of_every_order_hold_every_case_once_there_and_back(
    page_for: PageFor, monkeypatch: pytest.MonkeyPatch, sort: str
) -> None:
    monkeypatch.setattr(family, "ON_A_PAGE", 7)
    page = page_for("viewer", java_script_enabled=False)
    page.goto(f"/cases?sort={sort}")
    there = [listed(page)]
    while (onward := page.get_by_role("link", name="Next")).count():
        onward.click()
        there.append(listed(page))
    assert [len(one) for one in there] == [7, 7, 7, 5]
    assert len(set(functools.reduce(operator.iadd, there, []))) == 26
    back = [listed(page)]
    while (backward := page.get_by_role("link", name="Previous")).count():
        backward.click()
        back.insert(0, listed(page))
    assert back == there


def test_a_heading_sorts_by_keyboard_and_says_so(page_for: PageFor, tab_to: Callable[..., None]) -> None:
    page = page_for("viewer")
    page.goto("/cases?workflow=parking/permit-renewal")
    tab_to(page, "link", "Due")
    page.keyboard.press("Enter")
    page.wait_for_url("**sort=due**")
    expect(page.get_by_role("columnheader", name="Due")).to_have_attribute("aria-sort", "ascending")
    assert listed(page)[0] in ("PP-2026-0900", "PP-2026-0901")


def test_the_file_holds_the_whole_filtered_list_and_no_formula(
    page_for: PageFor, served: Any, clock: Any, tmp_path: Path
) -> None:
    sampler = Sampler(served.ledger, clock, load_settings().evidence, tmp_path)
    row = {"vehicle": "TE57 AAA", "zone": "B", "notes": ""}
    sampler.take_in(
        "formulas",
        WORKFLOWS["parking/permit-renewal"],
        [{"permit": "=1+1", **row}, {"permit": "@SUM(A1)", **row}],
    )
    page = page_for("supervisor")
    page.goto("/cases?workflow=parking/permit-renewal&sort=arrival")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download them as CSV").click()
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8"))))
    assert len(rows) == 8
    assert {"'=1+1", "'@SUM(A1)"} < {row["Reference"] for row in rows}
    assert not [cell for row in rows for cell in row.values() if cell and cell[0] in "=+-@\t\r"]
    assert next(row["Why"] for row in rows if row["Reference"] == "PP-2026-0001").startswith("Which zone")


def test_a_developer_sees_no_reason_in_the_list_nor_in_the_file(page_for: PageFor) -> None:
    page = page_for("developer")
    page.goto("/cases?state=escalated")
    expect(page.get_by_role("status")).to_have_text("7 cases")
    assert page.get_by_role("columnheader", name="Why").count() == 0
    assert "claim is closed" not in page.content()
    answer = page.request.get("/cases.csv?state=escalated")
    assert answer.ok
    assert "claim is closed" not in answer.text()
    assert "HB000106" in answer.text()


def test_a_person_finds_only_cases_of_his_own_workflows(page_for: PageFor) -> None:
    page = page_for("caseworker", workflows=("parking/permit-renewal",))
    page.goto("/cases")
    expect(page.get_by_role("status")).to_have_text("6 cases")
    for path in ("/cases", "/cases.csv"):
        assert "HB0001" not in page.request.get(f"{path}?workflow={RENT}").text()


def test_acting_on_many_is_offered_to_whom_it_is_allowed_and_for_a_filter_only(page_for: PageFor) -> None:
    page = page_for("supervisor")
    page.goto("/cases")
    expect(page.get_by_role("link", name="Act on these")).to_have_count(0)
    page.goto("/cases?state=escalated&workflow=parking/permit-renewal")
    link = page.get_by_role("link", name="Act on these")
    expect(link).to_have_attribute("href", "/bulk/new?workflow=parking%2Fpermit-renewal&state=escalated")
    page.goto("/cases?state=done")
    expect(page.get_by_role("link", name="Act on these")).to_have_count(0)


def test_those_that_are_chosen_are_what_is_acted_on(page_for: PageFor, served: Any) -> None:
    page = page_for("supervisor", java_script_enabled=False)
    page.goto("/cases?state=escalated")
    page.get_by_role("checkbox", name="Choose HB000106").check()
    page.get_by_role("checkbox", name="Choose HB000108").check()
    page.get_by_role("button", name="Act on those chosen").click()
    assert page.url.startswith(f"{served.url}/bulk/new?case=")
    look_at_cancelling(page)
    assert sorted(listed(page)) == ["HB000106", "HB000108"]
    page.goto("/cases?state=done")
    expect(page.get_by_role("checkbox")).to_have_count(0)


def test_acting_on_a_filter_leads_to_how_many_and_which(page_for: PageFor) -> None:
    page = page_for("supervisor")
    page.goto("/cases?state=escalated&workflow=parking/permit-renewal")
    page.get_by_role("link", name="Act on these").click()
    look_at_cancelling(page)
    assert listed(page) == ["PP-2026-0001", "PP-2026-0002"]


def test_a_caseworker_is_not_offered_to_act_on_many(page_for: PageFor) -> None:
    page = page_for("caseworker")
    page.goto("/cases?state=escalated")
    expect(page.get_by_role("link", name="Act on these")).to_have_count(0)
    expect(page.get_by_role("checkbox")).to_have_count(0)


@pytest.mark.parametrize("width", [1280, 375])
def test_the_list_fits_the_screen(page_for: PageFor, width: int) -> None:
    page = page_for("supervisor", viewport={"width": width, "height": 800})
    page.goto("/cases")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(
    "path",
    [
        "/cases",
        "/cases?state=escalated&sort=-changed",
        "/cases?batch=nothing&since=2026-01-01&sort=due",
        "/search?q=HB",
        "/search?q=claim closed",
        "/search?q=permits",
    ],
)
@pytest.mark.parametrize("role", ["supervisor", "developer"])
def test_a_page_takes_few_statements(page_for: PageFor, served: Any, path: str, role: str) -> None:
    page = page_for(role, java_script_enabled=False)
    with counted(served.ledger) as statements:
        assert page.request.get(path).ok
    assert 0 < len(statements) <= MOST_STATEMENTS, "\n".join(statements)


@pytest.mark.parametrize(
    "case", ["done", "question", "doubt", "form", "retried", "queued", "working", "closed"]
)
def test_a_case_takes_few_statements(page_for: PageFor, served: Any, case: str) -> None:
    page = page_for("supervisor", java_script_enabled=False)
    line = page.request.get(f"/cases/{served.made.cases[case]}")
    with counted(served.ledger) as statements:
        assert page.request.get(line.url).ok
    assert 0 < len(statements) <= MOST_STATEMENTS, "\n".join(statements)


@pytest.mark.parametrize(
    "query",
    [
        "after=nothing",
        "before=nothing",
        "after=%00",
        "sort=nothing",
        "after=2026~x",
        "batch=%00",
        "since=0001-01-01",
    ],
)
def test_no_address_breaks_the_list(page_for: PageFor, query: str) -> None:
    page = page_for("viewer", java_script_enabled=False)
    for path in ("/cases", "/cases.csv"):
        assert page.request.get(f"{path}?{query}").status < 500


def test_a_path_of_a_case_survives_whatever_its_reference_holds() -> None:
    assert case_path("../../x?y#z") == "/cases/..%2F..%2Fx%3Fy%23z"
    assert case_path("..", "7") == "/cases/7"
    assert case_path("HB1", "7") == "/cases/HB1?case=7"
