"""Asking: puts a case in front of a person, with why, in the transaction of whoever has found that out."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert

from casehand.queue import schema, words
from casehand.queue.move import move
from casehand.queue.outcome import EscalationKind, Scene
from casehand.queue.state import State
from casehand.queue.vault import Key, Vault


@dataclass(frozen=True)
class Ask:
    """Why a person is asked, what, and where the legacy system stood."""

    kind: EscalationKind
    reason: str
    question: str | None = None  #: JSON
    scene: Scene = field(default_factory=Scene)


def escalate(
    connection: Connection,
    vault: Vault,
    key: Key,
    row: Row[Any],
    ask: Ask,
    *,
    at: datetime,
    actor: str,
    **columns: Any,
) -> bool:
    """Escalate the case of a row of `cases`, if it is still in the state and attempt it was read with.

    `columns` are set along with the state. Returns False, having written nothing, for who comes too late.
    """
    alike = words.alike_of(vault, row.workflow, ask.reason)
    moved = move(
        connection,
        row.id,
        State(row.state),
        State.ESCALATED,
        at=at,
        actor=actor,
        action="escalated",
        attempt=row.attempts,
        sealed_reason=key.seal_text(ask.reason),
        escalated_kind=ask.kind,
        escalated_alike=alike,
        **columns,
    )
    if moved:
        _open(connection, vault, key, row, ask, alike, at)
    return moved


def _open(
    connection: Connection, vault: Vault, key: Key, row: Row[Any], ask: Ask, alike: bytes, at: datetime
) -> None:
    opened = connection.execute(
        insert(schema.escalations)
        .values(
            case=row.id,
            workflow=row.workflow,
            attempt=row.attempts,
            kind=ask.kind,
            opened_at=at,
            sealed_reason=key.seal_text(ask.reason),
            alike=alike,
            sealed_question=None if ask.question is None else key.seal_text(ask.question),
            sealed_page=None if ask.scene.page is None else key.seal_text(ask.scene.page),
            screenshot=ask.scene.screenshot,
        )
        .returning(schema.escalations.c.id)
    )
    words.index_reason(connection, vault, opened.scalar_one(), ask.reason)
