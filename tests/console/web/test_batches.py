"""Batches: listed, shown, handed in after a look, taken out, cancelled."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

PageFor = Callable[..., Page]
FindsNothing = Callable[[Page], None]
RENTS = "rent-changes-2026-11-22"


def test_the_list_shows_each_batch_and_how_far_it_is(page_for: PageFor, finds_nothing: FindsNothing) -> None:
    page = page_for("supervisor")
    page.get_by_role("link", name="Batches", exact=True).click()
    row = page.get_by_role("row").filter(has_text=RENTS)
    expect(row).to_contain_text("8 of 20 finished")
    expect(row).to_contain_text("Needs a person: 5")
    expect(row).to_contain_text("Not taken in: 2")
    finds_nothing(page)
    page.goto(f"/batches/{RENTS}")
    finds_nothing(page)
