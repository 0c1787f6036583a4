"""The one search box: on every page, straight to a case, or what begins so and what waits for such a reason."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from samples import hostile

PageFor = Callable[..., Page]
FindsNothing = Callable[[Page], None]


def test_a_reference_typed_on_any_page_leads_to_its_case(page_for: PageFor) -> None:
    page = page_for("caseworker")
    for typed in ("HB000107", " hb000107 "):
        page.goto("/sessions")
        page.get_by_role("searchbox", name="Search").fill(typed)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_contain_text("HB000107")


def test_the_beginning_of_a_reference_finds_its_cases(page_for: PageFor, finds_nothing: FindsNothing) -> None:
    page = page_for("viewer")
    page.goto("/search?q=pp-2026-09")
    section = page.get_by_role("region", name="Cases whose reference begins so")
    assert section.get_by_role("rowheader").all_inner_texts() == ["PP-2026-0900", "PP-2026-0901"]
    finds_nothing(page)


def test_the_beginning_of_a_batch_finds_it(page_for: PageFor, finds_nothing: FindsNothing) -> None:
    page = page_for("viewer")
    page.goto("/search?q=earlier")
    section = page.get_by_role("region", name="Batches whose name begins so")
    assert section.get_by_role("link").all_inner_texts() == ["earlier-permits-2026-11-23"]
    finds_nothing(page)


def test_words_find_what_still_waits_for_a_person(page_for: PageFor, finds_nothing: FindsNothing) -> None:
    page = page_for("caseworker")
    page.goto("/search?q=closed claim")
    section = page.get_by_role("region", name="Cases that wait for a person for such a reason")
    # HB000111 was escalated with the same words, and has been settled since.
    assert section.get_by_role("rowheader").all_inner_texts() == ["HB000106"]
    expect(section).to_contain_text("the claim is closed")
    finds_nothing(page)


def test_nothing_found_says_what_was_looked_for(page_for: PageFor, finds_nothing: FindsNothing) -> None:
    page = page_for("viewer")
    page.goto("/search?q=zzz")
    expect(page.get_by_text("Nothing was found.")).to_be_visible()
    expect(page.get_by_role("searchbox")).to_have_value("zzz")
    finds_nothing(page)
    page.goto("/search")
    expect(page.get_by_role("heading", name="Search")).to_be_visible()
    finds_nothing(page)


def test_a_developer_cannot_find_by_what_a_reason_says(page_for: PageFor) -> None:
    page = page_for("developer")
    page.goto("/search?q=closed claim")
    expect(page.get_by_text("Nothing was found.")).to_be_visible()
    page.goto("/search?q=HB000106")
    expect(page.get_by_role("heading", level=1)).to_contain_text("HB000106")


def test_what_is_not_his_is_not_found(page_for: PageFor) -> None:
    page = page_for("supervisor", workflows=("parking/permit-renewal",))
    for typed in ("HB000107", "HB", "rent-changes", "closed claim"):
        page.goto(f"/search?q={typed}")
        expect(page.get_by_text("Nothing was found.")).to_be_visible()


def test_no_id_of_another_case_leads_to_it(page_for: PageFor, served: Any) -> None:
    page = page_for("supervisor", workflows=("parking/permit-renewal",))
    page.goto(f"/search?q={served.made.question}")
    expect(page.get_by_text("Nothing was found.")).to_be_visible()


@pytest.mark.parametrize("kind", hostile())
def test_whatever_is_typed_runs_nothing_and_breaks_nothing(
    page_for: PageFor, finds_nothing: FindsNothing, kind: str
) -> None:
    page = page_for("viewer")
    page.get_by_role("searchbox").evaluate(
        "(box, text) => { box.removeAttribute('maxlength'); box.value = text.slice(0, 5000); box.form.submit() }",
        hostile()[kind].encode(errors="replace").decode(),
    )
    page.wait_for_url("**/search?q=*")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Search for")
    assert page.title() != "run"
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    finds_nothing(page)
