"""`casehand figures` and `casehand cases --search`."""

import csv
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest


@pytest.fixture
def office(casehand: Any) -> Any:
    """A desk at which some cases were worked, of which three wait for a person."""
    casehand.hand_in(
        "T001,10.00,pay", "T002,10.00,pay", "T003,999.00,pay", "T004,999.00,pay", "T005,5.00,ask"
    )
    casehand.work()
    return casehand


def test_figures_are_told_to_people_and_programs_and_spreadsheets(office: Any) -> None:
    office("escalations", "close", "T003", "--note", "done by hand")
    found = office.json("figures")
    assert (found["done_alone"], found["closed_by_a_person"], found["escalated"]) == (2, 1, 3)
    assert found["share_alone"] == pytest.approx(2 / 3)
    assert found["times"]["number"] == 3
    assert [(one["number"], one["kind"]) for one in found["reasons"]] == [(2, "business"), (1, "question")]
    assert found["oldest_open"] is not None

    told = office("figures").stdout
    assert "67% of what was done or closed was done without a person." in told
    assert "the amount is above the limit" in told
    assert "From arrival to end, half took no longer than about" in told

    rows = list(csv.DictReader(StringIO(office("figures", "--csv").stdout)))
    assert [(row["Workflow"], row["Done alone"], row["Escalated"]) for row in rows] == [
        ("desk/pay", "2", "3")
    ]


def test_figures_are_of_the_days_and_the_workflow_asked_for(office: Any, refuses: Callable[..., str]) -> None:
    assert office.json("figures", "--until", "2020-01-31")["days"] == []
    assert office.json("figures", "--from", "2020-01-01")["done_alone"] == 2
    assert office.json("figures", "--workflow", "another")["days"] == []
    assert "give the earlier day first" in refuses("figures", "--from", "2026-02-01", "--until", "2026-01-01")
    assert "give it as 2026-04-06" in refuses("figures", "--from", "1/2/2026")


def test_cases_are_searched_for_in_one_box(office: Any, refuses: Callable[..., str]) -> None:
    def found(*words: str) -> list[str]:
        return [case["reference"] for case in office.json("cases", "--search", *words)]

    assert found("T00") == ["T001", "T002", "T003", "T004", "T005"]
    assert found("t003") == ["T003"]
    assert found("tasks-") == ["T001", "T002", "T003", "T004", "T005"]
    assert sorted(found("above the limit")) == ["T003", "T004"]
    assert found("above the moon") == []
    assert found("T00", "--workflow", "another") == []
    assert office("cases", "--search", "moon").stdout == "There are no such cases.\n"
    assert "--after" in office("cases", "--search", "T00", "--limit", "2").stdout
    assert "give it alone" in refuses("cases", "--search", "T00", "--state", "done")
