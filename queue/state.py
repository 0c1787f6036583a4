"""The states of a case and the moves between them: the one table that everything goes by."""

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    """Where a case is."""

    QUEUED = "queued"  #: waits to be worked, perhaps not before a time
    WORKING = "working"  #: one attempt holds it
    DONE = "done"  #: the robot finished it
    ESCALATED = "escalated"  #: waits for a person
    CLOSED = "closed"  #: a person did it by hand, or rejected it
    CANCELLED = "cancelled"  #: will not be worked


MOVES: Mapping[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.WORKING, State.ESCALATED, State.CANCELLED}),
    State.WORKING: frozenset({State.DONE, State.QUEUED, State.ESCALATED}),
    State.ESCALATED: frozenset({State.QUEUED, State.CLOSED, State.CANCELLED}),
    State.DONE: frozenset(),
    State.CLOSED: frozenset(),
    State.CANCELLED: frozenset(),
}

OPEN = frozenset(state for state, onward in MOVES.items() if onward)
"""States in which a case still has something to come."""


class IllegalMove(Exception):
    """The table of moves does not have this one: a fault in Casehand itself."""


def check_move(before: State, after: State) -> None:
    """Raise IllegalMove unless a case may go from `before` to `after`."""
    if after not in MOVES[before]:
        raise IllegalMove(f"a case that is {before} cannot become {after}")
