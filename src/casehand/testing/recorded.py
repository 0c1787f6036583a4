"""A recorded system: plays a HAR file of `casehand record` back, so that a bot meets the system's real pages.

Playwright's own playback gives always the first of several answers to one request. Here the recording's time goes
on with each form that is sent: what is asked for after a save is answered as it was after that save.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl, urljoin, urlsplit

from pydantic import SecretStr

from casehand.bots.bot import Account, Bot
from casehand.bots.reading import Answer, read_by

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Route

B = TypeVar("B", bound=Bot)

FIRST_REDIRECT, LAST_REDIRECT = 300, 399


@dataclass
class RecordedSystem:
    """A session with a system. `prepare` a browser context with it, and `check` at the end."""

    file: Path
    folder: Path  #: for the parts of the recording, as they are played
    missed: list[str] = field(default_factory=list)  #: what was asked for and never recorded
    _entries: list[dict[str, Any]] = field(default_factory=list)
    _saves: int = 0

    def __post_init__(self) -> None:
        self._entries = json.loads(self.file.read_text(encoding="utf-8"))["log"]["entries"]
        if not self._entries:
            raise ValueError(f"{self.file} holds no session: record it again")

    @property
    def url(self) -> str:
        """Where the recording begins: the bot's address."""
        first: str = self._entries[0]["request"]["url"]
        return first

    def prepare(self, context: BrowserContext) -> None:
        """Have all that a context asks for answered from the recording, and nothing from anywhere else."""
        self._saves = 0
        context.route("**/*", self._miss)
        self._play_on(context)
        read_by(context, self._answer)

    def open(self, bot: type[B], context: BrowserContext) -> B:
        """A bot on a page of this context, at the place where the recording begins."""
        self.prepare(context)
        opened = bot(context.new_page(), self.url, Account("recorded", SecretStr("recorded")))
        opened.page.goto(self.url)
        return opened

    def check(self) -> None:
        """Raise AssertionError when something was asked for that was never recorded."""
        __tracebackhide__ = True
        if self.missed:
            raise AssertionError("\n".join(self.missed))

    def _play_on(self, context: BrowserContext) -> None:
        """Answer from what was recorded after the saves so far, and from before where nothing came after."""
        part = self.folder / f"{self.file.stem}-{id(context)}-{self._saves}.har"
        part.write_text(json.dumps({"log": self._log(self._ordered())}), encoding="utf-8")
        context.route_from_har(part, not_found="fallback")
        # Before the recording itself, since the route that was set last is asked first.
        context.route(lambda url: True, lambda route: self._note_save(context, route))

    def _note_save(self, context: BrowserContext, route: Route) -> None:
        if route.request.method != "GET" and self._find(route.request.method, route.request.url) is not None:
            self._saves += 1
            self._play_on(context)
        route.fallback()

    def _ordered(self) -> list[dict[str, Any]]:
        saves = 0
        later: list[dict[str, Any]] = []
        earlier: list[dict[str, Any]] = []
        for entry in self._entries:
            saves += entry["request"]["method"] != "GET"
            if saves >= self._saves:
                later.append(entry)
            else:
                earlier.insert(0, entry)
        return later + earlier

    def _log(self, entries: list[dict[str, Any]]) -> dict[str, Any]:
        return {"version": "1.2", "creator": {"name": "casehand", "version": "1"}, "entries": entries}

    def _find(self, method: str, url: str) -> dict[str, Any] | None:
        for entry in self._ordered():
            if entry["request"]["method"] == method and entry["request"]["url"] == url:
                return entry
        return None

    def _answer(self, address: str, seconds: float) -> Answer:
        """What was answered there, for a bot that reads without rendering."""
        entry = self._find("GET", address)
        if entry is None:
            self.missed.append(self._miss_of("GET", address, ""))
            raise AssertionError(self.missed[-1])
        response = entry["response"]
        headers = {header["name"].lower(): header["value"] for header in response["headers"]}
        if FIRST_REDIRECT <= response["status"] <= LAST_REDIRECT and response["redirectURL"]:
            headers["location"] = urljoin(address, response["redirectURL"])
        content = response["content"].get("text", "").encode()
        return Answer(address, response["status"], headers, content)

    def _miss(self, route: Route) -> None:
        request = route.request
        # Browsers ask for it by themselves.
        if not request.url.endswith("/favicon.ico"):
            self.missed.append(self._miss_of(request.method, request.url, request.post_data or ""))
        route.abort("addressunreachable")

    def _miss_of(self, method: str, url: str, posted: str) -> str:
        said = f"{method} {_short(url)} was never recorded in {self.file.name}"
        nearest = self._nearest(method, url)
        if nearest is None:
            return said
        same = nearest["request"]["url"] == url and nearest["request"]["method"] == method
        differs = _differences(posted, nearest["request"].get("postData", {}).get("text", "")) if same else []
        if differs:
            return f"{said} with {'; '.join(differs)}"
        return f"{said}: the nearest is {nearest['request']['method']} {_short(nearest['request']['url'])}"

    def _nearest(self, method: str, url: str) -> dict[str, Any] | None:
        by_name = {
            f"{entry['request']['method']} {entry['request']['url']}": entry for entry in self._entries
        }
        near = difflib.get_close_matches(f"{method} {url}", by_name, n=1, cutoff=0.0)
        return by_name[near[0]] if near else None


def _short(url: str) -> str:
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def _differences(posted: str, recorded: str) -> list[str]:
    """The fields of a form that are not as they were recorded."""
    given, was = dict(parse_qsl(posted)), dict(parse_qsl(recorded))
    return list(_each_difference(given, was))


def _each_difference(given: dict[str, str], was: dict[str, str]) -> Iterator[str]:
    for name in sorted({*given, *was}):
        if given.get(name) != was.get(name):
            yield f"{name} = {given.get(name, 'nothing')} (recorded: {was.get(name, 'nothing')})"
