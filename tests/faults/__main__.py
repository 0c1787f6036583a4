"""`make faults`: the full table, on both ledgers; the exit code is 0 only when every promise was kept."""

import argparse
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import mkdtemp
from time import monotonic

from postgres import MANY_PEOPLE, a_postgres, fresh_database, postgres_programs

from faults.cell import Cell
from faults.fault import Fault, faults
from faults.moment import Moment
from faults.stage import Stage
from faults.table import Table, fill

PER_STAGE = 6000
"""Claims of a stage: more than all cells need."""


def main() -> int:
    """Play what the arguments name."""
    asked = _arguments()
    home = Path(mkdtemp(prefix="faults-"))
    with ExitStack() as stack:
        tables = [
            _play(ledger, url, home / ledger, asked) for ledger, url in _ledgers(asked.ledger, home, stack)
        ]
    for table in tables:
        for line in table.lines():
            say(line)
    return finish(home, holds=all(table.holds for table in tables))


def finish(home: Path, *, holds: bool) -> int:
    """The exit code; what the workers said is kept only where a promise was broken."""
    if holds:
        shutil.rmtree(home)
        return 0
    say(f"What the workers said is kept in {home}")
    return 1


def say(line: str) -> None:
    """Write a line at once: whoever waits wants to see how it goes."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--ledger", choices=["sqlite", "postgresql", "both"], default="both")
    parser.add_argument("--rows", default="", help="only rows whose name or kind has this in it")
    parser.add_argument("--moments", default="", help="only columns whose name has this in it")
    parser.add_argument("--lasting", type=float, default=60, help="how long a fault lasts that lasts")
    parser.add_argument("--at-once", type=int, default=2, help="cells that are played at once")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--lanes", type=int, default=1, help="cases at once on each horse")
    return parser.parse_args()


def _ledgers(which: str, home: Path, stack: ExitStack) -> Iterator[tuple[str, str]]:
    if which in ("sqlite", "both"):
        yield "sqlite", f"sqlite:///{home / 'ledger.db'}"
    if which in ("postgresql", "both"):
        if postgres_programs() is None:
            say("postgresql: not played, since PostgreSQL is not installed (Debian's package is postgresql)")
            return
        url = stack.enter_context(a_postgres(*MANY_PEOPLE))
        yield "postgresql", fresh_database(url)


def _play(ledger: str, url: str, home: Path, asked: argparse.Namespace) -> Table:
    pairs = list(_pairs(asked.rows, asked.moments))
    began = monotonic()

    def tell(cell: Cell) -> None:
        verdict = "; ".join(cell.problems) or "kept"
        figures = f"{cell.cases}/{cell.lost}/{cell.twice}/{cell.in_doubt}/{cell.seconds:.1f}"
        say(f"[{monotonic() - began:5.0f} s] {ledger} {cell.fault.name} / {cell.moment}: {figures} {verdict}")

    with Stage(home, url, workers=asked.workers, claims=PER_STAGE, lanes=asked.lanes) as stage:
        stage.warm_up()
        return Table(_named(ledger, asked.lanes), fill(stage, pairs, asked.lasting, asked.at_once, tell))


def _named(ledger: str, lanes: int) -> str:
    return ledger if lanes == 1 else f"{ledger}, {lanes} lanes"


def _pairs(rows: str, moments: str) -> Iterator[tuple[Fault, Moment]]:
    for fault in faults():
        if rows in fault.name or rows == fault.row.value:
            yield from ((fault, moment) for moment in fault.moments if moments in moment)


if __name__ == "__main__":
    sys.exit(main())
