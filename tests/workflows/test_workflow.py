"""What a workflow's annotations say, and what is said when they do not."""

from datetime import timedelta
from typing import Any

import pytest

from casehand import Bot, Case, CaseData, workflow


class Row(CaseData):
    claim: str
    amount: int


class Benefits(Bot):
    name = "benefits"
    settles = timedelta(seconds=5)


class Rents(Bot):
    name = "rents"
    settles = timedelta(seconds=90)


def test_the_annotations_say_everything() -> None:
    @workflow("test/two-systems", reference="claim", minutes_by_hand=4, timeout=timedelta(seconds=30))
    def work(case: Case[Row], benefits: Benefits, rents: Rents, again: Benefits) -> None:
        """Works in two systems."""

    assert work.name == "test/two-systems"
    assert work.model is Row
    assert work.reference == "claim"
    assert dict(work.bots) == {"benefits": Benefits, "rents": Rents, "again": Benefits}
    assert work.bot_names == ["benefits", "rents"]
    assert work.settles == timedelta(seconds=90)
    assert (work.minutes_by_hand, work.timeout) == (4, timedelta(seconds=30))


def test_a_workflow_can_be_called_as_the_function_it_is() -> None:
    @workflow("test/called", reference="claim")
    def work(case: Case[Row]) -> None:
        case.seen = True  # type: ignore[attr-defined]

    class Seen:
        seen = False

    given: Any = Seen()
    work(given)
    assert given.seen


def test_a_case_without_its_data_is_refused() -> None:
    with pytest.raises(TypeError, match=r"annotate the first parameter as Case\[YourData\]"):

        @workflow("test/wrong", reference="claim")
        def work(case: Case) -> None:  # type: ignore[type-arg]
            """Says too little."""


def test_a_first_parameter_without_annotation_is_refused() -> None:
    with pytest.raises(TypeError, match="annotate the first parameter"):

        @workflow("test/wrong", reference="claim")
        def work(case, benefits: Benefits) -> None:  # type: ignore[no-untyped-def]
            """Says too little."""


@pytest.mark.parametrize("wrong", [int, "Row", None])
def test_a_parameter_that_is_no_bot_is_refused(wrong: object) -> None:
    def work(case: Case[Row], benefits) -> None:  # type: ignore[no-untyped-def]
        """Says too little."""

    if wrong is not None:
        work.__annotations__["benefits"] = wrong
    with pytest.raises(TypeError, match="annotate the parameter 'benefits' with a Bot"):
        workflow("test/wrong", reference="claim")(work)


def test_a_reference_that_is_no_field_is_refused() -> None:
    with pytest.raises(TypeError, match="Row has no field 'number' to be the reference"):

        @workflow("test/wrong", reference="number")
        def work(case: Case[Row]) -> None:
            """Names a field that is not there."""


def test_a_workflow_without_parameters_is_refused() -> None:
    with pytest.raises(TypeError, match="annotate the first parameter"):

        @workflow("test/wrong", reference="claim")
        def work() -> None:
            """Takes no case."""
