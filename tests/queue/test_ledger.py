"""Opening a ledger: its tables, and what is said when it cannot be opened."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, insert, inspect, select, text
from sqlalchemy.exc import IntegrityError

from casehand.exceptions import CasehandError
from casehand.queue import chain, escalations, schema, words
from casehand.queue.attempts import Begun
from casehand.queue.cases import tell
from casehand.queue.ledger import Ledger
from casehand.queue.migration import MIGRATIONS
from casehand.queue.search import search
from casehand.queue.vault import KEY_BYTES, Vault

TakeIn = Callable[..., str]


# An index with an expression in it cannot be read back from SQLite; from PostgreSQL it can.
@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
@pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based index")
def test_the_migrations_make_the_very_tables_of_the_schema(ledger: Ledger) -> None:
    with ledger.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []
        assert context.get_current_revision() == schema.REVISION


def test_the_ledger_itself_refuses_a_second_open_case_or_escalation(
    ledger: Ledger, take_in: TakeIn, escalate: Callable[..., Begun]
) -> None:
    case = take_in("HB000125")
    escalate(case)

    with pytest.raises(IntegrityError):
        take_in("HB000125")
    with ledger.reading() as connection:
        again = connection.execute(select(schema.escalations)).mappings().one()
    with pytest.raises(IntegrityError), ledger.writing() as connection:
        connection.execute(insert(schema.escalations).values({**again, "id": again["id"] + 1}))

    escalations.close(ledger, case, "a person", "by hand")
    take_in("HB000125")


def test_opening_again_finds_what_was_written(
    ledger: Ledger, ledger_url: str, vault: Vault, take_in: TakeIn
) -> None:
    case = take_in()

    again = Ledger.open(ledger_url, vault)
    try:
        assert again.key_of(case).open_text(again.key_of(case).seal_text("x")) == "x"
    finally:
        again.close()


def test_twelve_that_open_a_new_ledger_at_once_all_get_it(ledger_url: str, vault: Vault) -> None:
    with ThreadPoolExecutor(12) as pool:
        opened = list(pool.map(lambda _: Ledger.open(ledger_url, vault), range(12)))

    for one in opened:
        with one.reading() as connection:
            assert connection.execute(select(schema.cases)).all() == []
        one.close()


OLD = (
    "INSERT INTO batches (id, workflow, file, key, accepted, rejected, duplicates, handed_in_at, handed_in_by)"
    " VALUES ('november', 'a', 'f', :key, 1, 0, 0, :at, 'a person')",
    "INSERT INTO cases (id, reference, workflow, batch, line, state, priority, not_before, attempts, failures,"
    " crashes, key, sealed_data, handed_in_at, changed_at) VALUES (:case, 'HB000125', 'a', 'november', 2, 'escalated',"
    " 0, :at, 1, 0, 0, :key, :data, :at, :at)",
    'INSERT INTO escalations ("case", attempt, kind, opened_at, sealed_reason, sealed_question, settled_at,'
    " settled_by, settlement) VALUES (:case, 1, 'question', :at, :reason, :question, :at, 'p.sample', 'answered')",
    'INSERT INTO answers ("case", question, attempt, sealed_answer, answered_at, answered_by)'
    " VALUES (:case, 'pay', 1, :answer, :at, 'p.sample')",
    'INSERT INTO escalations ("case", attempt, kind, opened_at, sealed_reason)'
    " VALUES (:case, 2, 'business', :at, :reason)",
    "INSERT INTO audit (at, actor, action, subject) VALUES (:at, 'worker-1', 'escalated', :case)",
)


def test_a_ledger_of_the_first_version_is_brought_up_with_what_is_in_it(
    ledger_url: str, vault: Vault
) -> None:
    key, wrapped = vault.new_key("c")
    engine = create_engine(ledger_url)
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        values = {"case": "c", "at": "2026-11-02 09:00:00.000000", "data": key.seal_text("{}")}
        texts = {"reason": "the claim is closed", "question": '{"prompt": "Pay?"}', "answer": '"yes"'}
        sealed = {"key": wrapped, **{name: key.seal_text(one) for name, one in texts.items()}}
        for statement in OLD:
            asked = {name: value for name, value in (values | sealed).items() if f":{name}" in statement}
            if "batches" in statement:
                asked["key"] = vault.new_key("november")[1]
            connection.execute(text(statement), asked)
    engine.dispose()

    opened = Ledger.open(ledger_url, vault)

    assert [one.workflow for one in escalations.waiting(opened)] == ["a"]
    assert [one.answer for one in tell(opened, "c").escalations] == ["yes", None]
    assert words.catch_up(opened) == 2
    assert [line.reference for line in search(opened, "claim", None, 9)] == ["HB000125"]
    assert [line.reference for line in search(opened, "hb0", None, 9)] == ["HB000125"]
    assert chain.verify(opened).checked == 1
    opened.close()


def test_a_ledger_from_a_newer_version_is_refused(ledger: Ledger, ledger_url: str, vault: Vault) -> None:
    with ledger.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(
        CasehandError, match=r"newer version of Casehand: install .* \(its tables are at 9999"
    ):
        Ledger.open(ledger_url, vault)


def test_another_master_key_is_refused_before_any_case_is_touched(
    ledger: Ledger, ledger_url: str, take_in: TakeIn
) -> None:
    take_in()

    with pytest.raises(CasehandError, match="set CASEHAND_KEY to the key it was written with"):
        Ledger.open(ledger_url, Vault(os.urandom(KEY_BYTES)))


def test_a_ledger_in_which_nothing_but_erased_cases_are_left_opens(
    ledger: Ledger, ledger_url: str, take_in: TakeIn, vault: Vault
) -> None:
    case = take_in()
    with ledger.writing() as connection:
        connection.execute(schema.cases.update().values(key=None))

    Ledger.open(ledger_url, vault).close()
    with pytest.raises(CasehandError, match="has been erased"):
        ledger.key_of(case)


def test_the_key_of_an_unknown_case_is_refused(ledger: Ledger) -> None:
    with pytest.raises(CasehandError):
        ledger.key_of("nowhere")


def test_a_database_that_nobody_answers_at_is_said_so_without_the_password(
    vault: Vault, tmp_path: Path
) -> None:
    with pytest.raises(CasehandError, match=r"cannot be opened .*check CASEHAND_DATABASE_URL") as refusal:
        Ledger.open(f"postgresql://clerk:hunter2@/casehand?host={tmp_path}", vault)

    assert "hunter2" not in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "is no database address"),
        ("", "is no database address"),
        ("postgresql://host:port/casehand", "is no database address"),
        ("oracle://scott@127.0.0.1/casehand", "SQLite or PostgreSQL"),
        ("mysql://root@127.0.0.1/casehand", "SQLite or PostgreSQL"),
        ("sqlite://", "keeps nothing"),
        ("sqlite:///:memory:", "keeps nothing"),
    ],
)
def test_a_wrong_address_is_refused_with_what_to_give(vault: Vault, url: str, said: str) -> None:
    with pytest.raises(CasehandError, match=said) as refusal:
        Ledger.open(url, vault)

    assert "CASEHAND_DATABASE_URL" in str(refusal.value)


def test_a_file_that_is_no_database_is_refused_and_left_alone(vault: Vault, tmp_path: Path) -> None:
    path = tmp_path / "rents.csv"
    path.write_text("claim,weekly_rent\n" * 100)

    with pytest.raises(CasehandError, match=r"cannot be opened .*not a database"):
        Ledger.open(f"sqlite:///{path}", vault)

    assert path.read_text().startswith("claim,weekly_rent\n")


def test_a_folder_that_cannot_be_made_is_said_so(vault: Vault, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(CasehandError, match="cannot be opened"):
        Ledger.open(f"sqlite:///{tmp_path / 'file' / 'ledger.db'}", vault)


def test_a_database_with_another_programs_tables_is_refused_and_left_alone(
    ledger_url: str, vault: Vault, tmp_path: Path
) -> None:
    first = Ledger.open(ledger_url, vault)
    with first.writing() as connection:
        for table in ("alembic_version", "leases"):
            connection.execute(text(f"DROP TABLE {table}"))
    before = inspect(first.engine).get_table_names()

    with pytest.raises(CasehandError, match=r"cannot be opened .*already exists"):
        Ledger.open(ledger_url, vault)

    assert inspect(first.engine).get_table_names() == before
    first.close()


def test_the_folder_of_a_new_ledger_is_its_owners_alone(vault: Vault, tmp_path: Path) -> None:
    path = tmp_path / "home" / "ledger.db"

    Ledger.open(f"sqlite:///{path}", vault).close()

    assert path.parent.stat().st_mode & 0o077 == 0


def test_sqlite_keeps_a_commit_through_a_power_cut(vault: Vault, tmp_path: Path) -> None:
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", vault)
    with ledger.reading() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    ledger.close()

    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_a_ledger_that_another_writes_to_is_waited_for_and_then_said_to_be_locked(
    vault: Vault, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    one, other = Ledger.open(url, vault), Ledger.open(url, vault, busy_seconds=0.1)

    with one.writing(), pytest.raises(Exception, match="database is locked"), other.writing():
        pass

    with other.writing() as connection:
        connection.execute(select(schema.cases))
    one.close()
    other.close()


def test_what_is_written_in_a_transaction_that_fails_is_gone(ledger: Ledger) -> None:
    def write_and_die() -> None:
        with ledger.writing() as connection:
            connection.execute(insert(schema.workflows).values(name="w", timeout_seconds=1))
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        write_and_die()

    with ledger.reading() as connection:
        assert connection.execute(select(schema.workflows)).all() == []


def test_a_look_at_the_ledger_is_of_one_moment(ledger: Ledger, take_in: TakeIn) -> None:
    take_in("HB000001")
    with ledger.reading() as connection:
        before = connection.execute(select(schema.cases.c.id)).all()
        take_in("HB000002")
        assert connection.execute(select(schema.cases.c.id)).all() == before

    with ledger.reading() as connection:
        assert len(connection.execute(select(schema.cases.c.id)).all()) == 2


def test_times_come_back_aware_and_a_naive_one_is_refused(ledger: Ledger, take_in: TakeIn) -> None:
    take_in()
    with ledger.reading() as connection:
        at = connection.execute(select(schema.cases.c.handed_in_at)).scalar_one()

    assert at.utcoffset() is not None
    with pytest.raises(Exception, match="times in the ledger are aware"):
        take_in("HB000002", not_before=at.replace(tzinfo=None))
