"""The audit chained, reasons found by their words, lists in each order, and figures rolled up."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

HAS_DUE = sa.text("due IS NOT NULL")
IS_WAITING = sa.text("settled_at IS NULL")
CONTENT = ("id", "at", "actor", "action", "subject", "before", "after", "attempt", "reason", "detail")


def upgrade() -> None:
    _order_by_bytes()
    _list_cases()
    _find_reasons()
    _chain_the_audit()
    _refuse_changes()
    _roll_up_figures()


def _order_by_bytes() -> None:
    """PostgreSQL orders text by the rules of a language, by which no beginning is found; SQLite never does."""
    if op.get_bind().dialect.name != "postgresql":
        return
    for table, column in (
        ("batches", "id"),
        ("rejections", "batch"),
        ("cases", "batch"),
        ("cases", "reference"),
    ):
        op.execute(f'ALTER TABLE {table} ALTER COLUMN {column} TYPE varchar(200) COLLATE "C"')


def _list_cases() -> None:
    op.drop_index("ix_cases_workflow_came_in", "cases")
    op.drop_index("ix_cases_batch_came_in", "cases")
    op.drop_index("ix_cases_reference", "cases")
    by = {
        "reference": ["reference", "id"],
        "workflow_reference": ["workflow", "reference", "id"],
        "workflow_state_came_in": ["workflow", "state", "handed_in_at", "line", "id"],
        "batch_state_came_in": ["batch", "state", "handed_in_at", "line", "id"],
        "state_changed": ["state", "changed_at", "id"],
        "workflow_state_changed": ["workflow", "state", "changed_at", "id"],
    }
    for name, columns in by.items():
        op.create_index(f"ix_cases_{name}", "cases", columns)
    for name, columns in (("state_due", ["state"]), ("workflow_state_due", ["workflow", "state"])):
        op.create_index(
            f"ix_cases_{name}",
            "cases",
            [*columns, "due", "id"],
            sqlite_where=HAS_DUE,
            postgresql_where=HAS_DUE,
        )


def _find_reasons() -> None:
    op.add_column("escalations", sa.Column("workflow", sa.String(200), nullable=False, server_default=""))
    op.add_column("escalations", sa.Column("alike", sa.LargeBinary(), nullable=True))
    op.execute(
        'UPDATE escalations SET workflow = (SELECT workflow FROM cases WHERE cases.id = escalations."case")'
    )
    op.create_index(
        "ix_escalations_waiting_workflow",
        "escalations",
        ["workflow", "opened_at", "id"],
        sqlite_where=IS_WAITING,
        postgresql_where=IS_WAITING,
    )
    op.create_index("ix_escalations_opened", "escalations", ["opened_at", "workflow", "kind", "alike"])
    op.create_index("ix_escalations_alike", "escalations", ["alike", "id"])
    op.create_table(
        "words",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("escalation", sa.Integer(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["escalation"], ["escalations.id"], name="fk_words_escalation"),
        sa.PrimaryKeyConstraint("digest", "escalation", name="pk_words"),
        comment="Which words the reason of an escalation has, as digests that tell nothing without the master key.",
    )
    op.create_index("ix_words_escalation", "words", ["escalation"])


def _chain_the_audit() -> None:
    for column in (
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("place", sa.Integer(), nullable=True),
        sa.Column("link", sa.LargeBinary(), nullable=True),
    ):
        op.add_column("audit", column)
    op.create_index("ix_audit_at", "audit", ["at", "id"])
    op.create_index("ix_audit_actor", "audit", ["actor", "at", "id"])
    op.create_index("ix_audit_action", "audit", ["action", "at", "id"])
    op.create_index("ix_audit_actor_action", "audit", ["actor", "action", "at", "id"])
    op.create_index("uq_audit_place", "audit", ["place"], unique=True)
    unlinked = sa.text("place IS NULL")
    op.create_index("ix_audit_unlinked", "audit", ["id"], sqlite_where=unlinked, postgresql_where=unlinked)
    head = op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("length", sa.Integer(), nullable=False),
        sa.Column("link", sa.LargeBinary(), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_audit_head"),
        comment="One row: how long the chain of the audit is, its last link, and when the log was last told.",
    )
    op.bulk_insert(head, [{"id": 1, "length": 0, "link": b""}])


def _refuse_changes() -> None:
    """An entry gets its place and link once; whatever else would change it is refused by the database itself."""
    if op.get_bind().dialect.name == "sqlite":
        same = " AND ".join(f'OLD."{column}" IS NEW."{column}"' for column in CONTENT)
        refuse = "BEGIN SELECT RAISE(ABORT, 'the audit cannot be changed'); END"
        op.execute(
            "CREATE TRIGGER audit_is_kept BEFORE UPDATE ON audit "
            f"WHEN NOT (OLD.place IS NULL AND OLD.link IS NULL AND {same}) {refuse}"
        )
        op.execute(f"CREATE TRIGGER audit_stays BEFORE DELETE ON audit {refuse}")
        return
    same = " AND ".join(f'OLD."{column}" IS NOT DISTINCT FROM NEW."{column}"' for column in CONTENT)
    op.execute(
        "CREATE FUNCTION audit_refuses() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the audit cannot be changed'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_is_kept BEFORE UPDATE ON audit FOR EACH ROW "
        f"WHEN (NOT (OLD.place IS NULL AND OLD.link IS NULL AND {same})) EXECUTE FUNCTION audit_refuses()"
    )
    op.execute(
        "CREATE TRIGGER audit_stays BEFORE DELETE OR TRUNCATE ON audit EXECUTE FUNCTION audit_refuses()"
    )


def _roll_up_figures() -> None:
    op.add_column("workflows", sa.Column("minutes_by_hand", sa.Float(), nullable=False, server_default="0"))
    op.create_table(
        "figures",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("workflow", sa.String(200), nullable=False),
        sa.Column("end", sa.String(30), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day", "workflow", "end", name="pk_figures"),
        comment="How many cases ended on a local day, and how.",
    )
    op.create_table(
        "figures_times",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("workflow", sa.String(200), nullable=False),
        sa.Column("took", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day", "workflow", "took", name="pk_figures_times"),
        comment="How many cases were done or closed on a local day, in which span of time since they came in.",
    )
    op.create_table(
        "figures_asked",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("workflow", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day", "workflow", "kind", name="pk_figures_asked"),
        comment="How many escalations were opened on a local day, by kind.",
    )
    op.create_table(
        "figures_reasons",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("workflow", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("alike", sa.LargeBinary(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day", "workflow", "kind", "alike", name="pk_figures_reasons"),
        comment="How many escalations were opened on a local day, by kind and by what their reasons have in common.",
    )
    head = op.create_table(
        "figures_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("zone", sa.String(100), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_figures_head"),
        comment="One row: up to which moment the figures are rolled up, by the days of which time zone.",
    )
    op.bulk_insert(head, [{"id": 1, "zone": ""}])
