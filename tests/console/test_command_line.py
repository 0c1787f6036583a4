"""The command line itself: its help, its completion, what it says of the machine."""

import json
from typing import Any

import pytest

COMMANDS = (
    *("demo", "up", "enqueue", "work", "status", "cases", "case", "escalations", "pause", "resume"),
    *("reconcile", "practice", "doctor"),
)


def test_help_names_every_command(casehand: Any) -> None:
    ran = casehand("--help")
    assert ran.returncode == 0
    for command in COMMANDS:
        assert f"\n  {command} " in ran.stdout


@pytest.mark.parametrize("command", [*COMMANDS, "escalations answer", "escalations return"])
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
