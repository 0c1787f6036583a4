"""Taking a file in: every row a case or a rejection, in one transaction or not at all, and never twice."""

import csv
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook
from pydantic import BaseModel, Field
from sqlalchemy import Row, Table, func, select, update

from casehand.exceptions import CasehandError, NotNow
from casehand.queue import schema
from casehand.queue.intake import BatchTaken, hand_in
from casehand.queue.ledger import Ledger
from casehand.queue.vault import Vault

WORKFLOW = "housing-benefit/rent-change"
HEADER = ["claim", "weekly_rent", "from_date", "note"]
NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
MASTER = bytes(range(32))


class RentChange(BaseModel):
    claim: str = Field(pattern=r"^HB\d{6}$")
    weekly_rent: Decimal = Field(gt=0, max_digits=7, decimal_places=2)
    from_date: date
    note: str = ""


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    with opened(ledger_url) as ledger:
        yield ledger


@contextmanager
def opened(url: str) -> Iterator[Ledger]:
    ledger = Ledger.open(url, Vault(MASTER), clock=lambda: NOW)
    try:
        yield ledger
    finally:
        ledger.close()


def write_rents(path: Path, *rows: Sequence[str]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])
    return path


def rent(number: int, amount: str = "112.40", day: str = "06/04/2026", note: str = "") -> list[str]:
    return [f"HB{number:06}", amount, day, note]


def take_in(ledger: Ledger, path: Path, **options: Any) -> BatchTaken:
    given: dict[str, Any] = {"workflow": WORKFLOW, "model": RentChange, "reference": "claim", "by": "A Clerk"}
    return hand_in(ledger, path=path, **(given | options))


def rows_of(ledger: Ledger, table: Table) -> list[Row[Any]]:
    with ledger.reading() as connection:
        order = table.c.line if "line" in table.c else table.primary_key.columns.values()[0]
        return list(connection.execute(select(table).order_by(order)))


def counts(ledger: Ledger) -> dict[str, int]:
    tables = (schema.batches, schema.cases, schema.rejections, schema.audit)
    with ledger.reading() as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in tables
        }


# -- what becomes of a file -----------------------------------------------------------------------------


def test_every_row_becomes_a_case_or_a_rejection(ledger: Ledger, tmp_path: Path) -> None:
    path = write_rents(
        tmp_path / "Rent changes (April).csv",
        rent(125),
        rent(126, amount="1e5"),
        rent(125, amount="99.00"),
        rent(127),
    )

    taken = take_in(ledger, path)

    assert taken == BatchTaken(
        batch="rent-changes-april-2026-11-22",
        accepted=2,
        rejected=1,
        duplicates=1,
        already=False,
        handed_in_at=NOW,
    )
    cases = rows_of(ledger, schema.cases)
    assert [(case.reference, case.line, case.state) for case in cases] == [
        ("HB000125", 2, "queued"),
        ("HB000127", 5, "queued"),
    ]
    rejections = rows_of(ledger, schema.rejections)
    assert [(found.line, found.kind, found.column, found.reference) for found in rejections] == [
        (3, "rejected", "weekly_rent", "HB000126"),
        (4, "duplicate", "claim", "HB000125"),
    ]
    assert rejections[1].reason == "claim: the same as on line 2"
    (batch,) = rows_of(ledger, schema.batches)
    assert (batch.accepted, batch.rejected, batch.duplicates) == (2, 1, 1)
    assert (batch.file, batch.handed_in_by) == ("Rent changes (April).csv", "A Clerk")


def test_a_case_holds_its_data_under_a_key_of_its_own(ledger: Ledger, tmp_path: Path) -> None:
    take_in(ledger, write_rents(tmp_path / "rents.csv", rent(125, note="invented"), rent(126)))

    first, second = rows_of(ledger, schema.cases)

    key = ledger.vault.open_key(first.id, first.key)
    assert RentChange.model_validate_json(key.open(first.sealed_data)) == RentChange(
        claim="HB000125", weekly_rent=Decimal("112.40"), from_date=date(2026, 4, 6), note="invented"
    )
    with pytest.raises(CasehandError):
        key.open(second.sealed_data)


def test_a_rejected_row_is_kept_whole_under_the_key_of_its_batch(ledger: Ledger, tmp_path: Path) -> None:
    take_in(ledger, write_rents(tmp_path / "rents.csv", rent(125, amount="£5"), [*rent(126), "astray"]))

    (batch,) = rows_of(ledger, schema.batches)
    key = ledger.vault.open_key(batch.id, batch.key)
    kept = [json.loads(key.open(found.sealed_row)) for found in rows_of(ledger, schema.rejections)]

    assert kept == [
        dict(zip(HEADER, ["HB000125", "£5", "06/04/2026", None], strict=True)),
        dict(zip([*HEADER, "cell 5"], ["HB000126", "112.40", "06/04/2026", None, "astray"], strict=True)),
    ]


def test_no_value_of_any_row_but_the_reference_is_in_the_ledger_s_files(
    sqlite_url: str, tmp_path: Path
) -> None:
    path = write_rents(
        tmp_path / "rents.csv",
        rent(125, amount="4711.17", note="Mrs Invented"),
        rent(126, amount="8 pounds 15", note="Mr Made-Up"),
        rent(125, amount="4712.18", note="Mrs Repeated"),
    )
    with opened(sqlite_url) as ledger:
        take_in(ledger, path)

    content = b"".join(file.read_bytes() for file in tmp_path.glob("ledger.db*"))

    assert b"HB000125" in content
    for value in (b"4711", b"Invented", b"pounds", b"Made-Up", b"4712", b"Repeated"):
        assert value not in content


def test_the_audit_tells_of_the_batch_and_of_each_case(ledger: Ledger, tmp_path: Path) -> None:
    taken = take_in(ledger, write_rents(tmp_path / "rents.csv", rent(125), rent(126)))

    entries = rows_of(ledger, schema.audit)

    cases = [case.id for case in rows_of(ledger, schema.cases)]
    assert [(entry.action, entry.subject, entry.before, entry.after) for entry in entries] == [
        ("handed in", taken.batch, None, None),
        ("taken in", cases[0], None, "queued"),
        ("taken in", cases[1], None, "queued"),
    ]
    assert {(entry.at, entry.actor, entry.attempt) for entry in entries} == {(NOW, "A Clerk", None)}


def test_priority_and_times_go_to_every_case(ledger: Ledger, tmp_path: Path) -> None:
    tomorrow, friday = NOW + timedelta(days=1), NOW + timedelta(days=5)
    path = write_rents(tmp_path / "rents.csv", rent(125))

    take_in(ledger, path, priority=7, not_before=tomorrow, due=friday)
    take_in(ledger, write_rents(tmp_path / "more.csv", rent(126)))

    cases = {case.reference: case for case in rows_of(ledger, schema.cases)}
    first, second = cases["HB000125"], cases["HB000126"]
    assert (first.priority, first.not_before, first.due) == (7, tomorrow, friday)
    assert (second.priority, second.not_before, second.due) == (0, NOW, None)


def test_each_case_is_due_when_the_rule_of_its_workflow_says_and_a_row_for_which_that_fails_is_rejected(
    ledger: Ledger, tmp_path: Path
) -> None:
    def a_week_after(data: Any) -> datetime | None:
        if data.note == "undated":
            return None
        if data.note == "wrong":
            raise KeyError(data.claim)
        return datetime.combine(data.from_date, datetime.min.time(), UTC) + timedelta(days=7)

    rows = (rent(1), rent(2, note="wrong"), rent(3, note="undated"), rent(4, day="13/04/2026"))
    taken = take_in(ledger, write_rents(tmp_path / "rents.csv", *rows), due_of=a_week_after)

    assert (taken.accepted, taken.rejected) == (3, 1)
    due = {case.reference: case.due for case in rows_of(ledger, schema.cases)}
    assert due == {
        "HB000001": datetime(2026, 4, 13, tzinfo=UTC),
        "HB000003": None,
        "HB000004": datetime(2026, 4, 20, tzinfo=UTC),
    }
    (rejected,) = rows_of(ledger, schema.rejections)
    assert (rejected.line, rejected.reference) == (3, "HB000002")
    assert rejected.reason == "the workflow cannot work out by when it is due (KeyError)"


def test_what_is_given_with_the_file_goes_before_the_rule(ledger: Ledger, tmp_path: Path) -> None:
    friday = NOW + timedelta(days=5)
    path = write_rents(tmp_path / "rents.csv", rent(125))

    take_in(ledger, path, due=friday, due_of=lambda data: NOW, may_be_late=True)

    (case,) = rows_of(ledger, schema.cases)
    assert (case.due, case.may_be_late) == (friday, True)


def test_an_excel_file_is_taken_in_like_any_other(ledger: Ledger, tmp_path: Path) -> None:
    class Payment(BaseModel):
        account: str
        amount: Decimal
        paid_on: date

    path = tmp_path / "payments.xlsx"
    book = Workbook()
    sheet = book.worksheets[0]
    sheet.append(["account", "amount", "paid_on"])
    sheet.append([123, 112.4, date(2026, 4, 6)])
    sheet.append(["00124", "=B2*2", date(2026, 4, 6)])
    sheet["A2"].number_format = "00000"
    book.save(path)
    book.close()

    taken = take_in(ledger, path, model=Payment, reference="account")

    (case,) = rows_of(ledger, schema.cases)
    (rejection,) = rows_of(ledger, schema.rejections)
    assert (taken.accepted, taken.rejected) == (1, 1)
    assert case.reference == "00123"
    data = ledger.vault.open_key(case.id, case.key).open(case.sealed_data)
    assert json.loads(data) == {"account": "00123", "amount": "112.4", "paid_on": "2026-04-06"}
    assert (rejection.line, rejection.column, rejection.reference) == (3, "amount", "00124")


def test_batches_of_the_same_name_and_day_are_told_apart(ledger: Ledger, tmp_path: Path) -> None:
    names = [
        take_in(ledger, write_rents(tmp_path / "rents.csv", rent(number))).batch for number in (125, 126, 127)
    ]

    assert names == ["rents-2026-11-22", "rents-2026-11-22-2", "rents-2026-11-22-3"]


def test_a_file_may_have_any_name(ledger: Ledger, tmp_path: Path) -> None:
    path = write_rents(tmp_path / os.fsdecode(b"\xff ____.csv"), rent(125))

    assert take_in(ledger, path).batch == "batch-2026-11-22"


def test_progress_is_told_and_ends_with_the_number_of_rows(ledger: Ledger, tmp_path: Path) -> None:
    heard: list[int] = []
    path = write_rents(tmp_path / "rents.csv", *map(rent, range(4_500)))

    take_in(ledger, path, progress=heard.append)

    assert heard == [2_000, 4_000, 4_500]


# -- what is there already ------------------------------------------------------------------------------


def test_the_same_file_again_takes_nothing_in_and_names_the_earlier_batch(
    ledger: Ledger, tmp_path: Path
) -> None:
    path = write_rents(tmp_path / "rents.csv", rent(125), rent(126, amount="x"))
    first = take_in(ledger, path)
    before = counts(ledger)
    copy = tmp_path / "copy.csv"
    copy.write_bytes(path.read_bytes())

    second, third = take_in(ledger, path), take_in(ledger, copy)

    assert second == third
    assert second.already
    assert (second.batch, second.accepted, second.rejected) == (first.batch, 1, 1)
    assert counts(ledger) == before


def test_the_same_file_for_another_workflow_is_another_batch(ledger: Ledger, tmp_path: Path) -> None:
    path = write_rents(tmp_path / "rents.csv", rent(125))
    take_in(ledger, path)

    taken = take_in(ledger, path, workflow="council-tax/move")

    assert not taken.already
    assert taken.accepted == 1


def test_the_same_file_on_purpose_takes_in_what_is_no_longer_open(ledger: Ledger, tmp_path: Path) -> None:
    path = write_rents(tmp_path / "rents.csv", rent(125), rent(126))
    take_in(ledger, path)
    put_in_state(ledger, "HB000125", "done")

    taken = take_in(ledger, path, again=True)

    assert (taken.already, taken.accepted, taken.duplicates) == (False, 1, 1)
    assert take_in(ledger, path).already


@pytest.mark.parametrize("state", ["queued", "working", "escalated"])
def test_a_reference_that_is_open_is_a_duplicate_that_says_where(
    ledger: Ledger, tmp_path: Path, state: str
) -> None:
    first = take_in(ledger, write_rents(tmp_path / "rents.csv", rent(125)))
    put_in_state(ledger, "HB000125", state)

    taken = take_in(ledger, write_rents(tmp_path / "more.csv", rent(125, note="again"), rent(126)))

    (rejection,) = rows_of(ledger, schema.rejections)
    assert (taken.accepted, taken.duplicates) == (1, 1)
    assert (rejection.kind, rejection.line, rejection.column) == ("duplicate", 2, "claim")
    assert rejection.reason == f"claim: already {state} in batch {first.batch}"


@pytest.mark.parametrize("state", ["done", "closed", "cancelled"])
def test_a_reference_whose_case_has_ended_may_come_again(ledger: Ledger, tmp_path: Path, state: str) -> None:
    take_in(ledger, write_rents(tmp_path / "rents.csv", rent(125)))
    put_in_state(ledger, "HB000125", state)

    taken = take_in(ledger, write_rents(tmp_path / "more.csv", rent(125, note="again")))

    assert (taken.accepted, taken.duplicates) == (1, 0)


def put_in_state(ledger: Ledger, reference: str, state: str) -> None:
    with ledger.writing() as connection:
        connection.execute(
            update(schema.cases).where(schema.cases.c.reference == reference).values(state=state)
        )


def test_postgresql_knows_how_many_cases_there_are_from_the_first_moment(
    new_database: Callable[[], str], tmp_path: Path
) -> None:
    with opened(new_database()) as ledger:
        take_in(ledger, write_rents(tmp_path / "rents.csv", *(rent(number) for number in range(1_000))))
        with ledger.reading() as connection:
            known = connection.exec_driver_sql(
                "SELECT reltuples FROM pg_class WHERE relname = 'cases'"
            ).scalar()

    assert known == 1_000


# -- one transaction or none ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tail", "message"), [('HB999999,"1\n', "never closes"), ("HB999999,1,\x00\n", "not text")]
)
def test_a_file_that_breaks_off_is_not_taken_in_at_all(
    ledger: Ledger, tmp_path: Path, tail: str, message: str
) -> None:
    path = write_rents(tmp_path / "rents.csv", *map(rent, range(3_000)))
    path.write_text(path.read_text() + tail)

    with pytest.raises(CasehandError, match=message):
        take_in(ledger, path)

    assert set(counts(ledger).values()) == {0}


def test_a_last_line_that_is_cut_off_is_a_rejection(ledger: Ledger, tmp_path: Path) -> None:
    path = write_rents(tmp_path / "rents.csv", rent(125))
    path.write_text(path.read_text() + "HB000126,112")

    taken = take_in(ledger, path)

    assert (taken.accepted, taken.rejected) == (1, 1)
    assert rows_of(ledger, schema.rejections)[0].reason == "the row has 2 cells where the header has 4"


def test_nobody_waits_while_the_rows_are_read_and_sealed(sqlite_url: str, tmp_path: Path) -> None:
    path = write_rents(tmp_path / "rents.csv", *map(rent, range(4_500)))
    other = sqlite3.connect(tmp_path / "ledger.db", timeout=0, isolation_level=None)
    free: list[bool] = []

    def can_write(data: Any) -> None:
        with suppress(sqlite3.OperationalError):
            other.execute("BEGIN IMMEDIATE")
        free.append(other.in_transaction)
        other.execute("COMMIT" if other.in_transaction else "SELECT 1")

    with opened(sqlite_url) as ledger:
        taken = take_in(ledger, path, due_of=can_write)
    other.close()

    assert taken.accepted == 4_500
    assert free == [True] * 4_500


def test_more_rows_than_one_writer_can_take_at_once_are_refused_before_they_are_written(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("casehand.queue.intake.MOST_ROWS", 1_000)
    most = write_rents(tmp_path / "rents.csv", *map(rent, range(1_000)))
    assert take_in(ledger, most).accepted == 1_000
    before = counts(ledger)
    more = write_rents(tmp_path / "more.csv", *map(rent, range(1_000, 2_001)))

    if ledger.engine.dialect.name == "postgresql":
        assert take_in(ledger, more).accepted == 1_001
        return
    with pytest.raises(CasehandError, match=r"more\.csv has more than 1,000 rows.*split it") as refused:
        take_in(ledger, more)

    assert not isinstance(refused.value, NotNow)
    assert counts(ledger) == before


def test_a_file_that_would_keep_the_one_writer_for_too_long_leaves_nothing_and_may_come_again(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_rents(tmp_path / "rents.csv", *map(rent, range(5_000)))
    monkeypatch.setattr("casehand.queue.intake.LONGEST_SECONDS", 0.0)
    with opened(sqlite_url) as ledger:
        take_in(ledger, write_rents(tmp_path / "first.csv", rent(7_000)))
        before = counts(ledger)

        with pytest.raises(NotNow, match=r"rents\.csv would keep the workers waiting"):
            take_in(ledger, path)
        assert counts(ledger) == before

        # Once nobody has anything to do, nobody waits.
        put_in_state(ledger, "HB007000", "done")
        assert take_in(ledger, path).accepted == 5_000


CHILD = """
import os, signal, sys
from datetime import date
from decimal import Decimal
from pathlib import Path
from pydantic import BaseModel
from sqlalchemy import event
from casehand.queue import intake
from casehand.queue.intake import hand_in
from casehand.queue.ledger import Ledger
from casehand.queue.vault import Vault

# A machine that runs tests has other things to do.
intake.LONGEST_SECONDS = intake.LONGEST_IDLE_SECONDS = 600

class RentChange(BaseModel):
    claim: str
    weekly_rent: Decimal
    from_date: date
    note: str = ""

url, path, moment = sys.argv[1:]
ledger = Ledger.open(url, Vault(bytes(range(32))))
left = {"batch": 1, "first cases": 1, "fifth cases": 5, "rejections": 3, "audit": 2, "commit": 0}.get(moment, 0)
table = {"batch": "batches", "rejections": "rejections", "audit": "audit"}.get(moment, "cases")

def after_statement(connection, cursor, statement, *others):
    global left
    if left and statement.startswith(f"INSERT INTO {table} "):
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

def before_commit(connection):
    os.kill(os.getpid(), signal.SIGKILL)

if moment == "commit":
    event.listen(ledger.engine, "commit", before_commit)
elif moment != "never":
    event.listen(ledger.engine, "after_cursor_execute", after_statement)
print("ready", flush=True)
sys.stdin.readline()
taken = hand_in(ledger, workflow="housing-benefit/rent-change", model=RentChange, reference="claim",
                path=Path(path), by="A Clerk")
# Not getrusage: what it says of memory begins with the test run's own, from before the exec.
status = Path("/proc/self/status").read_text()
peak = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
print(taken.batch, taken.accepted, taken.rejected, taken.duplicates, taken.already, peak)
ledger.close()
"""


def child(url: str, path: Path, moment: str = "never") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, url, str(path), moment],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("moment", "count"),
    [
        ("batch", 100),
        ("first cases", 3_000),
        ("fifth cases", 20_000),
        ("rejections", 6_000),
        ("audit", 100),
        ("commit", 3_000),
    ],
)
def test_a_process_killed_while_handing_in_leaves_nothing_and_the_file_can_be_handed_in_again(
    ledger_url: str, tmp_path: Path, moment: str, count: int
) -> None:
    rows = [rent(number, amount="1e5" if number % 4 == 3 else "112.40") for number in range(count)]
    path = write_rents(tmp_path / "rents.csv", *rows)
    good, bad = count * 3 // 4, count // 4
    with opened(ledger_url) as ledger:
        with child(ledger_url, path, moment) as process:
            process.communicate("go\n")
        assert process.returncode == -signal.SIGKILL
        assert set(counts(ledger).values()) == {0}

        taken = take_in(ledger, path)

        assert (taken.accepted, taken.rejected, taken.already) == (good, bad, False)
        assert counts(ledger) == {"batches": 1, "cases": good, "rejections": bad, "audit": good + 1}


def at_once(url: str, *paths: Path) -> list[list[str]]:
    """Hand in several files, each from a process of its own; what each process printed."""
    processes = [child(url, path) for path in paths]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    printed = [process.communicate()[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return printed


def test_of_two_processes_that_hand_in_the_same_file_at_once_one_takes_it_in(
    ledger_url: str, tmp_path: Path
) -> None:
    path = write_rents(tmp_path / "rents.csv", *map(rent, range(3_000)))
    with opened(ledger_url) as ledger:
        first, second = at_once(ledger_url, path, path)

        assert sorted([first[4], second[4]]) == ["False", "True"]
        assert first[0] == second[0]
        assert counts(ledger) == {"batches": 1, "cases": 3_000, "rejections": 0, "audit": 3_001}


def test_of_two_files_with_the_same_references_handed_in_at_once_each_reference_is_one_case(
    ledger_url: str, tmp_path: Path
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one = write_rents(tmp_path / "a" / "rents.csv", *map(rent, range(2_000)))
    other = write_rents(tmp_path / "b" / "rents.csv", *map(rent, reversed(range(1_000, 3_000))))
    with opened(ledger_url) as ledger:
        printed = at_once(ledger_url, one, other)

        assert len({batch for batch, *_ in printed}) == 2
        assert sum(int(accepted) for _, accepted, *_ in printed) == 3_000
        assert sum(int(duplicates) for _, _, _, duplicates, *_ in printed) == 1_000
        assert counts(ledger)["cases"] == 3_000


@pytest.mark.parametrize(("number", "width"), [(100_000, 0), (50_000, 2_000)])
def test_large_files_are_taken_in_within_bounded_memory(
    sqlite_url: str, tmp_path: Path, number: int, width: int
) -> None:
    path = write_rents(tmp_path / "rents.csv", *(rent(one, note="x" * width) for one in range(number)))
    with opened(sqlite_url) as ledger:
        (printed,) = at_once(sqlite_url, path)

        assert printed[1:4] == [str(number), "0", "0"]
        assert int(printed[5]) < 300_000
        assert counts(ledger)["cases"] == number


def test_of_many_rows_whose_references_are_open_each_says_so_in_the_order_of_the_file(
    ledger: Ledger, tmp_path: Path
) -> None:
    first = take_in(ledger, write_rents(tmp_path / "rents.csv", *map(rent, range(0, 5_000, 2))))

    taken = take_in(ledger, write_rents(tmp_path / "more.csv", *map(rent, range(5_000))))

    assert (taken.accepted, taken.rejected, taken.duplicates) == (2_500, 0, 2_500)
    with ledger.reading() as connection:
        rejections = schema.rejections.c
        found = connection.execute(select(rejections.line, rejections.reason).order_by(rejections.id)).all()
    assert [row.line for row in found] == list(range(2, 5_002, 2))
    assert {row.reason for row in found} == {f"claim: already queued in batch {first.batch}"}
