"""Order, due dates and batches that stop themselves: the dispatcher's index, and what each of them is told by."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

ORDER = (sa.text("priority DESC"), sa.text("(due IS NULL)"), "due", "handed_in_at", "line", "id")
QUEUED = sa.text("state = 'queued'")


def upgrade() -> None:
    op.add_column("cases", sa.Column("may_be_late", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index(
        "ix_cases_queued_order",
        "cases",
        ["state", *ORDER, "not_before", "workflow", "batch"],
        unique=False,
        sqlite_where=QUEUED,
        postgresql_where=QUEUED,
    )
    op.add_column(
        "workflows", sa.Column("late", sa.String(length=20), nullable=False, server_default="escalate")
    )
    op.add_column("workflows", sa.Column("stop_first", sa.Integer(), nullable=True))
    op.add_column("workflows", sa.Column("stop_share", sa.Float(), nullable=True))
    op.add_column("batches", sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True))
