"""Who has taken an escalation and what he answered, what people say of a case, and acting on many."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

OPEN = sa.text("settled_at IS NULL")
LEFT = sa.text("outcome IS NULL")
ESCALATED = "state = 'escalated'"
ORDER = (sa.text("priority DESC"), "not_before", "handed_in_at", "line", "id")


def upgrade() -> None:
    _add_to_escalations()
    _keep_each_answer()
    _list_what_waits()
    op.create_table(
        "comments",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("case", sa.String(length=32), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.String(length=200), nullable=False),
        sa.Column("sealed_text", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["case"], ["cases.id"], name=op.f("fk_comments_case")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comments")),
    )
    op.create_index(op.f("ix_comments_case"), "comments", ["case"], unique=False)
    _create_bulk_actions()
    _create_bulk_cases()


def _add_to_escalations() -> None:
    op.add_column("escalations", sa.Column("assigned_to", sa.String(length=200), nullable=True))
    op.add_column("escalations", sa.Column("assigned_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("escalations", sa.Column("due", sa.DateTime(timezone=True), nullable=True))
    columns = ["assigned_to", "opened_at", "id"]
    op.create_index(
        "ix_escalations_assigned", "escalations", columns, sqlite_where=OPEN, postgresql_where=OPEN
    )


def _keep_each_answer() -> None:
    """Those that were given again before this stood nowhere but in `answers`, where the last took their place."""
    op.add_column("escalations", sa.Column("sealed_answer", sa.LargeBinary(), nullable=True))
    op.execute(
        "UPDATE escalations SET sealed_answer = (SELECT sealed_answer FROM answers "
        """WHERE answers."case" = escalations."case" AND answers.attempt = escalations.attempt LIMIT 1) """
        "WHERE settlement = 'answered' AND sealed_question IS NOT NULL"
    )


def _list_what_waits() -> None:
    op.add_column("cases", sa.Column("escalated_kind", sa.String(length=20), nullable=True))
    op.add_column("cases", sa.Column("escalated_alike", sa.LargeBinary(), nullable=True))
    # Of what is alike nothing is known yet here: `words.py` catches up with it.
    op.execute(
        "UPDATE cases SET escalated_kind = (SELECT kind FROM escalations "
        """WHERE escalations."case" = cases.id AND settled_at IS NULL) WHERE state = 'escalated'"""
    )
    _index_escalated("undated", [], ORDER, " AND due IS NULL")
    _index_escalated("workflow", ["workflow"], (*ORDER, "due"))
    for name, column in (("batch", "batch"), ("kind", "escalated_kind"), ("alike", "escalated_alike")):
        told = ("due", "escalated_kind") if name == "batch" else ("due",)
        _index_escalated(name, [column], (*ORDER, *told))
        _index_escalated(f"{name}_due", [column], ("due", "id"), " AND due IS NOT NULL")
    for name, columns in (
        ("alike", ["alike", "opened_at", "id"]),
        ("reason", ["workflow", "kind", "alike", "opened_at", "id"]),
    ):
        op.create_index(
            f"ix_escalations_waiting_{name}",
            "escalations",
            columns,
            sqlite_where=OPEN,
            postgresql_where=OPEN,
        )


def _index_escalated(name: str, narrowed: list[str], order: Sequence[Any], only: str = "") -> None:
    which = sa.text(ESCALATED + only)
    op.create_index(
        f"ix_cases_escalated_{name}",
        "cases",
        [*narrowed, "state", *order],
        sqlite_where=which,
        postgresql_where=which,
    )


def _create_bulk_actions() -> None:
    op.create_table(
        "bulk_actions",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("action", sa.String(length=20), nullable=False),
        sa.Column("value", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("filter", sa.Text(), nullable=False),
        sa.Column("workflows", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("begun_by", sa.String(length=200), nullable=False),
        sa.Column("listed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bulk_actions")),
        comment="What is done to many cases at once, and how far it is.",
    )
    op.create_index(op.f("ix_bulk_actions_state"), "bulk_actions", ["state"], unique=False)
    op.create_index("ix_bulk_actions_begun", "bulk_actions", ["begun_at", "id"])


def _create_bulk_cases() -> None:
    op.create_table(
        "bulk_cases",
        sa.Column("bulk", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("case", sa.String(length=32), nullable=False),
        sa.Column("escalation", sa.Integer(), nullable=True),
        sa.Column("outcome", sa.String(length=20), nullable=True),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["bulk"], ["bulk_actions.id"], name=op.f("fk_bulk_cases_bulk")),
        sa.ForeignKeyConstraint(["case"], ["cases.id"], name=op.f("fk_bulk_cases_case")),
        sa.PrimaryKeyConstraint("bulk", "number", name=op.f("pk_bulk_cases")),
        comment="The cases of a bulk action, as they were when it began, and what came of each.",
    )
    op.create_index("uq_bulk_cases_case", "bulk_cases", ["bulk", "case"], unique=True)
    op.create_index(
        "ix_bulk_cases_left", "bulk_cases", ["bulk", "number"], sqlite_where=LEFT, postgresql_where=LEFT
    )
    refused = sa.text("outcome = 'refused'")
    op.create_index(
        "ix_bulk_cases_refused",
        "bulk_cases",
        ["bulk", "number"],
        sqlite_where=refused,
        postgresql_where=refused,
    )
