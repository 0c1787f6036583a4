"""Entries of the audit as somebody may see them: those of his workflows, or all."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from casehand.console.desk import Desk, NotAllowed
from casehand.console.rights import Right
from casehand.queue.audit import Entry, EntryFilter, find_entries
from casehand.queue.paging import ROWS
from casehand.queue.subjects import (
    BATCH,
    BOT,
    BULK,
    CASE,
    EVERYTHING,
    SCHEDULE,
    WORKFLOW,
    Subject,
    subjects_of,
)
from casehand.queue.subjects import cases_named as cases_named
from casehand.queue.verification import SUBJECT as THE_AUDIT

LOOKS = 2
"""Pages of entries that are gone through for somebody who may see few of them, while he waits."""


@dataclass(frozen=True)
class Page:
    """Some entries, in the order that was asked for, with what they are to."""

    entries: Sequence[Entry]
    subjects: Mapping[str, Subject]
    behind: int | None  #: the entry behind which there may be more; None at the end


def look(
    desk: Desk, which: EntryFilter, limit: int, after: int | None = None, *, oldest_first: bool = False
) -> Page:
    """A page of the entries that match and that this person may see; perhaps fewer, with more behind.

    Raises NotAllowed, and CasehandError when there is no entry `after`.
    """
    mine = desk.workflows_with(Right.SEE_AUDIT)
    if mine == frozenset():
        raise NotAllowed(Right.SEE_AUDIT, None)
    if mine is None:
        found = find_entries(desk.ledger, which, limit + 1, after, oldest_first=oldest_first)
        return _page(found[:limit], _subjects(desk, found[:limit]), len(found) > limit)
    return _look_through(desk, which, limit, after, mine, oldest_first)


def all_of(
    desk: Desk, which: EntryFilter, after: int | None = None, *, oldest_first: bool = False
) -> Iterator[tuple[Entry, Subject]]:
    """All of them, or those behind one, read a page at a time: for lists of any length."""
    while True:
        page = look(desk, which, ROWS, after, oldest_first=oldest_first)
        yield from ((entry, page.subjects[entry.subject]) for entry in page.entries)
        if page.behind is None:
            return
        after = page.behind


def named(desk: Desk, which: EntryFilter, typed: str) -> EntryFilter:
    """The filter for what somebody typed as a subject: people know a case by its reference, the audit by its id."""
    return replace(which, subject=[*cases_named(desk.ledger, typed), typed])


def _look_through(
    desk: Desk,
    which: EntryFilter,
    limit: int,
    after: int | None,
    mine: frozenset[str],
    oldest_first: bool,
) -> Page:
    seen: list[Entry] = []
    subjects: dict[str, Subject] = {}
    for _ in range(LOOKS):
        found = find_entries(desk.ledger, which, ROWS, after, oldest_first=oldest_first)
        subjects |= _subjects(desk, found)
        seen += [one for one in found if _is_for(subjects[one.subject], mine)]
        if len(seen) > limit:
            return _page(seen[:limit], subjects, is_more=True)
        if len(found) < ROWS:
            return _page(seen, subjects, is_more=False)
        after = found[-1].id
    return Page(seen, subjects, after)


def _page(entries: Sequence[Entry], subjects: Mapping[str, Subject], is_more: bool) -> Page:
    return Page(entries, subjects, entries[-1].id if is_more and entries else None)


def _subjects(desk: Desk, entries: Sequence[Entry]) -> dict[str, Subject]:
    return subjects_of(desk.ledger, {one.subject for one in entries})


def _is_for(subject: Subject, mine: frozenset[str]) -> bool:
    """Whether it is anything of theirs; what concerns everybody is everybody's."""
    if subject.kind in (EVERYTHING, THE_AUDIT):
        return True
    if subject.kind == BULK:
        return bool(subject.workflows) and subject.workflows <= mine
    return subject.kind in (CASE, BATCH, BOT, SCHEDULE, WORKFLOW) and not mine.isdisjoint(subject.workflows)
