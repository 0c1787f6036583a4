"""A batch from the command line, end to end: handed in, worked, looked at, settled."""

import json
from typing import Any

from redis import Redis

from casehand.queue.dispatch import QUEUE
from casehand.queue.ledger import Ledger
from casehand.settings import load_settings

STATES = {"queued", "working", "done", "escalated", "closed", "cancelled"}
CASE_KEYS = {"id", "reference", "workflow", "batch", "state", "reason", "attempts", "commits"}


def load_ledger() -> Ledger:
    """The ledger that the commands use."""
    settings = load_settings()
    return Ledger.open(settings.ledger_url, settings.vault())


def state(casehand: Any, reference: str) -> str:
    (case,) = [one for one in casehand.json("cases") if one["reference"] == reference]
    return str(case["state"])


def test_a_batch_is_worked_and_told(casehand: Any) -> None:
    casehand.hand_in("T001,10.00,pay", "T002,20.00,pay", "T003,999.00,pay")
    assert casehand.work() == 3
    assert sorted(casehand.paid()) == ["T001 10.00", "T002 20.00"]

    assert casehand.json("status") == {**dict.fromkeys(STATES, 0), "done": 2, "escalated": 1}
    cases = casehand.json("cases")
    assert all(case.keys() >= CASE_KEYS for case in cases)
    assert [(case["reference"], case["state"], case["commits"]) for case in cases] == [
        ("T001", "done", 1),
        ("T002", "done", 1),
        ("T003", "escalated", 0),
    ]
    (escalation,) = casehand.json("escalations")
    assert escalation["reference"] == "T003"
    assert (escalation["kind"], escalation["reason"]) == ("business", "the amount is above the limit")

    story = casehand.json("case", "T001")
    assert story["data"] == {"task": "T001", "amount": "10.00", "does": "pay"}
    assert story["result"] == {"paid": "10.00"}
    assert [commit["state"] for commit in story["commits"]] == ["made"]

    told = casehand("case", "T003").stdout
    assert "the amount is above the limit" in told
    assert "escalated" in casehand("status").stdout
    assert "T003" in casehand("escalations").stdout
    filtered = casehand.json("cases", "--state", "escalated", "--workflow", "desk/pay", "--limit", "5")
    assert [case["reference"] for case in filtered] == ["T003"]


def test_rows_that_are_not_taken_in_are_listed_with_line_and_reason(casehand: Any) -> None:
    file = casehand.file("T001,10.00,pay", "X,10.00,pay", "T003,1e5,pay", "T001,11.00,pay")
    ran = casehand("enqueue", "desk/pay", file)
    assert ran.returncode == 3
    assert "2 rows rejected" in ran.stdout
    assert "1 duplicate." in ran.stdout
    again = casehand("enqueue", "desk/pay", file, "--json")
    taken = json.loads(again.stdout)
    assert taken["already"] is True
    assert casehand.json("status")["queued"] == 1


def test_the_rejections_are_told_to_programs(casehand: Any) -> None:
    ran = casehand("enqueue", "desk/pay", casehand.file("X,10.00,pay", "T003,0,pay"), "--json")
    assert ran.returncode == 3
    told = json.loads(ran.stdout)
    assert [(one["line"], one["column"]) for one in told["rejections"]] == [(2, "task"), (3, "amount")]
    assert told["accepted"] == 0


def test_handing_in_works_while_redis_is_away(casehand: Any) -> None:
    file = casehand.file("T001,10.00,pay")
    ran = casehand("enqueue", "desk/pay", file, REDIS_URL="redis://127.0.0.1:1")
    assert ran.returncode == 0
    assert "the cases are safe" in ran.stdout
    assert casehand.work() == 0
    assert casehand.paid() == ["T001 10.00"]


def test_work_that_needs_nobody_ends_with_nought(casehand: Any) -> None:
    assert casehand.work() == 0
    casehand.hand_in("T001,10.00,pay")
    assert casehand.work() == 0


def test_a_question_is_answered_and_the_case_goes_on(casehand: Any) -> None:
    casehand.hand_in("T001,10.00,ask", "T002,20.00,form")
    assert casehand.work() == 3
    listed = casehand("escalations").stdout
    assert "yes / no" in listed
    wrong = casehand("escalations", "answer", "T001", "perhaps")
    assert wrong.returncode == 1
    assert "yes" in wrong.stderr
    no_json = casehand("escalations", "answer", "T002", "much")
    assert "JSON" in no_json.stderr
    unfit = casehand("escalations", "answer", "T002", '{"paid": 5}')
    assert (unfit.returncode, unfit.stderr) == (1, "casehand: pay: is empty\n")
    assert casehand("escalations", "answer", "T001", "yes").stdout == "T001 is queued again.\n"
    assert casehand("escalations", "answer", "T002", '{"pay": "15.50"}').returncode == 0
    assert casehand.work() == 0
    assert sorted(casehand.paid()) == ["T001 10.00", "T002 15.50"]


def test_a_case_is_sent_back_amended(casehand: Any) -> None:
    casehand.hand_in("T001,999.00,pay")
    casehand.work()
    unknown = casehand("escalations", "return", "T001", "--amend", "colour=red")
    assert "task, amount, does" in unknown.stderr
    wrong = casehand("escalations", "return", "T001", "--amend", "amount=-5")
    assert wrong.stderr == "casehand: amount: must be more than 0\n"
    reference = casehand("escalations", "return", "T001", "--amend", "task=T009")
    assert "reference of a case cannot be amended" in reference.stderr
    assert {one.returncode for one in (unknown, wrong, reference)} == {1}
    assert casehand("escalations", "return", "T001", "--amend", "amount=99.00").returncode == 0
    assert casehand.work() == 0
    assert casehand.paid() == ["T001 99.00"]


def test_cases_are_closed_and_cancelled(casehand: Any) -> None:
    casehand.hand_in("T001,999.00,pay", "T002,999.00,pay")
    casehand.work()
    assert casehand("escalations", "close", "T001", "--note", "paid by cheque").stdout == "T001 is closed.\n"
    assert casehand("escalations", "cancel", "T002").stdout == "T002 is cancelled.\n"
    assert (state(casehand, "T001"), state(casehand, "T002")) == ("closed", "cancelled")
    assert "paid by cheque" in casehand("case", "T001").stdout
    too_late = casehand("escalations", "return", "T001")
    assert too_late.returncode == 1
    assert casehand.json("escalations") == []


def test_a_change_in_doubt_is_settled_by_the_persons_word(casehand: Any) -> None:
    casehand.hand_in("T001,10.00,break", "T002,20.00,break", "T003,30.00,break")
    assert casehand.work() == 3
    cancelled = casehand("escalations", "cancel", "T003").stdout
    assert cancelled.startswith("T003 is cancelled.\nIt is not known whether this was done: pay.")
    assert {one["kind"] for one in casehand.json("escalations")} == {"in doubt"}
    assert "it was done / it was not done" in casehand("escalations").stdout
    assert sorted(casehand.paid()) == ["T001 10.00", "T002 20.00", "T003 30.00"]
    (casehand.folder / "mended").touch()
    casehand("escalations", "answer", "T001", "it was done")
    casehand("escalations", "answer", "T002", "it was not done")
    assert casehand.work() == 0
    assert sorted(casehand.paid()) == ["T001 10.00", "T002 20.00", "T002 20.00", "T003 30.00"]


def test_what_is_paused_waits_and_what_is_not_does_not(casehand: Any) -> None:
    casehand.hand_in("T001,10.00,pay")
    paused = casehand("pause", "workflow", "desk/pay", "--reason", "month end")
    assert paused.stdout == "The workflow desk/pay is paused.\n"
    assert "was paused already" in casehand("pause", "workflow", "desk/pay", "--reason", "again").stdout
    assert casehand.work() == 3
    assert state(casehand, "T001") == "queued"
    assert "month end" in casehand("status").stdout
    assert casehand("resume", "workflow", "desk/pay").returncode == 0
    assert casehand("pause", "bot", "benefits", "--reason", "another system's trouble").returncode == 0
    casehand.work()
    assert state(casehand, "T001") == "done"


def test_reconciling_hands_over_what_redis_has_forgotten(casehand: Any, redis: Redis) -> None:
    casehand.hand_in("T001,10.00,pay", "T002,10.00,pay")
    redis.flushall()
    assert casehand.json("reconcile")["handed_over"] == 2
    assert redis.llen(f"rq:queue:{QUEUE}") == 2
    assert casehand("reconcile").stdout.endswith("0 handed to the queue.\n")


def test_work_not_before_a_time_waits(casehand: Any) -> None:
    file = casehand.file("T001,10.00,pay")
    ran = casehand("enqueue", "desk/pay", file, "--not-before", "2099-01-01", "--priority", "5")
    assert ran.returncode == 0
    assert casehand.work() == 0
    assert state(casehand, "T001") == "queued"


def test_a_case_in_doubt_shows_the_evidence_of_both_attempts_though_one_was_killed(casehand: Any) -> None:
    casehand.hand_in("T001,10.00,break")
    assert casehand.work() == 3
    (case,) = casehand.json("cases")
    kept = {"1": "01-before-pay.jpg", "2": "01-in-doubt.jpg"}
    key = load_ledger().key_of(case["id"])
    for attempt, name in kept.items():
        folder = casehand.folder / "home" / "evidence" / case["id"] / attempt
        folder.mkdir(parents=True)
        (folder / name).write_bytes(key.seal(b"a picture"))

    told = casehand("case", "T001", "--evidence", "pictures")

    assert "Attempt 1 also left: 01-before-pay.jpg" in told.stdout
    assert "Attempt 2 also left: 01-in-doubt.jpg" in told.stdout
    written = sorted((casehand.folder / "pictures").iterdir())
    assert [path.read_bytes() for path in written] == [b"a picture"] * 2
    refused = casehand("case", "T001", "--evidence", "desk.py")
    assert refused.stderr == "casehand: desk.py cannot be written to (File exists): name another folder\n"
    assert casehand.json("case", "T001")["evidence"] == {number: [name] for number, name in kept.items()}
