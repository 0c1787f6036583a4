"""Evidence: what an attempt leaves behind to be looked at. Written encrypted, personal values masked."""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from casehand.bots.devtools import devtools

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Frame, Page

PICTURE = {"format": "jpeg", "quality": 60, "optimizeForSpeed": True}

COVER = """
values => {
  const wanted = values.map(value => value.toLowerCase());
  const holds = text => wanted.some(value => (text || '').replace(/\\s+/g, ' ').toLowerCase().includes(value));
  const found = new Set();
  for (const element of document.querySelectorAll('body *')) {
    const isSmallest = holds(element.textContent) && ![...element.children].some(one => holds(one.textContent));
    // An option has no place on the page: what shows it is its list.
    if (isSmallest || holds(element.value)) found.add(element.closest('select') || element);
  }
  if (!found.size) return false;
  const cover = document.createElement('div');
  cover.id = 'casehand-cover';
  cover.style.cssText = 'all: initial; position: fixed; inset: 0; overflow: visible; pointer-events: none';
  for (const element of found) {
    const {left, top, width, height} = element.getBoundingClientRect();
    const box = document.createElement('div');
    box.style.cssText = `all: initial; position: fixed; background: #000;
      left: ${left}px; top: ${top}px; width: ${width}px; height: ${height}px`;
    cover.append(box);
  }
  document.documentElement.append(cover);
  // Above whatever the page itself has put on top.
  cover.popover = 'manual';
  cover.showPopover();
  return true;
}
"""
UNCOVER = "() => document.getElementById('casehand-cover').remove()"


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
        # Playwright's own masks cost as much again as the picture.
        covered: list[Frame] = []
        try:
            if self._personal:
                covered.extend(frame for frame in page.frames if frame.evaluate(COVER, self._personal))
            return _picture(page)
        finally:
            for frame in covered:
                frame.evaluate(UNCOVER)

    def _keep(self, title: str, ending: str, content: bytes) -> str:
        self._number += 1
        path = self._path(f"{self._number:02}-{title}", ending)
        path.write_bytes(self._seal(content))
        return path.name

    def _path(self, title: str, ending: str) -> Path:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._folder / (re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60] + ending)


def _picture(page: Page) -> bytes:
    """The page as the browser shows it: Playwright's own way waits for fonts and takes half as long again."""
    taken = devtools(page).send("Page.captureScreenshot", PICTURE)
    return base64.b64decode(taken["data"])


def read_evidence(path: Path, unseal: Callable[[bytes], bytes]) -> bytes:
    """What an evidence file holds."""
    return unseal(path.read_bytes())


def remove_drafts(root: Path) -> None:
    """Remove traces that a killed horse had not yet encrypted."""
    for draft in root.glob("*/*/*.draft"):
        with contextlib.suppress(OSError):
            draft.unlink()
