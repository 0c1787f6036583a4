"""What the tests stand on: a real Valkey, a real PostgreSQL beside SQLite, a real browser."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from time import monotonic
from typing import Any

import pytest
from redis import Redis

from casehand.bots.chromium import find_browser, launch_arguments
from casehand.queue.ledger import Ledger
from casehand.queue.valkey import EmbeddedValkey
from casehand.queue.vault import KEY_BYTES, Vault
from casehand.settings import PREFIX

# What several files of tests stand on is in modules beside them.
sys.path.insert(0, str(Path(__file__).parent))
from postgres import FORGETFUL, a_postgres, drop_database, fresh_database, postgres_programs
from workshop import DESK, Desk


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine reaches a test, and none is left to the next."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv(f"{PREFIX}HOME", str(tmp_path / "home"))


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Valkey of the test run's own."""
    with TemporaryDirectory() as home, EmbeddedValkey(Path(home)) as url:
        yield url


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    """An empty Redis database."""
    with Redis.from_url(redis_url) as connection:
        connection.flushall()
        yield connection


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL of the test run's own, on a socket; the tests that want it are skipped where there is none."""
    if postgres_programs() is None:
        if os.environ.get("CI"):
            pytest.fail("PostgreSQL is missing: install Debian's package postgresql")
        pytest.skip("PostgreSQL is not installed here (Debian's package is postgresql)")
    with a_postgres(*FORGETFUL) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty ledger; a test that takes it runs on both kinds."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'ledger.db'}"
        return
    server: str = request.getfixturevalue("postgres_url")
    url = fresh_database(server)
    yield url
    drop_database(url, server)


@pytest.fixture(scope="session")
def new_database(postgres_url: str) -> Callable[[], str]:
    """Makes an empty database of PostgreSQL."""
    return lambda: fresh_database(postgres_url)


@pytest.fixture
def vault() -> Vault:
    """A master key."""
    return Vault(os.urandom(KEY_BYTES))


@pytest.fixture
def ledger(ledger_url: str, vault: Vault) -> Iterator[Ledger]:
    """An empty ledger of either kind."""
    opened = Ledger.open(ledger_url, vault)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """The browser that Casehand itself would take."""
    return {**browser_type_launch_args, "executable_path": find_browser(), "args": launch_arguments()}


@pytest.fixture
def until() -> Callable[..., None]:
    """Waits for a condition with a deadline, and says what did not come true."""
    pause = Event()

    def wait(condition: Callable[[], object], seconds: float = 30, what: str = "it") -> None:
        deadline = monotonic() + seconds
        while not condition():
            assert monotonic() < deadline, f"{what} did not come true within {seconds} seconds"
            pause.wait(0.05)

    return wait


@pytest.fixture
def desk(
    tmp_path: Path, redis: Redis, redis_url: str, until: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desk]:
    """A workshop with a workflow that needs no browser."""
    (tmp_path / "desk.py").write_text(DESK)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("DESK", str(tmp_path))
    desk = Desk(tmp_path, redis, redis_url, until)
    yield desk
    desk.ledger.close()
    sys.modules.pop("desk", None)
