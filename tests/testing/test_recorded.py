"""A recorded system played back: a bot meets the pages that were kept, and what was never recorded fails the test."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Error

from casehand.bots.benefits import BenefitsBot
from casehand.bots.browser import CONTEXT
from casehand.bots.har import as_text, clean
from casehand.exceptions import BusinessException
from casehand.fixtures.practice.options import Options
from casehand.fixtures.practice.server import PracticeServer
from casehand.testing.recorded import RecordedSystem

CLAIM = "HB900001"
"""As the claim is called in the recording: the practice system calls it HB000119."""
RENT = (Decimal("101.50"), date(2026, 4, 6))


@pytest.fixture(scope="module")
def session(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clerk looks a claim up, puts a rent on it and looks it up again; the system is gone afterwards."""
    folder = tmp_path_factory.mktemp("session")
    with PracticeServer(folder, None, Options(pieces=0), mischief=()) as practice:
        signed_in = browser.new_context()
        page = signed_in.new_page()
        page.goto(practice.url)
        page.locator("[name=f_01]").fill(practice.username)
        page.locator("[name=f_02]").fill(practice.password)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_text("Signed in as").wait_for()
        context = browser.new_context(
            storage_state=signed_in.storage_state(),
            record_har_path=folder / "raw.har",
            record_har_content="embed",
            **CONTEXT,
        )
        _work(context, practice.url)
        context.close()
        signed_in.close()
    file = folder / "session.har"
    raw = json.loads((folder / "raw.har").read_text())
    file.write_text(as_text(clean(raw, (practice.password,)).har))
    return file


def _work(context: BrowserContext, url: str) -> None:
    page = context.new_page()
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(url)
    frame = page.frame_locator("iframe[name=work]")
    for _ in range(2):
        frame.get_by_role("link", name="New search").or_(frame.locator("[name=f_07]")).first.wait_for()
        if frame.get_by_role("link", name="New search").count():
            frame.get_by_role("link", name="New search").click()
        frame.locator("[name=f_07]").fill("HB000119")
        frame.get_by_role("button", name="Find").click()
        frame.get_by_role("link", name="HB000119", exact=True).click()
        frame.get_by_role("link", name="New rent").wait_for()
        if not frame.get_by_text("£101.50").count():
            frame.get_by_role("link", name="New rent").click()
            frame.locator("[name=f_11]").fill("101.50")
            frame.locator("[name=f_12]").fill("06/04/2026")
            frame.get_by_role("button", name="Save").click()
            frame.get_by_text("The new rent has been saved.").wait_for()


@pytest.fixture
def system(session: Path, tmp_path: Path) -> RecordedSystem:
    return RecordedSystem(session, tmp_path)


@pytest.fixture
def bot(system: RecordedSystem, browser: Browser) -> Iterator[BenefitsBot]:
    context = browser.new_context(**CONTEXT)
    yield system.open(BenefitsBot, context)
    context.close()


def test_a_bots_screens_work_on_the_recorded_pages_and_a_save_is_seen(
    bot: BenefitsBot, system: RecordedSystem
) -> None:
    assert bot.is_signed_in()
    claim = bot.open_claim(CLAIM)
    assert claim.status == "Live"
    assert not claim.has_rent(*RENT)
    claim.add_rent(*RENT)
    assert claim.has_rent(*RENT)
    system.check()


def test_a_reading_that_was_never_recorded_fails_with_the_nearest_named(
    bot: BenefitsBot, system: RecordedSystem
) -> None:
    said = (
        r"GET /results\?f_07=HB900099 was never recorded in session.har:"
        r" the nearest is GET /results\?f_07=HB900001"
    )
    with pytest.raises(AssertionError, match=said):
        bot.open_claim("HB900099")
    with pytest.raises(AssertionError, match=said):
        system.check()


def test_a_page_that_was_never_recorded_fails_the_test_and_is_asked_of_nobody(
    bot: BenefitsBot, system: RecordedSystem
) -> None:
    with pytest.raises(Error, match="ERR_ADDRESS_UNREACHABLE"):
        bot.page.goto(f"{bot.url}serch")
    with pytest.raises(
        AssertionError, match=r"GET /serch was never recorded in .*: the nearest is GET /search"
    ):
        system.check()


def test_a_form_sent_with_other_values_fails_with_the_fields_named(
    bot: BenefitsBot, system: RecordedSystem
) -> None:
    claim = bot.open_claim(CLAIM)
    with pytest.raises((Error, BusinessException)):
        claim.add_rent(Decimal("102.50"), RENT[1])
    with pytest.raises(
        AssertionError, match=r"rent was never recorded .* with f_11 = 102.50 \(recorded: 101.50\)"
    ):
        system.check()


TESTS = """
from casehand.bots.benefits import BenefitsBot


def test_recorded(recorded, context):
    assert recorded("session.har").open(BenefitsBot, context).is_signed_in()


def test_never_recorded(recorded, context):
    bot = recorded("session.har").open(BenefitsBot, context)
    bot.page.evaluate("() => fetch('/other').catch(() => null)")
"""

CONFTEST = """
import pytest

from casehand.bots.chromium import find_browser, launch_arguments


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args):
    return {**browser_type_launch_args, "executable_path": find_browser(), "args": launch_arguments()}
"""


def test_the_plugins_fixture_fails_a_test_that_asked_for_more(session: Path, tmp_path: Path) -> None:
    (tmp_path / "session.har").write_text(session.read_text())
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_bot.py").write_text(TESTS)
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--rootdir",
            tmp_path,
            "test_bot.py",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert re.search(r"\b2 passed, (1 warning, )?1 error\b", ran.stdout)
    assert "GET /other was never recorded in session.har: the nearest is" in ran.stdout
