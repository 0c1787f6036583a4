"""What this machine has and lacks for Casehand, and the command that mends each lack."""

import os
import shutil
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from casehand.bots.chromium import find_browser, why_no_page
from casehand.exceptions import CasehandError
from casehand.queue.valkey import EmbeddedValkey, check_redis, find_server

OLDEST_PYTHON = (3, 11)
LEAST_DISK_BYTES = 1_000_000_000


@dataclass(frozen=True)
class Check:
    """One thing looked at: whether it is well, what was found, and the command that mends it."""

    name: str
    ok: bool
    detail: str
    mend: str = ""


def examine(home: Path, redis_url: str | None, browser: str | None, key_file: Path | None) -> list[Check]:
    """Look at everything that needs no ledger; the ledger's own check is the caller's to add.

    `redis_url`, `browser` and `key_file` are as set, or None: the embedded Valkey, whatever browser
    there is, and the key from CASEHAND_KEY. Starts the browser and, if need be, the embedded Valkey.
    """
    return [
        check_python(),
        check_home(home),
        check_disk(home),
        *([check_key_file(key_file)] if key_file else []),
        check_queue(home, redis_url),
        check_browser(browser),
    ]


def check_python(version: tuple[int, ...] = tuple(sys.version_info[:3])) -> Check:
    """Whether Python is new enough."""
    detail = ".".join(map(str, version))
    if version < OLDEST_PYTHON:
        return Check("Python", False, detail, f"install Python {'.'.join(map(str, OLDEST_PYTHON))} or newer")
    return Check("Python", True, detail)


def check_home(home: Path) -> Check:
    """Whether the directory for everything Casehand keeps is ours, writable, and closed to others."""
    place = _nearest(home)
    if not os.access(place, os.W_OK | os.X_OK) or not place.is_dir():
        return Check(
            "home", False, f"{home} cannot be written to", "set CASEHAND_HOME to a directory of yours"
        )
    if place != home:
        return Check("home", True, f"{home} will be made")
    if stat.S_IMODE(home.stat().st_mode) & 0o077:
        return Check("home", False, f"others can look into {home}", f"chmod 700 '{home}'")
    return Check("home", True, str(home))


def check_disk(home: Path, least: int = LEAST_DISK_BYTES) -> Check:
    """Whether there is room for evidence and ledger; `least` in bytes."""
    free = shutil.disk_usage(_nearest(home)).free
    detail = f"{free / 1e9:.1f} GB free"
    if free < least:
        return Check("disk", False, detail, "make room, or set CASEHAND_HOME to a larger disk")
    return Check("disk", True, detail)


def check_key_file(path: Path) -> Check:
    """Whether the master key's file is closed to others."""
    if not path.exists():
        return Check("key file", True, f"{path} will be made")
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        return Check("key file", False, f"others can read {path}", f"chmod 600 '{path}'")
    return Check("key file", True, str(path))


def check_queue(home: Path, redis_url: str | None) -> Check:
    """Whether the Redis that is set answers, or else the embedded Valkey starts."""
    if redis_url:
        return _tried("Redis", "answers", "unset CASEHAND_REDIS_URL", lambda: check_redis(redis_url))
    found = _tried("embedded Valkey", "found", "sudo apt-get install redis-server", find_server)
    if not found.ok:
        return found
    return _tried("embedded Valkey", "starts", "", lambda: _start_valkey(home))


def check_browser(configured: str | None) -> Check:
    """Whether there is a browser and it shows a page."""
    try:
        browser = find_browser(configured)
    except CasehandError as error:
        return Check("browser", False, str(error), _browser_mend(configured))
    trouble = why_no_page(browser)
    if trouble:
        return Check("browser", False, f"{browser} shows no page: {trouble}", _browser_mend(configured))
    return Check("browser", True, str(browser))


def _nearest(path: Path) -> Path:
    """The path itself, or the nearest above it that exists."""
    place = path.absolute()
    while not place.exists():
        place = place.parent
    return place if place != path.absolute() else path


def _start_valkey(home: Path) -> None:
    with EmbeddedValkey(home):
        pass


def _tried(name: str, good: str, mend: str, attempt: Callable[[], object]) -> Check:
    try:
        attempt()
    except CasehandError as error:
        return Check(name, False, str(error), mend)
    return Check(name, True, good)


def _browser_mend(configured: str | None) -> str:
    """Installing a browser mends nothing as long as the setting names another."""
    if configured:
        return "unset CASEHAND_BROWSER"
    return "casehand doctor --mend"
