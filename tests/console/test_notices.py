"""What holds up many cases: told once, to people and to programs."""

from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

import pytest

from casehand.queue import breaker
from casehand.queue.breaker import BreakerPolicy, open_breakers
from casehand.queue.escalations import Escalation
from casehand.queue.known import make_known
from casehand.queue.ledger import Ledger
from casehand.settings import load_settings
from casehand.workflows.workflow import TIMEOUT

RENT_CHANGE = "housing-benefit/rent-change"

SHUT = """
from casehand import Bot, Case, CaseData, workflow


class Task(CaseData):
    task: str


class Shut(Bot):
    name = "shut"
    hours = "HOURS"


@workflow("shut/pay", reference="task")
def pay(case: Case[Task], bot: Shut) -> None:
    bot.check()
"""


@pytest.fixture
def ledger(casehand: Any) -> Iterator[Ledger]:
    """The ledger of the command line, with the breaker of the bot `benefits` open."""
    settings = load_settings()
    opened = Ledger.open(settings.ledger_url, settings.vault())
    make_known(opened, RENT_CHANGE, ["benefits"], TIMEOUT)
    with opened.writing() as connection:
        now, opens_at_once = opened.clock(), BreakerPolicy(failures=1)
        breaker.note_failure(connection, RENT_CHANGE, now, opens_at_once, "worker-1")
    yield opened
    opened.close()


def test_an_open_breaker_is_one_entry_among_the_escalations(casehand: Any, ledger: Ledger) -> None:
    casehand.hand_in("T001,999.00,pay")
    casehand.work()

    notice, case = casehand.json("escalations")

    assert (notice["kind"], notice["subject"], notice["case"]) == ("notice", "bot benefits", None)
    assert case["reference"] == "T001"
    every_key = {field.name for field in fields(Escalation)}
    assert notice.keys() >= every_key
    assert case.keys() >= every_key
    told = casehand("escalations").stdout
    assert told.count("The bot benefits fails case after case") == 1
    assert casehand.json("escalations", "--workflow", RENT_CHANGE) == [notice]
    assert casehand.json("escalations", "--workflow", "desk/pay") == [case]


def test_a_burst_that_leaves_a_breaker_open_says_so_and_wants_a_person(casehand: Any, ledger: Ledger) -> None:
    casehand.hand_in("T001,10.00,pay")

    worked = casehand("work", "--workers", "1", "--burst")

    assert worked.returncode == 3
    assert "its cases wait until one that tries gets through" in worked.stdout
    assert "`casehand resume bot benefits` lets one try at once" in worked.stdout


def test_a_person_may_let_one_case_try_at_once(casehand: Any, ledger: Ledger) -> None:
    (before,) = open_breakers(ledger)

    assert casehand("resume", "bot", "benefits").returncode == 0

    (after,) = open_breakers(ledger)
    assert after.probe_at < before.probe_at


@pytest.mark.parametrize(
    ("hours", "says"),
    [
        ("Mon-Sun 00:00-00:01", "the bot shut is never open for so long (Mon-Sun 00:00-00:01)"),
        ("9 to 5", "the bot shut cannot be used: hours must look like"),
    ],
)
def test_a_workflow_that_could_never_begin_is_refused(
    casehand: Any, refuses: Callable[..., str], hours: str, says: str
) -> None:
    (casehand.folder / "shut.py").write_text(SHUT.replace("HOURS", hours))
    file = casehand.file("T001", header="task")

    assert says in refuses("enqueue", "shut/pay", file, WORKFLOWS="shut")
    assert says in refuses("work", "--burst", WORKFLOWS="shut")
