"""Faults: what goes wrong with a legacy system or its browser, made to happen at a chosen step of a test.

    @faults.every()
    def test_a_rent_is_put_on_whatever_happens(work: Work) -> None:
        work(change_rent, ROW).should_be_done().should_have_changed("put the new rent on the claim")

runs the test once for each fault at each place. The case is worked again until it ends, and each change must have
been made once. They work on any system: the answer of a real request waits or gets lost, in the browser itself or,
for what a bot reads without its page (`Bot.read`), on the way to it.
"""

from __future__ import annotations

import os
import signal
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from casehand.bots.reading import Answer, Ask, asks_by, read_by
from casehand.queue.commits import CommitState
from casehand.workflows.hears import Stage
from casehand.workflows.rehearsal import READS

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, CDPSession, Page

    from casehand.testing.worked import Worked

BEGIN = "the beginning"
"""When every bot is signed in, and the workflow begins."""
FIRST_CHANGE = "the first change"
"""The first commit point whose change is not there yet."""

MARKER = "casehand_faults"
IMPATIENCE = 2_000
"""Milliseconds that the pages wait while an answer is made to come too late."""

Test = TypeVar("Test", bound=Callable[..., object])


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong once; `at` is BEGIN, FIRST_CHANGE, or the name of a step or commit point."""

    at: str
    words: ClassVar[str]

    def arm(self, only_looks: Callable[[str, str], bool]) -> Struck:
        """Have it happen in the case that is worked next; of requests by POST, some `only_looks` knows of."""
        return Struck(self, only_looks)

    @abstractmethod
    def strike(self, contexts: Sequence[BrowserContext], changes: bool, struck: Struck) -> None:
        """Happen now, or to the next request of these contexts: for a commit point, to the next that `changes`."""

    def __str__(self) -> str:
        """For the test's name."""
        return f"{self.words} at {self.at}"


class SessionExpires(Fault):
    """The system no longer knows who is signed in: cookies and all else that a page keeps of it are gone."""

    words = "session expires"

    def strike(self, contexts: Sequence[BrowserContext], changes: bool, struck: Struck) -> None:
        """Forget it now."""
        from playwright.sync_api import Error

        for context in contexts:
            context.clear_cookies()
            for frame in [frame for page in context.pages for frame in page.frames]:
                with suppress(Error):  # A page may be forbidden to keep anything.
                    frame.evaluate("() => { localStorage.clear(); sessionStorage.clear(); }")
        struck.has_struck = True


class PageIsSlow(Fault):
    """The system has done what it was asked, and its answer comes later than the bot waits for it."""

    words = "page is slow"

    def strike(self, contexts: Sequence[BrowserContext], changes: bool, struck: Struck) -> None:
        """Hold the next answer back for longer than the page waits."""

        def hold(page: Page, session: CDPSession, request: str) -> None:
            page.wait_for_timeout(IMPATIENCE * 1.5)
            session.send("Fetch.continueRequest", {"requestId": request})

        for page in [page for context in contexts for page in context.pages]:
            page.set_default_timeout(IMPATIENCE)
            page.set_default_navigation_timeout(IMPATIENCE)
        struck.listen(contexts, changes, hold)
        if not changes:
            struck.lose_reading(contexts, f"Timeout {IMPATIENCE}ms exceeded")


class ResponseLost(Fault):
    """The system has done what it was asked, and its answer never arrives."""

    words = "response is lost"

    def strike(self, contexts: Sequence[BrowserContext], changes: bool, struck: Struck) -> None:
        """Drop the next answer."""

        def drop(page: Page, session: CDPSession, request: str) -> None:
            session.send("Fetch.failRequest", {"requestId": request, "errorReason": "ConnectionReset"})

        struck.listen(contexts, changes, drop)
        if not changes:
            struck.lose_reading(contexts, "net::ERR_CONNECTION_RESET")


class BrowserDies(Fault):
    """The browser is killed; at a commit point when the system has made the change, and nobody has seen it."""

    words = "browser dies"

    def strike(self, contexts: Sequence[BrowserContext], changes: bool, struck: Struck) -> None:
        """Kill it now, or when the answer to the change arrives."""
        if changes:
            struck.listen(contexts, changes, lambda page, session, request: _kill(page.context))
            return
        for context in contexts[:1]:
            _kill(context)
        struck.has_struck = True


EVERY: tuple[type[Fault], ...] = (SessionExpires, PageIsSlow, ResponseLost, BrowserDies)
"""What may go wrong."""


def every(*at: str, kinds: Sequence[type[Fault]] = EVERY) -> Callable[[Test], Test]:
    """Run a test that works a case once for each fault at each place, BEGIN and FIRST_CHANGE if none is given."""
    return at_each([kind(place) for place in at or (BEGIN, FIRST_CHANGE) for kind in kinds])


def at_each(faults: Sequence[Fault]) -> Callable[[Test], Test]:
    """Run a test that works a case once for each of these faults."""
    import pytest

    marked: Callable[[Test], Test] = getattr(pytest.mark, MARKER)(tuple(faults))
    return marked


@dataclass
class Struck:
    """One fault in one case: waits for its place, strikes once, and looks afterwards whether all is well."""

    fault: Fault
    only_looks: Callable[[str, str], bool]
    has_struck: bool = False
    _is_armed: bool = True
    _came_to: list[str] = field(default_factory=list)

    def hear(self, stage: Stage, name: str, contexts: Sequence[BrowserContext]) -> None:
        """Strike if this is the place."""
        self._came_to.append(name or BEGIN)
        places = {name, BEGIN if stage is Stage.BEGIN else "", FIRST_CHANGE if stage is Stage.CHANGE else ""}
        if self._is_armed and self.fault.at in places - {""}:
            self._is_armed = False
            self.fault.strike(contexts, stage is Stage.CHANGE, self)

    def listen(
        self,
        contexts: Sequence[BrowserContext],
        changes: bool,
        act: Callable[[Page, CDPSession, str], None],
    ) -> None:
        """Do it to the answer of the next request; with `changes`, of the next that is to change something."""
        for context in contexts:
            for page in context.pages:
                self._tap(page, changes, act)
            context.on("page", lambda page: self._tap(page, changes, act))

    def lose_reading(self, contexts: Sequence[BrowserContext], words: str) -> None:
        """Have the system answer what is read next without a page, and fail with these words all the same."""
        for context in contexts:
            read_by(context, self._losing(asks_by(context), words))

    def check(self, worked: Worked) -> None:
        """Raise AssertionError unless it has struck, and no change was made twice."""
        __tracebackhide__ = True
        if not self.has_struck:
            came_to = ", ".join(dict.fromkeys(self._came_to)) or "nothing"
            raise AssertionError(
                f"the fault never struck: {self.fault} (the case came to: {came_to})\n{worked}"
            )
        made = Counter(one.name for one in worked.story.commits if one.state is CommitState.MADE)
        twice = [name for name, times in made.items() if times > 1]
        if twice:
            raise AssertionError(f"made more than once after: {self.fault}: {', '.join(twice)}\n{worked}")

    def _losing(self, ask: Ask, words: str) -> Ask:
        from playwright.sync_api import Error

        def asked(address: str, seconds: float) -> Answer:
            answer = ask(address, seconds)
            if self.has_struck:
                return answer
            self.has_struck = True
            raise Error(words)

        return asked

    def _tap(self, page: Page, changes: bool, act: Callable[[Page, CDPSession, str], None]) -> None:
        """The browser itself stops at each answer: the request was its own, and so are its redirects."""
        from playwright.sync_api import Error

        if self.has_struck:
            return
        session = page.context.new_cdp_session(page)

        def meet(paused: dict[str, Any]) -> None:
            with suppress(Error):  # A page that was closed meanwhile waits for nothing.
                if self.has_struck or not self._is_meant(paused, changes):
                    session.send("Fetch.continueRequest", {"requestId": paused["requestId"]})
                    return
                self.has_struck = True
                act(page, session, paused["requestId"])

        session.on("Fetch.requestPaused", meet)
        session.send("Fetch.enable", {"patterns": [{"urlPattern": "*", "requestStage": "Response"}]})

    def _is_meant(self, paused: dict[str, Any], changes: bool) -> bool:
        if not changes:
            return bool(paused["resourceType"] == "Document")
        request = paused["request"]
        if request["method"] in READS or paused["resourceType"] == "Ping":
            return False
        return not self.only_looks(request["url"], request.get("postData", ""))


def _kill(context: BrowserContext) -> None:
    browser = context.browser
    if browser is None:
        return
    told = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")
    for process in told["processInfo"]:
        if process["type"] == "browser":
            os.kill(process["id"], signal.SIGKILL)
