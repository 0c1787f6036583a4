"""A rehearsal: what the first commit would submit is caught before it leaves the browser."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from email import message_from_bytes
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page, Request, Route

READS = frozenset({"GET", "HEAD", "OPTIONS"})
HIDDEN = "•" * 8

LABELS = """
() => {
  const words = text => (text || '').replace(/\\s+/g, ' ').trim().slice(0, 80);
  const beside = control => {
    const cell = control.closest('td, th');
    return cell && cell.previousElementSibling ? cell.previousElementSibling.innerText : '';
  };
  return [...document.querySelectorAll('input, select, textarea')].filter(one => one.name).map(one => ({
    name: one.name,
    type: one.type,
    value: one.type === 'password' ? '' : one.value,
    counts: !['checkbox', 'radio'].includes(one.type) || one.checked,
    label: words(one.labels && one.labels.length ? one.labels[0].innerText : '')
      || words(one.getAttribute('aria-label')) || words(beside(one)) || words(one.placeholder) || '',
  }));
}
"""
"""What a page's fields are called: by their labels, or by the cell to their left."""


class Catch:
    """Lets nothing out of some browser contexts that could change anything, and keeps the first that would have.

    What only reads goes on, and what `only_looks` knows of. A change that is made by a link, a WebSocket or past the
    browser cannot be told from what makes none: see `Bot.changes_by_submit`.
    """

    def __init__(self, contexts: Sequence[BrowserContext], only_looks: Callable[[str, str], bool]) -> None:
        self.caught: list[Request] = []
        self._contexts = contexts
        self._only_looks = only_looks
        for context in contexts:
            context.route("**/*", self._meet)

    def end(self) -> None:
        """Catch no more. What has been caught is never sent: first the pages are closed, which might try it again."""
        from playwright.sync_api import Error

        for context in self._contexts:
            with suppress(Error):  # A browser that is gone sends nothing.
                for page in context.pages:
                    page.close()
                context.unroute("**/*", self._meet)

    def fields(self, page: Page) -> list[dict[str, str]]:
        """What would have been submitted, by what the page calls it; without a submission, what its forms hold."""
        shown = list(_fields_of(page))
        if not self.caught:
            return [
                _field(one["name"], one["value"], one) for one in shown if one["counts"] and _is_told(one)
            ]
        known = {one["name"]: one for one in shown}
        sent = _values(self.caught[0])
        return [
            _field(name, value, known.get(name, {})) for name, value in sent if _is_told(known.get(name, {}))
        ]

    def _meet(self, route: Route) -> None:
        request = route.request
        if request.method in READS or self._only_looks(request.url, _text(request.post_data_buffer or b"")):
            route.fallback()
            return
        if request.resource_type != "ping":
            self.caught.append(request)
        # An aborted navigation leaves the page as it was: the form can still be looked at.
        route.abort("aborted")


def _fields_of(page: Page) -> Iterator[dict[str, Any]]:
    from playwright.sync_api import Error

    for frame in page.frames:
        with suppress(Error):  # A frame that is gone has no fields.
            yield from frame.evaluate(LABELS)


def _field(name: str, value: str, known: Mapping[str, Any]) -> dict[str, str]:
    return {
        "field": known.get("label") or name,
        "value": HIDDEN if known.get("type") == "password" else value,
    }


def _is_told(known: Mapping[str, Any]) -> bool:
    """A page's own tokens say nothing to a person."""
    return known.get("type") not in ("hidden", "submit", "button", "image", "reset")


def _values(request: Request) -> list[tuple[str, str]]:
    """The names and values that a request carries."""
    content = request.post_data_buffer or b""
    kind = request.headers.get("content-type", "")
    if kind.startswith("application/json"):
        return list(_of_json(content))
    if kind.startswith("multipart/form-data"):
        return list(_of_parts(kind, content))
    return parse_qsl(_text(content), keep_blank_values=True, encoding=_charset(content))


def _of_json(content: bytes) -> Iterable[tuple[str, str]]:
    try:
        read = json.loads(content)
    except ValueError:
        return [("what is sent", _text(content))]
    if not isinstance(read, dict):
        return [("what is sent", json.dumps(read))]
    return [(name, value if isinstance(value, str) else json.dumps(value)) for name, value in read.items()]


def _of_parts(kind: str, content: bytes) -> Iterator[tuple[str, str]]:
    message = message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + content)
    for part in message.walk():
        name = part.get_param("name", header="content-disposition")
        if name is not None:
            held = part.get_payload(decode=True)
            yield str(name), part.get_filename() or _text(held if isinstance(held, bytes) else b"")


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")


def _charset(content: bytes) -> str:
    """Old systems send their forms in the encoding of their pages."""
    try:
        parse_qsl(_text(content), encoding="utf-8", errors="strict")
    except UnicodeDecodeError:
        return "windows-1252"
    return "utf-8"
