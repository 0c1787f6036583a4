"""The stage: a practice system, a ledger, a Valkey and real workers, on which one cell after another is played."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Any, Self, TypeVar

from redis.exceptions import RedisError
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from casehand.fixtures.practice import records
from casehand.fixtures.practice.mischief import Kind
from casehand.fixtures.practice.seed import NEW_RENTS, generate, new_rent, ordinary_claim
from casehand.fixtures.practice.server import PracticeServer
from casehand.queue import schema
from casehand.queue.dispatch import Dispatcher
from casehand.queue.intake import hand_in
from casehand.queue.known import make_known
from casehand.queue.ledger import Ledger, new_id
from casehand.queue.outcome import EscalationKind
from casehand.queue.state import State
from casehand.settings import PREFIX, load_settings
from casehand.worker import CREW, LANES
from casehand.workflows.rent_change import RentChange
from faults import work
from faults.moment import Moment
from faults.process import children, descendants, is_alive, leads_a_group, send
from faults.server import Valkey
from faults.strike import FOLDER

LOOK_SECONDS = 0.01
RECOVERY_SECONDS = 30.0
"""PostgreSQL that could not write starts anew by itself, and lets nobody in until it has recovered."""
END_SECONDS = 15.0
HERE = Path(__file__).parent.parent

T = TypeVar("T")


@dataclass(frozen=True)
class Handed:
    """A case that was handed in."""

    case: str
    reference: str


@dataclass(frozen=True)
class Here:
    """A horse that has come to where it is to be struck."""

    handed: Handed
    horse: int
    worker: int
    attempt: int


@dataclass(frozen=True)
class Fate:
    """What the ledger says of a case."""

    state: State
    in_doubt: bool
    attempts: dict[int, tuple[datetime, datetime | None, str | None]]  #: begun, ended, how

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to come by itself."""
        return self.state not in (State.QUEUED, State.WORKING)


class Stage:
    """Stands while the block lasts; workers that die are replaced at once."""

    def __init__(
        self,
        home: Path,
        ledger_url: str,
        workers: int = 5,
        claims: int = 3000,
        lanes: int = 1,
        **settings: str,
    ) -> None:
        self.home = home
        self.ledger_url = ledger_url
        self.valkey = Valkey(home / "valkey")
        self.deaths = 0
        self._count = workers
        self._claims = claims
        self._lanes = lanes
        self._settings = settings
        self._numbers = count()
        self._names = count(1)
        self._lock = Lock()
        self._closing = Event()
        self._workers: dict[int, subprocess.Popen[bytes]] = {}
        self._later: list[Callable[[], bool]] = []
        self._keeper = Thread(target=self._keep, name="crew", daemon=True)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.folder.mkdir(parents=True)
            self._references = [
                claim.reference for claim in generate(self.home / "all.csv", self._claims, first=200001)
            ]
            claims = map(ordinary_claim, self._references)
            self.practice = stack.enter_context(PracticeServer(self.home / "practice", claims))
            stack.callback(self.valkey.close)
            self.valkey.start()
            settings = load_settings(home=self.home / "home", database_url=self.ledger_url)
            self.ledger = Ledger.open(self.ledger_url, settings.vault())
            stack.callback(self.ledger.close)
            make_known(self.ledger, work.NAME, work.change_rent.bot_names, work.change_rent.timeout)
            self._keeper.start()
            stack.callback(self._end_crew)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def folder(self) -> Path:
        """Where the plans lie."""
        return self.home / "strikes"

    @property
    def workers(self) -> list[int]:
        """The process ids of the workers, or where horses have lanes, of who keeps them."""
        return [worker.pid for worker in list(self._workers.values()) if worker.poll() is None]

    @property
    def horses(self) -> list[int]:
        """The horses' process ids."""
        return [child for worker in self.workers for child in children(worker) if leads_a_group(child)]

    def take_claims(self, number: int) -> list[str]:
        """References of claims that no case is about yet."""
        with self._lock:
            return [self._references[next(self._numbers)] for _ in range(number)]

    def hand_in(
        self,
        number: int,
        plan: Callable[[Handed], Mapping[str, Any] | None] = lambda _: None,
        mischief: Kind | None = None,
        times: int = 1,
        seconds: float = 0.0,
    ) -> list[Handed]:
        """Hand in new cases; what `plan` says of each lies ready before a worker can have it."""
        references = self.take_claims(number)
        cases = [Handed(new_id(), reference) for reference in references]
        for one in cases:
            if mischief is not None:
                self.practice.plant(one.reference, mischief, times, seconds)
            if (planned := plan(one)) is not None:
                (self.folder / f"{one.case}.plan").write_text(json.dumps(planned))
        path = self._write_batch(references)
        with self._lock:
            self.when_recovered(lambda: self.fates(cases) or self._take_in(path, cases))
        assert len(self.fates(cases)) == number
        self._nudge()
        return cases

    def here(self, handed: Handed) -> Here | None:
        """The horse that waits, or has come by, with this case."""
        try:
            said = json.loads((self.folder / f"{handed.case}.here").read_text())
        except FileNotFoundError:
            return None
        return Here(handed, said["horse"], said["worker"], said["attempt"])

    def let_go(self, here: Here) -> None:
        """Let a waiting horse go on."""
        (self.folder / f"{here.handed.case}.go").touch()

    def fates(self, cases: list[Handed]) -> dict[str, Fate]:
        """What the ledger says of these cases."""
        return self.when_recovered(lambda: self._fates([one.case for one in cases]))

    def changes(self, handed: Handed) -> tuple[int, int]:
        """How often the practice system has the case's change, and how often any other of robots, on its claim."""
        rents = [
            entry
            for entry in self.practice.journal()
            if entry.reference == handed.reference and entry.kind == "rent"
        ]
        wanted = {
            "weekly_rent": str(new_rent(ordinary_claim(handed.reference))),
            "from_date": NEW_RENTS.isoformat(),
        }
        right = sum(wanted.items() <= dict(entry.values).items() for entry in rents)
        return right, len(rents) - right

    def mischief_left(self, handed: Handed) -> int:
        """How often what was planted at the case's claim is still to strike."""
        with records.transaction(self.practice.home) as connection:
            query = "SELECT coalesce(sum(times_left), 0) FROM mischief WHERE reference = ?"
            left: int = connection.execute(query, (handed.reference,)).fetchone()[0]
        return left

    def later(self, is_over: Callable[[], bool]) -> None:
        """Call this again and again until it says that it is over."""
        self._later.append(is_over)

    def wait_until(self, condition: Callable[[], object], seconds: float, what: str) -> None:
        """Wait for a condition; raises TimeoutError that says what did not come true."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what}: not within {seconds:.0f} seconds (see {self.home})")
            self._closing.wait(LOOK_SECONDS)

    def when_recovered(self, act: Callable[[], T]) -> T:
        """Do something with the ledger, and if a fault has just made its server start anew, do it again after."""
        deadline = time.monotonic() + RECOVERY_SECONDS
        while True:
            try:
                return act()
            except OperationalError:
                if time.monotonic() > deadline:
                    raise
            self._closing.wait(LOOK_SECONDS)

    def warm_up(self) -> None:
        """Have every worker up and every horse with its browser open."""
        self.wait_until(lambda: len(self.horses) >= self._count, 90, "the workers come up")
        plan = {"point": Moment.ENDED.point, "needs_browser": False, "holds": True}
        cases = self.hand_in(self._count * self._lanes, lambda _: plan)
        self.wait_until(lambda: all(map(self.here, cases)), 90, "every worker has worked a case")
        for one in cases:
            if here := self.here(one):
                self.let_go(here)

    def _fates(self, ids: list[str]) -> dict[str, Fate]:
        attempt, case, escalation = schema.attempts.c, schema.cases.c, schema.escalations.c
        with self.ledger.reading() as connection:
            states = connection.execute(select(case.id, case.state).where(case.id.in_(ids))).all()
            attempts = connection.execute(select(schema.attempts).where(attempt.case.in_(ids))).all()
            doubts = set(
                connection.scalars(
                    select(escalation.case).where(
                        escalation.case.in_(ids),
                        escalation.kind == EscalationKind.IN_DOUBT,
                        escalation.settled_at.is_(None),
                    )
                )
            )
        return {
            row.id: Fate(
                State(row.state),
                row.id in doubts,
                {one.number: (one.begun_at, one.ended_at, one.end) for one in attempts if one.case == row.id},
            )
            for row in states
        }

    def _take_in(self, path: Path, cases: list[Handed]) -> None:
        self.ledger.new_id = map(str, [one.case for one in cases]).__next__
        taken = hand_in(
            self.ledger, workflow=work.NAME, model=RentChange, reference="claim", path=path, by="faults"
        )
        assert taken.accepted == len(cases), taken

    def _write_batch(self, references: list[str]) -> Path:
        path = self.home / f"batch{next(self._names)}.csv"
        generate(path, 0)
        with path.open("a", encoding="utf-8") as file:
            for reference in references:
                claim = ordinary_claim(reference)
                file.write(f"{reference},{new_rent(claim)},{NEW_RENTS.isoformat()},{claim.claimant}\n")
        return path

    def _nudge(self) -> None:
        try:
            with self.valkey.connect() as redis:
                Dispatcher(self.ledger, redis).top_up()
        except (RedisError, OperationalError):
            pass  # The workers' own reconciler hands it over when Redis or the ledger is back.

    def _keep(self) -> None:
        # A thread that lives as long as the workers do: they are told of the death of the thread that began them.
        while not self._closing.wait(LOOK_SECONDS):
            for place in range(self._count):
                worker = self._workers.get(place)
                if worker is None or worker.poll() is not None:
                    self.deaths += worker is not None
                    self._workers[place] = self._start(place)
            for is_over in list(self._later):
                if is_over():
                    self._later.remove(is_over)

    def _start(self, place: int) -> subprocess.Popen[bytes]:
        with (self.home / f"worker-{place + 1}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "casehand.worker"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self.home,
                env=self._environment(),
            )

    def _environment(self) -> dict[str, str]:
        bot = f"{PREFIX}BOT_{work.BOT.upper()}_"
        path = os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH"))))
        browser = {name: value for name, value in os.environ.items() if name == f"{PREFIX}BROWSER"}
        others = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        return {
            **others,
            **browser,
            "PYTHONPATH": path,
            f"{PREFIX}HOME": str(self.home / "home"),
            f"{PREFIX}DATABASE_URL": self.ledger_url,
            f"{PREFIX}REDIS_URL": self.valkey.url,
            f"{PREFIX}WORKFLOWS": "faults.work",
            f"{PREFIX}FAULTS": "faults.strike:strike",
            f"{PREFIX}RETRY_FIRST_SECONDS": "1",
            f"{PREFIX}RETRY_LONGEST_SECONDS": "5",
            # Many cases are failed here on purpose, so the breaker may open: it must not hold up the table.
            f"{PREFIX}BREAKER_FIRST_SECONDS": "1",
            f"{PREFIX}BREAKER_LONGEST_SECONDS": "3",
            f"{bot}URL": self.practice.url,
            f"{bot}USERNAME": self.practice.username,
            f"{bot}PASSWORD": self.practice.password,
            FOLDER: str(self.folder),
            CREW: str(os.getpid()),
            LANES: str(self._lanes),
            **{f"{PREFIX}{name.upper()}": value for name, value in self._settings.items()},
        }

    def _end_crew(self) -> None:
        self._closing.set()
        self._keeper.join()
        started = [pid for worker in self._workers.values() for pid in (worker.pid, *descendants(worker.pid))]
        for worker in self._workers.values():
            worker.kill()
            worker.wait()
        deadline = time.monotonic() + END_SECONDS
        while any(map(is_alive, started)) and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)  # noqa: TID251 — the kernel ends the horses and browsers of killed workers
        left = list(filter(is_alive, started))
        send(signal.SIGKILL, *left)
        if left:
            raise AssertionError(f"{len(left)} processes outlived their workers")
