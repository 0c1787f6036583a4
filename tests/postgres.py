"""A PostgreSQL of one's own, for tests and benchmarks: on a socket, in a folder that goes with it."""

import os
import pwd
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import chown, which
from tempfile import TemporaryDirectory

from sqlalchemy import create_engine, make_url, text

POSTGRES_USER = "postgres"


FORGETFUL = ("fsync=off",)
"""It may lose what it wrote last when the machine fails, and is the faster for it."""

MANY_PEOPLE = ("max_connections=200",)


@contextmanager
def a_postgres(*settings: str) -> Iterator[str]:
    """Its address, while it runs with these settings."""
    programs = postgres_programs()
    assert programs is not None, "PostgreSQL is missing: install Debian's package postgresql"
    with TemporaryDirectory(prefix="pg") as name:
        folder = Path(name)
        user = _give_to_postgres(folder)
        data = folder / "data"
        run = {"check": True, "user": user, "capture_output": True, "cwd": folder}
        subprocess.run([programs / "initdb", "-D", data, "-A", "trust", "-U", POSTGRES_USER], **run)
        also = ("listen_addresses=", "log_min_messages=panic", *settings)
        options = " ".join([f"-k {folder}", *(f"-c {setting}" for setting in also)])
        log = folder / "log"
        subprocess.run([programs / "pg_ctl", "-D", data, "-w", "-l", log, "-o", options, "start"], **run)
        try:
            yield f"postgresql+psycopg://{POSTGRES_USER}@/postgres?host={folder}"
        finally:
            subprocess.run([programs / "pg_ctl", "-D", data, "-m", "immediate", "stop"], **run)


def postgres_programs() -> Path | None:
    """Where its programs are; None where it is not installed."""
    on_path = which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


def fresh_database(url: str) -> str:
    """The address of an empty database in it."""
    name = f"ledger_{os.urandom(6).hex()}"
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return url.replace("/postgres?", f"/{name}?")


def drop_database(url: str, server: str) -> None:
    """Remove a database of the server at that address: a thousand of them take minutes to go at the end."""
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {make_url(url).database} WITH (FORCE)"))
    engine.dispose()


def _give_to_postgres(folder: Path) -> str | None:
    """PostgreSQL refuses to run as root: its own user takes the folder then."""
    if os.geteuid() != 0:
        return None
    user = POSTGRES_USER if _exists(POSTGRES_USER) else "nobody"
    chown(folder, user)
    return user


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True
