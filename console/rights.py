"""Rights: what a role may do. This table is the only place that says so."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from casehand.console.person import Person

EVERY = "*"
"""In place of a workflow's name: for every workflow, and for what belongs to none."""


class Role(StrEnum):
    """What somebody is at work, for every workflow or for some."""

    VIEWER = "viewer"
    CASEWORKER = "caseworker"
    SUPERVISOR = "supervisor"
    DEVELOPER = "developer"  #: looks after the code, and sees nothing of what a case holds
    ADMINISTRATOR = "administrator"


class Right(StrEnum):
    """Something that may be done; the text ends the sentence "you may not …"."""

    SEE_CASES = "see what cases hold"
    SEE_STRUCTURE = "see how cases went"  #: times, steps, states and ids, without what cases hold
    SEE_FIGURES = "see figures"
    SETTLE = "settle cases"  #: take, hand on, comment, answer, return, close, cancel
    SUPERVISE = "settle or hand on what somebody else has taken"
    HAND_IN = "hand in batches"
    PAUSE = "pause work"
    SCHEDULE = "set due dates and priorities"
    ACT_ON_MANY = "act on many cases at once"
    SEE_AUDIT = "see the audit"
    PAUSE_ALL = "pause everything"
    MANAGE_MESSAGES = "look after messages to people"  #: see them, and have one tried again
    MANAGE_SESSIONS = "end other people's sessions"


_ALL = frozenset(Role)
_READERS = _ALL - {Role.DEVELOPER}
_SETTLERS = frozenset({Role.CASEWORKER, Role.SUPERVISOR, Role.ADMINISTRATOR})
_SUPERVISORS = frozenset({Role.SUPERVISOR, Role.ADMINISTRATOR})

ROLES_WITH: Mapping[Right, frozenset[Role]] = {
    Right.SEE_CASES: _READERS,
    Right.SEE_STRUCTURE: _ALL,
    Right.SEE_FIGURES: _ALL,
    Right.SETTLE: _SETTLERS,
    Right.SUPERVISE: _SUPERVISORS,
    Right.HAND_IN: _SUPERVISORS,
    Right.PAUSE: _SUPERVISORS,
    Right.SCHEDULE: _SUPERVISORS,
    Right.ACT_ON_MANY: _SUPERVISORS,
    Right.SEE_AUDIT: _SUPERVISORS,
    Right.PAUSE_ALL: _SUPERVISORS,
    Right.MANAGE_MESSAGES: _SUPERVISORS,
    Right.MANAGE_SESSIONS: frozenset({Role.ADMINISTRATOR}),
}
"""Which roles have a right. What has been taken is its taker's to settle; a supervisor may step in."""


def may(person: "Person", right: Right, workflow: str | None = None) -> bool:
    """Whether somebody has a right for a workflow; for what belongs to no workflow, when that is None."""
    roles = person.roles.get(EVERY, frozenset())
    if workflow is not None:
        roles |= person.roles.get(workflow, frozenset())
    return not roles.isdisjoint(ROLES_WITH[right])


def workflows_with(person: "Person", right: Right) -> frozenset[str] | None:
    """The workflows for which somebody has a right; None for every workflow."""
    if may(person, right):
        return None
    return frozenset(workflow for workflow in person.roles if may(person, right, workflow))
