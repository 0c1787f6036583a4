"""Watched folders: each file once, whole, put away with a report; killed at any step, every row once."""

import csv
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from pydantic import BaseModel, Field
from sqlalchemy import event, select
from sqlalchemy.engine import Engine

from casehand.exceptions import NotNow
from casehand.queue import filing, leases, schema
from casehand.queue.folder import Fate, Filed, Folder
from casehand.queue.inbox import HELD, Inbox
from casehand.queue.intake import BatchTaken, hand_in
from casehand.queue.ledger import Ledger
from casehand.queue.vault import Vault

WORKFLOW = "housing-benefit/rent-change"
HEADER = ["claim", "weekly_rent", "from_date"]
STILL = timedelta(seconds=30)


class RentChange(BaseModel):
    claim: str = Field(pattern=r"^HB\d{6}$")
    weekly_rent: Decimal = Field(gt=0, max_digits=7, decimal_places=2)
    from_date: date


class Watched:
    """A folder with a clock that a test moves on."""

    def __init__(self, ledger: Ledger, path: Path, workflow: str = WORKFLOW) -> None:
        path.mkdir(exist_ok=True)
        self.ledger, self.path, self.workflow = ledger, path, workflow
        self.done, self.rejected = path / "done", path / "rejected"
        self.now = 0.0
        self.take_in: Callable[[Path], BatchTaken] = self._hand_in
        self.folder = self.another("first")

    def another(self, holder: str) -> Folder:
        """The same folder as another process has it."""
        inbox = Inbox(self.path, STILL, lambda: self.now)
        where = (inbox, self.done, self.rejected, self.workflow)
        return Folder(self.ledger, self.path.name, *where, lambda path: self.take_in(path), holder, UTC)

    def put(self, name: str, *rows: list[str]) -> Path:
        """Put a file there."""
        with (self.path / name).open("w", newline="") as file:
            csv.writer(file).writerows([HEADER, *rows])
        return self.path / name

    def take(self, folder: Folder | None = None) -> list[Filed]:
        """Look, wait until what lies there is still, and look again."""
        folder = folder or self.folder
        early = list(folder.turn())
        self.now += STILL.total_seconds()
        return early + list(folder.turn())

    def references(self) -> list[str]:
        """The cases there are."""
        cases = schema.cases.c
        with self.ledger.reading() as connection:
            query = select(cases.reference).where(cases.workflow == self.workflow)
            return list(connection.execute(query.order_by(cases.reference)).scalars())

    def _hand_in(self, path: Path) -> BatchTaken:
        asked: dict[str, Any] = {"workflow": self.workflow, "model": RentChange, "reference": "claim"}
        return hand_in(self.ledger, path=path, by=f"folder {self.path.name}", **asked)


@pytest.fixture
def watched(ledger: Ledger, tmp_path: Path) -> Watched:
    return Watched(ledger, tmp_path / "rents")


def rent(number: int, amount: str = "112.40") -> list[str]:
    return [f"HB{number:06}", amount, "2026-04-06"]


def names(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir()) if folder.exists() else []


# -- what becomes of a file -----------------------------------------------------------------------------


def test_a_file_is_taken_in_and_put_away_with_a_report_and_its_rejects(watched: Watched) -> None:
    path = watched.put("Rents April.csv", rent(1), rent(2, "much"), rent(3))
    path.chmod(0o640)

    (filed,) = watched.take()

    assert (filed.fate, filed.where) == (Fate.DONE, watched.done / "Rents April.csv")
    assert watched.references() == ["HB000001", "HB000003"]
    assert names(watched.path) == [HELD, "done"]
    assert names(watched.path / HELD) == []
    assert names(watched.done) == ["Rents April.csv", "Rents April.rejects.csv", "Rents April.report.txt"]
    report = (watched.done / "Rents April.report.txt").read_text("utf-8-sig")
    assert "Rows taken in: 2\n" in report
    assert "Line 3: weekly_rent: must be a plain number" in report
    assert "much" not in report
    with (watched.done / "Rents April.rejects.csv").open(encoding="utf-8-sig") as file:
        assert [row["claim"] for row in csv.DictReader(file)] == ["HB000002"]
    assert {(watched.done / name).stat().st_mode & 0o777 for name in names(watched.done)} == {0o640}
    assert watched.take() == []


def test_what_is_said_of_a_file_is_nobody_else_s_until_it_is_whole(watched: Watched) -> None:
    path = watched.put("rents.csv", rent(1))
    path.chmod(0o644)
    place = watched.path / HELD / "held"
    place.mkdir(parents=True)
    held_path = path.rename(place / path.name)
    modes: list[int] = []

    def write(file: BinaryIO) -> None:
        modes.append(os.fstat(file.fileno()).st_mode & 0o777)

    assert filing.put_away(held_path, watched.done, {".rejects.csv": write}) is not None

    assert modes == [0o600]
    assert (watched.done / "rents.rejects.csv").stat().st_mode & 0o777 == 0o644


def test_a_file_that_is_no_table_is_rejected_with_the_reason(watched: Watched) -> None:
    watched.put("good.csv", rent(1))
    (watched.path / "letter.pdf").write_bytes(b"%PDF-1.7")
    (watched.path / "empty.csv").touch()
    (watched.path / "cut.csv").write_text('claim,weekly_rent,from_date\nHB000009,"1')

    filed = {one.file: one for one in watched.take()}

    assert {name: one.fate for name, one in filed.items()} == {
        "good.csv": Fate.DONE,
        "letter.pdf": Fate.REJECTED,
        "empty.csv": Fate.REJECTED,
        "cut.csv": Fate.REJECTED,
    }
    assert watched.references() == ["HB000001"]
    assert names(watched.rejected) == sorted(
        name for one in ("letter.pdf", "empty.csv", "cut.csv") for name in (one, f"{one[:-4]}.report.txt")
    )
    assert "never closes" in (watched.rejected / "cut.report.txt").read_text("utf-8-sig")
    assert (watched.rejected / "letter.pdf").read_bytes() == b"%PDF-1.7"


def test_the_same_content_is_taken_in_once_whatever_it_is_called(watched: Watched) -> None:
    watched.put("a.csv", rent(1))
    (first,) = watched.take()
    watched.put("b.csv", rent(1))
    (second,) = watched.take()

    assert first.taken is not None
    assert second.taken is not None
    assert (second.taken.already, second.taken.batch) == (True, first.taken.batch)
    assert watched.references() == ["HB000001"]
    assert "nothing was taken in a second time" in (watched.done / "b.report.txt").read_text("utf-8-sig")


def test_a_name_that_is_taken_gets_a_number_and_nothing_is_written_over(watched: Watched) -> None:
    for number in (1, 2, 3):
        watched.put("rents.csv", rent(number), rent(number + 10, "x"))
        assert [one.fate for one in watched.take()] == [Fate.DONE]
    (watched.done / "more.report.txt").write_text("somebody's own")
    watched.put("more.csv", rent(4))
    watched.take()

    assert names(watched.done) == sorted(
        ["more-2.csv", "more-2.report.txt", "more.report.txt"]
        + [f"rents{n}{end}" for n in ("", "-2", "-3") for end in (".csv", ".rejects.csv", ".report.txt")]
    )
    assert (watched.done / "more.report.txt").read_text() == "somebody's own"
    assert "HB000002" in (watched.done / "rents-2.csv").read_text()


# -- what is left alone ---------------------------------------------------------------------------------


def test_a_file_that_is_still_being_written_is_left_alone_until_it_is_whole(watched: Watched) -> None:
    path = watched.put("rents.csv", rent(1))
    for number in range(2, 5):
        assert list(watched.folder.turn()) == []
        watched.now += STILL.total_seconds() - 1
        with path.open("a") as file:
            file.write(",".join(rent(number)) + "\n")
    assert path.exists()

    watched.take()

    assert watched.references() == [f"HB{number:06}" for number in range(1, 5)]


@pytest.mark.parametrize(
    "name",
    ["x.csv.part", "x.tmp", "x.CRDOWNLOAD", ".hidden.csv", "~$x.xlsx", ".~lock.x.csv#", "Thumbs.db"],
)
def test_what_programs_leave_about_is_left_alone(watched: Watched, name: str) -> None:
    path = watched.put(name, rent(1))

    assert watched.take() == []
    assert path.exists()


def test_links_folders_and_what_cannot_be_opened_are_left_alone(watched: Watched, tmp_path: Path) -> None:
    outside = tmp_path / "outside.csv"
    outside.write_text("claim\n1\n")
    (watched.path / "link.csv").symlink_to(outside)
    (watched.path / "folder.csv").mkdir()
    os.mkfifo(watched.path / "pipe.csv")
    closed = watched.put("closed.csv", rent(1))
    closed.chmod(0)

    filed = watched.take()

    if os.geteuid():
        assert filed == []
        assert [one.problem for one in watched.folder.inbox.look()] == [
            "it cannot be opened (Permission denied)"
        ]
    assert {"link.csv", "folder.csv", "pipe.csv"} <= set(names(watched.path))
    assert outside.exists()


@pytest.mark.parametrize(
    "name", [b"\xff.csv", b"two\nlines.csv", b"-rf.csv", b"* [a].csv", b"a" * 251 + b".csv"]
)
def test_a_file_may_have_any_name(watched: Watched, name: bytes) -> None:
    watched.put(os.fsdecode(name), rent(1), rent(2, "x"))

    (filed,) = watched.take()

    assert filed.where is not None
    assert filed.where.exists()
    assert len(names(watched.done)) == 3
    assert watched.references() == ["HB000001"]


def test_a_file_that_is_written_to_while_it_is_taken_in_is_taken_in_again(watched: Watched) -> None:
    path = watched.put("rents.csv", rent(1))
    before = watched.take_in

    def slow(path: Path) -> BatchTaken:
        taken = before(path)
        with path.open("a") as file:
            file.write(",".join(rent(2)) + "\n")
        return taken

    watched.take_in = slow
    assert watched.take() == []
    watched.take_in = before
    assert not path.exists()

    (filed,) = watched.take()

    assert filed.taken is not None
    assert (filed.taken.accepted, filed.taken.duplicates) == (1, 1)
    assert watched.references() == ["HB000001", "HB000002"]


def test_what_is_not_the_file_s_fault_rejects_no_file(watched: Watched) -> None:
    def not_now(path: Path) -> BatchTaken:
        raise NotNow("others are handing in just now")

    before, watched.take_in = watched.take_in, not_now
    watched.put("rents.csv", rent(1))
    assert [one.fate for one in watched.take()] == [Fate.WAITS]
    assert names(watched.rejected) == []
    watched.take_in = before
    assert [one.fate for one in watched.take()] == [Fate.DONE]


# -- several at once, and killed -------------------------------------------------------------------------


def test_another_process_leaves_a_folder_to_whoever_has_it(watched: Watched) -> None:
    other = watched.another("other")
    watched.put("rents.csv", rent(1))
    assert leases.hold(watched.ledger, "folder rents", "somebody", timedelta(minutes=1))
    assert watched.take(other) == []
    leases.let_go(watched.ledger, "folder rents", "somebody")
    assert len(watched.take(other)) == 1


def test_two_that_have_one_file_at_once_because_a_lease_ran_out_take_it_in_once(watched: Watched) -> None:
    other = watched.another("other")
    before = watched.take_in
    seen: list[Filed] = []

    def slow(path: Path) -> BatchTaken:
        watched.take_in = before
        # Meanwhile the lease is over, and another finds the file where it is held.
        leases.let_go(watched.ledger, "folder rents", "first")
        seen.extend(watched.take(other))
        return before(path) if path.exists() else seen[0].taken  # type: ignore[return-value]

    watched.take_in = slow
    watched.put("rents.csv", rent(1), rent(2, "x"))

    assert watched.take() == []
    assert [one.fate for one in seen] == [Fate.DONE]
    assert watched.references() == ["HB000001"]
    assert names(watched.done) == ["rents.csv", "rents.rejects.csv", "rents.report.txt"]


CHANGES = ("os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.chmod", "os.link")


@contextmanager
def killed_at(step: int) -> Iterator[Callable[[], int]]:
    """Kill this process at the n-th thing that it changes, in the folder or in the ledger; how many it has changed."""
    seen = 0

    def one_more() -> None:
        nonlocal seen
        seen += 1
        if seen == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def note(name: str, arguments: tuple[Any, ...]) -> None:
        opened_to_write = (
            name == "open" and arguments[2] is not None and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        )
        ours = isinstance(
            arguments[0] if arguments else None, str | bytes | os.PathLike
        ) and b"rents" in os.fsencode(arguments[0])
        if (name in CHANGES or opened_to_write) and ours:
            one_more()

    def statement(connection: Any, cursor: Any, text: str, *others: Any) -> None:
        if not text.lstrip().upper().startswith(("SELECT", "PRAGMA", "BEGIN")):
            one_more()

    sys.addaudithook(note)
    event.listen(Engine, "before_cursor_execute", statement)
    event.listen(Engine, "commit", lambda connection: one_more())
    yield lambda: seen


def taken_by_a_child(url: str, vault: Vault, path: Path, workflow: str, step: int) -> int | None:
    """Take a folder in from a process that is killed at a step; how many steps it had, where it came to its end."""
    count = path.parent / "count"
    count.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        try:
            watched = Watched(Ledger.open(url, vault), path, workflow)
            with killed_at(step) as seen:
                watched.take()
                count.write_text(str(seen()))
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    return int(count.read_text()) if count.exists() else None


def test_a_process_killed_at_any_step_neither_loses_nor_doubles_a_row(
    ledger: Ledger, ledger_url: str, vault: Vault, tmp_path: Path
) -> None:
    for step in range(1, 200):
        path = tmp_path / f"rents-{step}"
        watched = Watched(ledger, path, f"{WORKFLOW}-{step}")
        watched.put("a.csv", rent(1), rent(2), rent(3, "x"))
        (path / "c.csv").write_text('claim,weekly_rent,from_date\n"')
        ledger.close()
        steps = taken_by_a_child(ledger_url, vault, path, watched.workflow, step)
        # The dead one's lease runs out.
        with ledger.writing() as connection:
            connection.execute(schema.leases.delete())

        watched.take()

        assert watched.references() == ["HB000001", "HB000002"], step
        assert names(watched.done) == [
            *("a.csv", "a.rejects.csv", "a.report.txt"),
        ], step
        assert names(watched.rejected) == ["c.csv", "c.report.txt"], step
        assert names(path) == [HELD, "done", "rejected"], step
        assert names(path / HELD) == [], step
        assert all((watched.done / name).stat().st_size for name in names(watched.done)), step
        if steps is not None:
            assert steps >= 40, "the steps are counted"
            return
    raise AssertionError("it never came to its end")


def test_what_was_written_down_of_a_place_in_another_folder_is_let_go_of(watched: Watched) -> None:
    watched.rejected.mkdir()
    place = watched.path / HELD / "1"
    place.mkdir(parents=True)
    (watched.rejected / "rents.csv").touch()
    (place / ".goes-to").write_bytes(os.fsencode(watched.rejected / "rents.csv"))
    watched.put("rents.csv", rent(1)).rename(place / "rents.csv")

    assert [one.fate for one in watched.take()] == [Fate.DONE]
    assert names(watched.rejected) == []
    assert names(watched.done) == ["rents.csv", "rents.report.txt"]


def test_a_folder_that_cannot_be_written_to_is_said_and_the_file_is_kept(watched: Watched) -> None:
    watched.done.symlink_to("nowhere")
    watched.put("rents.csv", rent(1))

    with pytest.raises(filing.CasehandError, match="cannot be written to"):
        watched.take()
    watched.done.unlink()
    assert [one.fate for one in watched.take()] == [Fate.DONE]
    assert watched.references() == ["HB000001"]
