"""Verification of the audit: done, noted in the audit itself, and told from there."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from casehand.queue import audit
from casehand.queue.audit import EntryFilter, find_entries
from casehand.queue.chain import ChainHead, Verdict, verify
from casehand.queue.ledger import Ledger

ACTION = "audit verified"
SUBJECT = "audit"
WHOLE = "whole"
BROKEN = "broken"


@dataclass(frozen=True)
class Verified:
    """What was found when the audit was verified last."""

    at: datetime
    by: str
    is_whole: bool
    found: str  #: the head of the chain where it is whole, else what is broken


def verify_and_note(ledger: Ledger, by: str, kept: Sequence[ChainHead] = ()) -> Verdict:
    """Go through the whole chain, and write down what was found; `kept` are heads that were kept elsewhere."""
    verdict = verify(ledger, kept)
    found = f"{BROKEN}: {verdict.broken}" if verdict.broken else f"{WHOLE}: {verdict.head}"
    with ledger.writing() as connection:
        audit.record(connection, ledger.clock(), by, ACTION, SUBJECT, detail=found)
    return verdict


def last_verified(ledger: Ledger) -> Verified | None:
    """When the audit was verified last, and what was found; None when it never was."""
    for entry in find_entries(ledger, EntryFilter(action=ACTION), limit=1):
        word, _, found = (entry.detail or "").partition(": ")
        return Verified(entry.at, entry.actor, word == WHOLE, found)
    return None
