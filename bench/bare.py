"""The floor: a bare Playwright loop, one browser and one page signed in once. `python -m bench.bare FILE WAY`."""

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from bench import clicks

WAYS = {
    "same": clicks.change_rent,
    "reading": clicks.change_rent_reading,
    "shortest": clicks.change_rent_shortest,
}


def main() -> None:
    """Work every line of the file."""
    rows = clicks.read_rows(Path(sys.argv[1]))
    change_rent = WAYS[sys.argv[2]]
    place = clicks.Place.given()
    with sync_playwright() as playwright:
        browser = clicks.launch(playwright, place)
        page = clicks.open_page(browser)
        clicks.sign_in(page, place)
        for row in rows:
            change_rent(page, place, row)
        browser.close()


if __name__ == "__main__":
    main()
