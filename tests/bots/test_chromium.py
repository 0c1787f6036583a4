"""Finding, trying and installing the browser."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from casehand.bots import chromium
from casehand.bots.chromium import find_browser, install_browser, launch_arguments, why_no_page, why_not
from casehand.exceptions import CasehandError


@pytest.fixture(autouse=True)
def _forget_what_was_tried() -> Iterator[None]:
    why_not.cache_clear()
    yield
    why_not.cache_clear()


@pytest.fixture
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with no browser, no apt-get, and a download host that nobody answers at."""
    monkeypatch.setattr(chromium, "BINARIES", ())
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "browsers"))
    monkeypatch.setenv("PLAYWRIGHT_DOWNLOAD_HOST", "http://127.0.0.1:1")
    (tmp_path / "bin").mkdir()
    return tmp_path


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def playwrights_own(registry: Path) -> Path:
    """Where Playwright would have its own headless shell on this machine."""
    package = chromium._playwright_package()
    assert package is not None
    listed = json.loads((package / "browsers.json").read_text())["browsers"]
    revision = next(each["revision"] for each in listed if each["name"] == "chromium-headless-shell")
    place = chromium._PLACES["chromium-headless-shell"][chromium._platform()][0]
    return registry / f"chromium_headless_shell-{revision}" / place


def test_the_browser_found_shows_a_page() -> None:
    assert why_no_page(find_browser()) == ""


def test_the_browser_found_is_a_binary_and_no_wrapper() -> None:
    assert find_browser().read_bytes()[:2] != b"#!"


def test_playwrights_own_browser_comes_first(tmp_path: Path) -> None:
    own = program(playwrights_own(tmp_path), "echo version")
    assert find_browser(playwright_path=tmp_path) == own


def test_playwrights_own_browser_is_found_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = program(playwrights_own(tmp_path), "echo version")
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path))
    assert find_browser() == own


def test_playwrights_own_browser_is_found_in_the_cache_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PLAYWRIGHT_BROWSERS_PATH", raising=False)
    monkeypatch.setattr(chromium, "_cache", lambda: tmp_path)
    own = program(playwrights_own(tmp_path / "ms-playwright"), "echo version")
    assert own in list(chromium._candidates(None))


def test_a_browser_of_another_revision_is_not_taken(tmp_path: Path) -> None:
    place = playwrights_own(tmp_path).relative_to(tmp_path)
    stale = program(tmp_path / "chromium_headless_shell-1" / Path(*place.parts[1:]), "echo version")
    assert find_browser(playwright_path=tmp_path) != stale


def test_a_browser_that_lacks_a_library_is_passed_over(tmp_path: Path) -> None:
    broken = program(playwrights_own(tmp_path), "echo 'cannot open shared object file: libnss3.so'; exit 127")
    assert find_browser(playwright_path=tmp_path) != broken


def test_when_no_browser_starts_the_reason_is_told(bare_machine: Path) -> None:
    program(playwrights_own(bare_machine), "echo 'cannot open shared object file: libnss3.so'; exit 127")
    with pytest.raises(CasehandError, match=r"libnss3\.so.*casehand doctor --mend.*install-deps") as raised:
        find_browser(playwright_path=bare_machine)
    assert "\n" not in str(raised.value)


def test_a_missing_browser_is_said_with_the_command_that_installs_it(bare_machine: Path) -> None:
    with pytest.raises(CasehandError, match=r"`casehand doctor --mend`.*`sudo apt-get install chromium"):
        find_browser()


def test_a_configured_browser_is_taken_before_all_others(tmp_path: Path) -> None:
    mine = program(tmp_path / "mine", "echo version")
    program(playwrights_own(tmp_path), "echo version")
    assert find_browser(str(mine), playwright_path=tmp_path) == mine


@pytest.mark.parametrize("name", ["missing", "directory", "no-program"])
def test_a_configured_browser_that_is_no_program_is_said_so(tmp_path: Path, name: str) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "no-program").touch(mode=0o600)
    with pytest.raises(CasehandError, match=r"CASEHAND_BROWSER names .* no program"):
        find_browser(str(tmp_path / name))


def test_a_configured_browser_that_does_not_start_is_said_so(tmp_path: Path) -> None:
    broken = program(tmp_path / "broken", "echo 'fatal: no'; exit 1")
    with pytest.raises(CasehandError, match=r"does not start .fatal: no"):
        find_browser(str(broken))


def test_a_wrapper_leads_to_the_binary_it_names(tmp_path: Path) -> None:
    binary = tmp_path / "lib/chromium"
    binary.parent.mkdir()
    binary.symlink_to("/bin/true")
    wrapper = program(tmp_path / "bin/chromium", f'. /etc/chromium.d/*\nexec {binary} "$@"')
    assert find_browser(str(wrapper)) == binary


def test_a_wrapper_leads_to_the_binary_beside_it(tmp_path: Path) -> None:
    (tmp_path / "chrome").symlink_to("/bin/true")
    wrapper = program(tmp_path / "google-chrome", 'exec -a "$0" "$HERE/chrome" "$@"')
    assert find_browser(str(wrapper)) == tmp_path / "chrome"


def test_a_command_on_the_path_is_found(bare_machine: Path) -> None:
    (bare_machine / "bin/chromium").symlink_to("/bin/true")
    assert find_browser().resolve() == Path("/bin/true").resolve()


def test_only_root_does_without_the_sandbox() -> None:
    assert launch_arguments() == (["--no-sandbox"] if os.geteuid() == 0 else [])


def test_looking_for_a_browser_does_not_import_playwright() -> None:
    look = "import sys; from casehand.bots.chromium import find_browser; find_browser()"
    subprocess.run([sys.executable, "-c", f"{look}; assert 'playwright' not in sys.modules"], check=True)


def test_where_nothing_can_be_installed_the_command_for_somebody_else_is_named(bare_machine: Path) -> None:
    told: list[str] = []
    with pytest.raises(CasehandError, match="`sudo apt-get install chromium-headless-shell`"):
        install_browser(told.append)
    assert any("cannot be had" in line for line in told)


def test_installing_is_content_with_a_browser_that_is_there_already(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLAYWRIGHT_DOWNLOAD_HOST", "http://127.0.0.1:1")
    assert why_no_page(install_browser(lambda line: None)) == ""
