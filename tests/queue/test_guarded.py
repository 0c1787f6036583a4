"""Text that no spreadsheet takes for a formula, and back again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casehand.queue.guarded import guarded, is_formula, unguarded

HARMFUL = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    "\u200b=1",
    "\ufeff=1",
    "\u00a0@x",
    "\uff1d1+1",
    "\uff0b1",
    "\uff0d1",
    "\uff20x",
    "\ufe621",
    "|calc",
    "%0A",
]


@pytest.mark.parametrize("text", HARMFUL)
def test_what_a_spreadsheet_might_compute_is_marked_as_text(text: str) -> None:
    assert is_formula(text)
    assert guarded(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", " ", "HB000125", "112.40", "a=1", "Mx O'Test", "1-2", "£5", "السيدة"])
def test_other_text_stays_as_it_is(text: str) -> None:
    assert guarded(text) == text


@given(st.text() | st.builds("".join, st.lists(st.sampled_from("'=+-@ \t\n\u200b\uff1da1"))))
def test_a_mark_is_taken_off_again_and_nothing_else_with_it(text: str) -> None:
    assert unguarded(guarded(text)) == text
    assert not is_formula(guarded(text))
