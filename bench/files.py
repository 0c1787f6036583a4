"""Large files: what it takes to hand in 100,000 rows of CSV and Excel, and to give out what became of them.

`make bench ARGS='--parts files'`
"""

import csv
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from threading import Event, Thread
from time import perf_counter

from openpyxl import Workbook

from bench.run import WrongWork
from casehand.fixtures.practice.seed import generate
from casehand.queue.ledger import BUSY_SECONDS
from casehand.settings import PREFIX
from casehand.workflows.rent_change import change_rent

CASEHAND = Path(sys.executable).with_name("casehand")
LOOK_SECONDS = 0.02
MEGABYTE = 1_000_000
WRONG = "not a sum of money"
NEEDS_A_PERSON = 3


@dataclass(frozen=True)
class Spent:
    """What one command took."""

    seconds: float
    megabytes: float  #: the most that its process held
    kept: float  #: the longest that another had to wait to write to the ledger, in seconds


def report(*, quick: bool) -> list[str]:
    """Measure all of it, and tell of it in Markdown."""
    rows, rounds = (20_000, 1) if quick else (100_000, 3)
    with TemporaryDirectory(prefix="bench") as name:
        return list(_tell(Path(name), rows, rounds))


def _tell(folder: Path, rows: int, rounds: int) -> Iterator[str]:
    yield f"## Files of {rows:,} rows"
    yield ""
    yield (
        f"Each line is one `casehand` command on SQLite at full durability (median of {rounds}); the lock is the "
        "longest that another had to wait to write to the ledger, and memory the most that its process held. Of the "
        "files with rejects a tenth of the rows are."
    )
    yield ""
    yield "| | file, MB | s | rows/s | lock, s | memory, MB | ledger, MB |"
    yield "|---|--:|--:|--:|--:|--:|--:|"
    plain, faulty = folder / "rents.csv", folder / "faulty.csv"
    generate(plain, rows, first=100_000)
    _spoil(plain, faulty)
    for name, path in (
        ("CSV, handed in", plain),
        ("Excel, handed in", _as_workbook(plain)),
        ("CSV with rejects, handed in", faulty),
        ("Excel with rejects, handed in", _as_workbook(faulty)),
    ):
        home = folder / f"home-{path.name}"
        yield _line(
            name, path, rows, [_handed_in(home / str(number), path) for number in range(rounds)], home / "0"
        )
    for kind in ("csv", "xlsx", "json"):
        for name in ("results", "rejects"):
            out = folder / f"{name}.{kind}"
            spent = [_given_out(folder / "home-faulty.csv" / "0", name, kind, out) for _ in range(rounds)]
            yield _line(f"{name} as {kind}", out, rows if name == "results" else rows // 10, spent)
    yield ""


def _line(name: str, path: Path, rows: int, spent: list[Spent], home: Path | None = None) -> str:
    seconds, memory = median(one.seconds for one in spent), max(one.megabytes for one in spent)
    kept = median(one.kept for one in spent)
    ledger = (
        "" if home is None else f"{sum(one.stat().st_size for one in home.glob('ledger.db*')) / MEGABYTE:.0f}"
    )
    size = path.stat().st_size / MEGABYTE
    return f"| {name} | {size:.1f} | {seconds:.1f} | {rows / seconds:,.0f} | {kept:.1f} | {memory:.0f} | {ledger} |"


def _handed_in(home: Path, path: Path) -> Spent:
    # Makes the ledger, which nobody else could wait for.
    subprocess.run(
        [CASEHAND, "cases", "--json"], env=_environment(home), check=True, stdout=subprocess.DEVNULL
    )
    return _run(home, "enqueue", change_rent.name, str(path))


def _given_out(home: Path, command: str, kind: str, out: Path) -> Spent:
    batch = next(_names(home))
    return _run(home, command, batch, "--format", kind, "--output", str(out))


def _names(home: Path) -> Iterator[str]:
    told = subprocess.run(
        [CASEHAND, "cases", "--limit", "1", "--json"],
        env=_environment(home),
        check=True,
        capture_output=True,
        text=True,
    )
    yield told.stdout.split('"batch": "')[1].split('"')[0]


def _run(home: Path, *arguments: str) -> Spent:
    begun = perf_counter()
    with (
        subprocess.Popen(
            [CASEHAND, *arguments], env=_environment(home), stdout=subprocess.DEVNULL
        ) as process,
        _Other(home / "ledger.db") as other,
    ):
        most = 0.0
        while process.returncode is None:
            most = max(most, _peak(process.pid))
            with suppress(subprocess.TimeoutExpired):
                process.wait(LOOK_SECONDS)
    if process.returncode not in (0, NEEDS_A_PERSON):
        raise WrongWork(f"{arguments[0]} ended with {process.returncode}")
    return Spent(perf_counter() - begun, most, other.longest)


class _Other:
    """Somebody else who writes to the ledger, again and again, as the workers do."""

    def __init__(self, ledger: Path) -> None:
        self._ledger = ledger
        self._over = Event()
        self._thread = Thread(target=self._write)
        self.longest = 0.0  #: seconds

    def __enter__(self) -> "_Other":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _write(self) -> None:
        with closing(sqlite3.connect(self._ledger, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
            while not self._over.wait(LOOK_SECONDS):
                asked = perf_counter()
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("COMMIT")
                self.longest = max(self.longest, perf_counter() - asked)


def _environment(home: Path) -> Mapping[str, str]:
    return {**os.environ, f"{PREFIX}HOME": str(home)}


def _peak(pid: int) -> float:
    with suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024 / MEGABYTE
    return 0.0


def _spoil(plain: Path, faulty: Path) -> None:
    """The same file with a wrong amount in each tenth row."""
    with plain.open(newline="") as file, faulty.open("w", newline="") as out:
        reader = csv.DictReader(file)
        columns = list(reader.fieldnames or ())
        writer = csv.DictWriter(out, columns)
        writer.writeheader()
        for number, row in enumerate(reader):
            writer.writerow(row | ({"weekly_rent": WRONG} if number % 10 == 0 else {}))


def _as_workbook(path: Path) -> Path:
    book = Workbook(write_only=True)
    sheet = book.create_sheet("Rents")
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    sheet.append(header)
    for claim, amount, day, claimant in rows:
        sheet.append([claim, amount if amount == WRONG else float(amount), date.fromisoformat(day), claimant])
    book.save(path.with_suffix(".xlsx"))
    return path.with_suffix(".xlsx")
