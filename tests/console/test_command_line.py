"""The command line itself: its help, its completion, what it says of the machine."""

import json
from typing import Any

import pytest
from sqlalchemy import insert

from casehand.console.listing import LIST_LIMIT
from casehand.queue import schema
from casehand.queue.ledger import Ledger
from casehand.queue.vault import Vault

COMMANDS = (
    *("demo", "up", "enqueue", "work", "status", "cases", "case", "escalations", "pause", "resume"),
    *("reconcile", "practice", "doctor", "audit", "figures", "messages", "tell"),
    *("try", "rehearse", "new", "workflows", "bots", "evidence"),
)


def test_help_names_every_command(casehand: Any) -> None:
    ran = casehand("--help")
    assert ran.returncode == 0
    for command in COMMANDS:
        assert f"\n  {command} " in ran.stdout


@pytest.mark.parametrize("command", [*COMMANDS, "escalations answer", "escalations return", "audit verify"])
def test_every_command_explains_itself(casehand: Any, command: str) -> None:
    ran = casehand(*command.split(), "--help")
    assert ran.returncode == 0
    assert "usage" in ran.stdout.lower()
    assert ran.stderr == ""


def test_the_version_is_told(casehand: Any) -> None:
    assert casehand("--version").stdout.startswith("casehand ")


def test_the_shells_completion_is_produced_and_completes(casehand: Any) -> None:
    # Named outright: which shell called is not to be found out where tests run.
    casehand.environment |= {"_CASEHAND_COMPLETE": "source_bash"}
    assert "complete" in casehand().stdout
    casehand.environment |= {
        "_CASEHAND_COMPLETE": "complete_bash",
        "COMP_WORDS": "casehand enqueue desk",
        "COMP_CWORD": "2",
    }
    assert casehand().stdout.strip() == "desk/pay"


def test_the_doctor_finds_this_machine_well(casehand: Any) -> None:
    ran = casehand("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(ran.stdout)}
    assert ran.returncode == 0, ran.stdout
    assert {"Python", "home", "disk", "Redis", "browser", "ledger"} <= checks.keys()
    assert all(check["ok"] for check in checks.values())


def test_the_doctor_names_the_command_that_mends_a_lack(casehand: Any) -> None:
    home = casehand.folder / "home"
    home.mkdir(mode=0o755)
    home.chmod(0o755)
    ran = casehand("doctor", BROWSER="/nowhere", REDIS_URL="redis://127.0.0.1:1")
    assert ran.returncode == 1
    assert f"chmod 700 '{home}'" in ran.stdout
    assert "unset CASEHAND_BROWSER" in ran.stdout
    assert "CASEHAND_REDIS_URL" in ran.stdout


def test_a_long_list_is_read_in_parts(casehand: Any) -> None:
    casehand.hand_in(*(f"T{number:03},10.00,pay" for number in range(1, 6)))
    whole = json.loads(casehand("cases", "--json").stdout)
    assert [case["reference"] for case in whole] == [f"T00{number}" for number in range(1, 6)]

    first = casehand("cases", "--limit", "2").stdout
    assert f"--after {whole[1]['id']}" in first
    assert "T003" not in first
    assert (
        json.loads(casehand("cases", "--json", "--limit", "2", "--after", whole[1]["id"]).stdout)
        == whole[2:4]
    )
    last = casehand("cases", "--limit", "2", "--after", "T003").stdout
    assert ("T003" in last, "T004" in last, "T005" in last, "--after" in last) == (False, True, True, False)
    assert casehand("cases", "--json", "--after", "T005").stdout == "[]\n"
    assert casehand("escalations", "--json").stdout == "[]\n"


def test_the_status_of_very_many_batches_tells_of_those_that_are_not_over(casehand: Any) -> None:
    casehand.hand_in("T001,10.00,pay", name="open.csv")
    assert "are left out" not in casehand("status").stdout
    ledger = Ledger.open(
        f"sqlite:///{casehand.folder}/home/ledger.db", Vault.from_file(casehand.folder / "home/key")
    )
    ended = {
        "done": 1,
        "closed": 0,
        "cancelled": 0,
        "handed_in_at": ledger.clock(),
        "handed_in_by": "a person",
    }
    same = {"workflow": "desk/pay", "file": "f", "accepted": 1, "rejected": 0, "duplicates": 0, **ended}
    names = [f"over-{number}" for number in range(LIST_LIMIT)]
    with ledger.writing() as connection:
        over = [same | {"id": name, "key": ledger.vault.new_key(name)[1]} for name in names]
        connection.execute(insert(schema.batches), over)
    ledger.close()

    told = casehand("status").stdout

    assert f"{LIST_LIMIT} batches that are over are left out" in told
    assert ("over-1 " in told, "open-" in told, f" {LIST_LIMIT} " in told) == (False, True, True)
    assert "over-1 " in casehand("status", "--batch", "over-1").stdout


def test_a_case_that_is_not_there_is_no_place_to_go_on_from(casehand: Any) -> None:
    for command in ("cases", "escalations"):
        ran = casehand(command, "--json", "--after", "T999")
        assert (ran.returncode, ran.stdout) == (1, "")
        assert "there is no case T999" in ran.stderr


def test_a_listing_that_is_piped_is_whole_and_plain(casehand: Any) -> None:
    casehand.hand_in(*(f"T{number:03},10.00,pay" for number in range(1, 4)))
    listed = casehand("cases").stdout
    assert "\x1b" not in listed
    assert all(f"T{number:03}" in listed for number in range(1, 4))
