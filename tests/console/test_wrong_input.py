"""What goes wrong is said in one line, which names what to do."""

import base64
import os
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

Refuses = Callable[..., str]
RENT_CHANGE = "housing-benefit/rent-change"


def test_an_unknown_workflow_is_answered_with_the_nearest_names(casehand: Any, refuses: Refuses) -> None:
    line = refuses("enqueue", "housing-benefit/rent-chnage", casehand.file("T001,1.00,pay"))
    near = f"{RENT_CHANGE} or housing-benefit/stop-notice"
    assert line == f"there is no workflow 'housing-benefit/rent-chnage': did you mean {near}?"
    installed = casehand.run("enqueue", "housing-benefit/rent-chnage", "tasks.csv")
    assert (installed.returncode, installed.stderr) == (1, f"casehand: {line}\n")


def test_a_file_that_cannot_be_read_is_named(casehand: Any, refuses: Refuses) -> None:
    assert refuses("enqueue", "desk/pay", "nowhere.csv") == "nowhere.csv does not exist: check the name"
    assert "is a folder" in refuses("enqueue", "desk/pay", ".")
    binary = casehand.folder / "picture.csv"
    binary.write_bytes(bytes(range(256)) * 8)
    assert "picture.csv" in refuses("enqueue", "desk/pay", str(binary))


def test_columns_that_do_not_fit_are_named(casehand: Any, refuses: Refuses) -> None:
    line = refuses("enqueue", "desk/pay", casehand.file("T001,1.00", header="task,amount"))
    assert "does" in line


def test_a_redis_that_nobody_answers_at_is_named_with_its_setting(refuses: Refuses) -> None:
    line = refuses("work", "--burst", REDIS_URL="redis://127.0.0.1:1")
    assert line.startswith("nobody answers at redis://127.0.0.1:1: ")
    assert "CASEHAND_REDIS_URL" in line


def test_a_password_in_a_redis_address_is_not_shown(refuses: Refuses) -> None:
    line = refuses("work", "--burst", REDIS_URL="redis://user:not-to-be-seen@127.0.0.1:1")
    assert "not-to-be-seen" not in line


def test_a_ledger_from_a_newer_version_is_left_alone(casehand: Any, refuses: Refuses) -> None:
    casehand.hand_in("T001,1.00,pay")
    ledger = casehand.folder / "home/ledger.db"
    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    line = refuses("status")
    assert line.startswith("the ledger was written by a newer version of Casehand: install")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", "CASEHAND_DATABASE_URL is no database address"),
        ("mysql://somewhere/casehand", "SQLite or PostgreSQL"),
        ("postgresql://somebody:not-to-be-seen@127.0.0.1:1/casehand", "check CASEHAND_DATABASE_URL"),
    ],
)
def test_a_database_that_cannot_be_used_is_named_with_its_setting(
    refuses: Refuses, url: str, words: str
) -> None:
    line = refuses("status", DATABASE_URL=url)
    assert words in line
    assert "not-to-be-seen" not in line


def test_a_file_that_is_no_ledger_is_not_taken_for_one(casehand: Any, refuses: Refuses) -> None:
    (casehand.folder / "letter.txt").write_text("Dear Ms Test Alder,\n" * 50)
    assert "CASEHAND_DATABASE_URL" in refuses(
        "status", DATABASE_URL=f"sqlite:///{casehand.folder}/letter.txt"
    )


def test_a_browser_that_is_not_there_is_named_with_its_setting(casehand: Any, refuses: Refuses) -> None:
    line = refuses("demo", BROWSER="/nowhere")
    assert line == "CASEHAND_BROWSER names /nowhere, which is no program: correct it, or unset it"
    ran = casehand("doctor", BROWSER="/nowhere")
    assert ran.returncode == 1
    assert "unset CASEHAND_BROWSER" in ran.stdout


def test_missing_credentials_pause_the_bot_and_lose_nothing(casehand: Any) -> None:
    file = casehand.file(
        "HB000101,99.50,2026-04-06,Ms Test Alder",
        "HB000102,98.50,2026-04-06,Mr Test Birch",
        header="claim,weekly_rent,from_date,claimant",
    )
    assert casehand("enqueue", RENT_CHANGE, file).returncode == 0
    worked = casehand("work", "--workers", "1", "--burst")
    assert worked.returncode == 3
    assert "The bot benefits is paused (" in worked.stdout
    status = casehand("status").stdout
    for name in ("CASEHAND_BOT_BENEFITS_URL", "_USERNAME", "_PASSWORD"):
        assert name in status
    assert casehand.json("status")["queued"] == 2
    attempts = [case["attempts"] for case in casehand.json("cases")]
    assert sum(attempts) <= 1


def test_a_port_in_use_is_named(casehand: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ran = casehand("practice", "--home", str(casehand.folder / "practice"), "--port", port)
    assert ran.returncode == 1
    assert port in ran.stderr
    assert "--port" in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert (
        casehand("practice", "--home", str(casehand.folder / "practice"), "--port", "99999").returncode == 1
    )


def test_a_key_that_is_none_or_another_is_named_with_its_setting(casehand: Any, refuses: Refuses) -> None:
    assert refuses("status", KEY="short").startswith("CASEHAND_KEY is not a key: it must be 32 bytes")
    casehand.hand_in("T001,1.00,pay")
    another = base64.urlsafe_b64encode(bytes(32)).decode()
    assert refuses("case", "T001", KEY=another).endswith("set CASEHAND_KEY to the key it was written with")


def test_a_key_file_that_others_can_read_is_not_used(casehand: Any, refuses: Refuses) -> None:
    casehand.hand_in("T001,1.00,pay")
    key = casehand.folder / "home/key"
    key.chmod(0o644)
    assert refuses("status") == f"others can read the key file: run `chmod 600 '{key}'`"


def test_a_broken_settings_file_is_named(casehand: Any, refuses: Refuses) -> None:
    (casehand.folder / "casehand.toml").write_text("home = [\n")
    assert refuses("status").startswith("casehand.toml cannot be read")


def test_a_setting_that_is_wrong_is_named(refuses: Refuses) -> None:
    assert refuses("status", RETRIES="many").startswith("CASEHAND_RETRIES is wrong")


def test_a_home_that_cannot_be_made_is_named_with_its_setting(casehand: Any, refuses: Refuses) -> None:
    (casehand.folder / "file").touch()
    assert "CASEHAND_HOME" in refuses("status", HOME=str(casehand.folder / "file/home"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_home_that_cannot_be_written_is_named_with_its_setting(tmp_path: Path, refuses: Refuses) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    assert "CASEHAND_HOME" in refuses("status", HOME=str(closed / "home"))


def test_a_workflow_package_with_a_fault_is_named(casehand: Any, refuses: Refuses) -> None:
    (casehand.folder / "broken.py").write_text("1 / 0\n")
    line = refuses("enqueue", "desk/pay", casehand.file("T001,1.00,pay"), WORKFLOWS="broken")
    assert line.startswith("broken cannot be imported (ZeroDivisionError")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["frobnicate"], "no such command 'frobnicate': see `casehand --help`"),
        (["work", "--workers", "0"], "see `casehand work --help`"),
        (["cases", "--state", "lost"], "'queued'"),
        (["enqueue", "desk/pay"], "missing argument"),
        (["enqueue", "desk/pay", "file.csv", "--due", "never"], "'--due'"),
        (["status", "--frobnicate"], "no such option"),
        (["pause", "workflow", "desk/pay"], "give --reason"),
        (["escalations", "frobnicate"], "see `casehand escalations --help`"),
    ],
)
def test_wrong_usage_is_one_line_and_code_2(refuses: Refuses, arguments: list[str], words: str) -> None:
    assert words in refuses(*arguments, code=2)


def test_cases_and_pauses_that_are_not_there_are_said_to_be_none(refuses: Refuses) -> None:
    assert refuses("case", "T404") == "there is no case T404: `casehand cases` lists those there are"
    assert "T404" in refuses("escalations", "return", "T404")
    assert "nothing" in refuses("resume", "bot", "nothing")
