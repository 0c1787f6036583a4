"""`casehand results` and `rejects`: a batch's files from the command line."""

import csv
import io
import json
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

CASEHAND = Path(sys.executable).with_name("casehand")
ROWS = ("T001,10.00,pay", "X,-1,=cmd()", "T003,999.00,pay")


@pytest.fixture
def batch(casehand: Any) -> str:
    """A batch of which two rows are worked, and one was not taken in."""
    assert casehand("enqueue", "desk/pay", casehand.file(*ROWS)).returncode == 3
    casehand.work()
    return str(casehand.json("cases")[0]["batch"])


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


def test_results_are_written_to_standard_output_as_csv(casehand: Any, batch: str) -> None:
    ran = casehand("results", batch)
    assert ran.returncode == 0, ran.stderr
    told = [(row["Line"], row["Reference"], row["What became of it"]) for row in rows_of(ran.stdout)]
    assert told == [("2", "T001", "done"), ("3", "", "not taken in"), ("4", "T003", "waits for a person")]
    assert rows_of(ran.stdout)[0]["Result: paid"] == "10.00"
    assert rows_of(ran.stdout)[1]["does"] == "'=cmd()"


def test_results_for_programs_have_everything_as_it_is(casehand: Any, batch: str) -> None:
    for arguments in (("--json",), ("--format", "json")):
        first, second, third = json.loads(casehand("results", batch, *arguments).stdout)
        assert (first["came"], first["result"], first["changes"]) == ("done", {"paid": "10.00"}, 1)
        assert second["data"]["does"] == "=cmd()"
        assert third["why"] == "the amount is above the limit"


def test_a_workbook_goes_to_a_file_that_nobody_else_reads_or_through_a_pipe(
    casehand: Any, batch: str
) -> None:
    ran = casehand("results", batch, "--format", "xlsx", "--output", "out.xlsx")
    assert (ran.returncode, ran.stdout) == (0, "written: out.xlsx\n")
    path = casehand.folder / "out.xlsx"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [cell.value for cell in load_workbook(path).active["A"]] == ["Line", 2, 3, 4]
    assert [one.name for one in casehand.folder.glob(".out*")] == []

    program = Path(casehand.folder / "pipe.xlsx")
    with program.open("wb") as file:
        command = [CASEHAND, "results", batch, "--format", "xlsx"]
        subprocess.run(command, env=casehand.environment, cwd=casehand.folder, stdout=file, check=True)
    assert load_workbook(program).active["A2"].value == 2


def test_rejects_come_as_what_the_batch_came_as_and_can_be_handed_in_again(casehand: Any, batch: str) -> None:
    text = casehand("rejects", batch).stdout
    (row,) = rows_of(text)
    assert (row["task"], row["amount"], row["does"], row["Casehand: line"]) == ("X", "'-1", "'=cmd()", "3")
    mended = casehand.folder / "mended.csv"
    mended.write_text(
        text.replace('"X"', '"T002"').replace('"\'-1"', '"20.00"'), encoding="utf-8", newline=""
    )

    ran = casehand("enqueue", "desk/pay", str(mended))

    assert ran.returncode == 0, (ran.stdout, ran.stderr)
    assert casehand.json("case", "T002")["data"] == {"task": "T002", "amount": "20.00", "does": "=cmd()"}
    assert json.loads(casehand("rejects", batch, "--json").stdout)[0]["does"] == "=cmd()"


def test_what_is_not_there_is_said_in_one_line(
    casehand: Any, batch: str, refuses: Callable[..., str]
) -> None:
    assert "there is no batch nothing" in refuses("results", "nothing")
    assert "there is no batch nothing" in refuses("rejects", "nothing")
    assert "cannot be written" in refuses("results", batch, "--output", "nowhere/out.csv")
    casehand("enqueue", "desk/pay", casehand.file("T007,1.00,pay", name="good.csv"))
    (good,) = {one["batch"] for one in casehand.json("cases")} - {batch}
    assert "every row of the batch" in refuses("rejects", good)
