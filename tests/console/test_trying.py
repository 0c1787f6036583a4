"""`casehand try` and `rehearse`: nothing is changed until somebody says so, and what would be is shown."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rents import CHANGE, ENDED, ORDINARY, QUESTION, THERE_ALREADY, row

from casehand import Bot
from casehand.console.office import Office
from casehand.console.place import check_free
from casehand.exceptions import CasehandError
from casehand.fixtures.council_tax.accounts import Account, Property
from casehand.fixtures.council_tax.server import CouncilTaxServer
from casehand.fixtures.practice.options import Options
from casehand.fixtures.practice.server import PracticeServer
from casehand.fixtures.services.seed import move_request
from casehand.fixtures.services.server import ServicesServer
from casehand.queue.ledger import Ledger

CASEHAND = Path(sys.executable).with_name("casehand")
MOVE = "council-tax/move"
MOVES = {
    "account": "70010001",
    "request": "CA00001",
    "person": "Mx Test Ash",
    "new_property": "P1002",
    "told_on": "2026-03-30",
    "moves_on": "2026-04-06",
    "lives_alone": True,
}
RENT = "housing-benefit/rent-change"


@pytest.fixture
def practice(casehand: Any, tmp_path: Path) -> Iterator[PracticeServer]:
    with PracticeServer(tmp_path / "practice", None, Options(pieces=0), mischief=()) as server:
        casehand.environment |= {
            "CASEHAND_BOT_BENEFITS_URL": server.url,
            "CASEHAND_BOT_BENEFITS_USERNAME": server.username,
            "CASEHAND_BOT_BENEFITS_PASSWORD": server.password,
        }
        yield server


@pytest.fixture
def file(casehand: Any) -> str:
    rows = [row(claim) for claim in (ORDINARY, QUESTION, ENDED, THERE_ALREADY)]
    wrong = {**rows[0], "claim": "HB1"}
    lines = (",".join(one.values()) for one in [*rows, wrong, rows[0]])
    path: str = casehand.file(*lines, name="rents.csv", header=",".join(rows[0]))
    return path


def test_a_rehearsal_shows_what_would_be_submitted_and_changes_nothing(
    casehand: Any, practice: PracticeServer, file: str
) -> None:
    told = json.loads((ran := casehand("try", RENT, file, "--json")).stdout)
    assert ran.returncode == 0
    assert ran.stderr == ""
    assert (told["reference"], told["ending"], told["change"]) == (ORDINARY, "would be done", CHANGE)
    assert told["submits"]["Weekly rent"] == "133.23"
    assert told["submits"]["Rent from"] == "06/04/2026"
    assert Path(told["picture"]).read_bytes().startswith(b"\xff\xd8")
    assert practice.journal() == []
    assert casehand.json("cases") == []
    assert not list((casehand.folder / "home/rehearsals").iterdir())
    assert casehand.json("audit")[0]["action"] == "rehearsed"


def test_of_a_system_whose_pages_are_reached_by_forms_the_one_that_changes_something_is_shown(
    casehand: Any, tmp_path: Path
) -> None:
    house = Property(reference="P1001", address="1 Invented Lane, Exampleton")
    new = Property(reference="P1002", address="2 Invented Lane, Exampleton")
    account = Account(
        reference="70010001", house="P1001", people=("Mx Test Ash",), from_date=date(2024, 4, 1)
    )
    request = move_request(1, "Mx Test Ash")
    with ExitStack() as serving:
        systems = {
            "COUNCIL_TAX": serving.enter_context(CouncilTaxServer(tmp_path / "tax", [house, new, account])),
            "SERVICES": serving.enter_context(ServicesServer(tmp_path / "services", [request])),
        }
        for name, one in systems.items():
            given = {"URL": one.url, "USERNAME": one.username, "PASSWORD": one.password}
            casehand.environment |= {f"CASEHAND_BOT_{name}_{key}": value for key, value in given.items()}
        told = json.loads((ran := casehand("try", MOVE, "--data", json.dumps(MOVES), "--json")).stdout)
        assert (ran.returncode, ran.stderr) == (0, "")
        assert told["change"] == "end the old account"
        assert told["submits"] == {
            "Last day": "05-APR-2026",
            "Forwarding address": "2 Invented Lane, Exampleton",
        }
        assert [one for system in systems.values() for one in system.journal()] == []


def test_with_commit_the_case_is_a_real_one(casehand: Any, practice: PracticeServer) -> None:
    ran = casehand("try", RENT, "--data", json.dumps(row(ORDINARY)), "--commit")
    assert ran.returncode == 0, ran.stderr
    assert f"{ORDINARY} is done." in ran.stdout
    assert "1 change made" in ran.stdout
    assert f"change: {CHANGE}" in ran.stdout
    assert [one.reference for one in practice.journal()] == [ORDINARY]
    (case,) = casehand.json("cases")
    assert (case["reference"], case["state"], case["commits"]) == (ORDINARY, "done", 1)
    # The same again is found done.
    again = casehand("try", RENT, "--data", json.dumps(row(ORDINARY)))
    assert f"{ORDINARY}: already done. Nothing was changed." in again.stdout


def test_a_row_that_needs_a_person_says_why(
    casehand: Any, practice: PracticeServer, file: str, refuses: Any
) -> None:
    ran = casehand("try", RENT, file, "--row", "2")
    assert ran.returncode == 3
    assert "would ask a question: The rent rises by 14%. Put it through?" in ran.stdout
    assert "would not be taken in: claim" in refuses("try", RENT, file, "--row", "5")
    assert "fewer than 9 rows" in refuses("try", RENT, file, "--row", "9")
    assert "give a file, or --data" in refuses("try", RENT, code=2)
    assert "no JSON object" in refuses("try", RENT, "--data", "[1]")
    assert "weekly_rent" in refuses("try", RENT, "--data", json.dumps({**row(ORDINARY), "weekly_rent": "x"}))
    for screen in ("DISPLAY", "WAYLAND_DISPLAY"):
        casehand.environment.pop(screen, None)
    assert "no screen here" in refuses("try", RENT, file, "--headed")


@pytest.mark.skipif(shutil.which("xvfb-run") is None, reason="there is no screen (Debian's package is xvfb)")
def test_one_may_watch_and_go_on_step_by_step(casehand: Any, practice: PracticeServer, file: str) -> None:
    left = casehand.folder / "home/rehearsals/4194305-left"
    left.mkdir(parents=True)
    ran = subprocess.run(
        ["xvfb-run", "-a", CASEHAND, "try", RENT, file, "--headed", "--slow", "--step"],
        env=casehand.environment,
        cwd=casehand.folder,
        input="\n" * 9,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    said = ["signed in", "step: find the claim", f"change: {CHANGE}"]
    assert [line.strip() for line in ran.stdout.splitlines()[:3]] == said
    assert ran.stderr.count("Enter goes on, Ctrl+C stops.") == 3
    assert "133.23" in ran.stdout
    assert practice.journal() == []
    assert not left.exists()


def test_a_batch_is_rehearsed_before_its_first_change(
    casehand: Any, practice: PracticeServer, file: str
) -> None:
    ran = casehand("rehearse", RENT, file)
    assert ran.returncode == 3, ran.stderr
    for words in (
        "Rehearsed 6 rows of rents.csv",
        "Nothing was changed",
        "would be done",
        "already done",
        "The rent rises by 14%",
        "the claim is ended",
        "Would not be taken in",
        "133.23",
    ):
        assert words in ran.stdout
    assert practice.journal() == []
    assert casehand.json("cases") == []
    told = json.loads(casehand("rehearse", RENT, file, "--limit", "1", "--json").stdout)
    assert told["counts"]["would be done"] == told["rows"] == 1


def test_what_is_paused_is_left_alone_and_a_refused_sign_in_pauses_it(
    casehand: Any, practice: PracticeServer, file: str, refuses: Any
) -> None:
    wrong = {"BOT_BENEFITS_PASSWORD": "not-the-password"}
    assert "the bot benefits is paused from now on" in refuses("try", RENT, file, "--json", **wrong)
    assert "the bot benefits is paused" in refuses("try", RENT, file)
    assert "the bot benefits is paused" in refuses("rehearse", RENT, file)


def test_a_commit_that_a_browser_does_not_submit_is_not_entered(casehand: Any) -> None:
    task = json.dumps({"task": "T001", "amount": "10", "does": "pay"})
    ran = casehand("try", "desk/pay", "--data", task)
    assert ran.returncode == 0, ran.stderr
    assert "T001: would be done. Nothing was changed." in ran.stdout
    assert "the rehearsal stopped before it" in ran.stdout
    assert casehand.paid() == []


MOODY = """
from casehand import Case, CaseData, SystemException, workflow
from casehand.queue import pauses
from casehand.queue.ledger import Ledger
from casehand.queue.pauses import ALL, PauseKind
from casehand.settings import load_settings


class Task(CaseData):
    task: str
    does: str


@workflow("moody/look", reference="task")
def look(case: Case[Task]) -> None:
    if case.data.does == "fail":
        raise SystemException("it does not answer")
    if case.data.does == "pause":
        settings = load_settings()
        ledger = Ledger.open(settings.ledger_url, settings.vault())
        pauses.pause(ledger, PauseKind.EVERYTHING, ALL, "the roof leaks", "a test")
        ledger.close()
"""


@pytest.mark.parametrize(
    ("does", "line", "why", "rows"),
    [
        (["look", "look", *["fail"] * 5, "look"], 8, "the system failed 5 cases one after another", 7),
        (["look", "pause", "look", "look"], 4, "everything is paused", 2),
    ],
)
def test_what_stops_a_rehearsal_late_in_the_file_loses_nothing_of_what_came_before(
    casehand: Any, does: list[str], line: int, why: str, rows: int
) -> None:
    (casehand.folder / "moody.py").write_text(MOODY)
    lines = (f"T{number:03},{one}" for number, one in enumerate(does))
    asked = ("rehearse", "moody/look", casehand.file(*lines, name="tasks.csv", header="task,does"))

    ran = casehand(*asked, "--json", WORKFLOWS="moody")

    assert ran.returncode == 1
    assert ran.stderr.startswith(f"casehand: stopped at line {line}: {why}")
    told = json.loads(ran.stdout)
    assert told["rows"] == len(told["cases"]) == rows
    assert told["stopped"].startswith(f"stopped at line {line}: {why}")
    casehand("resume", "everything")
    ran = casehand(*asked, WORKFLOWS="moody")
    assert ran.returncode == 1
    assert f"Rehearsed {rows} rows" in ran.stdout
    assert f"stopped at line {line}: {why}" in ran.stdout


TWO = """
import os
from pathlib import Path

from casehand import Case, workflow
from casehand.bots.benefits import BenefitsBot
from casehand.workflows.rent_change import RentChange


class LinksBot(BenefitsBot):
    name = "links"
    changes_by_submit = False


@workflow("two/change", reference="claim")
def change(case: Case[RentChange], benefits: BenefitsBot, links: LinksBot) -> None:
    with case.commit("change both", bot=benefits):
        Path(os.environ["LETTERS"], "entered").touch()
        links.open_claim(case.data.claim)
"""


def test_a_commit_is_not_entered_where_any_bot_of_the_workflow_makes_changes_that_cannot_be_caught(
    casehand: Any, practice: PracticeServer
) -> None:
    (casehand.folder / "two.py").write_text(TWO)
    for name in ("URL", "USERNAME", "PASSWORD"):
        casehand.environment[f"CASEHAND_BOT_LINKS_{name}"] = casehand.environment[
            f"CASEHAND_BOT_BENEFITS_{name}"
        ]
    ran = casehand("try", "two/change", "--data", json.dumps(row(ORDINARY)), WORKFLOWS="two")
    assert ran.returncode == 0, ran.stderr
    assert "would be done. Nothing was changed." in ran.stdout
    assert not (casehand.folder / "entered").exists()


class OfficeHours(Bot):
    name = "office-hours"
    hours = "working days 07:00-19:00"

    def sign_in(self) -> None: ...

    def is_signed_in(self) -> bool:
        return True


class NoHours(OfficeHours):
    name = "no-hours"
    hours = "some days"


A_CASE = timedelta(minutes=5)


def test_a_rehearsal_keeps_a_bots_working_days_by_the_councils_calendar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CASEHAND_HOME", str(tmp_path / "home"))
    for bot in ("OFFICE_HOURS", "NO_HOURS"):
        for name, value in (("URL", "http://127.0.0.1:9/"), ("USERNAME", "one"), ("PASSWORD", "two")):
            monkeypatch.setenv(f"CASEHAND_BOT_{bot}_{name}", value)
    office, now = Office(), [datetime(2026, 12, 24, 10, tzinfo=UTC)]
    office.ledger = Ledger.open(office.settings.ledger_url, office.settings.vault(), lambda: now[0])
    check_free(office, [OfficeHours], A_CASE)
    with pytest.raises(CasehandError, match="the hours of the bot no-hours cannot be kept to"):
        check_free(office, [NoHours], A_CASE)
    # Christmas Day is a Friday, and Boxing Day is kept on the Monday.
    now[0] += timedelta(days=1)
    with pytest.raises(CasehandError, match="office-hours is closed until Tuesday 29 December at 07:00"):
        check_free(office, [OfficeHours], A_CASE)
    office.ledger.close()
