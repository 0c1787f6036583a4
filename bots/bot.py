"""A bot: hands in one legacy system. An author writes a subclass with its sign-in and its screens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urljoin, urlsplit

from pydantic import SecretStr

from casehand.bots import filling
from casehand.bots.hours import Hours
from casehand.bots.loading import ENDINGS, Kind
from casehand.exceptions import OutsideAddress, SystemException

if TYPE_CHECKING:
    from playwright.sync_api import Dialog, Frame, Locator, Page, ViewportSize

    from casehand.bots.reading import Reading

BLANK = ("about", "blob", "data", "chrome-error")
"""Schemes of pages that come from no address."""


@dataclass(frozen=True)
class Account:
    """Whom a bot signs in as."""

    username: str
    password: SecretStr


class Bot:
    """Hands in one legacy system.

    A subclass gives `name`, `sign_in` and `is_signed_in`, and the system's screens as methods. Each case
    gets a bot of its own whose page is at `url` and signed in.
    """

    name: ClassVar[str]
    sessions: ClassVar[int] = 1  #: how many sessions the system lets this bot hold at once, everywhere
    account_sessions: ClassVar[int | None] = None  #: how many of them may be one account's; None for all
    hours: ClassVar[str | None] = None
    """When it is open, such as "Mon-Sat 07:00-19:00", or "working days 07:00-19:00" for none on bank holidays."""
    closed: ClassVar[frozenset[date]] = frozenset()  #: days on which it is not
    settles: ClassVar[timedelta] = timedelta(seconds=60)
    """How long after a request the system may still be making the change: a no that is read earlier proves nothing."""
    also: ClassVar[tuple[str, ...]] = ()  #: further addresses it needs, such as "https://login.example"
    viewport: ClassVar[ViewportSize] = {"width": 1024, "height": 700}
    patience: ClassVar[timedelta] = timedelta(seconds=10)  #: how long an action waits for the page
    leaves_out: ClassVar[tuple[Kind, ...]] = ()  #: what its pages need not load: "images", "fonts", "styles"
    changes_by_submit: ClassVar[bool] = False
    """Whether whatever changes something is a page's own POST: a rehearsal then runs a commit up to that, and catches
    it in the browser. Otherwise it stops before the commit: a link, a file or a script may make the change as well."""
    fresh_page: ClassVar[bool] = False
    """Whether each case gets a new page; else one that a good case leaves goes on to the next, from `url`."""

    def __init__(self, page: Page, url: str, account: Account) -> None:
        self.page = page
        self.url = url
        self.account = account
        self._awaited: str | None = None
        self._trouble: SystemException | None = None
        self.watch(page)
        page.on("popup", self.watch)

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if unknown := set(cls.leaves_out) - set(ENDINGS):
            raise TypeError(f"leaves_out knows {', '.join(ENDINGS)}, and not {', '.join(sorted(unknown))}")

    def sign_in(self) -> None:
        """Sign in from `url`. Raise SignInRefused when the system refuses the account."""
        raise NotImplementedError

    def is_signed_in(self) -> bool:
        """Whether the page, just opened at `url`, belongs to a session that is signed in."""
        raise NotImplementedError

    @classmethod
    def only_looks(cls, address: str, sent: str) -> bool:
        """Whether a request by POST changes nothing: a search, or a page that is reached by sending a form.

        `sent` is what it carries, as the page encoded it. Rehearsals and `casehand.testing.faults` let it pass.
        """
        return False

    def text(self, where: Page | Frame | None = None) -> str:
        """What the page, or this frame, says now as a person sees it, with tabs between the cells of a table.

        It does not wait, and costs a fraction of what a locator's `inner_text` does.
        """
        said: str = (where or self.page).evaluate("() => document.body ? document.body.innerText : ''")
        return said

    def read(self, address: str) -> Reading:
        """What the system answers at an address, asked for with the page's cookies and not rendered.

        The page stays where it is, and no script runs. Raises SessionExpired when a sign-in is asked for,
        OutsideAddress when it leads outside the bot's addresses, SystemException when the answer is an error.
        """
        from casehand.bots.reading import fetch

        self.check()
        address = urljoin(self.url, address)
        reading = fetch(self.page.context, address, self._is_own, self.patience.total_seconds())
        self.check()
        return reading

    def fill(self, form: Locator, values: Mapping[str, filling.Value]) -> None:
        """Fill a form's fields in one go, each by its name or label, in the order given.

        A text goes into a box; a list and a group of radio buttons take a choice's value or label, a tick box
        True or False. The page hears of each as input and change, but of no keys. Raises SystemException,
        which names the field and not its value, for one that is missing, hidden, disabled or read-only.
        """
        filling.fill(form, values)
        self.check()

    @contextmanager
    def confirming(self, text: str) -> Iterator[None]:
        """Accept the one dialog that the block raises, if it holds this text.

        Raises SystemException when no such dialog came, or another did.
        """
        self._awaited = text
        try:
            yield
        finally:
            missing, self._awaited = self._awaited, None
        self.check()
        if missing is not None:
            raise SystemException("the page did not ask for the confirmation that was expected")

    def download(self, action: Callable[[], object]) -> bytes:
        """The file that the action makes the page send."""
        with self.page.expect_download() as arriving:
            action()
        path = arriving.value.path()
        content = Path(path).read_bytes()
        arriving.value.delete()
        return content

    def check(self) -> None:
        """Raise what went wrong since the last check: an unexpected dialog, or a page outside the addresses."""
        trouble, self._trouble = self._trouble, None
        if trouble is not None:
            raise trouble
        if self.page.url and not self._is_own(self.page.url):
            raise OutsideAddress("the page is outside the bot's own addresses")

    def watch(self, page: Page) -> None:
        """Look after a page of this bot: its dialogs and where it goes."""
        page.set_default_timeout(self.patience.total_seconds() * 1000)
        page.on("dialog", self._meet)
        page.on("framenavigated", self._follow)

    def leave(self) -> None:
        """Look after the page no more: another bot has it now."""
        self.page.remove_listener("dialog", self._meet)
        self.page.remove_listener("framenavigated", self._follow)
        self.page.remove_listener("popup", self.watch)

    @classmethod
    def slots(cls, accounts: int) -> int:
        """How many sessions there may be with so many accounts."""
        if cls.account_sessions is None:
            return cls.sessions
        return min(cls.sessions, cls.account_sessions * accounts)

    @classmethod
    def open_time(
        cls, begin: datetime, end: datetime, is_working: Callable[[date], bool] | None = None
    ) -> timedelta:
        """For how long it is open between two moments. Raises ValueError for hours that cannot be kept to."""
        if cls.hours is None:
            return max(end - begin, timedelta())
        return Hours.parse(cls.hours, cls.closed, is_working).open_time(begin, end)

    @classmethod
    def must_wait_until(
        cls, now: datetime, length: timedelta, is_working: Callable[[date], bool] | None = None
    ) -> datetime | None:
        """When work that takes so long may begin; None when it may now. `is_working` tells the working days."""
        if cls.hours is None:
            return None
        hours = Hours.parse(cls.hours, cls.closed, is_working)
        return None if hours.may_begin(now, length) else hours.next_opening(now)

    @classmethod
    def origins(cls, url: str) -> list[str]:
        """The origins this bot may open, its own first."""
        return [origin(address) for address in (url, *cls.also)]

    def _meet(self, dialog: Dialog) -> None:
        # Nothing may be raised from here: Playwright would raise it at whatever call comes next.
        if self._awaited is not None and self._awaited in dialog.message:
            self._awaited = None
            dialog.accept()
            return
        self._trouble = SystemException(f"a dialog nobody expected came up ({dialog.type})")
        dialog.dismiss()

    def _follow(self, frame: Frame) -> None:
        if not self._is_own(frame.url):
            self._trouble = OutsideAddress("a page led outside the bot's own addresses")

    def _is_own(self, url: str) -> bool:
        return urlsplit(url).scheme in BLANK or origin(url) in self.origins(self.url)


def origin(url: str) -> str:
    """Scheme, host and port of an address, the port always given."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"{parts.scheme}://{parts.hostname}:{port}"
