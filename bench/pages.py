"""The pages of the console with a million cases in the ledger, held against a thousand: `python -m bench.pages`.

What is looked at, and the ledgers, are those of `tests/many.py`: make bench puts the tests on the path.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from many import Looker, Many, addresses, fill_many, looking
from postgres import FORGETFUL, a_postgres, fresh_database, postgres_programs
from samples import Clock

from casehand.console.person import Person
from casehand.console.rights import EVERY, Role
from casehand.queue.ledger import Ledger
from casehand.queue.vault import KEY_BYTES, Vault

FEW = 1_000
ROUNDS = 9
SUPERVISOR = Person("test.supervisor@example.test", "Test Supervisor", {EVERY: frozenset({Role.SUPERVISOR})})


def report(*, quick: bool) -> list[str]:
    """Measure both databases, and tell of it in Markdown."""
    number = 50_000 if quick else 1_000_000
    lines = ["## Pages of the console", "", *EXPLANATION]
    with TemporaryDirectory(prefix="bench") as name:
        os.environ["CASEHAND_HOME"] = f"{name}/home"
        few, many = f"sqlite:///{name}/few.db", f"sqlite:///{name}/many.db"
        lines += _pages("SQLite", number, few, many)
        if postgres_programs() is not None:
            with a_postgres(*FORGETFUL) as url:
                lines += _pages("PostgreSQL", number, fresh_database(url), fresh_database(url))
    return lines


def _pages(kind: str, number: int, few: str, many: str) -> Iterator[str]:
    with (
        _filled(few, FEW) as (small, small_made),
        _filled(many, number) as (large, large_made),
        looking(small, SUPERVISOR) as one,
        looking(large, SUPERVISOR) as other,
    ):
        yield from _table(kind, number, (one, small_made), (other, large_made))


def _table(kind: str, number: int, few: tuple[Looker, Many], many: tuple[Looker, Many]) -> Iterator[str]:
    yield f"### {kind}"
    yield ""
    yield f"| page | statements | {FEW:,} cases, ms | {number:,} cases, ms | ratio |"
    yield "|---|--:|--:|--:|--:|"
    theirs, worst = addresses(many[1]), 0.0
    for name, address in addresses(few[1]).items():
        statements = len(many[0].asked(theirs[name]))
        small, large = _times((few[0], address), (many[0], theirs[name]))
        worst = max(worst, large / small)
        yield f"| {name} | {statements} | {small:.1f} | {large:.1f} | {large / small:.2f} |"
    yield f"| the worst of them | | | | **{worst:.2f}** |"
    yield ""


def _times(*looks: tuple[Looker, str]) -> list[float]:
    """Milliseconds for each, one after the other, so that what else the machine does is shared by them."""
    took: list[list[float]] = [[] for _ in looks]
    for _ in range(ROUNDS):
        for place, (looker, address) in enumerate(looks):
            begun = perf_counter()
            looker.get(address)
            took[place].append((perf_counter() - begun) * 1000)
    return [median(one) for one in took]


@contextmanager
def _filled(url: str, number: int) -> Iterator[tuple[Ledger, Many]]:
    clock = Clock()
    ledger = Ledger.open(url, Vault(os.urandom(KEY_BYTES)), clock)
    begun = perf_counter()
    made = fill_many(ledger, clock, number)
    sys.stderr.write(f"{number:,} cases written in {perf_counter() - begun:.0f} s\n")
    try:
        yield ledger, made
    finally:
        ledger.close()


EXPLANATION = (
    "A whole request in one process, from the address to the last byte, for a supervisor of all workflows: the median",
    f"of {ROUNDS}, with those of both ledgers taken in turn. The cases came in over a year, 500 batches of three",
    "workflows; one in twenty waits for a person. `tests/console/web/test_many.py` checks the statements, and that",
    "none goes through a large table.",
    "",
)

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.pages", description=__doc__)
    parser.add_argument("--quick", action="store_true")
    sys.stdout.write("\n".join(report(quick=parser.parse_args().quick)) + "\n")
