"""The ledger: the SQL database that is the truth about every case."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, select, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import ConnectionPoolEntry

from casehand.clock import Clock, utc_now
from casehand.exceptions import CasehandError
from casehand.queue import schema
from casehand.queue.vault import Key, Vault

BUSY_SECONDS = 30.0


def new_id() -> str:
    """An id that no other case has."""
    return uuid.uuid4().hex


class Ledger:
    """An open ledger: its engine, its keys, the clock and the ids it goes by."""

    def __init__(
        self, engine: Engine, vault: Vault, clock: Clock = utc_now, ids: Callable[[], str] = new_id
    ) -> None:
        self.engine = engine
        self.vault = vault
        self.clock = clock
        self.new_id = ids

    @classmethod
    def open(
        cls, url: str, vault: Vault, clock: Clock = utc_now, busy_seconds: float = BUSY_SECONDS
    ) -> "Ledger":
        """Open the ledger at an SQLAlchemy URL and bring its tables up to this version.

        `busy_seconds` is how long a write waits for another's. Raises CasehandError when the database
        cannot be reached, is no Casehand ledger, was written by a newer version or with another key.
        """
        engine = _engine(url, busy_seconds)
        try:
            if not _is_current(engine):
                # Here, since Alembic is a sixth of all that the command line imports, and seldom needed.
                from casehand.queue.migration import migrate

                migrate(engine)
            ledger = cls(engine, vault, clock)
            ledger._check_master_key()
        except BaseException as error:
            engine.dispose()
            if isinstance(error, DBAPIError):
                raise _cannot_be_opened(make_url(url), _first_line(error)) from error
            raise
        return ledger

    @contextmanager
    def writing(self, own: Connection | None = None) -> Iterator[Connection]:
        """One transaction that writes; on SQLite it takes the write lock at once, so it cannot fail half-way.

        It is on a connection that is taken for it, unless it has its `own`.
        """
        with nullcontext(own) if own else self.engine.connect() as connection, connection.begin():
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent look."""
        with self.engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                if connection.dialect.name == "sqlite":
                    connection.exec_driver_sql("BEGIN")
                yield connection

    @contextmanager
    def own_connection(self) -> Iterator[Connection]:
        """A connection for one use: what is temporary on it, and how it is set up, ends with that."""
        with self.engine.connect() as connection:
            connection.detach()
            yield connection

    def key_of(self, case: str) -> Key:
        """The key of a case. Raises CasehandError when the case is unknown or has been erased."""
        with self.reading() as connection:
            wrapped = connection.execute(select(schema.cases.c.key).where(schema.cases.c.id == case)).scalar()
        return self.vault.open_key(case, wrapped)

    def close(self) -> None:
        """Let go of every connection."""
        self.engine.dispose()

    def _check_master_key(self) -> None:
        """Raise CasehandError unless the vault opens what is here already: two keys in one ledger lose cases."""
        with self.reading() as connection:
            for table in (schema.batches, schema.cases):
                some = select(table.c.id, table.c.key).where(table.c.key.is_not(None)).limit(1)
                for subject, wrapped in connection.execute(some):
                    self.vault.open_key(subject, wrapped)


def _engine(url: str, busy_seconds: float) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
            return create_engine(
                parsed, hide_parameters=True, pool_pre_ping=True, connect_args={"connect_timeout": 10}
            )
        if parsed.get_backend_name() != "sqlite":
            raise CasehandError("the ledger can be SQLite or PostgreSQL: change CASEHAND_DATABASE_URL")
        if parsed.database in (None, "", ":memory:"):
            raise CasehandError("a ledger in memory keeps nothing: name a file in CASEHAND_DATABASE_URL")
        _make_folder(parsed)
        engine = create_engine(parsed, hide_parameters=True, connect_args={"timeout": busy_seconds})
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise CasehandError(
            "CASEHAND_DATABASE_URL is no database address: give one such as sqlite:///ledger.db "
            "or postgresql://user@host/casehand"
        ) from None
    event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _make_folder(url: URL) -> None:
    try:
        Path(str(url.database)).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_be_opened(url, str(error.strerror)) from None


def _prepare_sqlite(connection: object, record: ConnectionPoolEntry) -> None:
    # isolation_level None: SQLAlchemy's transactions begin where Ledger.writing says BEGIN, so that the
    # write lock is taken first. FULL: a commit that was answered outlives a power cut.
    connection.isolation_level = None  # type: ignore[attr-defined]
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")  # type: ignore[attr-defined]


def _is_current(engine: Engine) -> bool:
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return False
        return bool(connection.scalar(text("SELECT version_num FROM alembic_version")) == schema.REVISION)


def _cannot_be_opened(url: URL, why: str) -> CasehandError:
    return CasehandError(
        f"the ledger at {url.render_as_string()} cannot be opened ({why}): check CASEHAND_DATABASE_URL"
    )


def _first_line(error: DBAPIError) -> str:
    return str(error.orig).strip().splitlines()[0]
