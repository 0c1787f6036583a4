"""Alembic's entry: runs on the connection that the ledger has already locked."""

from alembic import context

from casehand.queue.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
