"""A snapshot of a SQLite ledger: whether it has changed since, in which tables, and back to it again."""

import sqlite3
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

Rows = Mapping[str, "Counter[tuple[Any, ...]]"]


class Snapshot:
    """A ledger's file as it was, while others go on writing to it."""

    def __init__(self, path: Path) -> None:
        self._live = sqlite3.connect(path, timeout=30, isolation_level=None)
        self._kept = sqlite3.connect(":memory:")
        self._live.backup(self._kept)
        self._tables = {
            name: [column[1] for column in self._live.execute(f'PRAGMA table_info("{name}")')]
            for (name,) in self._kept.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table'"
            ).fetchall()
        }
        self._rows = self._read(self._kept)
        self._version = self._version_now()

    def close(self) -> None:
        """Let go of the file."""
        self._live.close()
        self._kept.close()

    def changed(self) -> dict[str, list[dict[str, Any]]]:
        """The rows that are new or other than they were, by table; a table that only lost some has none."""
        if self._version_now() == self._version:
            return {}
        now = self._read(self._live)
        return {
            table: [dict(zip(self._tables[table], row, strict=True)) for row in now[table] - rows]
            for table, rows in self._rows.items()
            if now[table] != rows
        }

    def restore(self) -> None:
        """Make the ledger what it was, under whoever has it open."""
        if self._version_now() == self._version:
            return
        self._kept.backup(self._live)
        self._version = self._version_now()

    def _version_now(self) -> int:
        """Another number when somebody else has written."""
        with closing(self._live.execute("PRAGMA data_version")) as found:
            return int(found.fetchone()[0])

    def _read(self, connection: sqlite3.Connection) -> Rows:
        return {
            table: Counter(connection.execute(f'SELECT * FROM "{table}"'))  # noqa: S608 — the ledger's own names
            for table in self._tables
        }
