"""The record of an attempt."""

import json
from typing import Any

import pytest

from casehand.workflows.record import Record


def test_steps_are_kept_with_their_times_and_ends(clock: Any) -> None:
    record = Record(clock)
    with record.step("outer"):
        clock.go_on(1.5)
        with pytest.raises(ValueError, match="inner"):
            fail_after_two_seconds(record, clock)
    record.note("a picture", evidence="01-a-picture.jpg")
    outer, inner, note = json.loads(record.as_json())
    assert (outer["name"], outer["seconds"], outer.get("end")) == ("outer", 3.5, None)
    assert (inner["name"], inner["seconds"], inner["end"]) == ("inner", 2.0, "ValueError")
    assert inner["at"] == "2026-04-01T09:00:01.500000+00:00"
    assert note["evidence"] == "01-a-picture.jpg"


def fail_after_two_seconds(record: Record, clock: Any) -> None:
    with record.step("inner"):
        clock.go_on(2)
        raise ValueError("inner")


def test_an_error_is_recorded_by_its_kind_and_never_by_its_text(clock: Any) -> None:
    record = Record(clock)
    with pytest.raises(ValueError, match="Ms Test Alder"), record.step("read the page"):
        raise ValueError("Ms Test Alder")
    assert "Alder" not in record.as_json()
