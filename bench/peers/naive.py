"""What one writes first: a job that starts a browser, signs in, works one case and closes it all again."""

from typing import Any

from playwright.sync_api import sync_playwright

from bench import clicks


def work(line: dict[str, Any]) -> None:
    """Work one line of the batch."""
    place = clicks.Place.given()
    with sync_playwright() as playwright:
        browser = clicks.launch(playwright, place)
        page = clicks.open_page(browser)
        clicks.sign_in(page, place)
        clicks.change_rent(page, place, clicks.as_row(line))
        browser.close()
