"""`casehand folders`: what is watched, taking in once for cron, and watching until stopped."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

CASEHAND = Path(sys.executable).with_name("casehand")
ENTRY = """
[[folder]]
path = "inbox"
workflow = "desk/pay"
priority = 2
due = "within 5 days"
still_seconds = 0.2
"""
HEADER = "task,amount,does"


@pytest.fixture
def inbox(casehand: Any) -> Path:
    """A folder that is watched."""
    (casehand.folder / "casehand.toml").write_text(ENTRY)
    path: Path = casehand.folder / "inbox"
    path.mkdir(mode=0o755)
    return path


def put(inbox: Path, name: str, *rows: str) -> None:
    (inbox / name).write_text("\n".join([HEADER, *rows]) + "\n")


def test_what_lies_in_a_folder_is_taken_in_once(casehand: Any, inbox: Path) -> None:
    put(inbox, "tasks.csv", "T001,1.00,pay", "T002,much,pay")
    put(inbox, "more.csv", "T003,1.00,pay")
    (inbox / "letter.doc").write_text("Dear all")

    (listed,) = casehand.json("folders")
    ran = casehand("folders", "take")

    assert listed == {
        "name": "inbox",
        "path": str(inbox),
        "workflow": "desk/pay",
        "files": ["tasks.csv", "more.csv", "letter.doc"],
        "taking": False,
        "problem": None,
    }
    assert ran.returncode == 3, ran.stderr
    first, second, third = ran.stdout.splitlines()
    assert first.startswith("tasks.csv: 1 case taken in as tasks-")
    assert first.endswith(", 1 row not.")
    assert second.startswith("more.csv: 1 case taken in as more-")
    assert third.startswith("letter.doc: nothing taken in: letter.doc is none of .csv")
    assert sorted(one.name for one in (inbox / "rejected").iterdir()) == ["letter.doc", "letter.report.txt"]
    cases = casehand.json("cases")
    assert [one["reference"] for one in cases] == ["T001", "T003"]
    story = casehand.json("case", "T001")
    assert story["audit"][0]["actor"] == "folder inbox"
    assert story["line"]["priority"] == 2
    due = datetime.fromisoformat(story["line"]["due"]) - datetime.fromisoformat(story["line"]["handed_in_at"])
    assert timedelta(days=4, hours=23) < due < timedelta(days=6, hours=1)
    # Others who may look into the folder may look into these.
    assert (inbox / "done").stat().st_mode & 0o777 == 0o755
    assert casehand("folders", "take").stdout == "There was nothing to take in.\n"


def test_the_same_content_again_is_told_for_programs(casehand: Any, inbox: Path) -> None:
    put(inbox, "tasks.csv", "T001,1.00,pay")
    (first,) = casehand.json("folders", "take", "inbox")
    put(inbox, "same.csv", "T001,1.00,pay")
    (second,) = casehand.json("folders", "take")

    assert (first["fate"], first["taken"]["already"]) == ("done", False)
    assert (second["fate"], second["taken"]["already"]) == ("done", True)
    assert second["where"] == "inbox/done/same.csv"
    assert len(casehand.json("cases")) == 1


def test_a_watcher_takes_in_what_comes_while_it_runs(
    casehand: Any, inbox: Path, until: Callable[..., None]
) -> None:
    command = [CASEHAND, "work", "--workers", "1"]
    working = subprocess.Popen(command, env=casehand.environment, cwd=casehand.folder)
    try:
        put(inbox, "tasks.csv", "T001,1.00,pay")
        until(lambda: (inbox / "done" / "tasks.csv").exists(), 60, "the file is taken in")
        until(lambda: casehand.paid() == ["T001 1.00"], 60, "the case is worked")
        working.terminate()
        assert working.wait(60) == 0
    finally:
        working.kill()
        working.wait()


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ('path = "inbox"', "workflow: field required"),
        (
            'path = "inbox"\nworkflow = "desk/pay"\ndue = "soon"',
            "in due: 'soon' is no time: give one such as",
        ),
        ('path = "In Box"\nworkflow = "desk/pay"', "give it a `name` of small letters"),
        ('path = "inbox"\nworkflow = "desk/pay"\nstill_seconds = 0', "in still_seconds: input should be"),
        ('path = "inbox"\nworkflow = "desk/pay"\ndone = "rejected"', "three folders"),
        ('path = "inbox"\nworkflow = "desk/pya"', "did you mean desk/pay"),
        (
            'path = "inbox"\nworkflow = "desk/pay"\n[[folder]]\npath = "inbox"\nworkflow = "desk/pay"',
            "called inbox",
        ),
        (
            'path = "inbox"\nworkflow = "desk/pay"\n[[folder]]\nname = "b"\npath = "inbox"\nworkflow = "desk/pay"',
            "have the folder inbox",
        ),
    ],
)
def test_what_is_wrong_in_the_settings_is_said_in_one_line(
    casehand: Any, refuses: Callable[..., str], entry: str, said: str
) -> None:
    (casehand.folder / "casehand.toml").write_text(f"[[folder]]\n{entry}\n")
    assert said in refuses("folders", "take")


def test_files_that_could_not_be_put_away_on_another_disk_are_said_before_anything_starts(
    casehand: Any, refuses: Callable[..., str], inbox: Path
) -> None:
    there = Path("/dev/shm/casehand-done")  # noqa: S108 - nothing is written there
    if there.parent.stat().st_dev == inbox.stat().st_dev:
        pytest.skip("here is only one disk")
    (casehand.folder / "casehand.toml").write_text(f'{ENTRY}done = "{there}"\n')

    for command in (("folders", "take"), ("work", "--burst")):
        assert f"[[folder]] inbox is wrong: {there} is on another disk than inbox: give" in refuses(*command)


def test_a_folder_that_is_not_there_or_unknown_is_said(
    casehand: Any, inbox: Path, refuses: Callable[..., str]
) -> None:
    assert refuses("folders", "take", "outbox") == "there is no folder outbox: there is inbox"
    inbox.rmdir()
    assert "the folder inbox cannot be read" in refuses("folders", "take")
    assert "cannot be read" in casehand.json("folders")[0]["problem"]
    # A folder that is mounted from elsewhere must not be made where it is missing.
    assert not inbox.exists()
    (casehand.folder / "casehand.toml").write_text("")
    assert "no folder is watched" in refuses("folders", "take")
    assert "No folder is watched" in casehand("folders").stdout


def test_what_cannot_be_opened_is_said(casehand: Any, inbox: Path) -> None:
    put(inbox, "tasks.csv", "T001,1.00,pay")
    (inbox / "tasks.csv").chmod(0)
    if os.geteuid() == 0:
        pytest.skip("root opens every file")
    assert casehand.json("folders")[0]["problem"] == "tasks.csv: it cannot be opened (Permission denied)"
    assert casehand("folders", "take").stdout == "There was nothing to take in.\n"
