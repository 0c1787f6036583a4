"""Evidence: what an attempt leaves behind to be looked at. Written encrypted, personal values masked."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Frame, Locator, Page

MARK = "data-casehand-masked"
SCREENSHOT_TIMEOUT_MS = 5_000

FIND_AND_MARK = """
([mark, values]) => {
  const wanted = values.map(value => value.toLowerCase());
  const holds = text => wanted.some(value => (text || '').replace(/\\s+/g, ' ').toLowerCase().includes(value));
  let found = 0;
  for (const element of document.querySelectorAll('body *')) {
    const isSmallest = holds(element.textContent) && ![...element.children].some(one => holds(one.textContent));
    if (!isSmallest && !holds(element.value)) continue;
    // An option has no place on the page: what shows it is its list.
    (element.closest('select') || element).setAttribute(mark, '');
    found += 1;
  }
  return found;
}
"""
UNMARK = "mark => document.querySelectorAll(`[${mark}]`).forEach(e => e.removeAttribute(mark))"


class Evidence:
    """The evidence folder of one attempt."""

    def __init__(self, folder: Path, seal: Callable[[bytes], bytes], personal: Sequence[str]) -> None:
        self._folder = folder
        self._seal = seal
        self._personal = [" ".join(value.split()) for value in personal if value.strip()]
        self._number = 0

    def screenshot(self, page: Page, title: str) -> str | None:
        """Keep a picture of the page, and return the file's name; None when none can be taken any more."""
        from playwright.sync_api import Error

        try:
            picture = self._masked_picture(page)
        except Error:
            return None
        return self._keep(title, ".jpg", picture)

    def start_trace(self, context: BrowserContext) -> None:
        """Record everything from here; half of a case's CPU, so only of an attempt that follows a failed one."""
        context.tracing.start(screenshots=True, snapshots=True)

    def stop_trace(self, context: BrowserContext, title: str) -> str | None:
        """Keep the trace, and return the file's name."""
        from playwright.sync_api import Error

        draft = self._path(title, ".draft")
        try:
            context.tracing.stop(path=draft)
            return self._keep(title, ".zip", draft.read_bytes())
        except (Error, OSError):
            return None
        finally:
            draft.unlink(missing_ok=True)

    def _masked_picture(self, page: Page) -> bytes:
        masks: list[Locator] = []
        marked: list[Frame] = []
        for frame in page.frames if self._personal else []:
            if frame.evaluate(FIND_AND_MARK, [MARK, self._personal]):
                marked.append(frame)
                masks.append(frame.locator(f"[{MARK}]"))
        try:
            return page.screenshot(
                type="jpeg", quality=60, mask=masks, mask_color="#000000", timeout=SCREENSHOT_TIMEOUT_MS
            )
        finally:
            for frame in marked:
                frame.evaluate(UNMARK, MARK)

    def _keep(self, title: str, ending: str, content: bytes) -> str:
        self._number += 1
        path = self._path(f"{self._number:02}-{title}", ending)
        path.write_bytes(self._seal(content))
        return path.name

    def _path(self, title: str, ending: str) -> Path:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._folder / (re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60] + ending)


def read_evidence(path: Path, unseal: Callable[[bytes], bytes]) -> bytes:
    """What an evidence file holds."""
    return unseal(path.read_bytes())


def remove_drafts(root: Path) -> None:
    """Remove traces that a killed horse had not yet encrypted."""
    for draft in root.glob("*/*/*.draft"):
        with contextlib.suppress(OSError):
            draft.unlink()
