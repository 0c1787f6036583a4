"""What people do from the command line with cases, alone and together: each answer for people and for programs."""

from collections.abc import Callable
from typing import Any

import pytest

Refuses = Callable[..., str]


@pytest.fixture
def two(casehand: Any) -> Any:
    """Two cases that wait for a person."""
    casehand.hand_in("T001,999.00,pay", "T002,888.00,pay")
    assert casehand.work() == 3
    return casehand


def test_a_case_is_taken_handed_on_and_given_back(two: Any) -> None:
    assert two("escalations", "take", "T001").stdout == "T001 is yours.\n"
    (mine,) = two.json("escalations", "--mine")
    assert mine["reference"] == "T001"
    assert [one["reference"] for one in two.json("escalations", "--unassigned")] == ["T002"]
    assert two("escalations", "hand-on", "T001", "p.sample").stdout == "T001 is with p.sample.\n"
    assert "p.sample" in two("escalations").stdout
    assert two.json("escalations", "--mine") == []
    assert two("escalations", "give-back", "T001").stdout == "T001 is free to be taken.\n"
    assert len(two.json("escalations", "--unassigned")) == 2


def test_comments_due_dates_and_priorities_are_shown_with_the_case(two: Any) -> None:
    assert two("escalations", "comment", "T001", "Rang them: no answer.").stdout == "T001 has your comment.\n"
    assert "T001 is due by 24 Dec 2099" in two("escalations", "due", "T001", "2099-12-24").stdout
    assert two("escalations", "priority", "T001", "5").stdout == "T001 has priority 5.\n"

    story = two.json("case", "T001")
    assert [one["text"] for one in story["comments"]] == ["Rang them: no answer."]
    assert (story["line"]["priority"], story["line"]["due"][:10]) == (5, "2099-12-24")
    assert "Rang them: no answer." in two("case", "T001").stdout
    assert two("escalations", "due", "T001").stdout == "T001 has no due date.\n"


def test_a_case_says_why_it_waits_and_what_was_answered(casehand: Any) -> None:
    casehand.hand_in("T001,10.00,ask")
    assert casehand.json("case", "T001")["waits"] == ["It waits for its turn."]
    casehand("pause", "workflow", "desk/pay", "--reason", "the printer is away")
    assert "because the workflow desk/pay is paused by" in casehand("case", "T001").stdout
    (waits,) = casehand.json("case", "T001")["waits"]
    assert waits.endswith(": the printer is away.")
    casehand("resume", "workflow", "desk/pay")
    assert casehand.work() == 3
    told = casehand.json("case", "T001")
    assert (told["waits"], told["escalations"][0]["answer"]) == ([], None)
    casehand("escalations", "answer", "T001", "no")
    assert casehand.json("case", "T001")["escalations"][0]["answer"] == "no"
    assert '"no"' in casehand("case", "T001").stdout


def test_what_was_done_is_told_to_programs_as_the_case_is_then(two: Any) -> None:
    for does, state in (
        (["take", "T001"], "escalated"),
        (["hand-on", "T001", "p.sample"], "escalated"),
        (["give-back", "T001"], "escalated"),
        (["comment", "T001", "Rang them."], "escalated"),
        (["due", "T001", "2099-12-24"], "escalated"),
        (["priority", "T001", "5"], "escalated"),
        (["return", "T001"], "queued"),
        (["cancel", "T001", "--reason", "sent twice"], "cancelled"),
        (["close", "T002", "--note", "by hand"], "closed"),
    ):
        told = two.json("escalations", *does)
        assert (told["reference"], told["state"]) == (does[1], state)


def test_who_comes_too_late_is_told_who_was_quicker(two: Any, refuses: Refuses) -> None:
    two("escalations", "close", "T001", "--note", "by hand")

    line = refuses("escalations", "return", "T001")

    who = two.json("case", "T001")["escalations"][0]["settled_by"]
    assert line.startswith(f"the case does not wait for that any more: {who} settled it on ")
    assert line.endswith("(closed)")
    assert "settled it on" in refuses("escalations", "cancel", "T001")


def test_all_that_is_wrong_with_an_amendment_is_said_in_one_line(two: Any, refuses: Refuses) -> None:
    line = refuses("escalations", "return", "T001", "--amend", "amount=lots", "--amend", "colour=red")

    assert "amount: must be a plain number" in line
    assert "colour: is no field of this case: it has task, amount, does" in line


def test_everything_is_paused_and_goes_on(casehand: Any, refuses: Refuses) -> None:
    casehand.hand_in("T001,10.00,pay")

    assert casehand("pause", "everything", "--reason", "fire alarm").stdout == "Everything is paused.\n"
    again = casehand.json("pause", "everything", "--reason", "again")
    assert again == {"kind": "everything", "name": "*", "paused": True, "already": True}
    worked = casehand("work", "--workers", "1", "--burst")
    assert worked.returncode == 3
    assert "Everything is paused (fire alarm): `casehand resume everything` lets it go on." in worked.stdout
    assert "fire alarm" in casehand("status").stdout
    (notice,) = casehand.json("escalations")
    assert (notice["kind"], notice["subject"]) == ("notice", "everything")
    assert casehand.json("cases")[0]["attempts"] == 0

    assert casehand("resume", "everything").stdout == "Everything goes on.\n"
    assert refuses("resume", "everything") == "everything is not paused: see `casehand status`"
    assert casehand.work() == 0
    assert casehand.paid() == ["T001 10.00"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["pause", "everything", "benefits", "--reason", "x"],
        ["pause", "bot", "--reason", "x"],
        ["resume", "workflow"],
        ["escalations", "return", "T001", "--amend", "amount"],
        ["bulk", "begin", "cancel", "--batch", "a", "--case", "T001", "--reason", "x", "--yes"],
        ["bulk", "begin", "cancel", "--batch", "a", "--reason", "x"],
        ["bulk", "begin", "cancel", "--batch", "a", "--reason", "x", "--note", "x", "--yes"],
        ["bulk", "begin", "close", "--batch", "a", "--reason", "x", "--yes"],
        ["bulk", "begin", "cancel", "--case", "T001", "--preview"],
    ],
    ids=" ".join,
)
def test_what_was_typed_wrongly_is_said_with_the_code_for_that(
    refuses: Refuses, arguments: list[str]
) -> None:
    refuses(*arguments, code=2)


def test_many_cases_are_cancelled_with_a_preview_and_a_reason(casehand: Any, refuses: Refuses) -> None:
    casehand.hand_in(*(f"T{number:03},10.00,pay" for number in range(25)))
    over = ["bulk", "begin", "cancel", "--workflow", "desk/pay"]

    seen = casehand.json(*over, "--preview")
    assert (seen["total"], len(seen["first"])) == (25, 20)
    assert "25 cases would be taken in." in casehand(*over, "--preview").stdout
    assert casehand.json("bulk", "list") == []
    done = casehand.json(*over, "--reason", "the wrong file", "--yes")
    assert (done["state"], done["total"], done["done"], done["refused"]) == ("done", 25, 25, 0)
    assert casehand.json("status")["cancelled"] == 25
    (listed,) = casehand.json("bulk", "list")
    assert (listed["id"], listed["reason"]) == (done["id"], "the wrong file")
    assert "25 done, 0 refused, 0 to come" in casehand("bulk", "list").stdout
    story = casehand.json("case", "T001")
    assert f"bulk {done['id']}" in [entry["detail"] for entry in story["audit"]]
    assert refuses(*over, "--reason", "x", "--yes") == "there are no such cases: nothing is to be done"
    assert "say which cases" in refuses("bulk", "begin", "cancel", "--reason", "x", "--yes")


def test_actions_on_many_are_listed_from_either_end_in_parts(two: Any, refuses: Refuses) -> None:
    for number in range(3):
        why = f"number {number}"
        two("bulk", "begin", "set priority", "--case", "T001", "--priority", "5", "--reason", why, "--yes")

    listed = two.json("bulk", "list")
    assert [one["reason"] for one in listed] == ["number 2", "number 1", "number 0"]
    assert two.json("bulk", "list", "--oldest-first") == listed[::-1]
    assert two.json("bulk", "list", "--after", listed[0]["id"]) == listed[1:]
    shown = two("bulk", "list", "--oldest-first", "--limit", "2").stdout
    assert f"These are the oldest 2: `--after {listed[1]['id']} --oldest-first` goes on from here." in shown
    assert "goes on" not in two("bulk", "list", "--limit", "3").stdout
    assert "there is no bulk action nowhere" in refuses("bulk", "list", "--after", "nowhere")


def test_what_is_refused_is_kept_with_why_and_needs_a_person(two: Any) -> None:
    two("escalations", "close", "T001", "--note", "by hand")

    ran = two("bulk", "begin", "return", "--case", "T001", "--case", "T002", "--reason", "mended", "--yes")

    assert ran.returncode == 3
    assert "1 done, 1 refused, 0 to come" in ran.stdout
    (bulk,) = two.json("bulk", "list")
    (refused,) = two.json("bulk", "show", bulk["id"], "--refused")["cases"]
    assert refused["reference"] == "T001"
    assert "settled it on" in refused["why"]
    assert "T001" in two("bulk", "show", bulk["id"], "--refused").stdout


def test_the_workers_go_on_with_what_nobody_waits_for(casehand: Any, refuses: Refuses) -> None:
    casehand.hand_in("T001,10.00,pay", "T002,10.00,pay")
    begun = casehand.json(
        "bulk", "begin", "cancel", "--workflow", "desk/pay", "--reason", "x", "--yes", "--no-wait"
    )
    which = begun["id"]
    assert (begun["state"], begun["total"], begun["done"]) == ("working", 2, 0)

    assert casehand.json("bulk", "pause", which)["state"] == "paused"
    assert casehand.json("reconcile")["acted_on"] == 0
    assert "is paused" in refuses("bulk", "pause", which)
    assert casehand.json("bulk", "resume", which, "--no-wait")["state"] == "working"
    assert casehand.json("reconcile")["acted_on"] == 2
    assert casehand.json("bulk", "show", which)["state"] == "done"
    assert "is done" in refuses("bulk", "cancel", which)
    assert refuses("bulk", "show", "nowhere").startswith("there is no bulk action nowhere")
