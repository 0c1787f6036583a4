"""The ledger's tables. Columns named `sealed_…` hold ciphertext under the key of the case or batch."""

from datetime import UTC, datetime

from sqlalchemy import (
    Boolean,
    Column,
    Date,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    false,
)

REVISION = "0008"
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


ONLY = "only"
"""Which rows a partial index holds, as its migration says: in SQLAlchemy's own terms, which name the dialects, it would
import PostgreSQL's for every command that works with SQLite, which is a tenth of its start."""


def _sought(length: int) -> String:
    """Text of which people type the beginning: PostgreSQL orders it by its bytes, as SQLite does, and so finds it."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


OPEN_STATES = "state IN ('queued', 'working', 'escalated')"
HAS_DUE = "due IS NOT NULL"
IS_WAITING = "settled_at IS NULL"
OPEN_SLOTS = "state IN ('waiting', 'running')"
UNSEEN_SLOTS = "concerns AND seen_at IS NULL"
IS_ESCALATED = "state = 'escalated'"
IS_QUEUED = "state = 'queued'"

workflows = Table(
    "workflows",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("timeout_seconds", Integer, nullable=False),
    Column("minutes_by_hand", Float, nullable=False, server_default="0"),
    # What becomes of a case whose due date passes before it is begun.
    Column("late", String(20), nullable=False, server_default="escalate"),
    # A batch stops itself when more than this share of its first so many ended cases have one reason; null for never.
    Column("stop_first", Integer, nullable=True),
    Column("stop_share", Float, nullable=True),
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
    Column("id", _sought(200), primary_key=True),
    Column("workflow", String(200), nullable=False),
    Column("file", String(400), nullable=False),
    Column("digest", String(64), nullable=True),
    # How delimited text was written; null for a workbook.
    Column("delimiter", String(1), nullable=True),
    Column("encoding", String(20), nullable=True),
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
    # When it stopped itself, which it does once.
    Column("stopped_at", Instant, nullable=True),
    Index("uq_batches_digest", "workflow", "digest", unique=True),
    Index("ix_batches_open", "id", info={ONLY: "done IS NULL"}),
    Index("ix_batches_finished_at", "finished_at"),
    Index("ix_batches_handed_in_at", "handed_in_at", "id"),
)

rejections = Table(
    "rejections",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("batch", _sought(200), ForeignKey("batches.id"), nullable=False, index=True),
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
    Column("reference", _sought(200), nullable=False),
    Column("workflow", String(200), nullable=False),
    Column("batch", _sought(200), ForeignKey("batches.id"), nullable=True),
    # Never null, so that the lists can go on after a case.
    Column("line", Integer, nullable=False, default=0),
    Column("state", String(20), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("not_before", Instant, nullable=False),
    Column("due", Instant, nullable=True),
    # Whether a person has said that it is to be worked though its due date passes.
    Column("may_be_late", Boolean, nullable=False, default=False, server_default=false()),
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
    # Those of the escalation that it waits for, or waited for last: what waits is listed by them in each order.
    Column("escalated_kind", String(20), nullable=True),
    Column("escalated_alike", LargeBinary, nullable=True),
    Index("ix_cases_reference", "reference", "id"),
    Index("ix_cases_workflow_reference", "workflow", "reference", "id"),
    Index("ix_cases_batch_state", "batch", "state", "workflow"),
    # For lists in each order, of each state, of all workflows or one, or one batch: see `lists.py`.
    Index("ix_cases_came_in", "handed_in_at", "line", "id"),
    Index("ix_cases_batch_state_came_in", "batch", "state", "handed_in_at", "line", "id"),
    Index("ix_cases_state_came_in", "state", "handed_in_at", "line", "id"),
    Index("ix_cases_workflow_state_came_in", "workflow", "state", "handed_in_at", "line", "id"),
    Index("ix_cases_state_changed", "state", "changed_at", "id"),
    Index("ix_cases_workflow_state_changed", "workflow", "state", "changed_at", "id"),
    *(
        Index(name, *columns, "due", "id", info={ONLY: HAS_DUE})
        for name, columns in (
            ("ix_cases_state_due", ["state"]),
            ("ix_cases_workflow_state_due", ["workflow", "state"]),
        )
    ),
    Index(
        "uq_cases_open_reference",
        "workflow",
        "reference",
        unique=True,
        info={ONLY: OPEN_STATES},
    ),
)

# In the dispatcher's own order, so that it reads as many as it hands over, and not all that wait.
Index(
    "ix_cases_queued_order",
    cases.c.state,
    cases.c.priority.desc(),
    cases.c.due.is_(None),
    *(cases.c.due, cases.c.handed_in_at, cases.c.line, cases.c.id),
    # Not to order by: so that what is queued is counted without a look at each case.
    *(cases.c.not_before, cases.c.workflow, cases.c.batch),
    info={ONLY: IS_QUEUED},
)

# What waits for a person goes by when it was to begin.
_ORDER = (cases.c.priority.desc(), cases.c.not_before, cases.c.handed_in_at, cases.c.line, cases.c.id)
Index("ix_cases_state_order", cases.c.state, *_ORDER)

# The same, and by due date, for each way in which what waits for a person is narrowed: see `worklist.py`. The
# state stands in them, though it is the same in all, since SQLite takes the index of which it is given the most
# columns, but not first: it would take them for whatever is asked of that state. The due date at the end tells those
# without one apart in the index.
Index("ix_cases_escalated_undated", cases.c.state, *_ORDER, info={ONLY: f"{IS_ESCALATED} AND due IS NULL"})
for _name, _column in (
    ("workflow", cases.c.workflow),
    ("batch", cases.c.batch),
    ("kind", cases.c.escalated_kind),
    ("alike", cases.c.escalated_alike),
):
    _narrowed = (_column, cases.c.state)
    # Those of a batch are counted by why as well.
    _told = (cases.c.due, cases.c.escalated_kind) if _name == "batch" else (cases.c.due,)
    Index(f"ix_cases_escalated_{_name}", *_narrowed, *_ORDER, *_told, info={ONLY: IS_ESCALATED})
    if _name != "workflow":
        _dated = f"{IS_ESCALATED} AND {HAS_DUE}"
        Index(f"ix_cases_escalated_{_name}_due", *_narrowed, cases.c.due, cases.c.id, info={ONLY: _dated})

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
    # For the pace of late.
    Index("ix_attempts_ended_at", "ended_at"),
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
    # The case's, which never changes, so that lists and figures need not look at the case.
    Column("workflow", String(200), nullable=False, server_default=""),
    Column("attempt", Integer, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("sealed_reason", LargeBinary, nullable=False),
    # What reasons that differ only in their numbers have in common: see `words.py`.
    Column("alike", LargeBinary, nullable=True),
    Column("sealed_question", LargeBinary, nullable=True),
    Column("sealed_page", LargeBinary, nullable=True),
    Column("screenshot", String(400), nullable=True),
    Column("settled_at", Instant, nullable=True),
    Column("settled_by", String(200), nullable=True),
    Column("settlement", String(20), nullable=True),
    # What a person answered here; `answers` has what the workflow goes by.
    Column("sealed_answer", LargeBinary, nullable=True),
    Column("assigned_to", String(200), nullable=True),
    Column("assigned_at", Instant, nullable=True),
    Column("due", Instant, nullable=True),
    Index(
        "uq_escalations_open",
        "case",
        unique=True,
        info={ONLY: IS_WAITING},
    ),
    # For how many wait, by why, without reading a row.
    Index("ix_escalations_waiting_kind", "kind", "opened_at", "id", "workflow", info={ONLY: IS_WAITING}),
    Index(
        "ix_escalations_waiting_reason",
        *("workflow", "kind", "alike", "opened_at", "id"),
        info={ONLY: IS_WAITING},
    ),
    Index("ix_escalations_waiting", "opened_at", "id", info={ONLY: IS_WAITING}),
    Index("ix_escalations_waiting_alike", "alike", "opened_at", "id", info={ONLY: IS_WAITING}),
    Index("ix_escalations_waiting_workflow", "workflow", "opened_at", "id", info={ONLY: IS_WAITING}),
    Index("ix_escalations_opened", "opened_at", "workflow", "kind", "alike"),
    Index("ix_escalations_alike", "alike", "id"),
)

words = Table(
    "words",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("escalation", ForeignKey("escalations.id"), primary_key=True, autoincrement=False, index=True),
    comment="Which words the reason of an escalation has, as digests that tell nothing without the master key.",
)

Index(
    "ix_escalations_assigned",
    escalations.c.assigned_to,
    escalations.c.opened_at,
    escalations.c.id,
    info={ONLY: IS_WAITING},
)

comments = Table(
    "comments",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("case", ForeignKey("cases.id"), nullable=False, index=True),
    Column("at", Instant, nullable=False),
    Column("by", String(200), nullable=False),
    Column("sealed_text", LargeBinary, nullable=False),
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
    Column("reason", Text, nullable=True),
    Column("detail", Text, nullable=True),
    # Written soon after, once: see `chain.py`. A trigger refuses every other change.
    Column("place", Integer, nullable=True),
    Column("link", LargeBinary, nullable=True),
    Index("ix_audit_at", "at", "id"),
    Index("ix_audit_actor", "actor", "at", "id"),
    Index("ix_audit_action", "action", "at", "id"),
    Index("ix_audit_actor_action", "actor", "action", "at", "id"),
    Index("uq_audit_place", "place", unique=True),
    Index("ix_audit_unlinked", "id", info={ONLY: "place IS NULL"}),
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("length", Integer, nullable=False),
    Column("link", LargeBinary, nullable=False),
    Column("told_at", Instant, nullable=True),
    comment="One row: how long the chain of the audit is, its last link, and when the log was last told.",
)

figures = Table(
    "figures",
    metadata,
    Column("day", Date, primary_key=True),
    Column("workflow", String(200), primary_key=True),
    Column("end", String(30), primary_key=True),
    Column("number", Integer, nullable=False),
    comment="How many cases ended on a local day, and how.",
)

figures_times = Table(
    "figures_times",
    metadata,
    Column("day", Date, primary_key=True),
    Column("workflow", String(200), primary_key=True),
    Column("took", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, nullable=False),
    comment="How many cases were done or closed on a local day, in which span of time since they came in.",
)

figures_asked = Table(
    "figures_asked",
    metadata,
    Column("day", Date, primary_key=True),
    Column("workflow", String(200), primary_key=True),
    Column("kind", String(20), primary_key=True),
    Column("number", Integer, nullable=False),
    comment="How many escalations were opened on a local day, by kind.",
)

figures_reasons = Table(
    "figures_reasons",
    metadata,
    Column("day", Date, primary_key=True),
    Column("workflow", String(200), primary_key=True),
    Column("kind", String(20), primary_key=True),
    Column("alike", LargeBinary, primary_key=True),
    Column("number", Integer, nullable=False),
    comment="How many escalations were opened on a local day, by kind and by what their reasons have in common.",
)

figures_head = Table(
    "figures_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("zone", String(100), nullable=False),
    Column("until", Instant, nullable=True),
    comment="One row: up to which moment the figures are rolled up, by the days of which time zone.",
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

bulk_actions = Table(
    "bulk_actions",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("action", String(20), nullable=False),
    # What the action needs: a note, a time, a number or a name, as text.
    Column("value", Text, nullable=True),
    Column("reason", Text, nullable=False),
    Column("filter", Text, nullable=False),
    # Whose cases it takes in, as a JSON list.
    Column("workflows", Text, nullable=False),
    Column("state", String(20), nullable=False, index=True),
    Column("begun_at", Instant, nullable=False),
    Column("begun_by", String(200), nullable=False),
    # Until then its list of cases is still being written, and none of them is touched.
    Column("listed_at", Instant, nullable=True),
    Column("ended_at", Instant, nullable=True),
    # Kept with every case, so that progress is one row to read.
    Column("total", Integer, nullable=False),
    Column("done", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
    Index("ix_bulk_actions_begun", "begun_at", "id"),
    comment="What is done to many cases at once, and how far it is.",
)

bulk_cases = Table(
    "bulk_cases",
    metadata,
    Column("bulk", ForeignKey("bulk_actions.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("case", ForeignKey("cases.id"), nullable=False),
    # What the case waited for then: what came later is not what anybody decided on.
    Column("escalation", Integer, nullable=True),
    Column("outcome", String(20), nullable=True),
    Column("why", Text, nullable=True),
    Column("at", Instant, nullable=True),
    Index("uq_bulk_cases_case", "bulk", "case", unique=True),
    Index(
        "ix_bulk_cases_left",
        "bulk",
        "number",
        info={ONLY: "outcome IS NULL"},
    ),
    Index("ix_bulk_cases_refused", "bulk", "number", info={ONLY: "outcome = 'refused'"}),
    comment="The cases of a bulk action, as they were when it began, and what came of each.",
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("person", String(200), nullable=False, index=True),
    Column("name", String(200), nullable=False),
    Column("roles", Text, nullable=False),
    Column("way", String(20), nullable=False),
    Column("begun_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("ended_at", Instant, nullable=True),
    comment="Who is signed in to the pages; of what opens them, only digests.",
)

sign_in_links = Table(
    "sign_in_links",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("person", String(200), nullable=False),
    Column("name", String(200), nullable=False),
    Column("roles", Text, nullable=False),
    Column("until", Instant, nullable=False),
    Column("used_at", Instant, nullable=True),
)

sign_ins = Table(
    "sign_ins",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("browser", String(64), nullable=False),
    Column("back", Text, nullable=False),
    Column("until", Instant, nullable=False),
    Column("used_at", Instant, nullable=True),
    comment="Who has gone to the identity provider and is expected back.",
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
    Index("ix_messages_state", "state", "id"),
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

schedules = Table(
    "schedules",
    metadata,
    Column("name", String(60), primary_key=True),
    # One with another rule is another: what it would have named before is nobody's.
    Column("rule", String(200), primary_key=True),
    Column("workflow", String(200), nullable=False),
    Column("since", Instant, nullable=False),
    comment="Since when each schedule is kept: no slot is from before.",
)

schedule_slots = Table(
    "schedule_slots",
    metadata,
    Column("schedule", String(60), primary_key=True),
    # Whoever writes this first has written the slot: there is no other with this key.
    Column("at", Instant, primary_key=True),
    Column("workflow", String(200), nullable=False),
    Column("state", String(20), nullable=False),
    Column("not_before", Instant, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("holder", String(200), nullable=True),
    # Until then it is the holder's, who renews it.
    Column("until", Instant, nullable=True),
    Column("begun_at", Instant, nullable=True),
    Column("ended_at", Instant, nullable=True),
    Column("accepted", Integer, nullable=False),
    Column("rejected", Integer, nullable=False),
    # What was handed in, as a JSON list of batches.
    Column("batches", Text, nullable=False),
    Column("said", Text, nullable=True),
    # Whether it is for a person to know, until one has said that it is known.
    Column("concerns", Boolean, nullable=False),
    Column("seen_at", Instant, nullable=True),
    Column("seen_by", String(200), nullable=True),
    Index("ix_schedule_slots_open", "schedule", "at", info={ONLY: OPEN_SLOTS}),
    Index("ix_schedule_slots_unseen", "schedule", "at", info={ONLY: UNSEEN_SLOTS}),
    comment="Every time that a schedule has named, and what became of it.",
)
