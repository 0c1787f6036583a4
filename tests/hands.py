"""Hands: the ways in which people use a page: by mouse, by keyboard alone, and without scripts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

LISTENS = "!!document.querySelector('[data-hx-sse\\\\:connect]')?._htmx?.sse"
WAYS = ("mouse", "keyboard", "no scripts")


class Hands:
    """One of the ways in which people use a page."""

    def __init__(self, page: Page, by_keyboard: bool, tab_to: Callable[..., None]) -> None:
        self.page = page
        self._by_keyboard = by_keyboard
        self._tab_to = tab_to

    def press(self, role: Any, name: str, exact: bool = False) -> None:
        """Press a link or a button."""
        if self._by_keyboard:
            self._tab_to(self.page, role, name, exact=exact)
            self.page.keyboard.press("Enter")
        else:
            self.page.get_by_role(role, name=name, exact=exact).click()

    def type(self, name: str, text: str) -> None:
        """Type into a field, in place of what stands there."""
        if self._by_keyboard:
            self._tab_to(self.page, "textbox", name)
            self.page.keyboard.press("Control+A")
            self.page.keyboard.type(text)
        else:
            self.page.get_by_role("textbox", name=name).fill(text)

    def choose(self, first: str, name: str) -> None:
        """Choose one of some radio buttons, of which one knows the first."""
        if not self._by_keyboard:
            self.page.get_by_role("radio", name=name, exact=True).check()
            return
        self._tab_to(self.page, "radio", first)
        self.page.keyboard.press("Space")
        for _ in range(9):
            if self.page.get_by_role("radio", name=name, exact=True).is_checked():
                return
            self.page.keyboard.press("ArrowDown")
        raise AssertionError(name)

    def select(self, name: str, option: str) -> None:
        """Select one of a list."""
        box = self.page.get_by_role("combobox", name=name)
        if self._by_keyboard:
            self._tab_to(self.page, "combobox", name)
            self.page.keyboard.type(option)
        else:
            box.select_option(option)
        assert box.input_value() == option

    def give(self, name: str, file: Path) -> None:
        """Choose a file to send."""
        with self.page.expect_file_chooser() as asked:
            self.press("button", name, exact=True)
        asked.value.set_files(file)


def until_it_listens(page: Page) -> None:
    """Wait until a page hears of what changes. The content security policy forbids `wait_for_function`."""
    for _ in range(200):
        if page.evaluate(LISTENS):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"{page.url} does not listen for changes")
