"""The runs that went wrong and that nobody has said he knows of, one by one."""

from collections.abc import Collection

from casehand.queue import runs
from casehand.queue.ledger import Ledger
from casehand.queue.runs import RunLine

MOST = 1_000


def unseen(ledger: Ledger, workflows: Collection[str] | None = None) -> list[RunLine]:
    """By schedule, and oldest first."""
    return [
        line
        for wrong in runs.gone_wrong(ledger, workflows)
        for line in reversed(runs.runs_of(ledger, wrong.schedule, MOST))
        if line.waits_for_a_person
    ]
