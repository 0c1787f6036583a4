"""About how many rows a file has."""

from pathlib import Path

import pytest
from openpyxl import Workbook

from casehand.queue.extent import about_rows


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_text_file_has_as_many_rows_as_lines_but_the_header(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "1,2\n" * 250, encoding)
    assert about_rows(path) == 250


def test_a_workbook_says_how_many_it_has(tmp_path: Path) -> None:
    book = Workbook()
    for number in range(41):
        book.worksheets[0].append([number, "x"])
    path = tmp_path / "t.xlsx"
    book.save(path)
    assert about_rows(path) == 40


@pytest.mark.parametrize("name", ["t.csv", "t.xlsx", "nowhere.csv"])
def test_what_does_not_say_so_has_no_number(tmp_path: Path, name: str) -> None:
    if name != "nowhere.csv":
        (tmp_path / name).write_bytes(b"PK nothing")
    assert about_rows(tmp_path / name) is None
