"""Folders: takes in each file that is put into a watched folder, once, whole, and puts it away with a report.

A file is moved out of everybody's way, taken in by its content, and moved to where it stays. Killed in between, the
next to look goes on where that was: what was taken in is known by its content, in the ledger, so nothing is doubled.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta, tzinfo
from enum import StrEnum
from pathlib import Path

from casehand.exceptions import CasehandError, NotNow
from casehand.queue import leases, report
from casehand.queue.filing import REPORT, Beside, clear_left, hold, put_away
from casehand.queue.inbox import Inbox, Lying, held, stamp_of
from casehand.queue.intake import BatchTaken
from casehand.queue.ledger import Ledger
from casehand.queue.rejects import reject_file

TURN = timedelta(minutes=5)
"""How long one process has a folder unless it goes on: longer than the largest file takes. Nothing rests on it but
that two do not do the same work at once."""


class Fate(StrEnum):
    """What became of a file."""

    DONE = "done"  #: it is a batch
    REJECTED = "rejected"  #: it cannot be read as one
    WAITS = "waits"  #: it is looked at again


@dataclass(frozen=True)
class Filed:
    """One file of a folder, and what became of it."""

    file: str
    fate: Fate
    where: Path | None  #: where it is now; None where it waits
    taken: BatchTaken | None
    why: str | None = field(default=None, repr=False)  #: it is rejected or waits


@dataclass(frozen=True)
class Folder:
    """A watched folder, as one process looks after it."""

    ledger: Ledger
    name: str
    inbox: Inbox
    done: Path
    rejected: Path
    workflow: str
    take_in: Callable[
        [Path], BatchTaken
    ]  #: raises CasehandError for what is no batch, NotNow for what may be one
    holder: str
    zone: tzinfo

    def turn(self, goes_on: Callable[[], bool] = lambda: True) -> Iterator[Filed]:
        """Look once, and take in what may be taken in, if no other process does; what became of each file.

        Raises CasehandError when a folder cannot be read or written to.
        """
        ready = [one for one in self.inbox.look() if one.is_ready]
        if not (ready or held(self.inbox.path)) or not self._is_ours():
            return
        try:
            clear_left(self.inbox.path)
            for one in ready:
                if not goes_on() or not self._is_ours():
                    return
                filed = self._file(one)
                if filed is not None:
                    yield filed
        finally:
            leases.let_go(self.ledger, self._lease, self.holder)

    @property
    def is_looked_after(self) -> bool:
        """Whether some process takes files in just now."""
        return leases.is_held(self.ledger, self._lease)

    @property
    def _lease(self) -> str:
        return f"folder {self.name}"

    def _is_ours(self) -> bool:
        return leases.hold(self.ledger, self._lease, self.holder, TURN)

    def _file(self, lying: Lying) -> Filed | None:
        """Take one file in and put it away; None when it is somebody else's now, or was written to meanwhile."""
        try:
            path = hold(lying, self.inbox.path, self.ledger.new_id())
            return None if path is None else self._take_in(path, lying)
        except NotNow as error:
            return Filed(lying.path.name, Fate.WAITS, None, None, str(error))

    def _take_in(self, path: Path, lying: Lying) -> Filed | None:
        try:
            taken = self.take_in(path)
        except NotNow:
            raise
        except CasehandError as error:
            return self._reject(path, lying, str(error))
        if stamp_of(path) != lying.stamp:
            # What was taken in is not what lies there now: that is another file, for the next look.
            return None
        said = report.of_batch(self.ledger, taken, path.name, self.workflow, self.zone)
        where = put_away(path, self.done, {REPORT: said.write, **self._rejects(taken)})
        return None if where is None else Filed(path.name, Fate.DONE, where, taken)

    def _reject(self, path: Path, lying: Lying, why: str) -> Filed | None:
        if stamp_of(path) != lying.stamp:
            return None
        said = report.of_no_batch(self.ledger.clock(), path.name, self.workflow, why, self.zone)
        where = put_away(path, self.rejected, {REPORT: said.write})
        return None if where is None else Filed(path.name, Fate.REJECTED, where, None, why)

    def _rejects(self, taken: BatchTaken) -> Beside:
        if not taken.rejected + taken.duplicates:
            return {}
        found = reject_file(self.ledger, taken.batch)
        return {f".rejects{found.ending}": found.write}
