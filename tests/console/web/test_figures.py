"""The figures page: charts with their numbers beneath, for those who may see them and no more than they may."""

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from samples import PERMIT, RENT, Sampler, change_rent, hostile

from casehand.console.person import Person
from casehand.console.rights import Role
from casehand.console.web.sections import SECTIONS
from casehand.queue import escalations
from casehand.queue.outcome import EscalationKind
from casehand.queue.rolling import catch_up

PageFor = Callable[..., Page]
FindsNothing = Callable[[Page], None]

THIRTY = "/figures?from=2026-10-26&until=2026-11-24"
NARROW = {"width": 375, "height": 740}


def rows_of(page: Page, name: str) -> list[list[str]]:
    """The numbers of a section's table."""
    # A long one is folded away.
    region = page.get_by_role("region", name=name, exact=True, include_hidden=True)
    table = region.get_by_role("table", include_hidden=True)
    return [
        row.locator("th, td").all_text_contents()
        for row in table.get_by_role("row", include_hidden=True).all()
    ]


def file_of(page: Page, name: str, query: str = "from=2026-10-26&until=2026-11-24") -> list[dict[str, str]]:
    """The lines of a section's file."""
    answer = page.request.get(f"/figures/{name}.csv?{query}")
    assert answer.headers["content-disposition"].startswith(f'attachment; filename="{name}-')
    return list(csv.DictReader(io.StringIO(answer.text())))


def test_a_service_manager_sees_the_last_thirty_days_at_a_glance(
    page_for: PageFor, finds_nothing: FindsNothing
) -> None:
    page = page_for("viewer")
    page.get_by_role("link", name="Figures").click()
    expect(page.get_by_role("heading", name="26 October to 24 November 2026")).to_be_visible()
    glance = page.locator(".app-numbers")
    expect(glance.locator("div", has_text="Cases that ended")).to_contain_text("10")
    expect(glance.locator("div", has_text="Done without a person")).to_contain_text("89%")
    expect(glance.locator("div", has_text="Hours given back")).to_contain_text("0.6")
    finds_nothing(page)


def test_every_section_has_a_chart_that_can_be_read_aloud_a_table_and_a_file(page_for: PageFor) -> None:
    page = page_for("supervisor")
    page.goto(THIRTY)
    for name in SECTIONS:
        section = page.locator(f"section[aria-labelledby={name}]")
        chart = section.get_by_role("img")
        expect(chart).to_have_count(1)
        assert chart.locator("title").first.text_content()
        assert chart.locator("desc").text_content()
        expect(section.get_by_role("table", include_hidden=True)).to_have_count(1)
        link = section.get_by_role("link", name=re.compile("Download as CSV")).get_attribute("href")
        assert page.request.get(str(link)).status == 200


def test_the_numbers_beneath_a_chart_are_those_of_the_ledger(page_for: PageFor) -> None:
    page = page_for("supervisor")
    page.goto(THIRTY)
    page.get_by_text("The numbers as a table: How cases ended").click()
    table = rows_of(page, "How cases ended, as a table")
    assert table[0] == [
        "Day",
        "Done alone",
        "Done after a person",
        "Closed by a person",
        "Cancelled",
        "All",
    ]
    assert table[-1] == ["Tuesday 24 November 2026", "6", "0", "1", "1", "8"]
    assert table[-2] == ["Monday 23 November 2026", "2", "0", "0", "0", "2"]
    assert len(table) == 31
    lines = file_of(page, "ends")
    assert [(one["Day"], one["Workflow"], one["Done alone"]) for one in lines[-2:]] == [
        ("2026-11-24", RENT, "6"),
        ("2026-11-24", PERMIT, "0"),
    ]
    assert sum(int(one["Put in front of a person"]) for one in lines) == 8
    (given_back,) = [one for one in file_of(page, "hours") if float(one["Hours given back"]) > 0.3]
    assert given_back["Hours given back"] == "0.4"


@pytest.mark.parametrize("width", [1280, 375])
def test_of_each_chart_the_one_for_the_width_is_shown_with_letters_that_can_be_read(
    page_for: PageFor, width: int
) -> None:
    page = page_for("viewer", viewport={"width": width, "height": 800})
    page.goto(THIRTY)
    charts = page.get_by_role("img").all()
    assert len(charts) == len(SECTIONS)
    for chart in charts:
        heights = chart.locator("text").evaluate_all(
            "texts => texts.map(one => one.getBoundingClientRect().height)"
        )
        assert min(heights) >= 12
        edges = chart.locator("text").evaluate_all(
            "texts => texts.map(one => [one.getBoundingClientRect().left, one.getBoundingClientRect().right])"
        )
        assert all(left >= 0 and right <= width for left, right in edges)


def test_a_long_period_is_shown_by_weeks_from_when_there_was_anything(page_for: PageFor, served: Any) -> None:
    with served.clock.ago(days=100):
        escalations.cancel(served.ledger, served.made.queued, "s.sample@example.test", "handed in twice")
    catch_up(served.ledger, served.site.zone)  # The page waits for that only so long.
    page = page_for("viewer")
    page.goto("/figures?from=2025-11-25&until=2026-11-24")
    table = rows_of(page, "How cases ended, as a table")
    assert table[0][0] == "Week"
    assert table[1][0] == "16 August 2026"
    assert table[-1][0] == "23 to 24 November 2026"
    assert [row[-1] for row in table[1:]] == ["1", *["0"] * 14, "10"]


def test_the_workflow_and_the_days_are_in_the_address(page_for: PageFor) -> None:
    page = page_for("supervisor")
    page.goto("/figures")
    page.get_by_label("Workflow", exact=True).select_option(PERMIT)
    page.get_by_role("button", name="Show these").click()
    assert "workflow=parking%2Fpermit-renewal" in page.url
    expect(page.locator(".app-numbers div", has_text="Cases that ended")).to_contain_text("2")
    page.get_by_role("link", name="Last 7 days").click()
    assert "from=2026-11-18&until=2026-11-24" in page.url
    assert "workflow=parking" in page.url
    assert page.get_by_role("link", name="Last 7 days").get_attribute("aria-current") == "true"


def test_days_on_which_nothing_happened_say_so(page_for: PageFor, finds_nothing: FindsNothing) -> None:
    page = page_for("viewer")
    page.goto("/figures?from=2020-01-01&until=2020-01-31")
    expect(page.get_by_text("No case ended on these days")).to_be_visible()
    # How old the oldest open case is depends on no days.
    expect(page.get_by_role("img")).to_have_count(1)
    finds_nothing(page)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("from=soon&until=2026-11-24", "Give a day as 2026-04-06"),
        ("from=2026-11-25&until=2026-11-24", "The first day must not be later than the last"),
        ("from=2026-02-30", "Give a day as 2026-04-06"),
    ],
)
def test_a_wrong_day_is_said_and_kept(
    page_for: PageFor, finds_nothing: FindsNothing, query: str, said: str
) -> None:
    page = page_for("viewer")
    page.goto(f"/figures?{query}")
    expect(page.get_by_role("alert")).to_contain_text(said)
    assert page.get_by_label("From").input_value() == query.partition("=")[2].partition("&")[0]
    page.get_by_role("link", name=said).click()
    expect(page.get_by_label("From")).to_be_focused()
    finds_nothing(page)
    assert page.request.get(f"/figures/ends.csv?{query}").status == 400


@pytest.mark.parametrize("query", ["from=0001-01-01&until=9999-12-31", "from=9999-12-31", "until=0001-01-01"])
def test_whatever_days_are_asked_for_there_is_an_answer(page_for: PageFor, query: str) -> None:
    page = page_for("viewer")
    answer = page.goto(f"/figures?{query}")
    assert answer is not None
    assert answer.status in (200, 422)


def test_a_developer_sees_how_often_but_not_what_the_reasons_say(
    page_for: PageFor, finds_nothing: FindsNothing
) -> None:
    page = page_for("developer")
    page.goto(THIRTY)
    expect(page.get_by_role("heading", name="Why people were asked")).to_be_visible()
    assert "the claim is closed" not in page.content()
    assert "HB0001" not in page.content()
    assert "the claim is closed" not in page.request.get("/figures/reasons.csv").text()
    finds_nothing(page)


def test_what_reasons_say_is_shown_only_of_workflows_whose_cases_may_be_read(
    served: Any, opened: Callable[..., Page]
) -> None:
    page = opened()
    roles = {RENT: frozenset({Role.VIEWER}), PERMIT: frozenset({Role.DEVELOPER})}
    page.goto(served.link(Person("both@example.test", "Test Both", roles)))
    page.get_by_role("button", name="Sign in").click()
    page.goto(THIRTY)
    assert "the claim is closed" in page.content()
    assert "Which zone, and what fee?" not in page.content()
    assert "Which zone, and what fee?" not in page.request.get("/figures/reasons.csv").text()


def test_nobody_sees_figures_of_a_workflow_that_is_not_his(page_for: PageFor) -> None:
    page = page_for("supervisor", workflows=(PERMIT,))
    page.goto(THIRTY)
    assert RENT not in page.content()
    expect(page.locator(".app-numbers div", has_text="Cases that ended")).to_contain_text("2")
    assert page.request.get(f"/figures?workflow={RENT}").status == 404
    assert page.request.get(f"/figures/ends.csv?workflow={RENT}").status == 404
    assert {one["Workflow"] for one in file_of(page, "ends")} == {PERMIT}
    assert page.request.get("/figures/nothing.csv").status == 404


def test_hostile_reasons_run_nothing_and_break_nothing(
    page_for: PageFor, finds_nothing: FindsNothing
) -> None:
    page = page_for("supervisor", viewport=NARROW)
    page.goto(THIRTY)
    assert page.title().startswith("Figures ")
    expect(page.get_by_text("{{ 7 * 7 }}").first).to_be_attached()
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    assert hostile()["formula"] in page.locator("body").inner_text()
    finds_nothing(page)


def test_no_cell_of_a_file_is_a_formula(page_for: PageFor, served: Any, tmp_path: Path) -> None:
    sampler = Sampler(served.ledger, served.clock, served.site.settings.evidence, tmp_path)
    row = {"claim": "HB000777", "weekly_rent": "100.00", "from_date": "2026-11-30", "claimant": "Mx Test Yew"}
    (case,) = sampler.take_in("one more", change_rent, [row]).values()
    sampler.escalate(case, EscalationKind.BUSINESS, hostile()["formula"])
    page = page_for("supervisor")
    cells = [line["Such as"] for line in file_of(page, "reasons")]
    assert "'" + hostile()["formula"] in cells
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)


def test_what_nobody_has_counted_yet_is_counted_while_one_looks(page_for: PageFor, served: Any) -> None:
    served.clock.pass_time(days=40)
    page = page_for("viewer")
    page.goto("/figures?from=2026-11-01&until=2026-11-30")
    expect(page.locator(".app-numbers div", has_text="Cases that ended")).to_contain_text("10")
    expect(page.get_by_text("is being counted now")).to_be_hidden()


def test_the_figures_work_without_scripts_and_by_keyboard(page_for: PageFor, tab_to: Any) -> None:
    page = page_for("viewer", java_script_enabled=False)
    page.goto(THIRTY)
    expect(page.get_by_role("img").first).to_be_visible()
    page = page_for("viewer")
    page.goto(THIRTY)
    tab_to(page, "link", "Last month")
    page.keyboard.press("Enter")
    page.wait_for_url("**/figures?from=2026-10-01&until=2026-10-31")
