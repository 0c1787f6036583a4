"""Part: what is done to one case as part of something larger."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection


@dataclass(frozen=True)
class Part:
    """Names what it is part of, for the audit, and is told within the same transaction that it was done."""

    of: str
    note: Callable[[Connection], None]


def done(part: Part | None, connection: Connection) -> None:
    """Tell the larger thing, where there is one."""
    if part is not None:
        part.note(connection)


def name_of(part: Part | None) -> str | None:
    """What the audit calls the larger thing."""
    return None if part is None else part.of
