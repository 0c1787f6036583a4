"""The pytest plugin: its fixtures import what they need, since it is loaded in every run of pytest."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Playwright

    from casehand.settings import Settings
    from casehand.testing import FrozenClock, Work
    from casehand.testing.browsers import Browsers
    from casehand.testing.faults import Fault
    from casehand.testing.recorded import RecordedSystem

FAULT = "casehand_fault"
MARKER = "casehand_faults"


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker of `casehand.testing.faults` known."""
    config.addinivalue_line(
        "markers", f"{MARKER}(faults): work the test's case once with each of these faults"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once for each of its faults."""
    marker = metafunc.definition.get_closest_marker(MARKER)
    if marker is None:
        return
    if FAULT not in metafunc.fixturenames:
        raise pytest.UsageError(f"{metafunc.definition.nodeid} has faults, but does not use the fixture work")
    metafunc.parametrize(FAULT, marker.args[0], ids=str)


@pytest.fixture
def work(
    casehand_settings: Settings,
    casehand_clock: FrozenClock,
    casehand_browsers: Browsers,
    casehand_fault: Fault | None,
    count_changes: Callable[[], int] | None,
    prepare_context: Callable[[BrowserContext], object],
    playwright: Playwright,
    tmp_path: Path,
) -> Iterator[Work]:
    """Works one case: `work(workflow, data, answers={...})` returns how it ended."""
    from casehand.queue.ledger import Ledger
    from casehand.testing import Work

    ledger = Ledger.open(casehand_settings.ledger_url, casehand_settings.vault(), casehand_clock)
    given = Work(
        casehand_settings,
        ledger,
        casehand_clock,
        playwright,
        casehand_browsers,
        tmp_path / "pictures",
        casehand_fault,
        count_changes,
        prepare_context,
    )
    yield given
    given.close()
    ledger.close()


@pytest.fixture
def casehand_clock() -> FrozenClock:
    """The time of the test, which stands still: a Wednesday morning, 1 April 2026."""
    from casehand.testing import FrozenClock

    return FrozenClock()


@pytest.fixture
def bot_settings() -> Mapping[str, Mapping[str, str]]:
    """Override it with each bot's address and account: {"claims": {"url": ..., "username": ..., "password": ...}}.

    A bot that is not in it has those of the environment or casehand.toml.
    """
    return {}


@pytest.fixture
def casehand_settings(
    bot_settings: Mapping[str, Mapping[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """The settings of the test: its own home and ledger, and else what is set."""
    from casehand.settings import bot_prefix, load_settings

    home = tmp_path / "casehand"
    own = load_settings(home=home, database_url=f"sqlite:///{home / 'ledger.db'}", redis_url=None)
    for prefix in map(bot_prefix, bot_settings):
        for name in [name for name in os.environ if name.startswith(prefix)]:
            monkeypatch.delenv(name)
    return own.model_copy(
        update={"bot": {**own.bot, **{name: dict(one) for name, one in bot_settings.items()}}}
    )


@pytest.fixture
def count_changes() -> Callable[[], int] | None:
    """Override it with what tells how many changes the system itself has counted: each must be the ledger's."""
    return None


@pytest.fixture
def prepare_context() -> Callable[[BrowserContext], object]:
    """Override it with what is to be done with each browser context before its first page, such as a route."""
    return str


@pytest.fixture
def recorded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], RecordedSystem]]:
    """Plays a HAR file of `casehand record` back: `recorded("benefits.har")`, a file beside the test.

    The test fails when something is asked for that was never recorded.
    """
    from casehand.testing.recorded import RecordedSystem

    opened: list[RecordedSystem] = []

    def open_file(name: str) -> RecordedSystem:
        opened.append(RecordedSystem(request.path.parent / name, tmp_path))
        return opened[-1]

    yield open_file
    for system in opened:
        system.check()


@pytest.fixture
def casehand_fault() -> Fault | None:
    """What goes wrong in the test: `@faults.every()` sets it."""
    return None


@pytest.fixture(scope="session")
def casehand_browsers(browser_type_launch_args: dict[str, Any], playwright: Playwright) -> Iterator[Browsers]:
    """The browser of the run, closed before its driver is."""
    from casehand.testing.browsers import Browsers

    browsers = Browsers(browser_type_launch_args)
    yield browsers
    browsers.close()
