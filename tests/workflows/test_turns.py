"""Lanes that take turns on one real Playwright driver and browser, in a process of their own."""

import json
import subprocess
import sys
from typing import Any

PROGRAM = """
import json, os, sys, threading, time
from casehand.bots.chromium import find_browser, launch_arguments
from casehand.workflows.signals import Stopped, TimeUp
from casehand.workflows.turns import LoopEnded, Turns
from playwright.sync_api import Error, sync_playwright

told, blocks, ended = {}, [], []
turns = Turns(lambda lane, at: blocks.append(at))
driver = sync_playwright().start()
loop = turns.begin(driver)
browser = driver.chromium.launch(executable_path=find_browser(), args=launch_arguments())
over = loop.create_future()

def watch():
    while True:
        time.sleep(0.2)
        turns.watch()

threading.Thread(target=watch, daemon=True).start()

def lane(name):
    def run():
        page = browser.new_context().new_page()
        page.set_content(f"<p>{name}</p>")
        try:
            told[name] = lanes[name](page)
        except (Error, LoopEnded, TimeUp, Stopped) as error:
            told[name] = type(error).__name__
        ended.append(name)
        if len(ended) == len(lanes):
            over.set_result(None)
    return run

def never(page):
    page.locator("#never").wait_for()

def within(seconds, work):
    def limited(page):
        try:
            with turns.limit(seconds, TimeUp):
                work(page)
        except TimeUp:
            return "time up, and the page says " + page.inner_text("p")
    return limited

def swallow(page):
    while True:
        try:
            never(page)
        except Exception:
            pass

def compute(page):
    begun = time.monotonic()
    while time.monotonic() - begun < 60:
        try:
            sum(range(1000))
        except Exception:
            pass

def stop(name):
    def stops(page):
        turns.pause(1)
        loop.call_soon(turns.interrupt, started[name], Stopped)
    return stops

def kill_driver(page):
    turns.pause(2)
    for pid in map(int, os.popen(f"pgrep -P {os.getpid()} node").read().split()):
        os.kill(pid, 9)
    never(page)

{setting}
started = {name: turns.start(lane(name)) for name in lanes}
try:
    turns.wait(over)
except LoopEnded:
    for one in started.values():
        if not one.dead:
            one.throw(LoopEnded)
    told["loop"] = "ended"
print(json.dumps([told, blocks, ended]))
os._exit(0)
"""


def run(setting: str) -> tuple[dict[str, Any], list[str], list[str]]:
    """What became of the lanes, who was said to block, and in which order they ended."""
    program = PROGRAM.replace("{setting}", setting)
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stderr
    told: tuple[dict[str, Any], list[str], list[str]] = json.loads(ended.stdout)
    return told


def test_lanes_wait_beside_each_other() -> None:
    _, _, ended = run(
        """lanes = {
            "long": lambda page: page.wait_for_timeout(3000),
            "pauses": lambda page: turns.pause(2),
            "thread": lambda page: turns.in_thread(lambda: time.sleep(1)),
            "short": lambda page: page.wait_for_timeout(100),
        }"""
    )
    assert ended == ["short", "thread", "pauses", "long"]


def test_the_result_and_the_exception_of_work_in_a_thread_come_back() -> None:
    told, _, _ = run(
        """
def fails(page):
    try:
        turns.in_thread(lambda: 1 / 0)
    except ZeroDivisionError:
        return "divided by nought"

lanes = {"works": lambda page: turns.in_thread(lambda: 6 * 7), "fails": fails}"""
    )
    assert told == {"works": 42, "fails": "divided by nought"}


def test_the_end_of_its_time_is_raised_in_its_own_lane_wherever_that_waits_or_works() -> None:
    told, _, _ = run(
        """lanes = {
            "page": within(1, never),
            "swallows": within(1, swallow),
            "computes": within(1, compute),
            "sleeps": within(1, lambda page: time.sleep(60)),
            "other": lambda page: page.wait_for_timeout(500) or "undisturbed",
        }"""
    )
    for name in ("page", "swallows", "computes", "sleeps"):
        assert told[name] == f"time up, and the page says {name}"
    assert told["other"] == "undisturbed"


def test_a_lane_is_stopped_and_no_other() -> None:
    told, _, _ = run(
        """lanes = {
            "waits": never,
            "stops it": stop("waits"),
            "other": lambda page: page.wait_for_timeout(1500) or "undisturbed",
        }"""
    )
    assert told["waits"] == "Stopped"
    assert told["other"] == "undisturbed"


def test_a_lane_that_keeps_the_turn_is_said_with_its_line() -> None:
    _, blocks, _ = run("""lanes = {"blocks": lambda page: time.sleep(7), "other": lambda page: None}""")
    assert len(blocks) == 1
    assert blocks[0].startswith("<string>:")


def test_no_lane_outlives_the_driver() -> None:
    told, _, _ = run(
        """lanes = {"waits": never, "kills": kill_driver, "pauses": lambda page: turns.pause(60)}"""
    )
    assert told["waits"] == told["kills"] == "TargetClosedError"
    assert told["pauses"] == "LoopEnded"
    assert told["loop"] == "ended"
