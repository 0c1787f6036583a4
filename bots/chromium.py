"""The browser: finding one on this machine, seeing that it starts, and installing one where there is none."""

import functools
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from casehand.exceptions import CasehandError

MEND = "run `casehand doctor --mend`"
VERSION_SECONDS = 20.0
PAGE_SECONDS = 60.0
DOWNLOAD_SECONDS = 900.0
APT_SECONDS = 900.0
DEBIAN_PACKAGES = ("chromium-headless-shell", "chromium")
LAST_COMMAND = f"sudo apt-get install {DEBIAN_PACKAGES[0]}"

BINARIES = (
    "/usr/lib/chromium/chromium-headless-shell",
    "/usr/lib/chromium/chromium",
    "/usr/lib64/chromium-browser/headless_shell",
    "/usr/lib64/chromium-browser/chromium-browser",
    "/opt/google/chrome/chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
"""Where systems keep the browser's own binary; the headless shell takes a third of the CPU."""
COMMANDS = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
)


def find_browser(configured: str | None = None, playwright_path: Path | None = None) -> Path:
    """The browser's binary: the configured one, else Playwright's own, else the system's; one that starts.

    `playwright_path` is the directory that holds Playwright's browsers, where it is not the usual one.

    Raises CasehandError when there is none, or the configured one is missing or does not start.
    """
    if configured:
        return _configured(Path(configured).expanduser())
    found = list(_candidates(playwright_path))
    for browser in found:
        if not why_not(browser):
            return browser
    if found:
        raise CasehandError(
            f"the browser {found[0]} does not start ({why_not(found[0])}): {MEND}, "
            "or `sudo playwright install-deps chromium`"
        )
    raise CasehandError(f"there is no browser on this machine: {MEND}, or `{LAST_COMMAND}`")


def find_browser_with_window(configured: str | None = None) -> Path:
    """A browser that can be watched: the headless ones that are taken otherwise have no window.

    Raises CasehandError when there is none.
    """
    found = [_configured(Path(configured).expanduser())] if configured else _candidates(None)
    for browser in found:
        if "headless" not in str(browser) and not why_not(browser):
            return browser
    raise CasehandError(
        "there is no browser with a window on this machine: run `playwright install chromium`, "
        f"or `sudo apt-get install {DEBIAN_PACKAGES[1]}`"
    )


def launch_arguments() -> list[str]:
    """The arguments this machine and user need: Chromium's sandbox cannot be had by root."""
    return ["--no-sandbox"] if os.geteuid() == 0 else []


@functools.cache
def why_not(browser: Path) -> str:
    """Why the binary does not run here, or nothing when it does (looked up once a process)."""
    return _outcome([str(browser), "--version"], VERSION_SECONDS)


def why_no_page(browser: Path) -> str:
    """Why the browser does not show an empty page, or nothing when it does; takes half a second."""
    page = ["--headless", "--disable-gpu", "--dump-dom", "about:blank"]
    return _outcome([str(browser), *launch_arguments(), *page], PAGE_SECONDS)


def install_browser(report: Callable[[str], None]) -> Path:
    """Install a browser with whatever this machine and user allow, telling `report` of each try; return it.

    Raises CasehandError, naming the command for somebody with the rights, when nothing led to a browser.
    """
    for install in (_install_by_playwright, _install_by_apt):
        install(report)
        why_not.cache_clear()
        for browser in _candidates(None):
            trouble = why_not(browser) or why_no_page(browser)
            if not trouble:
                return browser
            report(f"{browser} does not start: {trouble}")
    if any(_candidates(None)):
        command = "sudo playwright install-deps chromium"
        raise CasehandError(f"the browser here lacks something of the system: run `{command}`")
    raise CasehandError(f"no browser could be installed by this user: run `{LAST_COMMAND}`")


def _configured(browser: Path) -> Path:
    if not _is_program(browser):
        raise CasehandError(f"CASEHAND_BROWSER names {browser}, which is no program: correct it, or unset it")
    binary = _behind_wrapper(browser) or browser
    trouble = why_not(binary)
    if trouble:
        raise CasehandError(f"CASEHAND_BROWSER names {browser}, which does not start ({trouble}): correct it")
    return binary


def _candidates(playwright_path: Path | None) -> Iterator[Path]:
    """Every browser that is there, the best first, each once."""
    seen: set[Path] = set()
    for browser in (*_playwrights(playwright_path), *map(Path, BINARIES), *_behind_commands()):
        if browser not in seen and _is_program(browser):
            seen.add(browser)
            yield browser


def _playwrights(directory: Path | None) -> Iterator[Path]:
    """Playwright's own browsers of the revision it was made for, whether they are installed or not."""
    package = _playwright_package()
    if package is None:
        return
    revisions = _revisions(package)
    for kept in [directory] if directory else _registries(package):
        for name, places in _PLACES.items():
            if name in revisions:
                # The folder is named with underscores, the browser with hyphens.
                folder = kept / f"{name.replace('-', '_')}-{revisions[name]}"
                yield from (folder / place for place in places.get(_platform(), ()))


_PLACES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "chromium-headless-shell": {
        "linux-x64": ("chrome-headless-shell-linux64/chrome-headless-shell", "chrome-linux/headless_shell"),
        "linux-arm64": (
            "chrome-headless-shell-linux-arm64/chrome-headless-shell",
            "chrome-linux/headless_shell",
        ),
        "mac-x64": ("chrome-headless-shell-mac-x64/chrome-headless-shell",),
        "mac-arm64": ("chrome-headless-shell-mac-arm64/chrome-headless-shell",),
    },
    "chromium": {
        "linux-x64": ("chrome-linux64/chrome", "chrome-linux/chrome"),
        "linux-arm64": ("chrome-linux-arm64/chrome", "chrome-linux/chrome"),
        "mac-x64": ("chrome-mac-x64/Google Chrome for Testing.app/Contents/MacOS/Google Chrome for Testing",),
        "mac-arm64": (
            "chrome-mac-arm64/Google Chrome for Testing.app/Contents/MacOS/Google Chrome for Testing",
        ),
    },
}


def _playwright_package() -> Path | None:
    """The driver's package, found without importing Playwright: whoever asks may be a worker's parent."""
    spec = importlib.util.find_spec("playwright")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "driver/package"


def _revisions(package: Path) -> dict[str, str]:
    try:
        listed: dict[str, Any] = json.loads((package / "browsers.json").read_text())
    except (OSError, ValueError):
        return {}
    return {browser["name"]: browser["revision"] for browser in listed.get("browsers", [])}


def _registries(package: Path) -> Iterator[Path]:
    """The directories in which Playwright keeps browsers."""
    said = os.environ.get("PLAYWRIGHT_BROWSERS_PATH", "")
    if said not in ("", "0"):
        yield Path(said).absolute()
        return
    yield package / ".local-browsers"
    if not said:
        yield _cache() / "ms-playwright"


def _cache() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _platform() -> str:
    """This machine as Playwright names it."""
    system = "mac" if sys.platform == "darwin" else "linux"
    return f"{system}-{'arm64' if platform.machine().lower() in ('aarch64', 'arm64') else 'x64'}"


def _behind_commands() -> Iterator[Path]:
    """The binaries behind the commands on the PATH, and last the commands themselves."""
    commands = [Path(found) for found in map(shutil.which, COMMANDS) if found]
    yield from (binary for command in commands if (binary := _behind_wrapper(command)))
    yield from commands


def _behind_wrapper(command: Path) -> Path | None:
    """The binary that a shell wrapper starts: a wrapper's death would leave the browser running."""
    here = command.resolve()
    try:
        with here.open("rb") as file:  # A browser's own binary has hundreds of megabytes.
            text = file.read(65_536)
    except OSError:
        return None
    if not text.startswith(b"#!"):
        return here
    for binary in _named_in(text, here):
        if _is_program(binary) and not _is_script(binary):
            return binary
    return None


def _named_in(wrapper: bytes, path: Path) -> Iterator[Path]:
    """The paths a wrapper names, whole or beside itself, and the one where Debian keeps its own."""
    for found in re.finditer(rb"(\$HERE/|\$\{HERE\}/|/)([\w./-]*chrom[\w-]*)", wrapper):
        start = path.parent if found[1].startswith(b"$") else Path("/")
        yield start / found[2].decode()
    yield Path("/usr/lib") / path.name / path.name


def _is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def _is_script(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"#!"


def _install_by_playwright(report: Callable[[str], None]) -> None:
    report("installing Playwright's own browser")
    environment = {**os.environ, "PLAYWRIGHT_DOWNLOAD_CONNECTION_TIMEOUT": "15000"}
    if sys.prefix != sys.base_prefix:
        # Inside the virtual environment, so that removing that leaves nothing behind.
        environment.setdefault("PLAYWRIGHT_BROWSERS_PATH", "0")
    command = [sys.executable, "-m", "playwright", "install", "--only-shell", "chromium"]
    trouble = _outcome(command, DOWNLOAD_SECONDS, environment)
    if trouble:
        report(f"Playwright's own browser cannot be had here: {trouble}")


def _install_by_apt(report: Callable[[str], None]) -> None:
    apt = shutil.which("apt-get")
    if apt is None:
        return
    root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if root and shutil.which("sudo") is None:
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    wait = ["-o", "DPkg::Lock::Timeout=120"]
    report("reading Debian's package lists")
    trouble = _outcome([*root, apt, *wait, "update"], APT_SECONDS, environment)
    if trouble:
        report(f"apt-get update: {trouble}")
    for package in DEBIAN_PACKAGES:
        report(f"installing Debian's {package}")
        install = [*root, apt, *wait, "install", "-y", "--no-install-recommends", package]
        trouble = _outcome(install, APT_SECONDS, environment)
        if not trouble:
            return
        report(f"apt-get install {package}: {trouble}")


def _outcome(command: list[str], seconds: float, environment: Mapping[str, str] | None = None) -> str:
    """Run a command; return why it failed, in one line, or nothing when it did not."""
    try:
        ran = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        return f"not done after {seconds:.0f} seconds"
    except OSError as error:
        return error.strerror or type(error).__name__
    return "" if ran.returncode == 0 else _telling_line(ran.stdout) or f"exit status {ran.returncode}"


def _telling_line(said: str) -> str:
    """The line of an output that says what went wrong."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if re.search(r"error|fatal|unable|cannot|sandbox", line, re.IGNORECASE)]
    return (telling or lines[-1:] or [""])[0][:300]
