"""A workshop: a home with workflows that need no legacy system, its ledger, and real workers on a real Valkey."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

from casehand.queue.cases import CaseLine, find_case
from casehand.queue.dispatch import QUEUE, Dispatcher
from casehand.queue.intake import hand_in
from casehand.queue.known import make_known
from casehand.queue.ledger import Ledger
from casehand.queue.state import State
from casehand.settings import load_settings
from casehand.workflows.installed import installed_workflows

Until = Callable[..., None]

DESK = '''
"""Cases that are worked without any legacy system; a folder shows what happened."""

import os
import signal
from datetime import timedelta
from pathlib import Path
from threading import Event

from casehand import Case, CaseData, workflow

FOLDER = Path(os.environ["DESK"])
REST = Event()


class Task(CaseData):
    task: str
    does: str


def perform(case: Case[Task]) -> None:
    with (FOLDER / "worked").open("a") as file:
        file.write(f"{case.reference} {os.getpid()}\\n")
    if case.data.does == "wait":
        while not (FOLDER / "go").exists():
            REST.wait(0.02)
    if case.data.does.startswith("rest"):
        while not (FOLDER / "go").exists() and not (FOLDER / f"go-{case.reference}").exists():
            case.sleep(0.02)
    if case.data.does == "rest then die" and not (FOLDER / "go").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    if case.data.does == "block":
        REST.wait(8)
    if case.data.does == "think":
        assert case.in_thread(lambda: REST.wait(2) or "thought") == "thought"
    if case.data.does == "cling":
        while not (FOLDER / "go").exists():
            try:
                case.sleep(0.05)
            except BaseException:
                pass
    if case.data.does == "stop" and not (FOLDER / "go").exists():
        os.kill(os.getpid(), signal.SIGSTOP)
    if case.data.does == "swallow":
        while True:
            try:
                REST.wait(30)
            except Exception:
                pass
    with (FOLDER / "ended").open("a") as file:
        file.write(f"{case.reference} {os.getpid()}\\n")


@workflow("desk/task", reference="task")
def work(case: Case[Task]) -> None:
    perform(case)


@workflow("desk/brief", reference="task", timeout=timedelta(seconds=2))
def work_briefly(case: Case[Task]) -> None:
    perform(case)
'''


class Desk:
    """A home with the desk's workflows, its ledger, and the workers started on it."""

    def __init__(self, folder: Path, redis: Redis, redis_url: str, until: Until) -> None:
        self.folder = folder
        self.redis = redis
        self.queue = Queue(QUEUE, connection=redis, serializer=JSONSerializer)
        self.until = until
        self.environment = {
            **os.environ,
            "CASEHAND_REDIS_URL": redis_url,
            "CASEHAND_WORKFLOWS": "desk",
            "CASEHAND_RETRY_FIRST_SECONDS": "0.2",
            "DESK": str(folder),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")])),
        }
        settings = load_settings()
        self.ledger = Ledger.open(settings.ledger_url, settings.vault())

    def hand_in(self, *tasks: tuple[str, str], workflow: str = "desk/task") -> None:
        """Hand in cases, and tell RQ."""
        file = self.folder / f"{tasks[0][0]}.csv"
        file.write_text("task,does\n" + "".join(f"{task},{does}\n" for task, does in tasks))
        known = installed_workflows("desk")[workflow]
        make_known(self.ledger, known.name, known.bot_names, known.timeout)
        hand_in(
            self.ledger,
            workflow=known.name,
            model=known.model,
            reference=known.reference,
            path=file,
            by="a test",
        )
        Dispatcher(self.ledger, self.redis).top_up()

    @contextmanager
    def worker(self, **given: str) -> Iterator[subprocess.Popen[bytes]]:
        """A worker, which is told to stop at the end of the block."""
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "casehand.worker"],
                stderr=log,
                env={**self.environment, **given},
                cwd=self.folder,
            )
        try:
            yield process
            process.send_signal(signal.SIGTERM)
            process.wait(20)
        finally:
            process.kill()
            process.wait()

    def told(self, file: str) -> dict[str, list[int]]:
        """By task, the horses that began it (`worked`) or came to its end (`ended`)."""
        told: dict[str, list[int]] = {}
        path = self.folder / file
        for line in path.read_text().splitlines() if path.exists() else []:
            task, horse = line.split()
            told.setdefault(task, []).append(int(horse))
        return told

    def begun(self, task: str, times: int = 1) -> int:
        """The process id of the horse that has begun this task, once one has."""
        self.until(lambda: len(self.told("worked").get(task, [])) >= times, what=f"attempt {times} of {task}")
        return self.told("worked")[task][times - 1]

    def case(self, task: str) -> CaseLine:
        return find_case(self.ledger, task)

    def comes_to(self, task: str, state: State, seconds: float = 30) -> CaseLine:
        """The case, once it is in that state."""
        self.until(lambda: self.case(task).state is state, seconds, f"{task} {state}")
        return self.case(task)

    def go(self) -> None:
        """Let the tasks that wait go on."""
        (self.folder / "go").touch()

    def job(self, task: str, attempt: int = 1) -> Job:
        return Job.fetch(f"{self.case(task).id}-{attempt}", self.redis, JSONSerializer)

    def rq(self, *arguments: str) -> str:
        """What RQ's own command line says."""
        command = [
            Path(sys.executable).with_name("rq"),
            *arguments,
            "--url",
            self.environment["CASEHAND_REDIS_URL"],
        ]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
