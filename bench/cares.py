"""What each care costs by itself: the bare loop with one thing added, in turns, all on one driver."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from urllib.parse import urljoin

from playwright.sync_api import Browser, Page, sync_playwright
from pydantic import SecretStr

from bench import clicks
from bench.clicks import Place, Row
from bench.run import WrongWork, changes_in, legacy_for
from bench.tree import cpu_of, descendants
from casehand.bots import filling
from casehand.bots.benefits import BenefitsBot
from casehand.bots.bot import Account
from casehand.bots.browser import CONTEXT, WarmBrowser
from casehand.bots.chromium import find_browser, launch_arguments
from casehand.bots.evidence import Evidence
from casehand.bots.session import Session
from casehand.settings import PREFIX
from casehand.workflows.rent_change import RentChange

BLOCK = 3
"""Cases in a row of each kind."""
WAYS_AT_MOST = 15
FIELDS = range(12)
FORM = "<form>" + "".join(f"<p>Field {number} <input name=f_{number}></p>" for number in FIELDS) + "</form>"

Work = Callable[[Row], None]


@dataclass
class Bench:
    """A browser and a page for each way of working."""

    browser: Browser
    place: Place
    folder: Path

    def ways(self) -> Iterator[tuple[str, Work]]:
        """Each way, by what it adds to the bare loop."""
        yield "the bare loop", self._on(self._page())
        yield "a fresh page for each case", self._on_fresh_pages()
        yield (
            "a connection for each request",
            self._on(self._page(extra_http_headers=CONTEXT["extra_http_headers"])),
        )
        yield "Casehand's session and its bot's screens, in full", self._by_bot()
        yield "the same, with its pictures before and after the change", self._by_bot(pictures=True)
        yield "a picture before and after the change", self._with_pictures(self._page())
        yield "the page's HTML five times", self._with_html(self._page())
        yield "a trace of the actions alone", self._traced(self._page(), rich=False)
        yield "a trace with pictures and pages, thrown away", self._traced(self._page(), rich=True)
        yield (
            "the two further looks without a page (`context.request`)",
            self._looking_without_page(self._page()),
        )
        yield "a form of twelve fields, filled one after another", self._filling(self._page(), _one_by_one)
        yield "the same form, filled in one go (`bot.fill`)", self._filling(self._page(), _in_one_go)

    def _page(self, **options: object) -> Page:
        context = self.browser.new_context(viewport={"width": 1024, "height": 700}, **options)  # type: ignore[arg-type]
        page = context.new_page()
        page.on("dialog", clicks.accept)
        clicks.sign_in(page, self.place)
        return page

    def _on(self, page: Page) -> Work:
        return lambda row: clicks.change_rent(page, self.place, row)

    def _on_fresh_pages(self) -> Work:
        first = self._page()

        def work(row: Row) -> None:
            page = first.context.new_page()
            page.on("dialog", clicks.accept)
            clicks.change_rent(page, self.place, row)
            page.close()

        return work

    def _by_bot(self, *, pictures: bool = False) -> Work:
        warm = WarmBrowser(Path(self.place.browser), launch_arguments(), [self.place.url])
        warm._browser = self.browser  # One driver for all: two cannot run in one process.
        account = Account(self.place.username, SecretStr(self.place.password))
        session = Session(BenefitsBot, self.place.url, account, warm)
        # All others have signed in by now, too.
        session.open()
        session.leave_page()
        # Every claimant of the practice system is one.
        evidence = Evidence(self.folder, bytes, ["Test"])

        def work(row: Row) -> None:
            day, month, year = row.from_date.split("/")
            given = {"claim": row.claim, "weekly_rent": row.weekly_rent, "from_date": f"{year}-{month}-{day}"}
            change = RentChange.model_validate({**given, "claimant": "Mx Test"})
            bot = session.open()
            assert isinstance(bot, BenefitsBot)
            claim = bot.open_claim(change.claim)
            assert not claim.has_rent(change.weekly_rent, change.from_date)
            if pictures:
                evidence.screenshot(bot.page, "before")
            claim.add_rent(change.weekly_rent, change.from_date)
            assert claim.has_rent(change.weekly_rent, change.from_date)
            if pictures:
                evidence.screenshot(bot.page, "after")
            session.leave_page()

        return work

    def _with_pictures(self, page: Page) -> Work:
        def work(row: Row) -> None:
            page.screenshot(type="jpeg", quality=60)
            clicks.change_rent(page, self.place, row)
            page.screenshot(type="jpeg", quality=60)

        return work

    def _with_html(self, page: Page) -> Work:
        def work(row: Row) -> None:
            clicks.change_rent(page, self.place, row)
            for _ in range(5):
                page.frames[-1].content()

        return work

    def _traced(self, page: Page, *, rich: bool) -> Work:
        def work(row: Row) -> None:
            page.context.tracing.start(screenshots=rich, snapshots=rich)
            clicks.change_rent(page, self.place, row)
            page.context.tracing.stop()

        return work

    def _looking_without_page(self, page: Page) -> Work:
        def work(row: Row) -> None:
            frame = clicks.work_frame(page)
            frame.goto(urljoin(self.place.url, "/search"))
            address = clicks.find(frame, row)
            frame.goto(address)
            shown = f"<td>{row.from_date}</td><td>£{row.weekly_rent}</td>"
            assert shown not in page.context.request.get(address).text()
            clicks.put_on(frame, row)
            assert shown in page.context.request.get(address).text()

        return work

    def _filling(self, page: Page, fill: Callable[[Page, dict[str, str]], None]) -> Work:
        def work(row: Row) -> None:
            clicks.change_rent(page, self.place, row)
            page.set_content(FORM)
            fill(page, {f"f_{number}": f"{row.claim} {number}" for number in FIELDS})
            assert page.locator(f"[name=f_{FIELDS[-1]}]").input_value() == f"{row.claim} {FIELDS[-1]}"

        return work


def _one_by_one(page: Page, values: dict[str, str]) -> None:
    for name, value in values.items():
        page.locator(f"[name={name}]").fill(value)


def _in_one_go(page: Page, values: dict[str, str]) -> None:
    filling.fill(page.locator("form"), values)


def report(rounds: int) -> list[str]:
    """Measure every way in turns, and tell of it in Markdown."""
    with (
        TemporaryDirectory(prefix="bench") as folder,
        legacy_for(Path(folder), WAYS_AT_MOST * rounds * BLOCK, 0) as legacy,
    ):
        browser = str(find_browser(os.environ.get(f"{PREFIX}BROWSER")))
        rows = clicks.read_rows(legacy.home / "batch.csv")
        with sync_playwright() as playwright:
            place = Place(legacy.told["url"], legacy.told["username"], legacy.told["password"], browser)
            opened = clicks.launch(playwright, place)
            spent = _measure(
                dict(Bench(opened, place, Path(folder) / "evidence").ways()),
                rows,
                rounds,
                {legacy.process.pid},
            )
            opened.close()
        worked = sum(map(len, spent.values())) * BLOCK
        if len(changes_in(legacy.requests())) != worked:
            raise WrongWork(f"{worked} cases led to {len(changes_in(legacy.requests()))} changes")
    return list(_tell(spent, rounds))


def _measure(
    ways: dict[str, Work], rows: list[Row], rounds: int, others: set[int]
) -> dict[str, list[tuple[float, float]]]:
    """For each way, CPU and wall milliseconds a case in each round."""
    left = iter(rows)
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, work in ways.items():
            used, begun = _used(others), perf_counter()
            for _ in range(BLOCK):
                work(next(left))
            wall = perf_counter() - begun
            spent[name].append(((_used(others) - used) / BLOCK * 1000, wall / BLOCK * 1000))
    return spent


def _used(others: set[int]) -> float:
    return process_time() + sum(map(cpu_of, descendants(os.getpid(), others)))


def _tell(spent: dict[str, list[tuple[float, float]]], rounds: int) -> Iterator[str]:
    yield "## What each care costs"
    yield ""
    yield f"The bare loop with one thing added or changed; medians of {rounds} rounds of {BLOCK} cases, no think time."
    yield ""
    yield "| | CPU ms a case | to the loop | wall ms | to the loop |"
    yield "|---|--:|--:|--:|--:|"
    base = [median(one[place] for one in spent["the bare loop"]) for place in (0, 1)]
    for name, taken in spent.items():
        used, wall = (median(one[place] for one in taken) for place in (0, 1))
        yield f"| {name} | {used:.0f} | {used / base[0]:.2f} | {wall:.0f} | {wall / base[1]:.2f} |"
    yield ""
