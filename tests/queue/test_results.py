"""Results and rejects: every row, in its order, safe to open, and mended rows can be handed in again."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from openpyxl import Workbook, load_workbook
from pydantic import BaseModel, Field
from sqlalchemy import select, update

from casehand.exceptions import CasehandError
from casehand.queue import audit, escalations, results, schema
from casehand.queue.batches import rejections_of
from casehand.queue.guarded import is_formula
from casehand.queue.intake import BatchTaken, hand_in
from casehand.queue.ledger import Ledger
from casehand.queue.preview import preview
from casehand.queue.results import reject_sheet, result_sheet, results_of
from casehand.queue.sheets import LONGEST_CELL, Sheet, as_csv, write_excel

WORKFLOW = "housing-benefit/rent-change"
LONDON = ZoneInfo("Europe/London")
HEADER = ["Claim", "Weekly rent", "from_date", "note"]
NASTY = [
    "=1+1",
    "+1",
    "-1",
    "@x",
    "\t=1",
    "\uff1d1",
    "'=1",
    "<b>x</b>",
    "{{ 7 * 7 }}",
    "a;=1",
    '"quoted"',
    "two\nlines",
]


class RentChange(BaseModel):
    claim: str = Field(pattern=r"^HB\d{6}$")
    weekly_rent: Decimal = Field(gt=0, max_digits=7, decimal_places=2)
    from_date: date
    note: str = ""


ASKED: dict[str, Any] = {"workflow": WORKFLOW, "model": RentChange, "reference": "claim"}


def take_in(ledger: Ledger, path: Path, **options: Any) -> BatchTaken:
    return hand_in(ledger, path=path, by="s.sample@example.test", **ASKED, **options)


def written(folder: Path, rows: list[list[str]], name: str = "rents.csv") -> Path:
    path = folder / name
    if path.suffix == ".xlsx":
        book = Workbook()
        for row in [HEADER, *rows]:
            book.active.append(row)
            for cell in book.active[book.active.max_row]:
                cell.data_type = "s"
        book.save(path)
        return path
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([HEADER, *rows])
    return path


def as_rows(sheet: Sheet) -> list[list[str]]:
    text = b"".join(as_csv(sheet)).decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


def as_workbook(sheet: Sheet) -> Any:
    file = io.BytesIO()
    write_excel(sheet, file)
    return load_workbook(io.BytesIO(file.getvalue())).active


def settle(ledger: Ledger, reference: str, **columns: Any) -> None:
    with ledger.writing() as connection:
        connection.execute(
            update(schema.cases).where(schema.cases.c.reference == reference).values(**columns)
        )


def id_of(ledger: Ledger, reference: str) -> str:
    with ledger.reading() as connection:
        query = select(schema.cases.c.id).where(schema.cases.c.reference == reference)
        return str(connection.execute(query).scalar_one())


def test_every_row_of_the_file_is_told_in_its_order_with_what_became_of_it(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "AT_ONCE", 2)
    rows = [
        ["HB000001", "1.00", "06/04/2026", ""],
        ["HB1", "2.00", "06/04/2026", ""],
        ["HB000003", "3.00", "06/04/2026", "third"],
        ["HB000001", "4.00", "06/04/2026", ""],
        ["HB000005", "5.00", "06/04/2026", ""],
        ["HB000006", "much", "06/04/2026", ""],
        ["HB000007", "7.00", "06/04/2026", ""],
    ]
    batch = take_in(ledger, written(tmp_path, rows)).batch
    key = ledger.key_of(id_of(ledger, "HB000003"))
    sealed = key.seal(json.dumps({"weekly_award": "12.00"}).encode())
    settle(ledger, "HB000003", state="done", sealed_result=sealed, attempts=1)
    escalations.cancel(ledger, id_of(ledger, "HB000007"), "s.sample@example.test", "sent twice")

    header, *told = as_rows(result_sheet(ledger, batch, LONDON))

    assert [row[0] for row in told] == ["2", "3", "4", "5", "6", "7", "8"]
    by_name = [dict(zip(header, row, strict=True)) for row in told]
    assert [one["What became of it"] for one in by_name] == [
        "not worked yet",
        "not taken in",
        "done",
        "not taken in, duplicate",
        "not worked yet",
        "not taken in",
        "cancelled",
    ]
    assert by_name[2] | {"note": "third", "Result: weekly_award": "12.00", "Attempts": "1"} == by_name[2]
    # What was not taken in stands as it was written, under the names that the others have.
    assert (by_name[5]["claim"], by_name[5]["weekly_rent"]) == ("HB000006", "much")
    assert by_name[3]["Why"] == "Claim: the same as on line 2"
    assert by_name[6]["Why"] == "sent twice"
    assert [one.line for one in results_of(ledger, batch)] == list(range(2, 9))


@pytest.mark.parametrize("name", ["rents.csv", "rents.xlsx"])
def test_rejects_are_mended_and_handed_in_again(ledger: Ledger, tmp_path: Path, name: str) -> None:
    notes = [one for one in NASTY if name.endswith("csv") or "\t" not in one]
    rows = [[f"HB{number:06}", "-4.00", "06/04/2026", note] for number, note in enumerate(notes)]
    first = take_in(ledger, written(tmp_path, rows, name))
    assert (first.accepted, first.rejected) == (0, len(notes))

    sheet = reject_sheet(ledger, first.batch, is_marked=name.endswith("csv"))
    mended = tmp_path / f"mended-{name}"
    if name.endswith("csv"):
        text = b"".join(as_csv(sheet)).decode()
        assert text.count('"\'-4.00"') == len(notes)
        mended.write_text(text.replace('"\'-4.00"', '"4.00"'), encoding="utf-8", newline="")
    else:
        book = as_workbook(sheet)
        for row in book.iter_rows(min_row=2):
            assert row[1].value == "-4.00"
            row[1].value = "4.00"
        book.parent.save(mended)

    taken = take_in(ledger, mended)

    assert (taken.accepted, taken.rejected, taken.duplicates) == (len(notes), 0, 0)
    came = {one.reference: one.data["note"] for one in results_of(ledger, taken.batch)}
    expected = {row[0]: row[3].strip() for row in rows}
    assert came == expected


def test_rejects_say_on_which_line_and_why(ledger: Ledger, tmp_path: Path) -> None:
    rows = [
        ["HB000001", "1.00", "06/04/2026", ""],
        ["HB1", "-1", "soon"],
        ["HB000003", "3", "06/04/2026", "", "x"],
    ]
    batch = take_in(ledger, written(tmp_path, rows)).batch
    header, *told = as_rows(reject_sheet(ledger, batch))
    assert header == [*HEADER, "cell 5", "Casehand: line", "Casehand: why not taken in"]
    assert told[0][-2:] == ["3", "the row has 3 cells where the header has 4"]
    assert told[1][4:] == ["x", "4", "the row has 5 cells where the header has 4"]


def test_a_batch_without_rejects_says_so(ledger: Ledger, tmp_path: Path) -> None:
    batch = take_in(ledger, written(tmp_path, [["HB000001", "1.00", "06/04/2026", ""]])).batch
    with pytest.raises(CasehandError, match="every row of the batch"):
        reject_sheet(ledger, batch)


def test_no_cell_of_a_file_is_a_formula(ledger: Ledger, tmp_path: Path) -> None:
    rows = [[f"HB{number:06}", "4.00", "06/04/2026", note] for number, note in enumerate(NASTY)]
    rows += [["=1", "@x", "-", note] for note in NASTY]
    batch = take_in(ledger, written(tmp_path, rows)).batch

    for sheet in (lambda: result_sheet(ledger, batch, LONDON), lambda: reject_sheet(ledger, batch)):
        cells = [cell for row in as_rows(sheet()) for cell in row]
        assert not [cell for cell in cells if is_formula(cell)]
        for row in as_workbook(sheet()).iter_rows():
            for cell in row:
                assert cell.data_type in ("s", "n")
                assert cell.quotePrefix or not is_formula(str(cell.value or ""))


def test_a_workbook_holds_what_no_workbook_may_hold_as_marks(tmp_path: Path) -> None:
    book = as_workbook(Sheet(("a",), [["bell \x07"], ["\ud83d"], ["x" * 100_000], [None], [7]]))
    values = [row[0].value for row in book.iter_rows(min_row=2)]
    assert values[:2] == ["bell \ufffd", "\ufffd"]
    assert len(values[2]) == LONGEST_CELL
    assert values[2].endswith("(cut off here: the CSV file has it whole)")
    assert values[3:] == [None, 7]


def test_csv_holds_the_longest_text_whole() -> None:
    (_, (cell,)) = as_rows(Sheet(("a",), [["Aa1" * 33_334]]))
    assert cell == "Aa1" * 33_334


def test_a_case_that_was_erased_is_still_a_row(ledger: Ledger, tmp_path: Path) -> None:
    rows = [["HB000001", "1.00", "06/04/2026", ""], ["HB000002", "2.00", "06/04/2026", ""]]
    batch = take_in(ledger, written(tmp_path, rows)).batch
    settle(ledger, "HB000001", key=None)
    _, first, second = as_rows(result_sheet(ledger, batch, LONDON))
    assert (first[1], first[3], second[1]) == ("HB000001", "erased", "HB000002")


def test_who_takes_data_out_is_in_the_audit(ledger: Ledger, tmp_path: Path) -> None:
    batch = take_in(ledger, written(tmp_path, [["HB000001", "1.00", "06/04/2026", ""]])).batch
    results.note_taken_out(ledger, "results", batch, "csv", "s.sample@example.test")
    (entry, *_) = audit.find_entries(ledger, audit.EntryFilter(subject=batch))
    assert (entry.actor, entry.action, entry.detail) == (
        "s.sample@example.test",
        "took out results",
        "as csv",
    )


def test_a_preview_of_mended_rejects_says_the_same_as_taking_them_in(ledger: Ledger, tmp_path: Path) -> None:
    batch = take_in(ledger, written(tmp_path, [["HB1", "1.00", "06/04/2026", "'=x"]])).batch
    path = tmp_path / "again.csv"
    path.write_bytes(b"".join(as_csv(reject_sheet(ledger, batch, is_marked=True))))
    found = preview(ledger, path=path, **ASKED)
    assert found.columns == tuple(HEADER)
    taken = take_in(ledger, path)
    assert found.refused == rejections_of(ledger, taken.batch)


def test_a_workbook_that_is_being_written_leaves_nothing_that_a_kill_would_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    seen: set[str] = set()

    def rows() -> Iterator[list[str]]:
        for number in range(3_000):
            seen.update(one.name for one in tmp_path.iterdir())
            yield [f"HB{number:06}"]

    page = as_workbook(Sheet(("claim",), rows()))

    assert page.max_row == 3_001
    assert seen == set()
    assert list(tmp_path.iterdir()) == []
