"""Previews: what would become of a file if it were handed in now. Nothing is taken in."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from pydantic import BaseModel

from casehand.queue import intake
from casehand.queue.batches import Rejected
from casehand.queue.cells import as_written
from casehand.queue.check import Accepted, Kind, Rejection, Verdict, title_of
from casehand.queue.dating import DueOf, due_date, no_date
from casehand.queue.intake import BatchTaken
from casehand.queue.ledger import Ledger
from casehand.queue.rows import Table, read_table

FIRST = 10
"""Rows that would be taken in, of which a preview shows what they hold."""
MOST_REFUSED = 2_000
"""Rows that would not, of which it says why: of more, only how many there are."""


@dataclass(frozen=True)
class BatchPreview:
    """What would become of a file."""

    digest: str
    columns: tuple[str, ...]
    accepted: int
    rejected: int
    duplicates: int
    first: list[dict[str, str | None]] = field(
        repr=False
    )  #: the first rows that would be taken in, as written
    refused: list[Rejected] = field(repr=False)  #: the first that would not

    @property
    def total(self) -> int:
        """All rows."""
        return self.accepted + self.rejected + self.duplicates


def preview(
    ledger: Ledger,
    *,
    workflow: str,
    model: type[BaseModel],
    reference: str,
    path: Path,
    due_of: DueOf = no_date,
) -> BatchPreview:
    """Look a file over as `intake.hand_in` does, with the same checks, and take nothing in.

    Raises CasehandError where that would. What others hand in meanwhile may still make duplicates of rows.
    """
    table = read_table(path)
    counted: Counter[Kind | None] = Counter()
    first: list[dict[str, str | None]] = []
    refused: list[Rejected] = []
    for one in verdicts(ledger, workflow, table, model, reference, due_of):
        if isinstance(one, Accepted):
            counted[None] += 1
            if len(first) < FIRST:
                first.append(as_written(table.header, one.row))
            continue
        counted[one.kind] += 1
        if len(refused) < MOST_REFUSED:
            refused.append(Rejected(one.line, one.kind, one.column, one.reason, one.reference))
    numbers = (counted[None], counted[Kind.REJECTED], counted[Kind.DUPLICATE])
    return BatchPreview(table.digest, table.header, *numbers, first, refused)


def taken_before(ledger: Ledger, workflow: str, digest: str) -> BatchTaken | None:
    """The batch that the same file was taken in as before, if it was."""
    return intake.earlier(ledger, workflow, digest)


def verdicts(
    ledger: Ledger,
    workflow: str,
    table: Table,
    model: type[BaseModel],
    reference: str,
    due_of: DueOf = no_date,
) -> Iterator[Verdict]:
    """Every row's verdict, those that are duplicates of open cases among them, in the order of the file."""
    column = title_of(table, model, reference)
    found = (_dated(one, due_of) for one in intake.verdicts(ledger, table, model, reference))
    while chunk := list(islice(found, intake.ROWS_AT_ONCE)):
        references = [one.reference for one in chunk if isinstance(one, Accepted)]
        with ledger.reading() as connection:
            open_cases = intake.open_references(connection, workflow, references)
        for one in chunk:
            where = open_cases.get(one.reference) if isinstance(one, Accepted) else None
            yield one if where is None else _duplicate(one, column, where)


def _dated(verdict: Verdict, due_of: DueOf) -> Verdict:
    due = due_date(verdict, due_of) if isinstance(verdict, Accepted) else None
    return due if isinstance(due, Rejection) else verdict


def _duplicate(verdict: Verdict, column: str, where: str) -> Rejection:
    reason = intake.there_already(column, where)
    return Rejection(verdict.line, Kind.DUPLICATE, column, reason, verdict.reference, verdict.row)
