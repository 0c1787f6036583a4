"""The ledger's tables. Columns named `sealed_…` hold ciphertext under the key of the case or batch."""

from datetime import UTC, datetime

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    text,
)

REVISION = "0005"
"""The newest step of `migrations/`: a ledger that is there needs none."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)


class Instant(TypeDecorator[datetime]):
    """An aware time, kept as UTC; SQLite forgets the zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("times in the ledger are aware")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


OPEN_STATES = "state IN ('queued', 'working', 'escalated')"

workflows = Table(
    "workflows",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("timeout_seconds", Integer, nullable=False),
    comment="What the dispatcher must know of a workflow without importing it.",
)

workflow_bots = Table(
    "workflow_bots",
    metadata,
    Column("workflow", ForeignKey("workflows.name"), primary_key=True),
    Column("bot", String(100), primary_key=True),
)

batches = Table(
    "batches",
    metadata,
    Column("id", String(200), primary_key=True),
    Column("workflow", String(200), nullable=False),
    Column("file", String(400), nullable=False),
    Column("digest", String(64), nullable=True),
    Column("key", LargeBinary, nullable=False),
    Column("accepted", Integer, nullable=False),
    Column("rejected", Integer, nullable=False),
    Column("duplicates", Integer, nullable=False),
    Column("handed_in_at", Instant, nullable=False),
    Column("handed_in_by", String(200), nullable=False),
    # How many cases ended so, written once nothing in the batch is open: these never change again.
    Column("done", Integer, nullable=True),
    Column("closed", Integer, nullable=True),
    Column("cancelled", Integer, nullable=True),
    Column("finished_at", Instant, nullable=True),
    Index("uq_batches_digest", "workflow", "digest", unique=True),
    Index("ix_batches_open", "id", sqlite_where=text("done IS NULL"), postgresql_where=text("done IS NULL")),
    Index("ix_batches_finished_at", "finished_at"),
)

rejections = Table(
    "rejections",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("batch", ForeignKey("batches.id"), nullable=False, index=True),
    Column("line", Integer, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("column", String(200), nullable=True),
    Column("reason", Text, nullable=False),
    Column("reference", String(200), nullable=True),
    Column("sealed_row", LargeBinary, nullable=False),
)

cases = Table(
    "cases",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("reference", String(200), nullable=False, index=True),
    Column("workflow", String(200), nullable=False),
    Column("batch", ForeignKey("batches.id"), nullable=True),
    # Never null, so that the lists can go on after a case.
    Column("line", Integer, nullable=False, default=0),
    Column("state", String(20), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("not_before", Instant, nullable=False),
    Column("due", Instant, nullable=True),
    Column("attempts", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("crashes", Integer, nullable=False),
    Column("worker", String(200), nullable=True),
    Column("lease_until", Instant, nullable=True),
    Column("key", LargeBinary, nullable=True),
    Column("sealed_data", LargeBinary, nullable=False),
    Column("sealed_result", LargeBinary, nullable=True),
    Column("sealed_reason", LargeBinary, nullable=True),
    Column("handed_in_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    Index("ix_cases_batch_state", "batch", "state", "workflow"),
    # For lists of any, of one state, of one workflow and of one batch, in the order they came in.
    Index("ix_cases_came_in", "handed_in_at", "line", "id"),
    Index("ix_cases_state_came_in", "state", "handed_in_at", "line", "id"),
    Index("ix_cases_workflow_came_in", "workflow", "handed_in_at", "line", "id"),
    Index("ix_cases_batch_came_in", "batch", "handed_in_at", "line", "id"),
    Index(
        "uq_cases_open_reference",
        "workflow",
        "reference",
        unique=True,
        sqlite_where=text(OPEN_STATES),
        postgresql_where=text(OPEN_STATES),
    ),
)

# In the dispatcher's own order, so that it reads as many as it hands over, and not all that wait.
Index(
    "ix_cases_state_order",
    cases.c.state,
    cases.c.priority.desc(),
    cases.c.not_before,
    cases.c.handed_in_at,
    cases.c.line,
    cases.c.id,
)

attempts = Table(
    "attempts",
    metadata,
    Column("case", ForeignKey("cases.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("worker", String(200), nullable=False),
    Column("begun_at", Instant, nullable=False),
    Column("ended_at", Instant, nullable=True),
    Column("end", String(20), nullable=True),
    Column("traced", Boolean, nullable=False),
    Column("sealed_reason", LargeBinary, nullable=True),
    Column("sealed_steps", LargeBinary, nullable=True),
)

commits = Table(
    "commits",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("case", ForeignKey("cases.id"), nullable=False, index=True),
    Column("attempt", Integer, nullable=False),
    Column("name", String(200), nullable=False),
    Column("bot", String(100), nullable=True),
    Column("state", String(20), nullable=False),
    Column("settles_seconds", Integer, nullable=False),
    Column("intended_at", Instant, nullable=False),
    Column("body_ended_at", Instant, nullable=True),
    Column("resolved_at", Instant, nullable=True),
    Column("resolved_by", String(200), nullable=True),
)

escalations = Table(
    "escalations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("case", ForeignKey("cases.id"), nullable=False, index=True),
    Column("attempt", Integer, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("sealed_reason", LargeBinary, nullable=False),
    Column("sealed_question", LargeBinary, nullable=True),
    Column("sealed_page", LargeBinary, nullable=True),
    Column("screenshot", String(400), nullable=True),
    Column("settled_at", Instant, nullable=True),
    Column("settled_by", String(200), nullable=True),
    Column("settlement", String(20), nullable=True),
    Column("due", Instant, nullable=True),
    Index(
        "uq_escalations_open",
        "case",
        unique=True,
        sqlite_where=text("settled_at IS NULL"),
        postgresql_where=text("settled_at IS NULL"),
    ),
    Index(
        "ix_escalations_waiting",
        "opened_at",
        "id",
        sqlite_where=text("settled_at IS NULL"),
        postgresql_where=text("settled_at IS NULL"),
    ),
)

answers = Table(
    "answers",
    metadata,
    Column("case", ForeignKey("cases.id"), primary_key=True),
    Column("question", String(64), primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("sealed_answer", LargeBinary, nullable=False),
    Column("answered_at", Instant, nullable=False),
    Column("answered_by", String(200), nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("action", String(40), nullable=False),
    Column("subject", String(200), nullable=False, index=True),
    Column("before", String(20), nullable=True),
    Column("after", String(20), nullable=True),
    Column("attempt", Integer, nullable=True),
)

pauses = Table(
    "pauses",
    metadata,
    Column("kind", String(20), primary_key=True),
    Column("name", String(200), primary_key=True),
    Column("reason", Text, nullable=False),
    Column("paused_at", Instant, nullable=False),
    Column("paused_by", String(200), nullable=False),
)

breakers = Table(
    "breakers",
    metadata,
    Column("bot", String(100), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("opened_at", Instant, nullable=True),
    Column("probe_at", Instant, nullable=True),
    Column("probes", Integer, nullable=False),
    comment="How many attempts in a row a bot's system has failed, and since when its cases wait for that.",
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("holder", String(200), nullable=False),
    Column("until", Instant, nullable=False),
)

messages = Table(
    "messages",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", String(32), nullable=False, unique=True),
    Column("what", String(20), nullable=False),
    Column("receiver", String(64), nullable=False),
    Column("shown", String(200), nullable=False),
    Column("subject", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("things", Integer, nullable=False),
    # Whether it takes in more until it is tried.
    Column("gathers", Boolean, nullable=False),
    Column("state", String(20), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("written_at", Instant, nullable=False),
    Column("not_before", Instant, nullable=False),
    Column("give_up_at", Instant, nullable=False),
    Column("sent_at", Instant, nullable=True),
    Column("error", Text, nullable=True),
    Index("ix_messages_state_due", "state", "not_before", "id"),
    Index("ix_messages_receiver_written", "receiver", "what", "written_at"),
    comment="The outbox of messages to people. Nothing that a case holds is in it.",
)

told = Table(
    "told",
    metadata,
    Column("receiver", String(64), primary_key=True),
    Column("what", String(20), primary_key=True),
    Column("subject", String(200), primary_key=True),
    Column("since", Instant, primary_key=True),
    Column("workflow", String(200), nullable=True),
    Column("message", ForeignKey("messages.id"), nullable=False, index=True),
    comment="What each receiver has been told of, so that it is told once.",
)
