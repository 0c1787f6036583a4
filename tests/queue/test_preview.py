"""Previews: what they say of a file is what becomes of it."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field
from sqlalchemy import func, select

from casehand.exceptions import CasehandError
from casehand.queue import preview as previews
from casehand.queue import schema
from casehand.queue.batches import rejections_of
from casehand.queue.intake import hand_in
from casehand.queue.ledger import Ledger
from casehand.queue.preview import BatchPreview, preview, taken_before

WORKFLOW = "housing-benefit/rent-change"
HEADER = "claim,weekly_rent,from_date"


class RentChange(BaseModel):
    claim: str = Field(pattern=r"^HB\d{6}$")
    weekly_rent: Decimal = Field(gt=0, max_digits=7, decimal_places=2)
    from_date: date


ASKED: dict[str, Any] = {"workflow": WORKFLOW, "model": RentChange, "reference": "claim"}


def rents(folder: Path, *rows: str, name: str = "rents.csv", header: str = HEADER) -> Path:
    path = folder / name
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def look(ledger: Ledger, path: Path) -> BatchPreview:
    return preview(ledger, path=path, **ASKED)


def take_in(ledger: Ledger, path: Path) -> Any:
    return hand_in(ledger, path=path, by="s.sample@example.test", **ASKED)


def test_a_preview_says_line_by_line_what_then_happens(ledger: Ledger, tmp_path: Path) -> None:
    take_in(ledger, rents(tmp_path, "HB000001,1.00,2026-04-06", name="before.csv"))
    good = [f"HB{number:06},112.40,06/04/2026" for number in range(2, 40)]
    wrong = [
        "HB1,1.00,2026-04-06",
        "HB000090,-4,soon",
        "HB000001,2.00,2026-04-06",
        "HB000002,3.00,2026-04-06",
    ]
    path = rents(tmp_path, *good, *wrong, "HB000091,5.00")

    found = look(ledger, path)
    taken = take_in(ledger, path)

    assert (found.accepted, found.rejected, found.duplicates) == (38, 3, 2)
    assert (found.accepted, found.rejected, found.duplicates) == (
        taken.accepted,
        taken.rejected,
        taken.duplicates,
    )
    assert found.refused == rejections_of(ledger, taken.batch)
    assert [one.reason for one in found.refused if one.kind == "duplicate"] == [
        "claim: already queued in batch before-" + f"{ledger.clock():%Y-%m-%d}",
        "claim: the same as on line 2",
    ]
    assert found.first[0] == {"claim": "HB000002", "weekly_rent": "112.40", "from_date": "06/04/2026"}
    assert len(found.first) == previews.FIRST


def test_a_preview_takes_nothing_in(ledger: Ledger, tmp_path: Path) -> None:
    look(ledger, rents(tmp_path, "HB000001,1.00,2026-04-06", "HB1,1.00,2026-04-06"))

    with ledger.reading() as connection:
        tables = (schema.batches, schema.cases, schema.rejections, schema.audit)
        assert [connection.scalar(select(func.count()).select_from(table)) for table in tables] == [0] * 4


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_bytes(b"PK\x03\x04rest"), "is an Excel workbook or a zip file"),
        (
            lambda path: path.write_bytes(b"claim,weekly_rent\n\xff\xfe\x00"),
            "UTF-8 nor Windows-1252|not text",
        ),
        (lambda path: path.write_text(f'{HEADER}\n"HB000001,1.00'), "never closes"),
        (lambda path: path.write_text(f"{HEADER}\n"), "has a header but no rows"),
        (lambda path: path.write_text("claim,weekly_rent\nHB000001,1.00\n"), "lacks the columns from_date"),
    ],
    ids=["empty", "not what it says", "wrong encoding", "cut off", "only a header", "a column missing"],
)
def test_a_file_that_cannot_be_handed_in_is_refused_in_the_same_words(
    ledger: Ledger, tmp_path: Path, make: Callable[[Path], Any], says: str
) -> None:
    path = tmp_path / "rents.csv"
    make(path)
    with pytest.raises(CasehandError, match=says) as refused:
        look(ledger, path)
    with pytest.raises(CasehandError) as as_well:
        take_in(ledger, path)
    assert str(refused.value) == str(as_well.value)


def test_the_same_file_is_known_again(ledger: Ledger, tmp_path: Path) -> None:
    path = rents(tmp_path, "HB000001,1.00,2026-04-06")
    digest = look(ledger, path).digest
    assert taken_before(ledger, WORKFLOW, digest) is None

    taken = take_in(ledger, path)

    earlier = taken_before(ledger, WORKFLOW, digest)
    assert earlier is not None
    assert (earlier.batch, earlier.already) == (taken.batch, True)


def test_of_very_many_refused_rows_the_first_are_listed_and_all_counted(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(previews, "MOST_REFUSED", 3)
    found = look(ledger, rents(tmp_path, *["HB1,1.00,2026-04-06"] * 10))
    assert (found.rejected, [one.line for one in found.refused]) == (10, [2, 3, 4])


def test_a_row_for_which_the_rule_of_the_due_date_fails_is_refused_as_it_then_is(
    ledger: Ledger, tmp_path: Path
) -> None:
    def not_in_may(data: Any) -> None:
        if data.from_date.month == 5:
            raise ValueError(data.claim)

    path = rents(tmp_path, "HB000001,1.00,2026-04-06", "HB000002,1.00,2026-05-06")
    found = preview(ledger, path=path, due_of=not_in_may, **ASKED)
    taken = hand_in(ledger, path=path, by="s.sample@example.test", due_of=not_in_may, **ASKED)

    assert (found.accepted, found.rejected) == (taken.accepted, taken.rejected) == (1, 1)
    assert found.refused == rejections_of(ledger, taken.batch)
    assert found.refused[0].reason == "the workflow cannot work out by when it is due (ValueError)"
