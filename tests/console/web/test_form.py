"""Forms of every kind of field: drawn, typed, wrong, and right."""

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Any, Literal

import pytest
from playwright.sync_api import Page, expect
from pydantic import BaseModel, Field
from samples import Sampler
from sqlalchemy import select

from casehand.console.web.form import check, draw, errors_of, read, typed_from
from casehand.queue import schema
from casehand.workflows.forms import WrongFields


class Tenure(Enum):
    COUNCIL = "council"
    PRIVATE = "private"


class Address(BaseModel):
    line: str = Field(title="First line")
    since: date | None = None


class Decision(BaseModel):
    """What is decided."""

    weekly_award: Decimal = Field(gt=0, description="Before tax.")
    hours: Decimal
    begins: date
    weeks: int = Field(ge=1, le=52)
    urgent: bool
    tenure: Tenure
    letter: Literal["first", "second"] = "second"
    reasons: list[Literal["late", "lost", "wrong"]] = []
    others: list[str] = []
    counts: list[int] | None = None
    address: Address
    second: Address | None = None
    because: str = Field(default="", max_length=500)
    free: Any = None


FORM = Decision.model_json_schema()
RIGHT = {
    "answer.weekly_award": ["£1,012.50"],
    "answer.hours": ["37.5"],
    "answer.begins.day": ["6"],
    "answer.begins.month": ["4"],
    "answer.begins.year": ["2026"],
    "answer.weeks": ["4"],
    "answer.urgent": ["yes"],
    "answer.tenure": ["private"],
    "answer.reasons": ["late", "wrong"],
    "answer.others": ["Ms Invented\nMx Test"],
    "answer.counts": ["1\n2"],
    "answer.address.line": ["1 Test Street"],
}


def test_each_kind_of_field_is_drawn_in_its_own_way() -> None:
    drawn = draw(FORM, "answer", {}, {})
    assert {one.name.removeprefix("answer."): one.kind for one in drawn} == {
        "weekly_award": "money",
        "hours": "number",
        "begins": "date",
        "weeks": "whole",
        "urgent": "yesno",
        "tenure": "choice",
        "letter": "choice",
        "reasons": "boxes",
        "others": "lines",
        "counts": "lines",
        "address": "parts",
        "second": "parts",
        "because": "long",
        "free": "json",
    }
    assert [one.title for one in drawn[:3]] == ["Weekly award", "Hours", "Begins"]
    assert drawn[10].parts[0].title == "First line"
    assert drawn[6].value == "second"


def test_what_was_typed_becomes_the_model() -> None:
    texts = check(FORM, "answer", RIGHT)
    assert texts["weekly_award"] == "1012.50"
    values = {name: json.loads(text) if text[:1] in "[{" else text for name, text in texts.items() if text}
    decided = Decision.model_validate(values)
    assert (decided.begins, decided.weeks, decided.urgent) == (date(2026, 4, 6), 4, True)
    assert (decided.reasons, decided.others, decided.counts) == (
        ["late", "wrong"],
        ["Ms Invented", "Mx Test"],
        [1, 2],
    )
    assert (decided.address.line, decided.second) == ("1 Test Street", None)


@pytest.mark.parametrize(
    ("typed", "errors"),
    [
        ({"weekly_award": "-1"}, {"answer-weekly_award": "Weekly award must be more than 0"}),
        ({"begins.day": ""}, {"answer-begins-day": "Begins must include a day"}),
        (
            {"begins.day": "31", "begins.month": "2"},
            {"answer-begins-day": "Begins must be a real date, in numbers such as 6 4 2026"},
        ),
        (
            {"begins.year": "26"},
            {"answer-begins-day": "Begins must be a real date, in numbers such as 6 4 2026"},
        ),
        ({"begins.day": "", "begins.month": "", "begins.year": ""}, {"answer-begins-day": "Begins is empty"}),
        ({"tenure": "tent"}, {"answer-tenure": "Tenure must be one of council, private"}),
        ({"reasons": "hunger"}, {"answer-reasons": "Reasons must be one of late, lost, wrong"}),
        ({"counts": "1\nmany"}, {"answer-counts": "Counts must be a whole number such as 12 (line 2)"}),
        ({"address.line": ""}, {"answer-address-line": "First line is empty"}),
        (
            {"second.since.day": "1"},
            {
                "answer-second-line": "First line is empty",
                "answer-second-since-day": "Since must include a month and a year",
            },
        ),
        ({"because": "x" * 501}, {"answer-because": "Because must have no more than 500 characters"}),
        ({"free": "{"}, {"answer-free": 'Free must be JSON, such as ["one", "two"]'}),
    ],
)
def test_every_wrong_field_is_named_beside_the_others(typed: dict[str, str], errors: dict[str, str]) -> None:
    given = {**RIGHT, **{f"answer.{name}": [text] for name, text in typed.items()}}
    with pytest.raises(WrongFields) as wrong:
        check(FORM, "answer", given)
    drawn = draw(FORM, "answer", given, wrong.value.faults)
    assert errors_of(drawn, wrong.value.faults) == errors


def test_everything_wrong_is_told_at_once() -> None:
    with pytest.raises(WrongFields) as wrong:
        check(FORM, "answer", {"answer.begins.day": ["1"], "answer.weeks": ["none"]})
    drawn = draw(FORM, "answer", {}, wrong.value.faults)
    assert list(errors_of(drawn, wrong.value.faults)) == [
        "answer-weekly_award",
        "answer-hours",
        "answer-begins-day",
        "answer-weeks",
        "answer-urgent",
        "answer-tenure",
        "answer-address-line",
    ]


def test_values_are_typed_as_they_would_be_read_again() -> None:
    texts, _ = read(FORM, "answer", RIGHT)
    value = {name: json.loads(text) if text[:1] in "[{" else text for name, text in texts.items() if text}
    again, faults = read(FORM, "answer", typed_from(FORM, "answer", value))
    assert faults == {}
    assert {name: text for name, text in again.items() if text} == {
        name: text for name, text in texts.items() if text
    }


def test_a_model_that_holds_itself_is_drawn_no_deeper_than_three() -> None:
    class Node(BaseModel):
        name: str
        below: "Node | None" = None

    (_, below) = draw(
        Node.model_json_schema()["$defs"]["Node"] | {"$defs": Node.model_json_schema()["$defs"]},
        "answer",
        {},
        {},
    )
    assert below.parts[1].parts[1].kind == "json"


@pytest.mark.parametrize("scripts", [True, False])
def test_a_form_of_every_kind_is_answered_in_a_browser(
    page_for: Callable[..., Page],
    served: Any,
    tmp_path: Any,
    finds_nothing: Callable[[Page], None],
    scripts: bool,
) -> None:
    sampler = Sampler(served.ledger, served.clock, served.site.settings.evidence, tmp_path)
    sampler.ask(served.made.queued, "What is decided?", form=FORM)
    with served.ledger.reading() as connection:
        query = select(schema.cases.c.reference).where(schema.cases.c.id == served.made.queued)
        reference = connection.execute(query).scalar_one()
    page = page_for("caseworker", java_script_enabled=scripts)
    page.goto(f"/escalations/{reference}")
    page.get_by_label("Weekly award").fill("1012.50")
    page.get_by_role("checkbox", name="wrong").check()
    page.get_by_label("Month").first.fill("4")
    page.get_by_role("group", name="Address", exact=True).get_by_label("First line").fill("1 Test Street")
    page.get_by_label("Others").fill("Ms Invented\nMx Test")
    page.get_by_role("button", name="Answer and send back").click()
    summary = page.get_by_role("alert")
    expect(summary).to_contain_text("Begins must include a day and a year")
    expect(summary).to_contain_text("Tenure is empty")
    expect(page.get_by_role("checkbox", name="wrong")).to_be_checked()
    expect(page.get_by_label("Others")).to_have_value("Ms Invented\nMx Test")
    expect(page.get_by_role("group", name="Address", exact=True).get_by_label("First line")).to_have_value(
        "1 Test Street"
    )
    for width in (1280, 375):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        if scripts:
            finds_nothing(page)
    page.get_by_label("Hours").fill("37.5")
    page.get_by_label("Day").first.fill("6")
    page.get_by_label("Year").first.fill("2026")
    page.get_by_label("Weeks").fill("4")
    page.get_by_role("radio", name="Yes").check()
    page.get_by_role("radio", name="private").check()
    page.get_by_role("button", name="Answer and send back").click()
    expect(page.get_by_role("status")).to_contain_text("your answer is kept")
