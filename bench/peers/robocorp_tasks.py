"""Robocorp: one task that takes work items one after another, with the page that its browser library keeps."""

import os

from robocorp import browser, workitems
from robocorp.browser import _context
from robocorp.tasks import task

from bench import clicks


@task
def change_rents() -> None:
    """Work every work item."""
    place = clicks.Place.given()
    # It has no public option for the browser's binary, and would download one of its own.
    _context.browser_type_launch_args().update(executable_path=place.browser)
    if os.geteuid() == 0:
        _context.browser_type_launch_args().update(args=["--no-sandbox"])
    browser.configure(browser_engine="chromium", headless=True)
    browser.configure_context(viewport={"width": 1024, "height": 700})
    page = browser.page()
    page.on("dialog", clicks.accept)
    clicks.sign_in(page, place)
    for item in workitems.inputs:
        with item:
            assert isinstance(item.payload, dict)
            clicks.change_rent(page, place, clicks.as_row(item.payload))
