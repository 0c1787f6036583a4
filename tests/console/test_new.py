"""`casehand new`: what it writes passes ruff, mypy strict and its own tests, in a folder outside the checkout."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def run(casehand: Any, folder: Path, *command: str) -> str:
    """Run one of the programs that an author has."""
    ran = subprocess.run(
        [Path(sys.executable).with_name(command[0]), *command[1:]],
        cwd=folder,
        env={name: value for name, value in casehand.environment.items() if not name.startswith("CASEHAND_")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, (command, ran.stdout, ran.stderr)
    return ran.stdout


def contents(project: Path) -> dict[Path, bytes]:
    """What is in the project's files; `out` and `err` are those of the command itself."""
    files = (path for path in project.rglob("*") if path.is_file() and path.name not in ("out", "err"))
    return {path: path.read_bytes() for path in files}


@pytest.fixture
def project(casehand: Any) -> Path:
    assert casehand("new", "project", "our-robots").returncode == 0
    folder: Path = casehand.folder / "our-robots"
    casehand.folder = folder
    # As if it were installed.
    casehand.environment |= {"CASEHAND_WORKFLOWS": "our_robots", "PYTHONPATH": str(folder)}
    return folder


@pytest.mark.timeout(300)
def test_what_is_written_passes_ruff_mypy_and_its_own_tests(casehand: Any, project: Path) -> None:
    for command in (
        ("new", "bot", "claims", "--url", "https://claims.example/"),
        ("new", "workflow", "claims-area/write-a-note-of-24-chars", "--bot", "claims"),
    ):
        ran = casehand(*command)
        assert ran.returncode == 0, ran.stderr
        # So that its screens can be recorded before there is a workflow.
        assert "claims" in [bot["name"] for bot in casehand.json("bots")["bots"]]
    assert "[bot.claims]" in (project / "casehand.toml").read_text()
    run(casehand, project, "ruff", "check", "--no-cache")
    run(casehand, project, "ruff", "format", "--check", "--no-cache")
    run(casehand, project, "mypy", "--cache-dir", str(project / "cache"))
    assert " passed" in run(casehand, project, "pytest", "-p", "no:cacheprovider", "-q")


def test_names_that_lead_nowhere_and_files_that_are_there_are_refused(
    casehand: Any, project: Path, refuses: Any
) -> None:
    url = ("--url", "https://claims.example/")
    for name in ("class", "queue", "Claims", "1st", "a b", "../up", "", "x" * 25, "casehand", "match"):
        assert "cannot be named" in refuses("new", "bot", name, *url)
    assert "no address" in refuses("new", "bot", "claims", "--url", "claims.example")
    assert "no address" in refuses("new", "bot", "claims", "--url", 'https://x/"\n[bot.other]')
    assert casehand("new", "bot", "claims", *url).returncode == 0
    before = contents(project)
    assert "is there already: nothing was written" in refuses("new", "bot", "claims", *url)
    assert "no bot 'rents'" in refuses("new", "workflow", "note", "--bot", "rents")
    assert "cannot be of" in refuses("new", "workflow", "Big/note", "--bot", "claims")
    assert "is there already" in refuses("new", "project", "our_robots")
    assert contents(project) == before


def test_a_bot_of_the_authors_own_gets_a_workflow_that_fits_it(casehand: Any, project: Path) -> None:
    (project / "our_robots/bots/own.py").write_text(
        'from casehand import Bot\n\n\nclass OwnBot(Bot):\n    """Our own."""\n\n    name = "own"\n'
    )
    assert casehand("new", "workflow", "look", "--bot", "own").returncode == 0
    run(casehand, project, "ruff", "check", "--no-cache")
    assert "2 passed" in run(
        casehand, project, "pytest", "-p", "no:cacheprovider", "-q", "tests/test_look.py"
    )


def test_without_a_project_there_is_a_line_that_says_how_to_make_one(casehand: Any, refuses: Any) -> None:
    bot = ("new", "bot", "claims", "--url", "https://claims.example/")
    assert "casehand new project NAME" in refuses(*bot)
    (casehand.folder / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert 'entry-points."casehand.workflows"' in refuses(*bot)
    (casehand.folder / "pyproject.toml").write_text("[project\n")
    assert "cannot be read" in refuses(*bot)
