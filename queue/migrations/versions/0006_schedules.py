"""Schedules: since when each is kept, and every time that one has named."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

OPEN = sa.text("state IN ('waiting', 'running')")
UNSEEN = sa.text("concerns AND seen_at IS NULL")


def upgrade() -> None:
    op.create_table(
        "schedules",
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("rule", sa.String(length=200), nullable=False),
        sa.Column("workflow", sa.String(length=200), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", "rule", name=op.f("pk_schedules")),
        comment="Since when each schedule is kept: no slot is from before.",
    )
    op.create_table(
        "schedule_slots",
        sa.Column("schedule", sa.String(length=60), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("workflow", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("holder", sa.String(length=200), nullable=True),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("accepted", sa.Integer(), nullable=False),
        sa.Column("rejected", sa.Integer(), nullable=False),
        sa.Column("batches", sa.Text(), nullable=False),
        sa.Column("said", sa.Text(), nullable=True),
        sa.Column("concerns", sa.Boolean(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seen_by", sa.String(length=200), nullable=True),
        sa.PrimaryKeyConstraint("schedule", "at", name=op.f("pk_schedule_slots")),
        comment="Every time that a schedule has named, and what became of it.",
    )
    for name, where in (("open", OPEN), ("unseen", UNSEEN)):
        op.create_index(
            f"ix_schedule_slots_{name}",
            "schedule_slots",
            ["schedule", "at"],
            unique=False,
            sqlite_where=where,
            postgresql_where=where,
        )
