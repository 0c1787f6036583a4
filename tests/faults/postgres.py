"""A PostgreSQL of the harness' own, on a socket."""

import os
import pwd
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import chown, which
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import create_engine, text

USER = "postgres"


@contextmanager
def postgres() -> Iterator[str | None]:
    """The address of a fresh server's database; None where PostgreSQL is not installed."""
    programs = _programs()
    if programs is None:
        yield None
        return
    with TemporaryDirectory(prefix="pg") as name:
        folder = Path(name)
        user = _give_away(folder)
        run: dict[str, Any] = {"check": True, "user": user, "capture_output": True, "cwd": folder}
        data = folder / "data"
        subprocess.run([programs / "initdb", "-D", data, "-A", "trust", "-U", USER], **run)
        options = f"-k {folder} -c listen_addresses= -c log_min_messages=panic -c max_connections=200"
        control: list[str | Path] = [programs / "pg_ctl", "-D", data, "-w"]
        subprocess.run([*control, "-l", folder / "log", "-o", options, "start"], **run)
        try:
            yield f"postgresql+psycopg://{USER}@/postgres?host={folder}"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], **run)


def fresh_database(url: str) -> str:
    """The address of a new, empty database on the server at `url`."""
    name = f"ledger_{os.urandom(6).hex()}"
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return url.replace("/postgres?", f"/{name}?")


def _programs() -> Path | None:
    on_path = which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


def _give_away(folder: Path) -> str | None:
    """PostgreSQL refuses to run as root: its own user takes the folder then."""
    if os.geteuid() != 0:
        return None
    users = {entry.pw_name for entry in pwd.getpwall()}
    user = USER if USER in users else "nobody"
    chown(folder, user)
    return user
