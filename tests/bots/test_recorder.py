"""`casehand record`: a person works in a window, and screens and a session to test against come of it."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Playwright

from casehand.bots.benefits import BenefitsBot
from casehand.bots.chromium import find_browser_with_window
from casehand.exceptions import CasehandError
from casehand.fixtures.practice.clerk import Clerk
from casehand.fixtures.practice.server import PracticeServer
from casehand.queue import leases
from casehand.queue.ledger import Ledger
from casehand.settings import Settings

CASEHAND = Path(sys.executable).with_name("casehand")
SECONDS = 60


@dataclass(frozen=True)
class Recorded:
    """What came of a session."""

    screens: str
    har: str
    said: str
    url: str
    number: int  #: the system's own number of the claim
    audit: str


@pytest.fixture(scope="module")
def display() -> Iterator[str]:
    """A screen to show a window on."""
    server = shutil.which("Xvfb")
    if server is None:
        if os.environ.get("CI"):
            pytest.fail("Xvfb is missing: install Debian's package xvfb")
        pytest.skip("Xvfb is not installed here (Debian's package is xvfb)")
    process = subprocess.Popen(
        [server, "-displayfd", "1", "-screen", "0", "1280x900x24", "-nolisten", "tcp"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    with process:
        yield f":{process.stdout.readline().strip()}"
        process.terminate()


@pytest.fixture(scope="module")
def recorded(
    display: str, tmp_path_factory: pytest.TempPathFactory, playwright: Playwright
) -> Iterator[Recorded]:
    """A person looks a claim up and puts a new rent on it, in the window that `casehand record` opens."""
    folder = tmp_path_factory.mktemp("recorded")
    port = _free_port()
    wrapper = folder / "browser"
    # A wrapper that names a browser is seen through.
    (folder / "binary").write_text(str(_browser()))
    wrapper.write_text(f'#!/bin/sh\nexec "$(cat {folder}/binary)" --remote-debugging-port={port} "$@"\n')
    wrapper.chmod(0o755)
    with PracticeServer(folder) as practice:
        environment = {
            **os.environ,
            "DISPLAY": display,
            "CASEHAND_HOME": str(folder / "home"),
            "CASEHAND_BROWSER": str(wrapper),
            "CASEHAND_BOT_BENEFITS_URL": practice.url,
            "CASEHAND_BOT_BENEFITS_USERNAME": practice.username,
            "CASEHAND_BOT_BENEFITS_PASSWORD": practice.password,
        }
        process = subprocess.Popen(
            [CASEHAND, "record", "benefits", "--to", "screens.py", "--har", "session.har"],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            _work(playwright, port, process)
            said, _ = process.communicate(timeout=SECONDS)
            assert process.returncode == 0, said
        finally:
            process.kill()
            process.communicate()
        with Clerk(practice.url) as clerk:
            clerk.sign_in()
            number = clerk.numbers("HB000119")[0]
        noted = subprocess.run(
            [CASEHAND, "audit", "--json"], env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
        yield Recorded(
            (folder / "screens.py").read_text(),
            (folder / "session.har").read_text(),
            said,
            practice.url,
            number,
            noted.stdout,
        )


def _work(playwright: Playwright, port: int, process: "subprocess.Popen[str]") -> None:
    """What the person does: by mouse and keyboard alone, as far as the page knows."""
    assert process.stdout is not None
    told = process.stdout.readline()
    assert told.startswith("Do in the window"), told + process.communicate()[0]
    browser = playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{port}")
    (page,) = (page for context in browser.contexts for page in context.pages)
    frame = page.frame_locator("iframe[name=work]")
    page.on("dialog", lambda dialog: dialog.accept())
    _click(page, frame.locator("[name=f_07]"))
    page.keyboard.type("HB000119")
    _click(page, frame.get_by_role("button", name="Find"))
    _click(page, frame.get_by_role("link", name="HB000119", exact=True))
    _click(page, frame.get_by_role("link", name="New rent"))
    _click(page, frame.locator("[name=f_11]"))
    page.keyboard.type("101.50")
    page.keyboard.press("Tab")
    page.keyboard.type("06/04/2026")
    _click(page, frame.get_by_role("button", name="Save"))
    frame.get_by_text("The new rent has been saved.").wait_for()
    page.wait_for_timeout(1500)
    page.close()


def _click(page: Page, place: Locator) -> None:
    """Click as a hand does: a locator's own click would be one more beside that of the recorder."""
    place.wait_for()
    page.wait_for_timeout(300)
    box = place.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def _free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        port: int = opened.getsockname()[1]
        return port


def _browser() -> Path:
    try:
        return find_browser_with_window()
    except CasehandError as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))


def test_each_page_is_a_method_with_typed_arguments(recorded: Recorded) -> None:
    methods = re.findall(r"def (on_\w+)\((.*)\) -> None", recorded.screens)
    assert methods[:4] == [
        ("on_search", "self, value: str"),
        ("on_results", "self, value: str"),
        ("on_claim", "self"),
        ("on_claim_rent", "self, f_11: Decimal, f_12: date, value: str"),
    ]
    assert 'with self.confirming(f"Save the new rent on claim {value}?"):' in recorded.screens


def test_a_box_without_a_label_is_remarked_on_and_a_button_with_a_name_is_not(recorded: Recorded) -> None:
    lines = [line.strip() for line in recorded.screens.splitlines()]
    box = next(place for place, line in enumerate(lines) if '"f_11"' in line)
    assert lines[box - 1].startswith("# No user-facing locator was unique here")
    button = lines.index('frame.get_by_role("button", name="Find").click()')
    assert not lines[button - 1].startswith("#")


def test_the_audit_says_who_worked_in_the_system_as_the_bot(recorded: Recorded) -> None:
    (entry,) = json.loads(recorded.audit)
    assert (entry["action"], entry["subject"]) == ("recorded", "bot benefits")


def test_what_was_typed_is_not_in_the_screens(recorded: Recorded) -> None:
    for typed in ("HB000119", "101.50", "06/04/2026", "practice-only"):
        assert typed not in recorded.screens


def test_the_screens_are_a_module_that_ruff_accepts_and_that_works(
    recorded: Recorded, tmp_path: Path
) -> None:
    file = tmp_path / "recorded_screens.py"
    file.write_text(recorded.screens)
    ruff = Path(sys.executable).with_name("ruff")
    subprocess.run(
        [ruff, "check", "--isolated", "--select", "E,F,I,UP,B", "--line-length", "120", file], check=True
    )
    made: dict[str, object] = {}
    exec(recorded.screens, made)  # noqa: S102  written by what is tested here
    assert "RecordedBenefitsBot" in made


def test_the_session_holds_nothing_personal_and_no_secret(recorded: Recorded) -> None:
    for personal in ("HB000119", "Poplar", "practice-only", "set-cookie", "authorization"):
        assert personal.casefold() not in recorded.har.casefold(), personal
    assert "reference: HB000119 -> HB9" in recorded.said


def test_the_session_begins_signed_in(recorded: Recorded) -> None:
    entries = json.loads(recorded.har)["log"]["entries"]
    assert entries[0]["request"]["url"] == recorded.url
    assert not any("/signin" in entry["request"]["url"] for entry in entries)


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "screens.py").write_text("mine")
    said = subprocess.run(
        [CASEHAND, "record", "benefits", "--to", "screens.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (said.returncode, said.stderr) == (
        1,
        "casehand: screens.py is there already: give another name, nothing is written over\n",
    )
    assert (tmp_path / "screens.py").read_text() == "mine"


def test_a_bot_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    said = subprocess.run([CASEHAND, "record", "benefit"], cwd=tmp_path, capture_output=True, text=True)
    assert said.returncode == 1
    assert "there is no bot 'benefit': the bots here are" in said.stderr
    assert "benefits" in said.stderr


def test_an_account_that_is_refused_is_not_tried_again_by_workers_or_another_recording(
    display: str, tmp_path: Path
) -> None:
    with PracticeServer(tmp_path) as practice:
        environment = {
            **os.environ,
            "DISPLAY": display,
            "CASEHAND_HOME": str(tmp_path / "home"),
            "CASEHAND_BOT_BENEFITS_URL": practice.url,
            "CASEHAND_BOT_BENEFITS_USERNAME": practice.username,
            "CASEHAND_BOT_BENEFITS_PASSWORD": "not it",
        }
        said = [
            subprocess.run(
                [CASEHAND, "record", "benefits"],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            for _ in range(2)
        ]
    assert [one.returncode for one in said] == [1, 1]
    assert "the bot benefits is paused from now on: " in said[0].stderr
    assert said[1].stderr == "casehand: the bot benefits is paused: `casehand status` says why\n"


def test_where_workers_have_all_sessions_a_recording_waits_its_turn(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "CASEHAND_HOME": str(tmp_path / "home"),
        "CASEHAND_BOT_BENEFITS_URL": "http://127.0.0.1:9/",
        "CASEHAND_BOT_BENEFITS_USERNAME": "one",
        "CASEHAND_BOT_BENEFITS_PASSWORD": "two",
    }
    settings = Settings(home=tmp_path / "home")
    ledger = Ledger.open(settings.ledger_url, settings.vault())
    for number in range(BenefitsBot.sessions):
        assert leases.hold(ledger, f"session benefits {number}", "worker-1", timedelta(minutes=5))
    ledger.close()
    said = subprocess.run(
        [CASEHAND, "record", "benefits"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 1
    assert "the bot benefits holds all of its 3 sessions at work" in said.stderr
