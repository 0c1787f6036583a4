"""Due dates, changes to what was handed in and batches that stop themselves, from the command line."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

Refuses = Callable[..., str]


def test_what_is_late_is_never_worked_unless_a_person_says_so(casehand: Any, refuses: Refuses) -> None:
    assert "has passed already" in refuses(
        "enqueue", "desk/pay", casehand.file("T001,10.00,pay"), "--due", "2020-01-01"
    )
    casehand.hand_in("T001,10.00,pay", "T002,20.00,pay")
    assert casehand("due").returncode == 0
    casehand("escalations", "due", "T001", "2020-01-01")

    assert casehand.work() == 3

    assert casehand.paid() == ["T002 20.00"]
    (late,) = casehand.json("due")
    assert (late["reference"], late["standing"], late["state"]) == ("T001", "late", "escalated")
    assert casehand("due").returncode == 3
    assert "Past their due date" in casehand("due").stdout
    assert "--late" in refuses("escalations", "return", "T001")
    assert casehand("escalations", "return", "T001", "--late").returncode == 0
    assert casehand.work() == 0
    assert casehand.paid() == ["T002 20.00", "T001 10.00"]


def test_a_batch_handed_in_late_on_purpose_is_worked(casehand: Any) -> None:
    ran = casehand("enqueue", "desk/pay", casehand.file("T001,10.00,pay"), "--due", "2020-01-01", "--late")
    assert ran.returncode == 0, ran.stderr

    assert casehand.work() == 0
    assert casehand.paid() == ["T001 10.00"]


def test_what_may_not_begin_in_time_is_at_risk(casehand: Any) -> None:
    day = datetime.now().year + 1  # noqa: DTZ005 — any year that is still to come
    casehand(
        *("enqueue", "desk/pay", casehand.file("T001,10.00,pay")),
        *("--due", f"{day}-06-01", "--not-before", f"{day}-07-01"),
    )

    (risky,) = casehand.json("due")

    assert (risky["reference"], risky["standing"], risky["why"]) == ("T001", "at risk", "later")
    assert "it may not begin before" in casehand("due").stdout


def test_a_batch_is_changed_and_cancelled_as_a_whole(casehand: Any, refuses: Refuses) -> None:
    casehand.hand_in("T001,10.00,pay", "T002,20.00,pay")
    batch = casehand.json("cases")[0]["batch"]
    assert "say what to change" in refuses("change", "batch", batch, "--reason", "why", code=2)

    (priority, due, begin) = casehand.json(
        *("change", "batch", batch, "--priority", "7", "--due", "2099-12-24"),
        *("--not-before", "2098-01-01", "--reason", "promised"),
    )

    assert [one["done"] for one in (priority, due, begin)] == [2, 2, 2]
    cases = casehand.json("cases")
    assert {(one["priority"], one["due"][:4], one["not_before"][:4]) for one in cases} == {
        (7, "2099", "2098")
    }
    assert {one["reason"] for one in (priority, due, begin)} == {"promised"}
    assert "2 done" in casehand("cancel", "batch", batch, "--reason", "the wrong file").stdout
    assert {one["state"] for one in casehand.json("cases")} == {"cancelled"}
    assert "no such cases" in refuses("cancel", "batch", batch, "--reason", "again")


def test_a_workflow_is_changed_as_a_whole_and_what_there_is_not_is_refused(
    casehand: Any, refuses: Refuses
) -> None:
    casehand.hand_in("T001,10.00,pay")

    (changed,) = casehand.json("change", "workflow", "desk/pay", "--priority", "3", "--reason", "year end")

    assert changed["done"] == 1
    assert "there is no workflow" in refuses("cancel", "workflow", "desk/play", "--reason", "why")
    assert "there is no bot" in refuses("cancel", "bot", "nobody", "--reason", "why")
    assert "there is no batch" in refuses("change", "batch", "nothing", "--priority", "1", "--reason", "why")


def test_a_batch_that_goes_wrong_stops_itself_and_goes_on_when_it_is_resumed(casehand: Any) -> None:
    casehand.hand_in(*(f"T{number:03},999.00,pay" for number in range(30)))
    batch = casehand.json("cases")[0]["batch"]

    assert casehand.work() == 3

    counted = casehand.json("status")
    # Those that other lanes had in hand when the eleventh was escalated come to their end.
    assert 11 <= counted["escalated"] <= 20
    assert counted["queued"] == 30 - counted["escalated"]
    (notice,) = [one for one in casehand.json("escalations") if one["kind"] == "notice"]
    assert notice["subject"] == f"batch {batch}"
    assert "stopped itself" in notice["reason"]

    assert casehand("resume", "batch", batch).returncode == 0
    casehand.work()
    assert casehand.json("status")["escalated"] == 30
