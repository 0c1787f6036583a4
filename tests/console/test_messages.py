"""Messages to people on the command line, and beside the workers that work on whatever becomes of them."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from letterbox import Hook, MailServer, a_hook, a_mail_server, free_port

CASEHAND = Path(sys.executable).with_name("casehand")
TEAM = "team@council.example"

SMTP = """
[smtp]
host = "127.0.0.1"
port = {port}
encryption = "none"
sender = "casehand@council.example"
"""

TELL = """
[[tell]]
what = ["escalation", "finished", "paused"]
to = ["mailto:team@council.example"]
"""


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with a_mail_server() as server:
        yield server


@pytest.fixture
def hook() -> Iterator[Hook]:
    with a_hook() as one:
        yield one


def settings(casehand: Any, *parts: str) -> None:
    (casehand.folder / "casehand.toml").write_text("".join(parts))


def children_of(process: int) -> set[int]:
    """The processes that it has started and that live."""
    return {int(one) for one in Path(f"/proc/{process}/task/{process}/children").read_text().split()}


def teller_of(casehand: Any) -> int:
    """The process that tells people, as its lease names it."""
    with closing(sqlite3.connect(casehand.folder / "home/ledger.db")) as connection:
        (holder,) = connection.execute("SELECT holder FROM leases WHERE name = 'teller'").fetchone()
    return int(holder.rpartition(".")[2])


def hand_in_urgent(casehand: Any, *rows: str) -> None:
    ran = casehand("enqueue", "desk/pay", casehand.file(*rows), "--priority", "5")
    assert ran.returncode == 0, ran.stderr


def test_a_nightly_burst_tells_of_the_batch_it_finished_and_of_what_waits_for_a_person(
    casehand: Any, mail: MailServer
) -> None:
    settings(casehand, SMTP.format(port=mail.port), TELL)
    casehand.hand_in("T001,10.00,pay", "T002,10.00,pay", name="small.csv")
    hand_in_urgent(casehand, "T003,999.00,pay")

    assert casehand.work() == 3

    subjects = sorted(letter["Subject"] for letter in mail.to(TEAM))
    assert subjects[0] == "Casehand: T003 waits for a person"
    assert subjects[1].startswith("Casehand: the batch small-")
    assert len(subjects) == 2
    listed = casehand.json("messages")
    assert [one["state"] for one in listed] == ["sent", "sent"]
    assert casehand.json("messages", "--oldest-first") == listed[::-1]
    oldest = ["messages", "--oldest-first", "--limit", "1"]
    assert f"`--after {listed[1]['id']} --oldest-first`" in casehand(*oldest).stdout
    assert casehand.json(*oldest, "--after", str(listed[1]["id"])) == listed[:1]
    assert casehand.json("messages", "--after", str(listed[0]["id"])) == listed[1:]
    assert "could not be sent" not in casehand("status").stdout


def test_cases_are_worked_while_a_mail_server_is_silent(
    casehand: Any, mail: MailServer, until: Callable[..., None]
) -> None:
    mail.delays.set()
    settings(casehand, SMTP.format(port=mail.port), TELL)
    hand_in_urgent(casehand, "T001,999.00,pay")
    working = subprocess.Popen(
        [CASEHAND, "work", "--workers", "1", "--lanes", "1"], env=casehand.environment, cwd=casehand.folder
    )
    until(lambda: mail.letters, what="the letter that the server takes and does not answer for")

    casehand.hand_in(*(f"T{number:03},10.00,pay" for number in range(100, 110)), name="more.csv")

    until(lambda: len(casehand.paid()) == 10, seconds=10, what="the ten payments")
    (message,) = casehand.json("messages")
    assert message["state"] == "waiting"
    mail.delays.clear()
    working.terminate()
    assert working.wait(60) == 0


def test_workers_go_on_when_the_teller_is_killed_and_another_takes_its_place(
    casehand: Any, mail: MailServer, until: Callable[..., None]
) -> None:
    settings(casehand, SMTP.format(port=mail.port), TELL)
    hand_in_urgent(casehand, "T001,999.00,pay")
    command = [CASEHAND, "work", "--workers", "1", "--lanes", "1"]
    working = subprocess.Popen(command, env=casehand.environment, cwd=casehand.folder)
    until(lambda: mail.letters, what="the first letter")
    before = children_of(working.pid)
    teller = teller_of(casehand)
    assert teller in before

    os.kill(teller, signal.SIGKILL)
    casehand.hand_in(*(f"T{number:03},10.00,pay" for number in range(100, 105)), name="more.csv")

    until(lambda: len(casehand.paid()) == 5, seconds=20, what="the five payments")
    until(lambda: children_of(working.pid) - before, what="another teller")
    working.terminate()
    assert working.wait(60) == 0


def test_a_message_that_cannot_be_sent_is_shown_and_tried_again_when_a_person_says_so(
    casehand: Any, mail: MailServer
) -> None:
    mail.stop()
    settings(casehand, SMTP.format(port=mail.port), TELL)
    hand_in_urgent(casehand, "T001,999.00,pay")
    assert casehand.work() == 3

    assert (
        "1 message to people could not be sent: `casehand messages` shows why." in casehand("status").stdout
    )
    (entry,) = casehand.json("messages", "--state", "waiting")
    assert (entry["to"], entry["tries"]) == (f"mailto:{TEAM}", 1)
    assert f"127.0.0.1:{mail.port} cannot be used (" in entry["error"]
    listed = casehand("messages").stdout
    assert "T001 waits for a person" in listed
    assert "cannot be used" in listed

    mail.start()
    assert casehand.json("messages", "retry", str(entry["id"])) == [{"id": entry["id"], "state": "waiting"}]
    assert casehand("tell", "run", "--once").returncode == 0

    (entry,) = casehand.json("messages")
    assert (entry["state"], entry["error"], entry["tries"]) == ("sent", None, 2)
    assert len(mail.to(TEAM)) == 1


def test_a_test_message_goes_to_everybody_and_says_who_was_not_reached(
    casehand: Any, mail: MailServer, hook: Hook
) -> None:
    nobody = f"json://127.0.0.1:{free_port()}/not-to-be-seen"
    lines = casehand.folder / "hooks"
    lines.write_text(f"# the team's chat\n{hook.url}\n")
    settings(casehand, SMTP.format(port=mail.port), TELL, f'to_file = "{lines}"\nto_variable = "CHAT"\n')
    casehand.environment["CHAT"] = nobody

    ran = casehand("tell", "test")

    assert ran.returncode == 1
    assert f"mailto:{TEAM}: sent" in ran.stdout
    assert ran.stdout.count("json://… (") == 2
    assert ran.stdout.count("not sent: ") == 1
    assert "not-to-be-seen" not in ran.stdout + ran.stderr
    assert "hook-" not in ran.stdout + ran.stderr
    assert mail.to(TEAM)[0]["Subject"] == "Casehand: a test message"
    assert hook.posts[0]["title"] == "Casehand: a test message"
    del casehand.environment["CHAT"]
    settings(casehand, SMTP.format(port=mail.port), TELL)
    assert casehand.json("tell", "test") == [{"to": f"mailto:{TEAM}", "sent": True, "error": None}]


def test_the_mail_server_may_be_set_by_the_environment(casehand: Any, mail: MailServer) -> None:
    settings(casehand, TELL)
    given = {
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(mail.port),
        "SMTP_ENCRYPTION": "none",
        "SMTP_SENDER": "casehand@council.example",
    }

    assert casehand("tell", "test", **given).returncode == 0

    tell = json.dumps([{"what": ["summary"], "to": ["mailto:other@council.example"]}])
    assert casehand("tell", "test", **given, TELL=tell).returncode == 0
    assert len(mail.to("other@council.example")) == 1


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (
            '[[tell]]\nwhat = ["rain"]\nto = ["json://host/"]',
            "[[tell]] number 1 is wrong in what: input should be",
        ),
        ('[[tell]]\nwhat = ["summary"]', "[[tell]] number 1 is wrong: give `to`, `to_file` or `to_variable`"),
        (
            '[[tell]]\nwhat = ["summary"]\nto = ["team@council.example"]',
            "[[tell]] number 1 is wrong in to: give an apprise address such as",
        ),
        ('[[tell]]\nwhat = []\nto = ["json://host/"]', "[[tell]] number 1 is wrong in what: "),
        ('[[tell]]\nwhom = "me"', "[[tell]] number 1 is wrong in what: field required"),
        ('[[tell]]\nwhat = ["summary"]\nto = ["mailto:a@b.example"]', "set [smtp], or CASEHAND_SMTP_HOST"),
        ('[smtp]\nhost = "mail.example"', "CASEHAND_SMTP_SENDER is wrong: field required"),
        (
            '[smtp]\nhost = "mail.example"\nsender = "a@b.example"\nusername = "u"',
            "[smtp] is wrong: give username and password (or password_file), or neither",
        ),
        (
            '[smtp]\nhost = "mail.example"\nsender = "a@b.example"\nencryption = "none"\nusername = "u"\n'
            'password = "not-to-be-seen"',
            "[smtp] is wrong: a password goes over an encrypted connection only",
        ),
        ('console_url = "casehand.example"', "CASEHAND_CONSOLE_URL is wrong"),
        ('summary_at = "noon"', "CASEHAND_SUMMARY_AT is wrong"),
    ],
)
def test_a_wrong_setting_is_one_line_that_says_which(
    casehand: Any, refuses: Callable[..., str], written: str, said: str
) -> None:
    settings(casehand, written)
    line = refuses("status")
    assert said in line
    assert "not-to-be-seen" not in line


def test_wrong_settings_that_are_found_when_people_are_told_are_one_line_too(
    casehand: Any, refuses: Callable[..., str]
) -> None:
    assert "add a [[tell]] to casehand.toml" in refuses("tell", "test")
    assert "add a [[tell]] to casehand.toml" in refuses("tell", "run")
    settings(casehand, '[[tell]]\nwhat = ["summary"]\nto_file = "nowhere"')
    assert refuses("tell", "test").startswith("to_file of a [[tell]] cannot be read (No such file")
    settings(casehand, '[[tell]]\nwhat = ["summary"]\nto_variable = "CHAT"')
    assert refuses("tell", "test").startswith("the variable CHAT names nobody")
    (casehand.folder / "hooks").write_text("json://host/secret\nnot-to-be-seen\n")
    settings(casehand, '[[tell]]\nwhat = ["summary"]\nto_file = "hooks"')
    line = refuses("tell", "test")
    assert "hooks is wrong at entry 2" in line
    assert "not-to-be-seen" not in line
    settings(casehand, '[[tell]]\nwhat = ["summary"]\nworkflows = ["desk/pey"]\nto = ["json://host/"]')
    for command in (("tell", "test"), ("tell", "run"), ("work", "--burst")):
        assert (
            "[[tell]] number 1 is wrong: there is no workflow 'desk/pey': did you mean desk/pay"
            in refuses(*command)
        )
    assert refuses("status", TELL="nonsense").startswith("CASEHAND_TELL is wrong: it must be JSON")


def test_messages_that_are_not_there_are_said_to_be_none(casehand: Any, refuses: Callable[..., str]) -> None:
    assert casehand("messages").stdout == "There are no such messages.\n"
    assert casehand.json("messages") == []
    assert refuses("messages", "retry", "7").startswith("there is no message 7: `casehand messages` lists")
