"""How a batch's file was written, so that its rejects go back in the same way."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("batches", sa.Column("delimiter", sa.String(length=1), nullable=True))
    op.add_column("batches", sa.Column("encoding", sa.String(length=20), nullable=True))
