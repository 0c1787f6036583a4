"""Reading a table handed in as a file, and holding its rows against a model."""

import csv
import os
import re
import resource
import tempfile
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date, datetime, time
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook
from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator

from casehand.exceptions import CasehandError, NotNow
from casehand.queue.cells import Fault, Number, as_text, as_written
from casehand.queue.check import Accepted, Kind, Rejection, check
from casehand.queue.numerals import shown
from casehand.queue.rows import read_table
from casehand.queue.spreadsheet import spreadsheet


class RentChange(BaseModel):
    claim: str = Field(pattern=r"^HB\d{6}$", examples=["HB000125"])
    weekly_rent: Decimal = Field(gt=0, max_digits=7, decimal_places=2)
    from_date: date
    note: str = ""


HEADER = ["claim", "weekly_rent", "from_date", "note"]
MIDNIGHT = datetime(2026, 4, 6)  # noqa: DTZ001 - a sheet knows no zones
MORNING = datetime(2026, 4, 6, 9, 30)  # noqa: DTZ001
GOOD = ["HB000125", "112.40", "2026-04-06", "invented"]


def write_csv(path: Path, *rows: Sequence[str], delimiter: str = ",", encoding: str = "utf-8") -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    return path


def write_xlsx(path: Path, *rows: Sequence[Any], formats: dict[str, str] | None = None) -> Path:
    book = Workbook()
    sheet = book.worksheets[0]
    for row in rows:
        sheet.append(list(row))
    for place, number_format in (formats or {}).items():
        sheet[place].number_format = number_format
    book.save(path)
    book.close()
    return path


def edit_xlsx(path: Path, part: str, edit: Callable[[str], str]) -> None:
    with zipfile.ZipFile(path) as archive:
        parts = {info.filename: archive.read(info) for info in archive.infolist()}
    parts[part] = edit(parts[part].decode()).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def cells(path: Path) -> list[tuple[Any, ...]]:
    return [row.cells for row in read_table(path).rows()]


def texts(path: Path) -> list[list[str | None]]:
    return [[as_text(cell) for cell in row.cells] for row in read_table(path).rows()]


def verdicts(
    path: Path, model: type[BaseModel] = RentChange, reference: str = "claim"
) -> list[Accepted | Rejection]:
    return list(check(read_table(path), model, reference))


def accepted(path: Path, model: type[BaseModel], reference: str = "reference") -> Any:
    (verdict,) = verdicts(path, model, reference)
    assert isinstance(verdict, Accepted), verdict
    return verdict.data


def reason(path: Path, model: type[BaseModel], reference: str = "reference") -> str:
    (verdict,) = verdicts(path, model, reference)
    assert isinstance(verdict, Rejection), verdict
    return verdict.reason


def refusal(path: Path) -> str:
    with pytest.raises(CasehandError) as refused:
        list(read_table(path).rows())
    text = str(refused.value)
    assert "\n" not in text
    assert path.name in text
    return text


def field(annotation: Any, text: Any, tmp_path: Path) -> Path:
    """A file with one reference and one field named `it`."""
    if isinstance(text, str):
        return write_csv(tmp_path / "one.csv", ["reference", "it"], ["R1", text])
    return write_xlsx(tmp_path / "one.xlsx", ["reference", "it"], ["R1", text])


# -- delimited text -------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_text_file_is_read_in_any_usual_encoding_and_with_any_usual_delimiter(
    tmp_path: Path, encoding: str, delimiter: str
) -> None:
    row = ["HB000125", "112.40", "2026-04-06", "Zoë’s £5, for tea; or not"]  # noqa: RUF001 - Windows-1252 has it
    path = write_csv(tmp_path / "rents.csv", HEADER, row, delimiter=delimiter, encoding=encoding)

    table = read_table(path)

    assert table.header == tuple(HEADER)
    assert texts(path) == [row]


@pytest.mark.parametrize("name", ["rents.csv", "rents.CSV", "rents.tsv", "rents.txt"])
def test_the_delimiter_is_found_from_the_header_whatever_the_ending(tmp_path: Path, name: str) -> None:
    path = write_csv(tmp_path / name, HEADER, GOOD, delimiter=";")

    assert texts(path) == [GOOD]


def test_the_line_in_which_excel_declares_the_delimiter_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "rents.csv"
    path.write_text("sep=;\nclaim;note\nHB1;a,b\n")

    (row,) = read_table(path).rows()

    assert row.line == 3
    assert row.cells == ("HB1", "a,b")


def test_a_row_has_the_line_on_which_a_person_finds_it(tmp_path: Path) -> None:
    path = tmp_path / "rents.csv"
    path.write_bytes(b'claim,note\r\n\r\nA,"two\r\nlines"\r\n,\r\nB,one\r\n  \r\nC,"x\ny\nz"\r\nD,end\r\n')

    assert [(row.line, row.cells[0]) for row in read_table(path).rows()] == [
        (3, "A"),
        (6, "B"),
        (8, "C"),
        (11, "D"),
    ]


def test_blanks_around_a_cell_are_trimmed_and_nothing_else_is_touched(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", ["a", "b", "c", "d"], [" 00123 ", "\xa01e5\t", "=1+1", " x  y "])

    assert cells(path) == [("00123", "1e5", "=1+1", "x  y")]


# -- spreadsheets ---------------------------------------------------------------------------------------


def test_a_number_in_a_sheet_keeps_the_zeros_that_its_format_shows(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "t.xlsx", ["reference", "it"], [123, 5], formats={"A2": "00000"})

    (row,) = read_table(path).rows()

    assert row.cells[0] == Number(Decimal(123), "00123")
    assert accepted(path, make_model(str)).reference == "00123"


@pytest.mark.parametrize(
    ("number", "number_format", "text"),
    [
        ("123", "General", "123"),
        ("112.4", "General", "112.4"),
        ("123", "@", "123"),
        ("123", "0", "123"),
        ("123", "00000", "00123"),
        ("123456", "000", "123456"),
        ("-7", "000", "-007"),
        ("125", '"HB"000000', "HB000125"),
        ("125", r"\H\B000000", "HB000125"),
        ("123456", "00-00-00", "12-34-56"),
        ("3456", "00-00-00", "00-34-56"),
        ("112.4", "0.00", "112.40"),
        ("0.5", "0.00", "0.50"),
        ("112.4", "0.0##", "112.4"),
        ("5", "[Red]00", "05"),
        ("112.4", "0", None),
        ("112.456", "0.00", None),
        ("1234", "#,##0", None),
        ("5", "[>9]0;00", None),
        ("-5", "0;(0)", None),
        ("0", "#", None),
        ("5", "£0", None),
    ],
)
def test_a_number_is_shown_as_excel_shows_it_or_not_at_all(
    number: str, number_format: str, text: str | None
) -> None:
    assert shown(Decimal(number), number_format) == text


def test_a_number_has_no_binary_noise(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "t.xlsx", ["a", "b", "c"], [112.4, 0.1 + 0.2, 5.0])

    assert cells(path) == [
        (
            Number(Decimal("112.4"), "112.4"),
            Number(Decimal("0.3"), "0.3"),
            Number(Decimal(5), "5"),
        )
    ]


def test_an_excel_date_is_a_date(tmp_path: Path) -> None:
    path = write_xlsx(
        tmp_path / "t.xlsx",
        ["a", "b", "c", "d"],
        [date(2026, 4, 6), MIDNIGHT, MORNING, 46118],
        formats={"D2": "dd/mm/yyyy"},
    )

    assert cells(path) == [
        (date(2026, 4, 6), date(2026, 4, 6), MORNING, date(2026, 4, 6)),
    ]


def test_cells_that_have_no_sound_value_are_faults(tmp_path: Path) -> None:
    row = ["=1+1", "#N/A", time(9, 30), 0.5, 1e5, 1234567890123456, -4000000]
    path = write_xlsx(
        tmp_path / "t.xlsx", list("abcdefg"), row, formats={"D2": "0%", "E2": "0.00E+00", "G2": "dd/mm/yyyy"}
    )

    (found,) = cells(path)

    assert all(isinstance(cell, Fault) for cell in found)
    assert [cell.reason.split(":")[0] for cell in found] == [
        "is a formula that was never worked out",
        "shows #N/A in Excel",
        "is a time of day or a length of time",
        "is shown as a percentage in Excel",
        "is shown as a number with an exponent in Excel",
        "has more digits than Excel keeps",
        "shows #VALUE! in Excel",
    ]


def test_a_formula_counts_as_what_it_was_last_worked_out_to(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "t.xlsx", ["a", "b", "c"], ["=2+3", "=A1", "=IF(1,1,1)"], ["x", "=1", None])

    def work_out(sheet: str) -> str:
        sheet = sheet.replace("<f>2+3</f><v />", "<f>2+3</f><v>5</v>").replace(
            "<f>2+3</f><v></v>", "<f>2+3</f><v>5</v>"
        )
        return sheet.replace('<c r="C2"><f>', '<c r="C2" t="str"><f>')

    edit_xlsx(path, "xl/worksheets/sheet1.xml", work_out)
    first, second = cells(path)

    assert first[0] == Number(Decimal(5), "5")
    assert isinstance(first[1], Fault)
    assert first[2] is None  # worked out to an empty text
    assert second[0] == "x"
    assert isinstance(second[1], Fault)


def test_a_sheet_that_understates_its_size_is_read_whole(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "t.xlsx", ["a", "b"], ["1", "2"], ["3", "4"])
    edit_xlsx(
        path,
        "xl/worksheets/sheet1.xml",
        lambda sheet: re.sub(r'<dimension ref="[^"]*"', '<dimension ref="A1:A2"', sheet),
    )

    assert cells(path) == [("1", "2"), ("3", "4")]


def test_empty_rows_of_a_sheet_are_left_out_and_shift_no_row_number(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "t.xlsx", [], ["a", "b"], [], ["1", None], [None, " "], ["2", "x"])

    assert [(row.line, row.cells) for row in read_table(path).rows()] == [
        (4, ("1", None)),
        (6, ("2", "x")),
    ]


def test_the_one_sheet_with_data_is_read_whether_or_not_it_is_the_first(tmp_path: Path) -> None:
    book = Workbook()
    book.create_sheet("Rents").append(["a"])
    book["Rents"].append(["1"])
    hidden = book.create_sheet("Lists")
    hidden.append(["for drop-downs"])
    hidden.sheet_state = "hidden"
    book.save(tmp_path / "t.xlsx")
    book.close()

    assert cells(tmp_path / "t.xlsx") == [("1",)]


def test_a_workbook_with_data_on_two_sheets_is_refused_since_one_would_be_left_behind(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "t.xlsx", ["a"], ["1"])
    book = load_workbook(path)
    book.create_sheet("More rents").append(["a"])
    book.save(path)
    book.close()

    assert "data on 2 sheets (Sheet, More rents)" in refusal(path)


# -- what is no table -----------------------------------------------------------------------------------


def ole(path: Path) -> None:
    path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000))


def cut_xlsx(path: Path) -> None:
    write_xlsx(path, HEADER, *([GOOD] * 200))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def damaged_xlsx(path: Path) -> None:
    write_xlsx(path, HEADER, *([GOOD] * 200))
    edit_xlsx(path, "xl/worksheets/sheet1.xml", lambda sheet: sheet[: len(sheet) // 2])


def zip_bomb(path: Path) -> None:
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("x.xml", "w") as part,
    ):
        for _ in range(1001):
            part.write(bytes(1_000_000))


def too_large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(200_000_001)


NO_TABLE: list[tuple[str, Callable[[Path], Any], str]] = [
    ("missing.csv", lambda path: None, "does not exist"),
    ("folder.csv", lambda path: path.mkdir(), "is a folder"),
    ("pipe.csv", lambda path: os.mkfifo(path), "no ordinary file"),
    ("empty.csv", lambda path: path.touch(), "is empty"),
    ("empty.xlsx", lambda path: path.touch(), "is empty"),
    ("blank.csv", lambda path: path.write_text("\n , \n\n"), "is empty"),
    ("bom.csv", lambda path: path.write_bytes(b"\xef\xbb\xbf"), "is empty"),
    ("blank.xlsx", lambda path: write_xlsx(path, []), "is empty"),
    ("header.csv", lambda path: write_csv(path, HEADER), "has a header but no rows"),
    ("header.xlsx", lambda path: write_xlsx(path, HEADER), "has a header but no rows"),
    ("large.csv", too_large, "larger than 200 MB"),
    ("picture.csv", lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256))), "UTF-8"),
    ("nul.csv", lambda path: path.write_bytes(b"claim,note\nHB1,a\0b\n"), "bytes that are not text"),
    ("utf16.csv", lambda path: path.write_bytes("claim\nHB1\n".encode("utf-16-le")), "not text"),
    ("half16.csv", lambda path: path.write_bytes("claim\nHB1\n".encode("utf-16")[:-1]), "cut off"),
    ("mixed.csv", lambda path: path.write_bytes("claim\nZoë\n".encode() + b"Zo\xeb\n"), "neither UTF-8"),
    ("cut8.csv", lambda path: path.write_bytes("claim\nZoë\nZoë".encode()[:-1]), "neither UTF-8"),
    ("open.csv", lambda path: path.write_text('a,b\n1,2\n3,"4\n5,6\n'), "line 3: a quotation mark opens"),
    ("text.csv", lambda path: path.write_text('a,b\n1,"2"3\n'), "line 2: text follows a closing quotation"),
    ("cell.csv", lambda path: path.write_text('a,b\n1,"' + "x\n" * 70_000 + '"\n'), "line 2: a cell is far"),
    ("long.csv", lambda path: path.write_text("a,b\n" + "x" * 1_100_000), "line 2 is longer than 1,000,000"),
    ("book.csv", lambda path: write_xlsx(path, HEADER, GOOD), "is an Excel workbook"),
    ("old.csv", ole, "old Excel workbook"),
    ("print.csv", lambda path: path.write_bytes(b"%PDF-1.7\n"), "is a PDF"),
    ("old.xls", ole, "none of .csv, .tsv, .txt, .xlsx"),
    ("noending", lambda path: write_csv(path, HEADER, GOOD), "none of .csv"),
    ("locked.xlsx", ole, "protected by a password"),
    ("text.xlsx", lambda path: write_csv(path, HEADER, GOOD), "is not an Excel workbook"),
    ("cut.xlsx", cut_xlsx, "is cut off, damaged or protected"),
    ("prose.csv", lambda path: path.write_text("word " * 50 + "\nx\n"), "name is too long"),
    ("damaged.xlsx", damaged_xlsx, "is cut off, damaged or protected"),
    ("bomb.xlsx", zip_bomb, "too large when unpacked"),
    (
        "twice.csv",
        lambda path: write_csv(path, ["claim", "Claim ", "x"], ["1", "2", "3"]),
        "'claim', 'Claim'",
    ),
    (
        "nameless.csv",
        lambda path: write_csv(path, ["claim", "", "x"], ["1", "2", "3"]),
        "column 2 has no name",
    ),
]


@pytest.mark.parametrize(("name", "make", "part"), NO_TABLE, ids=[name for name, _, _ in NO_TABLE])
def test_what_is_no_table_is_refused_in_one_line_that_says_what_to_do(
    tmp_path: Path, name: str, make: Callable[[Path], Any], part: str
) -> None:
    path = tmp_path / name
    make(path)

    assert part in refusal(path)


def test_a_file_that_may_not_be_read_is_refused() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = write_csv(Path(folder) / "rents.csv", HEADER, GOOD)
        path.chmod(0)
        with as_ordinary_user():
            assert "may not be read" in refusal(path)


@contextmanager
def as_ordinary_user() -> Iterator[None]:
    """Root may read everything."""
    before = os.geteuid()
    os.seteuid(before or 65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "rents.csv", HEADER, *([GOOD] * 20_000))
    rows = read_table(path).rows()
    next(rows)
    with path.open("a") as file:
        file.write("more")

    with pytest.raises(CasehandError, match="changed while it was being read"):
        list(rows)


def test_a_hundred_thousand_rows_are_read_in_little_memory(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "rents.csv", HEADER, *([GOOD] * 100_000))
    tracemalloc.start()

    count = sum(1 for _ in read_table(path).rows())

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 100_000
    assert peak < 5_000_000


# -- the columns ----------------------------------------------------------------------------------------


def refused_columns(path: Path) -> str:
    with pytest.raises(CasehandError) as refused:
        check(read_table(path), RentChange, "claim")
    return str(refused.value)


def test_missing_columns_are_named(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", ["claim", "note"], ["HB000125", "x"])

    assert "lacks the columns weekly_rent, from_date" in refused_columns(path)


def test_unknown_columns_are_named_with_the_nearest_known_one(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", ["claim", "weekly_rnet", "from_date", "xyz"], GOOD)

    text = refused_columns(path)

    assert "'weekly_rnet' (did you mean weekly_rent?), 'xyz'" in text


def test_a_file_without_a_header_is_refused_without_repeating_what_it_holds(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", GOOD, [*GOOD[:-1], "other"])

    text = refused_columns(path)

    assert "the first line must be a header with claim, weekly_rent, from_date, note" in text
    assert not any(cell in text for cell in GOOD)


def test_columns_come_in_any_order_and_may_be_written_as_a_person_would(tmp_path: Path) -> None:
    path = write_csv(
        tmp_path / "t.csv",
        ["Weekly rent", "CLAIM", "From-Date"],
        ["112.40", "HB000125", "06/04/2026"],
        ["1", "x", "x"],
    )

    first, second = verdicts(path)

    assert isinstance(first, Accepted)
    assert first.data == RentChange(
        claim="HB000125", weekly_rent=Decimal("112.40"), from_date=date(2026, 4, 6)
    )
    assert isinstance(second, Rejection)
    assert second.column == "CLAIM"
    assert "From-Date: must be a real date" in second.reason


def test_a_column_may_go_by_its_alias(tmp_path: Path) -> None:
    class Aliased(BaseModel):
        reference: str = Field(alias="Claim no.", min_length=3)

    path = write_csv(tmp_path / "t.csv", ["claim no"], ["A-1"], ["A"])
    first, second = verdicts(path, Aliased, "reference")

    assert isinstance(first, Accepted)
    assert first.reference == "A-1"
    assert isinstance(second, Rejection)
    assert second.reason == "claim no: must have at least 3 characters"


# -- the cells ------------------------------------------------------------------------------------------


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


def make_model(annotation: Any) -> type[BaseModel]:
    return type(
        "Made",
        (BaseModel,),
        {"__module__": __name__, "__annotations__": {"reference": str, "it": annotation}},
    )


@pytest.mark.parametrize(
    ("annotation", "written", "value"),
    [
        (str, "00123", "00123"),
        (str, "1e5", "1e5"),
        (str, 42, "42"),
        (Decimal, "112.40", Decimal("112.40")),
        (Decimal, "-3", Decimal(-3)),
        (Decimal, 112.4, Decimal("112.4")),
        (float, "0.5", 0.5),
        (int, "12", 12),
        (int, 12, 12),
        (date, "2026-04-06", date(2026, 4, 6)),
        (date, "06/04/2026", date(2026, 4, 6)),
        (date, "6/4/2026", date(2026, 4, 6)),
        (date, date(2026, 4, 6), date(2026, 4, 6)),
        (datetime, "2026-04-06T09:30", MORNING),
        (datetime, "06/04/2026 09:30", MORNING),
        (datetime, MORNING, MORNING),
        (bool, "Yes", True),
        (bool, "false", False),
        (bool, True, True),
        (Literal["a", "b"], "b", "b"),
        (Literal[1, 2], "2", 2),
        (Colour, "blue", Colour.BLUE),
        (Decimal | None, "1.5", Decimal("1.5")),
        (date | None, "", None),
    ],
)
def test_a_field_takes_what_a_person_writes(
    tmp_path: Path, annotation: Any, written: Any, value: Any
) -> None:
    data = accepted(field(annotation, written, tmp_path), make_model(annotation))

    assert data.it == value
    assert type(data.it) is type(value)


@pytest.mark.parametrize(
    ("annotation", "written", "part"),
    [
        (Decimal, "1e5", "without an exponent"),
        (Decimal, "£112.40", "without a currency sign"),
        (Decimal, "1,112.40", "without commas"),
        (Decimal, "112,40", "without commas"),
        (Decimal, "NaN", "plain number"),
        (Decimal, "Infinity", "plain number"),
        (Decimal, "1_000", "plain number"),
        (Decimal, "١٢", "plain number"),
        (Decimal, "1" * 5000, "plain number"),
        (Decimal, "", "is empty"),
        (Decimal, True, "is TRUE or FALSE in Excel"),
        (Decimal, date(2026, 4, 6), "plain number"),
        (int, "1.0", "whole number"),
        (int, "1" * 5000, "whole number"),
        (int, 1.5, "whole number"),
        (date, "31/02/2026", "real date"),
        (date, "2026-02-30", "real date"),
        (date, "04/13/2026", "real date"),
        (date, "06/04/26", "real date"),
        (date, "20260406", "real date"),
        (date, "6 April 2026", "real date"),
        (date, 46118, "real date"),
        (date, MORNING, "time of day"),
        (datetime, "2026-05-07", "real date and time"),
        (datetime, "2026-04-06 25:00", "real date and time"),
        (bool, "1", "yes or no"),
        (bool, "on", "yes or no"),
        (str, True, "is TRUE or FALSE in Excel"),
        (str, date(2026, 4, 6), "is a date in Excel"),
        (Literal["a", "b"], "A", "must be one of a, b"),
        (Colour, "green", "must be one of red, blue"),
    ],
)
def test_a_field_takes_nothing_else_and_says_why_without_the_value(
    tmp_path: Path, annotation: Any, written: Any, part: str
) -> None:
    text = reason(field(annotation, written, tmp_path), make_model(annotation))

    assert text.startswith("it: ")
    assert part in text
    assert len(str(written)) < 3 or written is True or str(written) not in text


def test_all_faults_of_a_row_are_in_one_rejection_in_the_order_of_the_columns(tmp_path: Path) -> None:
    path = write_csv(
        tmp_path / "t.csv", HEADER, ["HB12", "0", "31/02/2026", ""], ["HB000125", "1.234", "", ""]
    )

    first, second = verdicts(path)

    assert isinstance(first, Rejection)
    assert (first.line, first.kind, first.column, first.reference) == (2, Kind.REJECTED, "claim", None)
    assert first.reason == (
        "claim: does not have the form that is expected such as HB000125; weekly_rent: must be more than 0; "
        "from_date: must be a real date such as 2026-04-06 or 06/04/2026 (day first)"
    )
    assert isinstance(second, Rejection)
    assert second.reference == "HB000125"
    assert second.reason == "weekly_rent: must have no more than 2 decimal places; from_date: is empty"


@pytest.mark.parametrize("count", [1, 3, 5])
def test_a_row_with_too_few_or_too_many_cells_is_rejected(tmp_path: Path, count: int) -> None:
    path = write_csv(tmp_path / "t.csv", HEADER, GOOD, ["HB000126", "1", "2026-04-06", "", "x"][:count])

    _, last = verdicts(path)

    assert isinstance(last, Rejection)
    assert (last.line, last.column, last.reference) == (3, None, None)
    assert last.reason == f"the row has {count} cells where the header has 4"


def test_empty_cells_beyond_the_header_do_not_count(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", [*HEADER, "", ""], [*GOOD, "", ""])

    assert isinstance(verdicts(path)[0], Accepted)


def test_a_sheet_may_leave_out_the_cells_at_the_end_of_a_row_but_not_add_any(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "t.xlsx", HEADER, [*GOOD[:2], date(2026, 4, 6)], [*GOOD, "x"])

    first, second = verdicts(path)

    assert isinstance(first, Accepted)
    assert isinstance(second, Rejection)
    assert second.reason == "the row has 5 cells where the header has 4"


def test_an_uncached_formula_or_an_error_rejects_its_row_and_no_other(tmp_path: Path) -> None:
    path = write_xlsx(
        tmp_path / "t.xlsx",
        HEADER,
        ["HB000125", "=A1*2", date(2026, 4, 6)],
        ["HB000126", 5, "#N/A"],
        ["HB000127", 5, date(2026, 4, 6)],
    )

    first, second, third = verdicts(path)

    assert isinstance(first, Rejection)
    assert (first.column, first.reference) == ("weekly_rent", "HB000125")
    assert isinstance(second, Rejection)
    assert (second.column, second.line) == ("from_date", 3)
    assert isinstance(third, Accepted)


def test_the_same_reference_twice_is_a_duplicate_that_names_the_first_line(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", HEADER, GOOD, ["HB000125", "1", "2026-05-01", ""])

    first, second = verdicts(path)

    assert isinstance(first, Accepted)
    assert isinstance(second, Rejection)
    assert second.kind is Kind.DUPLICATE
    assert second.reason == "claim: the same as on line 2"
    assert second.reference == "HB000125"


def test_a_rejected_row_does_not_make_a_later_good_one_a_duplicate(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", HEADER, ["HB000125", "1e5", "2026-05-01", ""], GOOD)

    assert [type(verdict) for verdict in verdicts(path)] == [Rejection, Accepted]


@pytest.mark.parametrize(
    ("reference", "part"),
    [
        ("x" * 201, "no more than 200 characters"),
        ("a\nb", "one line"),
        ("a\u202eb", "one line"),
        ("", "empty"),
    ],
)
def test_a_reference_must_be_short_and_printable(tmp_path: Path, reference: str, part: str) -> None:
    path = write_csv(tmp_path / "t.csv", ["reference", "it"], [reference, "x"])

    (verdict,) = verdicts(path, make_model(str), "reference")

    assert isinstance(verdict, Rejection)
    assert part in verdict.reason
    assert verdict.reference is None


class Ruled(BaseModel):
    reference: str
    start: date
    end: date | None = None

    @field_validator("reference")
    @classmethod
    def known(cls, value: str) -> str:
        if value.startswith("X"):
            raise ValueError(f"{value} is a test account")
        if value.startswith("Y"):
            raise ValueError("must not be a closed account")
        if value.startswith("Z"):
            raise KeyError(value)
        return value

    @model_validator(mode="after")
    def in_order(self) -> "Ruled":
        if self.end and self.end < self.start:
            raise ValueError("the end is before the start")
        return self


def test_an_author_s_own_words_are_given_only_where_they_can_hold_no_value(tmp_path: Path) -> None:
    path = write_csv(
        tmp_path / "t.csv",
        ["reference", "start", "end"],
        ["X12345", "2026-04-06", ""],
        ["Y12345", "2026-04-06", ""],
        ["Z12345", "2026-04-06", ""],
        ["A12345", "2026-04-06", "2026-04-05"],
    )

    reasons = [
        verdict.reason for verdict in verdicts(path, Ruled, "reference") if isinstance(verdict, Rejection)
    ]

    assert reasons == [
        "reference: breaks a rule of the workflow",
        "reference: must not be a closed account",
        "the workflow's own check failed (KeyError)",
        "the end is before the start",
    ]


def test_a_model_that_would_not_bring_its_data_back_loses_no_row(tmp_path: Path) -> None:
    path = field(SecretStr, "a card number", tmp_path)

    assert "does not keep the row as it is" in reason(path, make_model(SecretStr))


def test_verdicts_do_not_show_what_they_hold(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", HEADER, GOOD, ["HB000126", "secret", "2026-04-06", "secret"])

    text = repr(verdicts(path))

    assert not any(value in text for value in ("112.40", "invented", "secret"))


# -- whatever the table ---------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn")), max_size=12)
CLAIM = st.one_of(st.from_regex(r"HB00000[0-9]", fullmatch=True), TEXT)
RENT = st.one_of(st.decimals(0, 9999, places=2, allow_nan=False).map(str), st.just("1e5"), TEXT)
DAY = st.one_of(
    st.dates().map(date.isoformat), st.dates().map(lambda day: f"{day:%d/%m}/{day.year:04}"), TEXT
)
ROWS = st.lists(st.tuples(CLAIM, RENT, DAY, TEXT | st.just("two\nlines")).map(list), min_size=1, max_size=12)
LAYOUT = st.tuples(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]), st.sampled_from(",;\t"))


def filled(rows: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
    return [row for row in rows if any(str(cell).strip() for cell in row if cell is not None)]


def hold_to_account(path: Path, rows: Sequence[Sequence[Any]], texts_of: Callable[[Any], str | None]) -> None:
    """Every row has its verdict, nothing in it is altered, and what is accepted is what was written."""
    expected = filled(rows)
    if not expected:
        with pytest.raises(CasehandError, match="has a header but no rows"):
            verdicts(path)
        return
    found = verdicts(path)
    assert len(found) == len(expected)
    for verdict, row in zip(found, expected, strict=True):
        assert list(as_written(tuple(HEADER), verdict.row).values()) == [texts_of(cell) for cell in row]
        if isinstance(verdict, Accepted):
            assert isinstance(verdict.data, RentChange)
            assert verdict.reference == verdict.data.claim == texts_of(row[0])
            assert verdict.data.weekly_rent == Decimal(str(row[1]).strip())
            assert verdict.data.note == (texts_of(row[3]) or "")
    references = [verdict.reference for verdict in found if isinstance(verdict, Accepted)]
    assert len(references) == len(set(references))


@settings(deadline=None, max_examples=150)
@given(ROWS, LAYOUT)
def test_whatever_stands_in_a_text_file_every_row_is_accounted_for_and_unaltered(
    rows: list[list[str]], layout: tuple[str, str]
) -> None:
    encoding, delimiter = layout
    with tempfile.TemporaryDirectory() as folder:
        path = write_csv(Path(folder) / "t.csv", HEADER, *rows, delimiter=delimiter, encoding=encoding)
        hold_to_account(path, rows, lambda cell: cell.strip() or None)


SHEET_ROWS = st.lists(
    st.tuples(
        CLAIM | st.none(),
        st.one_of(RENT, st.integers(0, 10**9), st.decimals(0, 10**6, places=2).map(float), st.none()),
        st.one_of(DAY, st.dates(date(1901, 1, 1)), st.none()),
        TEXT | st.none(),
    ),
    min_size=1,
    max_size=8,
)


def shown_text(cell: Any) -> str | None:
    if isinstance(cell, float):
        return format(Decimal(f"{cell:.15g}"), "f")
    return None if cell is None else str(cell).strip() or None


@settings(deadline=None, max_examples=60)
@given(SHEET_ROWS)
def test_whatever_stands_in_a_sheet_every_row_is_accounted_for_and_unaltered(
    rows: list[tuple[Any, ...]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write_xlsx(Path(folder) / "t.xlsx", HEADER, *rows)
        hold_to_account(path, rows, shown_text)


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=400), st.sampled_from(["t.csv", "t.xlsx"]))
def test_whatever_bytes_a_file_holds_it_is_read_or_refused_and_nothing_else(
    content: bytes, name: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        with suppress(CasehandError):
            assert list(read_table(path).rows())


@pytest.mark.parametrize("moment", ["first", "rows"])
def test_a_machine_that_cannot_read_just_now_says_nothing_against_a_workbook(
    tmp_path: Path, moment: str
) -> None:
    path = write_xlsx(tmp_path / "rents.xlsx", HEADER, GOOD)
    table = read_table(path)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with path.open("rb") as lowest:
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest.fileno(), before[1]))
        try:
            with pytest.raises(NotNow, match=r"rents\.xlsx cannot be read just now \(Too many open files\)"):
                list(table.rows()) if moment == "rows" else spreadsheet(path)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)

    assert len(list(table.rows())) == 1
