"""`casehand record`: a person works in a window, and screens and a session to test against come of it."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from urllib.request import urlopen

import pytest
from playwright.sync_api import Page, Playwright

from casehand.bots.har import clean
from casehand.bots.recorder import find_window_browser
from casehand.exceptions import CasehandError
from casehand.fixtures.practice.clerk import Clerk
from casehand.fixtures.practice.server import PracticeServer

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
    yield f":{process.stdout.readline().strip()}"
    process.terminate()
    process.wait()


@pytest.fixture(scope="module")
def recorded(
    display: str, tmp_path_factory: pytest.TempPathFactory, playwright: Playwright
) -> Iterator[Recorded]:
    """A person looks a claim up and puts a new rent on it, in the window that `casehand record` opens."""
    folder = tmp_path_factory.mktemp("recorded")
    port = _free_port()
    wrapper = folder / "browser"
    wrapper.write_text(f'#!/bin/sh\nexec {_browser()} --remote-debugging-port={port} "$@"\n')
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
            process.wait()
        with Clerk(practice.url) as clerk:
            clerk.sign_in()
            number = clerk.numbers("HB000119")[0]
        yield Recorded(
            (folder / "screens.py").read_text(),
            (folder / "session.har").read_text(),
            said,
            practice.url,
            number,
        )


def _work(playwright: Playwright, port: int, process: "subprocess.Popen[str]") -> None:
    """What the person does: by mouse and keyboard alone, as far as the page knows."""
    deadline = monotonic() + SECONDS
    while not _answers(port):
        assert process.poll() is None, process.communicate()[0]
        assert monotonic() < deadline, "the window did not open"
    browser = playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{port}")
    page = _window(browser.contexts, deadline)
    frame = page.frame_locator("iframe[name=work]")
    frame.locator("[name=f_07]").fill("HB000119")
    frame.get_by_role("button", name="Find").click()
    frame.get_by_role("link", name="HB000119", exact=True).click()
    frame.get_by_role("link", name="New rent").click()
    frame.locator("[name=f_11]").fill("101.50")
    frame.locator("[name=f_12]").fill("06/04/2026")
    page.on("dialog", lambda dialog: dialog.accept())
    frame.get_by_role("button", name="Save").click()
    frame.get_by_text("The new rent has been saved.").wait_for()
    frame.get_by_role("link", name="New search").click()
    frame.locator("[name=f_07]").fill("HB000119")
    frame.get_by_role("button", name="Find").click()
    frame.get_by_role("link", name="HB000119", exact=True).click()
    frame.get_by_text("£101.50").wait_for()
    page.wait_for_timeout(1500)
    page.close()
