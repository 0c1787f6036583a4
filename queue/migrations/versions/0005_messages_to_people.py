"""Messages to people: the outbox, what has been told, and the times that there is something to tell of."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    # Batches that are finished already have no time, and are not told of.
    op.add_column("batches", sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_batches_finished_at", "batches", ["finished_at"], unique=False)
    op.create_index("ix_batches_handed_in_at", "batches", ["handed_in_at", "id"], unique=False)
    op.create_table(
        "messages",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=32), nullable=False),
        sa.Column("what", sa.String(length=20), nullable=False),
        sa.Column("receiver", sa.String(length=64), nullable=False),
        sa.Column("shown", sa.String(length=200), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("things", sa.Integer(), nullable=False),
        sa.Column("gathers", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("give_up_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
        sa.UniqueConstraint("key", name=op.f("uq_messages_key")),
        comment="The outbox of messages to people. Nothing that a case holds is in it.",
    )
    op.create_index("ix_messages_state", "messages", ["state", "id"], unique=False)
    op.create_index("ix_messages_state_due", "messages", ["state", "not_before", "id"], unique=False)
    op.create_index(
        "ix_messages_receiver_written", "messages", ["receiver", "what", "written_at"], unique=False
    )
    op.create_table(
        "told",
        sa.Column("receiver", sa.String(length=64), nullable=False),
        sa.Column("what", sa.String(length=20), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("workflow", sa.String(length=200), nullable=True),
        sa.Column("message", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["message"], ["messages.id"], name=op.f("fk_told_message")),
        sa.PrimaryKeyConstraint("receiver", "what", "subject", "since", name=op.f("pk_told")),
        comment="What each receiver has been told of, so that it is told once.",
    )
    op.create_index(op.f("ix_told_message"), "told", ["message"], unique=False)
