"""The table of states and moves."""

import pytest

from casehand.queue.state import MOVES, OPEN, IllegalMove, State, check_move

ALLOWED = {
    ("queued", "working"),
    ("queued", "escalated"),
    ("queued", "cancelled"),
    ("working", "done"),
    ("working", "queued"),
    ("working", "escalated"),
    ("escalated", "queued"),
    ("escalated", "closed"),
    ("escalated", "cancelled"),
}


@pytest.mark.parametrize("before", State)
@pytest.mark.parametrize("after", State)
def test_exactly_the_moves_of_the_design_are_allowed(before: State, after: State) -> None:
    if (before, after) in ALLOWED:
        check_move(before, after)
    else:
        with pytest.raises(IllegalMove, match=f"{before} cannot become {after}"):
            check_move(before, after)


def test_every_state_has_its_row_in_the_table() -> None:
    assert set(MOVES) == set(State)


def test_a_case_is_open_until_it_is_done_closed_or_cancelled() -> None:
    assert set(State) - OPEN == {State.DONE, State.CLOSED, State.CANCELLED}


def test_every_open_state_leads_to_an_end() -> None:
    reached = set(State) - OPEN
    for _ in State:
        reached |= {state for state, onward in MOVES.items() if onward & reached}
    assert reached == set(State)
