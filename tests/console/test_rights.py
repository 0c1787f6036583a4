"""The one table of what a role may do."""

import pytest

from casehand.console.person import Person, machine_user
from casehand.console.rights import EVERY, ROLES_WITH, Right, Role, may, workflows_with

RENTS, TAX = "housing-benefit/rent-change", "council-tax/moves"

TABLE = {
    Right.SEE_CASES: "viewer caseworker supervisor administrator",
    Right.SEE_STRUCTURE: "viewer caseworker supervisor developer administrator",
    Right.SEE_FIGURES: "viewer caseworker supervisor developer administrator",
    Right.SETTLE: "caseworker supervisor administrator",
    Right.SUPERVISE: "supervisor administrator",
    Right.HAND_IN: "supervisor administrator",
    Right.PAUSE: "supervisor administrator",
    Right.SCHEDULE: "supervisor administrator",
    Right.ACT_ON_MANY: "supervisor administrator",
    Right.SEE_AUDIT: "supervisor administrator",
    Right.PAUSE_ALL: "supervisor administrator",
    Right.MANAGE_MESSAGES: "supervisor administrator",
    Right.MANAGE_SESSIONS: "administrator",
}
"""As it was agreed; written down a second time so that a slip of the pen in the first is seen."""


def somebody(**roles: Role) -> Person:
    return Person("a.sample", "A. Sample", {name: frozenset({role}) for name, role in roles.items()})


@pytest.mark.parametrize("right", Right)
@pytest.mark.parametrize("role", Role)
def test_a_role_may_do_what_was_agreed_and_nothing_else(right: Right, role: Role) -> None:
    agreed = role in TABLE[right].split()
    for_all = somebody(**{EVERY: role})
    for_rents = somebody(**{RENTS: role})

    assert may(for_all, right) == may(for_all, right, TAX) == agreed
    assert may(for_rents, right, RENTS) == agreed
    assert not may(for_rents, right, TAX)
    assert not may(for_rents, right)
    assert workflows_with(for_all, right) == (None if agreed else frozenset())
    assert workflows_with(for_rents, right) == (frozenset({RENTS}) if agreed else frozenset())


def test_every_right_is_in_the_table() -> None:
    assert set(ROLES_WITH) == set(TABLE) == set(Right)


def test_roles_for_all_and_for_one_workflow_add_up() -> None:
    person = somebody(**{EVERY: Role.VIEWER, RENTS: Role.SUPERVISOR})

    assert may(person, Right.HAND_IN, RENTS)
    assert may(person, Right.SEE_CASES, TAX)
    assert not may(person, Right.HAND_IN, TAX)
    assert workflows_with(person, Right.HAND_IN) == frozenset({RENTS})


def test_who_may_act_on_many_may_step_in_for_those_who_have_taken_a_case() -> None:
    # An action on many does not ask who has taken which of them.
    assert ROLES_WITH[Right.ACT_ON_MANY] <= ROLES_WITH[Right.SUPERVISE]


def test_the_user_of_the_machine_may_do_everything() -> None:
    assert all(may(machine_user(), right) for right in Right)
