"""The faults: the rows of the table."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from functools import partial

from redis.exceptions import RedisError
from sqlalchemy import create_engine, text

from casehand.fixtures.practice.mischief import Kind
from casehand.queue.attempts import LEASE
from faults.moment import Moment
from faults.process import PROC, command, descendants, is_alive, send
from faults.stage import Here, Stage
from faults.work import PATIENCE

WORKER_KILLED_SECONDS = 30.0
EVERYWHERE = tuple(Moment)
WHILE_WORKING = tuple(moment for moment in Moment if moment is not Moment.NEXT_TAKEN)


class Row(Enum):
    """Which table a row belongs to."""

    PROCESSES = "processes"
    REDIS = "redis"
    LEDGER = "ledger"
    LEGACY = "legacy"


Strike = Callable[[Stage, Sequence[Here], float], None]
"""Does it, and returns when it is over: the stage, whom it strikes, and how long a lasting one lasts."""


@dataclass(frozen=True)
class Fault:
    """What is done to whom."""

    name: str
    row: Row
    strike: Strike = lambda stage, heres, lasting: None
    moments: tuple[Moment, ...] = EVERYWHERE
    one_by_one: bool = False  #: keeps workers busy for long, which another cell would have to wait for
    together: bool = False  #: strikes all at once, and concerns the other cases too
    needs_browser: bool = False  #: there is nothing to strike before the first case of a horse
    limit: float | None = None  #: seconds within which a struck case must go on
    clicked: tuple[Kind, float] = (Kind.NEVER_ANSWER_AFTER, 0)
    """How the practice system holds the answer back when the moment is CLICKED."""
    mischief: tuple[Kind, int, float] | None = None  #: planted at the claims: what, how often, how late


def faults() -> list[Fault]:
    """All rows, in the order of the table."""
    return [*_processes(), *_redis(), *_ledger(), *_legacy()]


def _processes() -> Iterator[Fault]:
    row = Row.PROCESSES
    killed = WORKER_KILLED_SECONDS
    yield Fault("horse killed", row, _each(lambda here: [here.horse]), limit=6)
    yield Fault("worker killed", row, _each(lambda here: [here.worker]), limit=killed)
    yield Fault("worker, horse and browser killed", row, _each(_all_of), limit=killed)
    yield _together("all workers killed", row, _kill_all, limit=killed)
    yield Fault("driver killed", row, _each(_driver), needs_browser=True)
    yield Fault("Chromium killed", row, _each(_chromium), needs_browser=True)
    yield Fault("renderers killed", row, _each(_renderers), needs_browser=True)
    yield Fault("horse stopped, later continued", row, _freeze, one_by_one=True, limit=killed)
    yield Fault("worker told to stop", row, _each(lambda here: [here.worker], signal.SIGTERM))
    yield Fault("worker told to stop twice", row, _stop_twice)


def _redis() -> Iterator[Fault]:
    row = Row.REDIS
    yield _together("Redis emptied", row, _empty, limit=30)
    yield _together("Redis killed, back empty", row, _back_empty, limit=30)
    yield _together("Redis killed, back with its data", row, _back, limit=30)
    yield _together("Redis away", row, _away)
    yield _together("Redis silent", row, _silent)


def _ledger() -> Iterator[Fault]:
    yield _together("ledger locked", Row.LEDGER, _lock)
    yield _together("disk full at the ledger's write", Row.LEDGER, _fill_disk)


def _legacy() -> Iterator[Fault]:
    row = Row.LEGACY
    yield _together("system answers 500", row, _outage, moments=WHILE_WORKING)
    yield _together("system drops connections", row, _drop, moments=WHILE_WORKING)
    yield _together("system refuses connections", row, _refuse, moments=WHILE_WORKING)
    yield _together("session lost", row, _end_sessions, moments=WHILE_WORKING)
    at_save = (
        ("500, not saved", (Kind.ERROR_BEFORE, 1, 0.0)),
        ("500, though saved", (Kind.ERROR_AFTER, 1, 0.0)),
        ("dropped, not saved", (Kind.DROP_BEFORE, 1, 0.0)),
        ("dropped once, though saved", (Kind.DROP_AFTER, 1, 0.0)),
        ("dropped three times, though saved", (Kind.DROP_AFTER, 3, 0.0)),
        ("never answered, not saved", (Kind.NEVER_ANSWER, 1, 0.0)),
        ("never answered, though saved", (Kind.NEVER_ANSWER_AFTER, 1, 0.0)),
        ("saved after the browser gave up", (Kind.APPLY_LATE, 1, PATIENCE + 2)),
        ("session ends in the form", (Kind.SESSION_ENDS, 1, 0.0)),
        ("a colleague saves meanwhile", (Kind.COLLEAGUE_SAVES, 1, 0.0)),
    )
    for name, mischief in at_save:
        yield Fault(name, row, moments=(Moment.CLICKED,), mischief=mischief)
    late = (Kind.APPLY_LATE, 1, 3.0)
    yield Fault(
        "saved after the horse died",
        row,
        _each(lambda here: [here.horse]),
        moments=(Moment.CLICKED,),
        mischief=late,
    )
    yield Fault(
        "saved after the worker died",
        row,
        _each(lambda here: [here.worker]),
        moments=(Moment.CLICKED,),
        mischief=late,
    )
    for name, kind in (
        ("claim never comes", Kind.CLAIM_HANGS),
        ("a script never ends", Kind.BUSY_SCRIPT),
        ("an unexpected dialog", Kind.DIALOG),
        ("500 at the claim", Kind.CLAIM_ERROR),
    ):
        yield Fault(name, row, moments=(Moment.SIGNED_IN,), mischief=(kind, 1, 0.0))


def _together(
    name: str,
    row: Row,
    strike: Strike,
    moments: tuple[Moment, ...] = EVERYWHERE,
    limit: float | None = None,
) -> Fault:
    """What strikes all at once: the answers that are on their way then come during the fault."""
    return Fault(name, row, strike, moments, together=True, limit=limit, clicked=(Kind.APPLY_LATE, 1.0))


def _each(whom: Callable[[Here], list[int]], how: signal.Signals = signal.SIGKILL) -> Strike:
    def strike(stage: Stage, heres: Sequence[Here], lasting: float) -> None:
        for here in heres:
            send(how, *whom(here))

    return strike


def _kill_all(stage: Stage, heres: Sequence[Here], lasting: float) -> None:
    """Others are started in their place at once."""
    send(signal.SIGKILL, *stage.workers)


def _all_of(here: Here) -> list[int]:
    return [here.worker, here.horse, *descendants(here.horse)]


def _driver(here: Here) -> list[int]:
    return [pid for pid in descendants(here.horse) if "run-driver" in command(pid)]


def _chromium(here: Here) -> list[int]:
    # The browser itself is the one that was not started as some part of it.
    return [
        pid
        for pid in descendants(here.horse)
        if "--remote-debugging-pipe" in command(pid) and "--type=" not in command(pid)
    ]


def _renderers(here: Here) -> list[int]:
    return [pid for pid in descendants(here.horse) if "--type=renderer" in command(pid)]


def _freeze(stage: Stage, heres: Sequence[Here], lasting: float) -> None:
    """Stop the horse for longer than its lease, and continue it when another attempt has finished the case."""
    for here in heres:
        send(signal.SIGSTOP, here.horse)
        stage.later(partial(_continue, stage, here, time.monotonic()))


def _continue(stage: Stage, here: Here, since: float) -> bool:
    if not is_alive(here.horse):
        return True
    if (
        time.monotonic() - since < LEASE.total_seconds() + 2
        or not stage.fates([here.handed])[here.handed.case].is_over
    ):
        return False
    send(signal.SIGCONT, here.horse)
    return True


def _stop_twice(stage: Stage, heres: Sequence[Here], lasting: float) -> None:
    for here in heres:
        send(signal.SIGTERM, here.worker)
    # RQ takes two signals within a second for one.
    _wait(1.2)
    for here in heres:
        send(signal.SIGTERM, here.worker)
    _wait(0.3)


def _empty(stage: Stage, heres: Sequence[Here], lasting: float) -> None:
    with stage.valkey.connect() as redis, contextlib.suppress(RedisError):
        redis.flushall()


def _back_empty(stage: Stage, heres: Sequence[Here], lasting: float) -> None:
    stage.valkey.kill()
    stage.valkey.forget()
    stage.valkey.start()


def _back(stage: Stage, heres: Sequence[Here], lasting: float) -> None:
    stage.valkey.kill()
    stage.valkey.start()


def _away(stage: Stage, heres: Sequence[Here], lasting: float) -> None:
    stage.valkey.kill()
    _go_on(stage, heres)
    _wait(lasting)
    stage.valkey.start()


def _silent(stage: Stage, heres: Sequence[Here], lasting: float) -> None:
    stage.valkey.freeze()
    _go_on(stage, heres)
    _wait(lasting)
    stage.valkey.thaw()


def _lock(stage: Stage, heres: Sequence[Here], lasting: float) -> None:
    with _locked(stage.ledger_url):
        _go_on(stage, heres)
        _wait(lasting)


@contextmanager
def _locked(url: str) -> Iterator[None]:
    engine = create_engine(url, connect_args={"timeout": 30} if url.startswith("sqlite") else {})
    try:
        with engine.connect() as connection:
            if url.startswith("sqlite"):
                connection.connection.dbapi_connection.isolation_level = None  # type: ignore[union-attr]
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                connection.execute(
                    text("LOCK TABLE cases, commits, attempts, leases IN ACCESS EXCLUSIVE MODE")
                )
            yield
            connection.rollback()
    finally:
        engine.dispose()


def _fill_disk(stage: Stage, heres: Sequence[Here], lasting: float) -> None:
    """Let every write of those who write to the ledger fail, as on a full disk: not a byte more in any file."""
    writers = _backends(stage) if stage.ledger_url.startswith("postgresql") else stage.horses
    with _limited(writers):
        _go_on(stage, heres)
        _wait(min(lasting, 8.0))


def _backends(stage: Stage) -> list[int]:
    query = (
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )

    def ask() -> list[int]:
        with stage.ledger.reading() as connection:
            return list(connection.scalars(text(query)))

    return stage.when_recovered(ask)


@contextmanager
def _limited(pids: list[int]) -> Iterator[None]:
    for pid in pids:
        _limit_files(pid, "0:")
    try:
        yield
    finally:
        for pid in pids:
            _limit_files(pid, "unlimited:")


def _limit_files(pid: int, size: str) -> None:
    """Set how long a file of a process may become; one that has gone needs no limit."""
    with contextlib.suppress(FileNotFoundError):
        owner = (PROC / str(pid)).stat().st_uid
        # Root in a container may not do this to another user's process, but that user may.
        user = None if owner == os.geteuid() else owner
        command = ["prlimit", "--pid", str(pid), f"--fsize={size}"]
        subprocess.run(command, user=user, check=False, stderr=subprocess.DEVNULL, cwd="/")


def _outage(stage: Stage, heres: Sequence[Here], lasting: float) -> None:
    _be_away(stage, heres, min(lasting, 6.0), refuses=False)


def _drop(stage: Stage, heres: Sequence[Here], lasting: float) -> None:
    _be_away(stage, heres, min(lasting, 6.0), refuses=True)


def _refuse(stage: Stage, heres: Sequence[Here], lasting: float) -> None:
    with stage.practice.closed_port():
        _go_on(stage, heres)
        _wait(min(lasting, 6.0))


def _be_away(stage: Stage, heres: Sequence[Here], seconds: float, refuses: bool) -> None:
    stage.practice.outage(seconds, refuses=refuses)
    _go_on(stage, heres)
    _wait(seconds)


def _end_sessions(stage: Stage, heres: Sequence[Here], lasting: float) -> None:
    stage.practice.end_sessions()


def _go_on(stage: Stage, heres: Sequence[Here]) -> None:
    """A lasting fault goes on while they do."""
    for here in heres:
        stage.let_go(here)


def _wait(seconds: float) -> None:
    time.sleep(seconds)  # noqa: TID251 — the fault lasts so long
