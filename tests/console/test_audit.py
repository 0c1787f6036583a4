"""`casehand audit`: listed, and checked."""

import csv
import sqlite3
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest


@pytest.fixture
def office(casehand: Any) -> Any:
    """A desk on which something was done."""
    casehand.hand_in("T001,10.00,pay", "T002,10.00,pay")
    casehand("pause", "workflow", "desk/pay", "--reason", "=1+1 the printer is away")
    return casehand


def _meddle(casehand: Any, statement: str) -> None:
    with sqlite3.connect(casehand.folder / "home/ledger.db") as connection:
        connection.execute("DROP TRIGGER IF EXISTS audit_is_kept")
        connection.execute("DROP TRIGGER IF EXISTS audit_stays")
        connection.execute(statement)


def test_who_did_what_and_why_is_listed_latest_first(office: Any) -> None:
    entries = office.json("audit")
    assert [entry["action"] for entry in entries] == ["paused", "taken in", "taken in", "handed in"]
    assert entries[0]["subject"] == "workflow desk/pay"
    assert entries[0]["reason"] == "=1+1 the printer is away"
    table = office("audit").stdout
    assert "the printer is away" in table
    assert "desk/pay" in table


def test_the_audit_is_listed_by_subject_actor_action_and_day(office: Any) -> None:
    def actions(*options: str) -> list[str]:
        return [entry["action"] for entry in office.json("audit", *options)]

    whole = office.json("audit")
    assert actions("--subject", "T001") == ["taken in"]
    assert actions("--subject", "workflow desk/pay") == ["paused"]
    assert actions("--action", "paused") == ["paused"]
    assert actions("--actor", "nobody") == []
    assert actions("--actor", whole[0]["actor"]) == [entry["action"] for entry in whole]
    assert actions("--until", "2020-01-01") == []
    assert len(actions("--since", "2020-01-01")) == 4
    assert office("audit", "--actor", "nobody").stdout == "There are no such entries.\n"


def test_the_audit_is_read_in_parts(office: Any) -> None:
    whole = office.json("audit")
    first = office("audit", "--limit", "2").stdout
    assert f"--after {whole[1]['id']}" in first
    assert office.json("audit", "--after", str(whole[1]["id"])) == whole[2:]
    assert office.json("audit", "--limit", "1", "--after", str(whole[0]["id"])) == whole[1:2]


def test_the_audit_is_listed_oldest_first_too(office: Any) -> None:
    whole = office.json("audit")[::-1]
    assert office.json("audit", "--oldest-first") == whole
    shown = office("audit", "--oldest-first", "--limit", "2").stdout
    assert f"These are the oldest 2: `--after {whole[1]['id']} --oldest-first` goes on from here." in shown
    assert office.json("audit", "--oldest-first", "--after", str(whole[1]["id"])) == whole[2:]
    rows = list(csv.DictReader(StringIO(office("audit", "--oldest-first", "--csv").stdout)))
    assert [row["id"] for row in rows] == [str(entry["id"]) for entry in whole]


def test_the_audit_as_a_spreadsheet_holds_no_formula(office: Any) -> None:
    rows = list(csv.DictReader(StringIO(office("audit", "--csv").stdout)))
    assert [row["action"] for row in rows] == ["paused", "taken in", "taken in", "handed in"]
    assert rows[0]["reason"] == "'=1+1 the printer is away"


def test_an_audit_that_is_whole_is_said_to_be_with_its_head(office: Any) -> None:
    ran = office("audit", "verify")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "The audit is whole: 4 entries, 0 not linked yet." in ran.stdout
    told = office.json("audit", "verify")
    # That it was verified is an entry too.
    assert (told["whole"], told["checked"]) == (True, 5)
    assert office.json("audit")[0]["action"] == "audit verified"
    assert f"whole: {told['head']}" == office.json("audit")[0]["detail"]
    assert office("audit", "verify", "--head", told["head"]).returncode == 0


def test_a_broken_audit_is_one_line_and_exit_code_1(office: Any, refuses: Callable[..., str]) -> None:
    head = office.json("audit", "verify")["head"]
    _meddle(office, "UPDATE audit SET actor = 'nobody' WHERE place = 2")
    assert "broken: place 2: the entry is not as it was written" in refuses("audit", "verify")
    ran = office("audit", "verify", "--json")
    assert (ran.returncode, '"whole": false' in ran.stdout) == (1, True)
    _meddle(office, "DELETE FROM audit WHERE place > 1 OR place IS NULL")
    _meddle(office, "UPDATE audit_head SET length = 1, link = (SELECT link FROM audit WHERE place = 1)")
    assert office("audit", "verify").returncode == 0
    assert "the end of the chain is cut off, which had 4 entries" in refuses(
        "audit", "verify", "--head", head
    )


def test_what_is_no_head_no_day_or_no_entry_is_refused(casehand: Any, refuses: Callable[..., str]) -> None:
    assert "N:HASH" in refuses("audit", "verify", "--head", "last")
    assert "give it as 2026-04-06" in refuses("audit", "--since", "yesterday")
    assert "there is no entry 9" in refuses("audit", "--after", "9")
    assert "CASEHAND_TIME_ZONE is wrong: there is no time zone Atlantis" in refuses(
        "audit", TIME_ZONE="Atlantis"
    )
