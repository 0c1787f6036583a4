"""Home: what needs a person, what is being worked, what is paused."""

from collections.abc import Callable
from typing import Any

import pytest
from hands import until_it_listens
from playwright.sync_api import Page, expect

from casehand.queue import escalations, pauses
from casehand.queue.pauses import PauseKind

PageFor = Callable[..., Page]
FindsNothing = Callable[[Page], None]


def test_home_says_what_needs_a_person_most_urgent_first(
    page_for: PageFor, finds_nothing: FindsNothing
) -> None:
    page = page_for("supervisor")
    table = page.get_by_role("table", name="Why, most urgent first")
    whys = table.get_by_role("rowheader").all_text_contents()
    assert whys == [
        "Not known whether a change was made",
        "A fault in the workflow",
        "The system failed too often",
        "A question to be answered",
        "The rules leave it to a person",
    ]
    finds_nothing(page)


def test_home_says_what_is_worked_at_what_pace_and_when_it_will_be_finished(page_for: PageFor) -> None:
    page = page_for("viewer")
    worked = page.get_by_role("region", name="Being worked")
    expect(worked).to_contain_text("6 cases worked in the last 15 minutes, which is 24 cases an hour.")
    expect(worked).to_contain_text("At this pace all will be worked by Tuesday 24 November 2026 at")


def test_home_says_what_is_paused_by_whom_and_why(page_for: PageFor) -> None:
    page = page_for("caseworker")
    paused = page.get_by_role("region", name="Paused")
    expect(paused).to_contain_text("The bot permits is paused: the permits system is being moved")
    expect(paused).to_contain_text("by s.sample@example.test, Tuesday 24 November 2026 at 9:52am")


def test_home_changes_by_itself_until_that_is_paused(page_for: PageFor, served: Any) -> None:
    page = page_for("supervisor")
    numbers = page.get_by_role("table", name="Why, most urgent first").get_by_role("row")
    expect(numbers).to_have_count(6)
    page.evaluate("window.stayed = true")
    until_it_listens(page)
    escalations.close(served.ledger, served.made.fault, "s.sample@example.test", "mended")
    expect(numbers).to_have_count(5)
    page.get_by_role("button", name="Pause live updates").click()
    expect(page.get_by_role("button", name="Resume live updates")).to_be_visible()
    escalations.close(served.ledger, served.made.failure, "s.sample@example.test", "done by hand")
    page.wait_for_timeout(2_500)
    expect(numbers).to_have_count(5)
    page.get_by_role("button", name="Resume live updates").click()
    expect(numbers).to_have_count(4)
    assert page.evaluate("window.stayed"), "the whole page was loaded anew"


def test_home_works_without_scripts(page_for: PageFor, served: Any, finds_nothing: FindsNothing) -> None:
    page = page_for("supervisor", java_script_enabled=False)
    expect(page.get_by_role("heading", name="Needs a person")).to_be_visible()
    expect(page.get_by_role("button", name="Pause live updates")).to_be_hidden()
    pauses.pause(
        served.ledger,
        PauseKind.WORKFLOW,
        "parking/permit-renewal",
        "the fees change",
        "s.sample@example.test",
    )
    page.reload()
    expect(page.get_by_role("region", name="Paused")).to_contain_text(
        "The workflow parking/permit-renewal is paused: the fees change"
    )


def test_a_person_sees_only_his_own_workflows(page_for: PageFor) -> None:
    page = page_for("caseworker", workflows=("parking/permit-renewal",))
    assert "housing-benefit" not in page.content()
    expect(page.get_by_role("table", name="Why, most urgent first").get_by_role("row")).to_have_count(3)


@pytest.mark.parametrize("width", [1280, 375])
def test_home_fits_the_screen(page_for: PageFor, width: int) -> None:
    page = page_for("supervisor", viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_updates_are_paused_by_keyboard_and_the_focus_stays_there(
    page_for: PageFor, tab_to: Callable[..., None]
) -> None:
    page = page_for("supervisor")
    tab_to(page, "button", "Pause live updates")
    page.keyboard.press("Enter")
    resume = page.get_by_role("button", name="Resume live updates")
    expect(resume).to_be_focused()
