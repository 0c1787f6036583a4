"""The words of a reason as digests: found by whoever has the key, and telling nothing to whoever has not."""

import hmac
import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from casehand.exceptions import CasehandError
from casehand.queue import schema
from casehand.queue.ledger import Ledger
from casehand.queue.vault import Vault

SHORTEST = 3
MOST = 64
READ = 20_000
"""Characters of a reason that are looked at."""

DIGEST_BYTES = 16

AT_ONCE = 200

ERASED = b""
"""In place of what is alike: nothing is any more."""

Escalations = schema.escalations.c

_NUMBER = re.compile(r"\d+(?:[.,]\d+)+")
_WORD = re.compile(rf"{_NUMBER.pattern}|[^\W_]+")
_WITH_DIGIT = re.compile(r"[^\s]*\d[^\s]*")


def words_of(text: str) -> list[str]:
    """The words by which a text is found: each once, alike however they were written, no more than 64.

    Numbers count whatever their length, with their decimals; other words from three letters on.
    """
    return list(islice(dict.fromkeys(_words(text[:READ])), MOST))


def digests_of(vault: Vault, text: str) -> list[bytes]:
    """The words of a text as the ledger keeps them."""
    secret = vault.derived("words")
    return [_digest(secret, word) for word in words_of(text)]


def alike_of(vault: Vault, workflow: str, reason: str) -> bytes:
    """What a workflow's reasons have in common that differ only in numbers, amounts, dates and references."""
    masked = " ".join(_WITH_DIGIT.sub("#", _plain(reason[:READ])).split())
    return _digest(vault.derived("alike"), f"{workflow}\0{masked}")


def index_reason(connection: Connection, vault: Vault, escalation: int, reason: str) -> None:
    """Make a new escalation's reason found by its words."""
    rows = [{"digest": digest, "escalation": escalation} for digest in digests_of(vault, reason)]
    if rows:
        connection.execute(insert(schema.words), rows)


def forget(connection: Connection, case: str) -> None:
    """Remove what is left of a case's reasons outside its own encryption: part of erasing the case."""
    its = Escalations.case == case
    connection.execute(
        delete(schema.words).where(schema.words.c.escalation.in_(select(Escalations.id).where(its)))
    )
    connection.execute(update(schema.escalations).where(its).values(alike=ERASED))
    connection.execute(update(schema.cases).where(schema.cases.c.id == case).values(escalated_alike=None))


def catch_up(ledger: Ledger) -> int:
    """Index the reasons of escalations from before there was an index, some at once; returns how many were left."""
    with ledger.reading() as connection:
        if (
            connection.execute(select(Escalations.id).where(Escalations.alike.is_(None)).limit(1)).first()
            is None
        ):
            return 0
    with ledger.writing() as connection:
        rows = connection.execute(
            select(schema.escalations, schema.cases.c.key)
            .join(schema.cases, schema.cases.c.id == Escalations.case)
            .where(Escalations.alike.is_(None))
            .limit(AT_ONCE)
            .with_for_update(of=schema.escalations, skip_locked=True)
        ).all()
        for row in rows:
            _index_late(connection, ledger.vault, row)
    return len(rows)


def _index_late(connection: Connection, vault: Vault, row: Row[Any]) -> None:
    alike = ERASED
    # One whose key cannot be opened is as good as erased here, and must hold up no other.
    with suppress(CasehandError):
        reason = vault.open_key(row.case, row.key).open_text(row.sealed_reason)
        index_reason(connection, vault, row.id, reason)
        alike = alike_of(vault, row.workflow, reason)
    connection.execute(update(schema.escalations).where(Escalations.id == row.id).values(alike=alike))
    if row.settled_at is None:
        its = schema.cases.c.id == row.case
        connection.execute(update(schema.cases).where(its).values(escalated_alike=alike))


def _words(text: str) -> Iterator[str]:
    for found in _WORD.finditer(_plain(text)):
        word = found.group()
        if len(word) >= SHORTEST or any(one.isdigit() for one in word):
            yield word.replace(",", "")


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _digest(secret: bytes, text: str) -> bytes:
    return hmac.digest(secret, text.encode(errors="backslashreplace"), "sha256")[:DIGEST_BYTES]
