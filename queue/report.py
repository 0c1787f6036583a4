"""Reports: what became of a file of a watched folder, for whoever put it there. Nothing of what its rows hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import BinaryIO

from casehand.queue.batches import rejections_of
from casehand.queue.intake import BatchTaken
from casehand.queue.ledger import Ledger

SHOWN = 100
"""Rows of which it says why they were not taken in; the file of rejects says it of all."""


@dataclass(frozen=True)
class Report:
    """Its lines."""

    lines: Sequence[str]

    def write(self, file: BinaryIO) -> None:
        """Write it as a text that opens on any machine."""
        file.write("".join(f"{line}\r\n" for line in self.lines).encode("utf-8-sig", "replace"))


def of_batch(ledger: Ledger, taken: BatchTaken, name: str, workflow: str, zone: tzinfo) -> Report:
    """What became of a file that is a batch."""
    refused = taken.rejected + taken.duplicates
    return Report(
        [
            *_heading(taken.handed_in_at, name, workflow, zone),
            f"Batch: {taken.batch}",
            f"Rows taken in: {taken.accepted}",
            f"Rows rejected: {taken.rejected}",
            f"Duplicates: {taken.duplicates}",
            *(("", ONCE) if taken.already else ()),
            *(_refusals(ledger, taken.batch, refused) if refused else ()),
        ]
    )


ONCE = (
    "These rows were taken in at the time above. A file is taken in once for a workflow, whatever it is called: "
    "nothing was taken in a second time."
)


def of_no_batch(at: datetime, name: str, workflow: str, why: str, zone: tzinfo) -> Report:
    """Why a file is no batch."""
    return Report(
        [
            *_heading(at, name, workflow, zone),
            "Nothing was taken in:",
            why,
            "",
            "Mend the file and put it into the folder again.",
        ]
    )


def _heading(at: datetime, name: str, workflow: str, zone: tzinfo) -> Sequence[str]:
    return (
        f"File: {_printable(name)}",
        f"Workflow: {workflow}",
        f"When: {at.astimezone(zone):%d %B %Y at %H:%M}",
    )


def _refusals(ledger: Ledger, batch: str, refused: int) -> Sequence[str]:
    first = [f"Line {one.line}: {one.reason}" for one in rejections_of(ledger, batch, limit=SHOWN)]
    more = [f"... and {refused - SHOWN} more"] if refused > SHOWN else []
    mend = "The file of rejects beside this one has these rows: mend them there and put it into the folder again."
    return ["", "Not taken in:", *first, *more, "", mend]


def _printable(name: str) -> str:
    return "".join(one if one.isprintable() else "\ufffd" for one in name)
