"""Arrivals: a file's rows, sealed and ready for the ledger, outside it and outside memory until all of them are there.

They are in a temporary table of one connection: on SQLite that is a file without a name, which is gone with the
process. What a row holds is in it only as ciphertext.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Column as SqlColumn
from sqlalchemy import (
    ColumnElement,
    Connection,
    Insert,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    bindparam,
    insert,
    literal,
    select,
    update,
)

from casehand.queue.check import Kind
from casehand.queue.schema import Instant

ROWS_AT_ONCE = 2_000
"""Moved to the ledger by one statement."""

BYTES_AT_ONCE = 4_000_000
CACHE_KILOBYTES = 128 * 1024
"""Of pages that SQLite changes before it writes them out: with its own 2 MB each is written many times over."""

_arrivals = Table(
    "arrivals",
    MetaData(),
    SqlColumn("number", Integer, primary_key=True, autoincrement=False),
    SqlColumn("line", Integer, nullable=False),
    # Null for what can become a case.
    SqlColumn("kind", String(20), nullable=True),
    SqlColumn("column", String(200), nullable=True),
    SqlColumn("reason", Text, nullable=True),
    SqlColumn("reference", String(200), nullable=True),
    SqlColumn("id", String(32), nullable=True),
    SqlColumn("due", Instant, nullable=True),
    SqlColumn("key", LargeBinary, nullable=True),
    SqlColumn("sealed_data", LargeBinary, nullable=True),
    # As it stood in the file, in case its reference turns out to be open. Last, since it is seldom read.
    SqlColumn("sealed_row", LargeBinary, nullable=False),
    prefixes=["TEMPORARY"],
)
_Arrival = _arrivals.c

_EMPTY = dict.fromkeys(column.name for column in _arrivals.columns)


class Arrivals:
    """The rows of one file, on a connection that nobody else uses."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sqlite = connection.dialect.name == "sqlite"
        self._total = 0
        self.counts: Counter[Kind | None] = Counter()  #: by why they are no case; None for those that can be
        with connection.begin():
            if self._sqlite:
                for pragma in (f"cache_size = -{CACHE_KILOBYTES}", "temp_store = FILE"):
                    connection.exec_driver_sql(f"PRAGMA {pragma}")
            _arrivals.create(connection, checkfirst=False)

    def take(self, rows: Iterator[dict[str, Any]]) -> None:
        """Keep rows, in their order; nobody is kept waiting meanwhile."""
        for some in _in_pieces(rows):
            values = [_EMPTY | row | {"number": self._total + place} for place, row in enumerate(some)]
            with self._connection.begin():
                if self._sqlite:
                    self._connection.exec_driver_sql("BEGIN")
                self._connection.execute(insert(_arrivals), values)
            self._total += len(some)
            self.counts.update(row.get("kind") for row in some)
        if not self._sqlite:
            # It would plan for an empty table.
            with self._connection.begin():
                self._connection.exec_driver_sql("ANALYZE arrivals")

    def parts(self) -> Iterator["Part"]:
        """All of them, in their order, some at a time."""
        for first in range(0, self._total, ROWS_AT_ONCE):
            yield Part(self, self._connection, _Arrival.number.between(first, first + ROWS_AT_ONCE - 1))


class Part:
    """Some of them."""

    def __init__(self, whole: Arrivals, connection: Connection, these: ColumnElement[bool]) -> None:
        self._whole = whole
        self._connection = connection
        self._these = these
        self._cases = these & _Arrival.kind.is_(None)

    @property
    def references(self) -> list[str]:
        """Of those that can be cases."""
        return list(self._connection.scalars(select(_Arrival.reference).where(self._cases)))

    def refuse(self, reasons: dict[str, str], kind: Kind, column: str) -> None:
        """Let those with such references be no cases, for the reason that is given for each."""
        found = self._connection.execute(select(_Arrival.number, _Arrival.reference).where(self._cases)).all()
        refused = [
            {"its": number, "why": reasons[reference]} for number, reference in found if reference in reasons
        ]
        if not refused:
            return
        changes = {"kind": kind, "column": column, "reason": bindparam("why")}
        self._connection.execute(
            update(_arrivals).where(_Arrival.number == bindparam("its")).values(changes), refused
        )
        self._whole.counts.update({None: -len(refused), kind: len(refused)})

    def write_cases(self, table: Table, same: dict[str, Any]) -> None:
        """Write those that can be cases to a table; `same` is what all have in common."""
        self._write(table, ("id", "reference", "line", "due", "key", "sealed_data"), same, self._cases)

    def write_rejections(self, table: Table, same: dict[str, Any]) -> None:
        """The same of those that cannot."""
        columns = ("line", "kind", "column", "reason", "reference", "sealed_row")
        self._write(table, columns, same, self._these & _Arrival.kind.is_not(None))

    def write_entries(self, table: Table, same: dict[str, Any]) -> None:
        """Write to the audit, of those that are cases."""
        subject = _Arrival.id.label("subject")
        self._connection.execute(self._moved(table, [subject], same, self._cases))

    def _write(
        self, table: Table, columns: tuple[str, ...], same: dict[str, Any], which: ColumnElement[bool]
    ) -> None:
        self._connection.execute(self._moved(table, [_Arrival[name] for name in columns], same, which))

    def _moved(
        self, table: Table, own: list[Any], same: dict[str, Any], which: ColumnElement[bool]
    ) -> Insert:
        common = [literal(value, table.c[name].type).label(name) for name, value in same.items()]
        rows = select(*own, *common).where(which).order_by(_Arrival.number)
        return insert(table).from_select([column.name for column in (*own, *common)], rows)


def _in_pieces(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Some at a time, of no more than so many bytes."""
    piece: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        piece.append(row)
        size += len(row["sealed_row"]) + len(row.get("sealed_data") or b"")
        if len(piece) == ROWS_AT_ONCE or size >= BYTES_AT_ONCE:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece
