"""The rows of the table: who works the batch, and how each is started."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

from casehand.queue import keeper
from casehand.queue.valkey import find_server
from casehand.settings import PREFIX

ROOT = Path(__file__).parent.parent
PEERS = ROOT / ".casehand" / "bench" / ".venv" / "bin" / "python"
WORKFLOW = "bench/rent-change"
BROKER_SECONDS = 10.0
SIXTEEN_AT = (0, 500)  #: milliseconds a page: the start alone, and where so many at once pay
MANY = 16

Command = list[str]
States = list[tuple[str, Mapping[str, Any], str, bool]]


@dataclass
class Stage:
    """Where a run takes place."""

    folder: Path
    batch: Path
    environment: dict[str, str]
    helpers: list["subprocess.Popen[bytes]"]

    @property
    def log(self) -> Path:
        """What the subject says."""
        return self.folder / "log"

    @property
    def home(self) -> Path:
        """Casehand's home."""
        return self.folder / "home"

    def rows(self) -> list[dict[str, str]]:
        """The lines of the batch."""
        with self.batch.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def run(self, *command: str | Path) -> str:
        """Run a command that comes before or after the measuring; returns its output."""
        return subprocess.run(
            command, cwd=ROOT, env=self.environment, check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    def start_broker(self) -> str:
        """Start a Valkey as Casehand would, and return its address."""
        address = self.folder / "broker.sock"
        options = ["--port", "0", "--unixsocket", str(address), "--dir", str(self.folder)]
        options += ["--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--daemonize", "no"]
        self.helpers.append(
            subprocess.Popen([str(find_server()), *options], stdout=subprocess.DEVNULL, cwd=self.folder)
        )
        deadline = monotonic() + BROKER_SECONDS
        while not (address.exists() and keeper.answers(address)):
            if monotonic() > deadline:
                raise RuntimeError("the broker does not start")
        return str(address)


@dataclass(frozen=True)
class Subject:
    """One row."""

    key: str
    name: str
    prepare: Callable[[Stage], list[Command]]  #: does what comes before, and returns what is to be started
    at_once: int = 1  #: cases in work at the same time
    endless: bool = False  #: whether it must be told to stop
    states: Callable[[Stage], States | None] = lambda stage: None
    lacks: Callable[[], str | None] = lambda: None  #: why it cannot run here, if it cannot
    peer: bool = False  #: whether it is one of those that we are held against
    thinks: tuple[int, ...] = ()  #: the think times at which it is run, where it is not run at all


def all_subjects() -> list[Subject]:
    """Every row, the floor first."""
    return [
        Subject("floor", "floor: bare Playwright loop, every page rendered", partial(_bare, 1, "same")),
        Subject(
            "floor-reading",
            "floor, reading without rendering, as casehand does",
            partial(_bare, 1, "reading"),
        ),
        Subject("shortest", "bare loop without the looks before and after", partial(_bare, 1, "shortest")),
        _casehand(1, "off"),
        _casehand(1),
        _casehand(2),
        Subject("floor-4", "four bare processes, reading likewise", partial(_bare, 4, "reading"), at_once=4),
        _casehand(4, "off"),
        _casehand(4),
        Subject(
            "by-hand-16",
            "asyncio by hand: one driver, one browser, 16 contexts",
            partial(_many, 16),
            at_once=16,
            thinks=SIXTEEN_AT,
        ),
        _casehand(1, lanes=16),
        _casehand(16),
        Subject("rq-first", "RQ, browser and sign-in in each job", _rq, lacks=missing_peers, peer=True),
        Subject(
            "celery-first",
            "Celery prefork, the same job",
            partial(_celery, "cold"),
            endless=True,
            lacks=missing_peers,
            peer=True,
        ),
        Subject(
            "celery-warm",
            "Celery prefork, browser kept by the pool process",
            partial(_celery, "warm"),
            endless=True,
            lacks=missing_peers,
            peer=True,
        ),
        Subject(
            "robocorp", "Robocorp tasks, work items and browser", _robocorp, lacks=missing_peers, peer=True
        ),
        Subject("robot", "Robot Framework Browser", _robot, lacks=missing_peers, peer=True),
    ]


def _bare(processes: int, way: str, stage: Stage) -> list[Command]:
    rows = stage.rows()
    commands = []
    for number in range(processes):
        part = stage.folder / f"part-{number}.csv"
        with part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows[number::processes])
        commands.append([sys.executable, "-m", "bench.bare", str(part), way])
    return commands


def _many(contexts: int, stage: Stage) -> list[Command]:
    return [[sys.executable, "-m", "bench.many", str(stage.batch), str(contexts)]]


def _casehand(workers: int, evidence: str = "", lanes: int = 1) -> Subject:
    plural = "" if workers == 1 else "s"
    return Subject(
        f"casehand-{workers}" + (f"x{lanes}" if lanes > 1 else "") + evidence,
        f"**casehand**, {workers} worker{plural}"
        + (f", {lanes} lanes" if lanes > 1 else "")
        + (", pictures off" if evidence else ""),
        partial(_hand_in, workers, lanes, "escalations" if evidence else "all"),
        at_once=workers * lanes,
        states=_casehand_states,
        thinks=SIXTEEN_AT if workers * lanes >= MANY else (),
    )


def _hand_in(workers: int, lanes: int, pictures: str, stage: Stage) -> list[Command]:
    given = {name: stage.environment[f"BENCH_{name}"] for name in ("URL", "USERNAME", "PASSWORD")}
    stage.environment |= {f"{PREFIX}BOT_BENCH_{name}": value for name, value in given.items()}
    stage.environment[f"{PREFIX}HOME"] = str(stage.home)
    stage.environment[f"{PREFIX}WORKFLOWS"] = "bench.workflow"
    stage.environment[f"{PREFIX}BROWSER"] = stage.environment["BENCH_BROWSER"]
    stage.environment[f"{PREFIX}PICTURES"] = pictures
    stage.run(_program(), "enqueue", WORKFLOW, stage.batch)
    return [[_program(), "work", "--workers", str(workers), "--lanes", str(lanes), "--burst"]]


def _casehand_states(stage: Stage) -> States | None:
    rows = {row["claim"]: row for row in stage.rows()}
    cases = json.loads(stage.run(_program(), "cases", "--json"))
    return [(case["reference"], rows[case["reference"]], case["state"], False) for case in cases]


def _program() -> str:
    return str(Path(sys.executable).parent / "casehand")


def _rq(stage: Stage) -> list[Command]:
    url = f"unix://{stage.start_broker()}"
    stage.run(PEERS, "-m", "bench.peers.rq_feed", url, stage.batch)
    return [[str(PEERS.parent / "rq"), "worker", "--burst", "--url", url]]


def _celery(task: str, stage: Stage) -> list[Command]:
    stage.environment["BENCH_BROKER"] = f"redis+socket://{stage.start_broker()}"
    stage.run(PEERS, "-m", "bench.peers.celery_app", stage.batch, task)
    if task == "warm":
        stage.environment["BENCH_WARM"] = "1"
    app = "bench.peers.celery_app"
    return [[str(PEERS), "-m", "celery", "-A", app, "worker", "-c", "1", "--loglevel", "WARNING"]]


def _robocorp(stage: Stage) -> list[Command]:
    items = stage.folder / "items.json"
    items.write_text(json.dumps([{"payload": row} for row in stage.rows()]))
    stage.environment |= {
        "RC_WORKITEM_ADAPTER": "FileAdapter",
        "RC_WORKITEM_INPUT_PATH": str(items),
        "RC_WORKITEM_OUTPUT_PATH": str(stage.folder / "items-out.json"),
    }
    tasks = str(ROOT / "bench" / "peers" / "robocorp_tasks.py")
    output = str(stage.folder / "output")
    return [[str(PEERS), "-m", "robocorp.tasks", "run", tasks, "--output-dir", output]]


def _robot(stage: Stage) -> list[Command]:
    suite = str(ROOT / "bench" / "peers" / "rents.robot")
    options = ["--outputdir", str(stage.folder / "output"), "--variable", f"BATCH:{stage.batch}"]
    return [[str(PEERS), "-m", "robot", *options, suite]]


def missing_peers() -> str | None:
    """Why the peers cannot run here, if they cannot."""
    if not os.access(PEERS, os.X_OK):
        return "its environment is not installed: `make bench` does that"
    return None
