"""Rejects go back as they came, and come again as they were: unchanged for the same reasons, mended they are taken."""

import csv
import re
import tempfile
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook
from pydantic import BaseModel, Field
from sqlalchemy import update

from casehand.exceptions import CasehandError
from casehand.queue import schema
from casehand.queue.batches import rejections_of
from casehand.queue.check import Kind
from casehand.queue.guarded import is_formula
from casehand.queue.intake import BatchTaken, hand_in
from casehand.queue.ledger import Ledger
from casehand.queue.rejects import reject_file
from casehand.queue.rows import REJECTS_COLUMNS, read_table

# A sheet's times are of no zone.
EARLY, LATE, DAY_OF_SHEET = (datetime(*day) for day in ((1901, 1, 1), (2100, 1, 1), (2026, 4, 6)))  # noqa: DTZ001
HEADER = ["claim", "weekly_rent", "from_date", "note"]


class RentChange(BaseModel):
    claim: str = Field(pattern=r"^HB\d{6}$")
    weekly_rent: Decimal = Field(gt=0, max_digits=7, decimal_places=2)
    from_date: date
    note: str = ""


def take_in(ledger: Ledger, path: Path) -> BatchTaken:
    asked: dict[str, Any] = {"workflow": path.parent.name, "model": RentChange, "reference": "claim"}
    return hand_in(ledger, path=path, by="s.sample@example.test", again=True, **asked)


def given_back(ledger: Ledger, batch: str, folder: Path) -> Path:
    found = reject_file(ledger, batch)
    path = folder / f"again{found.ending}"
    with path.open("wb") as file:
        found.write(file)
    return path


def reasons(ledger: Ledger, batch: str) -> list[str]:
    return [one.reason for one in rejections_of(ledger, batch) if one.kind == Kind.REJECTED]


def text_file(path: Path, rows: Sequence[Sequence[str]], encoding: str, delimiter: str) -> Path:
    with path.open("w", newline="", encoding=encoding) as file:
        csv.writer(file, delimiter=delimiter).writerows([HEADER, *rows])
    return path


def workbook(path: Path, rows: Sequence[Sequence[Any]]) -> Path:
    book = Workbook()
    sheet = book.worksheets[0]
    for row in [HEADER, *rows]:
        sheet.append([None] * len(row))
        for cell, value in zip(sheet[sheet.max_row], row, strict=False):
            if isinstance(value, tuple):
                cell.value, cell.number_format = value
            else:
                cell.value = value
            if isinstance(value, str) and not value.startswith(("=B", "#")):
                cell.data_type = "s"
    book.save(path)
    return path


WORDS = st.text(st.characters(codec="cp1252", exclude_categories=("Cc",)), max_size=8)
TEXT = st.one_of(
    WORDS, st.sampled_from(["=1+1", "+1", "-4.00", "@x", "'=1", "a;b", 'q"q', "two\nlines", "x\ry", "| a"])
)
CLAIM = st.one_of(st.from_regex(r"HB00000[0-9]", fullmatch=True), TEXT)
RENT = st.one_of(st.decimals(1, 9999, places=2).map(str), st.just("1e5"), TEXT)
DAY = st.one_of(st.just("2026-04-06"), TEXT)
ROW = st.tuples(CLAIM, RENT, DAY, TEXT).map(list)
ROWS = st.lists(
    st.one_of(
        ROW, ROW.map(lambda row: row[:2]), ROW.map(lambda row: row[:3]), ROW.map(lambda row: [*row, "astray"])
    ),
    min_size=1,
    max_size=8,
)
LAYOUT = st.tuples(
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    st.sampled_from(",;\t"),
    st.sampled_from([".csv", ".tsv", ".txt"]),
)
WHATEVER = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def hold_to_account(ledger: Ledger, path: Path) -> Path | None:
    """Hand it in, and its rejects again; these, where there are any."""
    first = take_in(ledger, path)
    if not first.rejected:
        return None
    again = given_back(ledger, first.batch, path.parent)
    assert again.suffix == path.suffix
    second = take_in(ledger, again)
    assert reasons(ledger, second.batch) == reasons(ledger, first.batch)
    assert second.accepted == 0
    return again


@pytest.fixture
def ledger(tmp_path: Path, vault: Any) -> Any:
    """What is written is the same on either kind of database."""
    opened = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", vault)
    yield opened
    opened.close()


@WHATEVER
@given(ROWS, LAYOUT)
def test_rejects_of_a_text_file_come_again_for_the_same_reasons(
    ledger: Ledger, rows: list[list[str]], layout: tuple[str, str, str]
) -> None:
    encoding, delimiter, ending = layout
    if not any(cell.strip() for row in rows for cell in row):
        return
    with tempfile.TemporaryDirectory() as folder:
        path = text_file(Path(folder) / f"rents{ending}", rows, encoding, delimiter)
        try:
            before = read_table(path).layout
        except CasehandError:  # What cannot be read has no rejects: see test_rows.py.
            return
        again = hold_to_account(ledger, path)
        if again is not None:
            found = read_table(again).layout
            assert before is not None
            assert found is not None
            assert found.delimiter == before.delimiter
            # Where nothing but ASCII is left, either encoding is the same.
            assert found.encoding == before.encoding or again.read_bytes().isascii()


CELL = st.one_of(
    TEXT.filter(lambda text: "\r" not in text),
    st.none(),
    st.booleans(),
    st.integers(0, 10**17),
    st.decimals(0, 9999, places=2).map(float),
    st.dates(date(1901, 1, 1), date(2100, 1, 1)),
    st.datetimes(EARLY, LATE).map(lambda at: at.replace(microsecond=0)),
    st.times().map(lambda at: at.replace(microsecond=0)),
    st.timedeltas(timedelta(), timedelta(days=9)).map(lambda span: timedelta(seconds=span.seconds)),
    st.sampled_from(
        ["=B2*2", "#N/A", (0.5, "0%"), (1234, "#,##0"), (7, "00000"), (112.4, "£0.00"), (5, "0.0E+00")]
    ),
)
SHEET = st.lists(st.tuples(CELL, CELL, CELL, CELL).map(list), min_size=1, max_size=6)


@WHATEVER
@given(SHEET)
def test_rejects_of_a_workbook_come_again_for_the_same_reasons(ledger: Ledger, rows: list[list[Any]]) -> None:
    if not any(str(cell).strip() for row in rows for cell in row if cell is not None):
        return
    with tempfile.TemporaryDirectory() as folder:
        again = hold_to_account(ledger, workbook(Path(folder) / "rents.xlsx", rows))
        if again is not None:
            for row in load_workbook(again).active.iter_rows(min_row=2):
                for cell in row:
                    assert cell.data_type != "f"
                    assert cell.quotePrefix or not isinstance(cell.value, str) or not is_formula(cell.value)


def test_a_workbook_goes_back_with_its_numbers_dates_and_texts_as_they_were(
    ledger: Ledger, tmp_path: Path
) -> None:
    rows = [
        ["00123", (7, "00000"), date(2026, 4, 6), "007"],
        [True, 0.5, time(9, 30), "=1"],
        ["x", "#N/A", "=B2", ""],
    ]
    path = workbook(tmp_path / "rents.xlsx", rows)
    again = given_back(ledger, take_in(ledger, path).batch, tmp_path)

    found = [[cell.value for cell in row[:4]] for row in load_workbook(again).active.iter_rows(min_row=2)]

    assert found == [
        ["00123", 7, DAY_OF_SHEET, "007"],
        [True, 0.5, time(9, 30), "=1"],
        ["x", "#N/A", "=B2", None],
    ]


@pytest.mark.parametrize("name", ["rents.csv", "rents.tsv", "rents.txt", "rents.xlsx"])
def test_rejects_that_are_mended_are_taken(ledger: Ledger, tmp_path: Path, name: str) -> None:
    rows = [
        ["HB000001", "x", "2026-04-06", "=a"],
        ["HB000002", "2.00"],
        ["HB000003", "3.00", "2026-04-06", "", "4.00"],
    ]
    if name.endswith("xlsx"):
        path = workbook(tmp_path / name, rows)
    else:
        path = text_file(tmp_path / name, rows, "cp1252", "\t" if name.endswith("tsv") else ";")
    again = given_back(ledger, take_in(ledger, path).batch, tmp_path)

    # As a person would: the wrong cell, those that are missing, and what is astray taken away.
    if name.endswith("xlsx"):
        book = load_workbook(again)
        sheet = book.active
        sheet["B2"], sheet["C3"], sheet["E4"] = "1.00", date(2026, 4, 6), None
        book.save(again)
    else:
        text = again.read_text("cp1252").replace('"x"', '"1.00"')
        text = re.sub(r'("2\.00".)""', r'\1"2026-04-06"', text)
        again.write_text(text.replace('"4.00"', '""'), "cp1252", newline="")

    taken = take_in(ledger, again)

    assert (taken.accepted, taken.rejected) == (3, 0), reasons(ledger, taken.batch)


def test_what_a_batch_of_before_came_in_as_is_told_from_its_name(ledger: Ledger, tmp_path: Path) -> None:
    path = text_file(tmp_path / "rents.tsv", [["x", "1", "2", "3"]], "utf-8", "\t")
    taken = take_in(ledger, path)
    assert reject_file(ledger, taken.batch).ending == ".tsv"
    with ledger.writing() as connection:
        connection.execute(update(schema.batches).values(delimiter=None, encoding=None))
    assert reject_file(ledger, taken.batch).ending == ".csv"
    assert reject_file(ledger, taken.batch, "xlsx").ending == ".xlsx"
    columns = reject_file(ledger, taken.batch).sheet.columns
    assert [name in REJECTS_COLUMNS for name in columns] == [False] * 4 + [True] * 2
