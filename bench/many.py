"""Many cases at once as well as we can write it: asyncio, one driver, one browser.

`python -m bench.many FILE CONTEXTS`
The pages and clicks are those of `clicks.change_rent_reading`, each context signed in for itself.
"""

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

from playwright.async_api import Browser, Dialog, Frame, Page, async_playwright

from bench.clicks import Place, Row, _check, found_in, read_rows, shown_as


async def main() -> None:
    """Work every line of the file, as many at once as there are contexts."""
    rows = iter(read_rows(Path(sys.argv[1])))
    place = Place.given()
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=place.browser, args=arguments)
        await asyncio.gather(*(work(browser, place, rows) for _ in range(int(sys.argv[2]))))
        await browser.close()


async def work(browser: Browser, place: Place, rows: Iterator[Row]) -> None:
    """Work one line after another in a context of its own, until there are none left."""
    page = await browser.new_page(viewport={"width": 1024, "height": 700})
    page.on("dialog", accept)
    await sign_in(page, place)
    for row in rows:
        await change_rent(page, place, row)


async def accept(dialog: Dialog) -> None:
    """Say yes."""
    await dialog.accept()


async def sign_in(page: Page, place: Place) -> None:
    """Sign in."""
    await page.goto(place.url)
    await page.locator("[name=f_01]").fill(place.username)
    await page.locator("[name=f_02]").fill(place.password)
    await page.locator("[type=submit]").click()
    await page.get_by_text("Signed in as").wait_for()


async def change_rent(page: Page, place: Place, row: Row) -> None:
    """From the desk; the search and the looks before and after are asked for and not rendered."""
    await page.goto(place.url)
    frame = page.frame(name="work")
    assert frame is not None
    results = await _asked(page, urljoin(place.url, f"/results?f_07={row.claim}"))
    address = urljoin(place.url, found_in(results, row))
    _check(row, await _read_claim(frame, address))
    if shown_as(row) in await _asked(page, address):
        return
    await _put_on(frame, row)
    if shown_as(row) not in await _asked(page, address):
        raise AssertionError(f"{row.claim}: the rent is not there")


async def _asked(page: Page, address: str) -> str:
    return await (await page.context.request.get(address)).text()


async def _read_claim(frame: Frame, address: str) -> str:
    await frame.goto(address)
    return await frame.locator("body").inner_text()


async def _put_on(frame: Frame, row: Row) -> None:
    async with frame.expect_navigation():
        await frame.get_by_role("link", name="New rent").click()
    await frame.locator("[name=f_11]").fill(row.weekly_rent)
    await frame.locator("[name=f_12]").fill(row.from_date)
    async with frame.expect_navigation():
        await frame.locator("[type=submit]").click()


if __name__ == "__main__":
    asyncio.run(main())
