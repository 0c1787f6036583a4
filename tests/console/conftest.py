import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

CASEHAND = Path(sys.executable).with_name("casehand")
HEADER = "task,amount,does"

STARTED = """
import json, os, sys
from casehand.console.cli import main

for line in sys.stdin:
    order = json.loads(line)
    child = os.fork()
    if child:
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        continue
    for number, name in enumerate(("/dev/null", order["out"], order["err"])):
        os.dup2(os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), number)
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["folder"])
    sys.path[:0] = os.environ["PYTHONPATH"].split(os.pathsep)
    sys.argv = ["casehand", *order["arguments"]]
    main()
"""
"""The program, started already: each command is a process of its own, without the second it takes to start."""

DESK = '''
"""Cases that are worked without any legacy system."""

import os
from decimal import Decimal
from pathlib import Path

from pydantic import BaseModel, Field

from casehand import BusinessException, Case, CaseData, SystemException, workflow

LETTERS = Path(os.environ["LETTERS"])


class Task(CaseData):
    task: str = Field(pattern=r"T[0-9]{3}")
    amount: Decimal = Field(gt=0, max_digits=7, decimal_places=2)
    does: str


class Decision(BaseModel):
    pay: Decimal = Field(gt=0)


class Paid(BaseModel):
    paid: Decimal


@workflow("desk/pay", reference="task")
def pay(case: Case[Task]) -> Paid:
    amount = case.data.amount
    if amount > 500:
        raise BusinessException("the amount is above the limit")
    if case.data.does == "ask" and case.ask("Pay it?", choices=["yes", "no"]) == "no":
        raise BusinessException("it was turned down")
    if case.data.does == "form":
        amount = case.ask("How much?", choices=Decision).pay
    with case.commit("pay"):
        with (LETTERS / "paid").open("a") as file:
            file.write(f"{case.reference} {amount}\\n")
        if case.data.does == "break" and not (LETTERS / "mended").exists():
            raise SystemException("the printer is on fire")
    return Paid(paid=amount)
'''


class Casehand:
    """The command line with a home of its own, an empty Redis, and the desk's workflow."""

    def __init__(self, folder: Path, redis_url: str, started: subprocess.Popen[str]) -> None:
        self.folder = folder
        self._started = started
        self.environment = {
            **os.environ,
            "CASEHAND_HOME": str(folder / "home"),
            "CASEHAND_REDIS_URL": redis_url,
            "CASEHAND_WORKFLOWS": "desk",
            "CASEHAND_RETRY_FIRST_SECONDS": "0.1",
            "LETTERS": str(folder),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")])),
        }

    def __call__(self, *arguments: str, **given: str) -> subprocess.CompletedProcess[str]:
        """Run a command; `given` are settings, by their name without the prefix."""
        out, err = self.folder / "out", self.folder / "err"
        order = {
            "arguments": arguments,
            "environment": self.environment | {f"CASEHAND_{name}": value for name, value in given.items()},
            "folder": str(self.folder),
            "out": str(out),
            "err": str(err),
        }
        assert self._started.stdin is not None
        assert self._started.stdout is not None
        self._started.stdin.write(json.dumps(order) + "\n")
        self._started.stdin.flush()
        code = int(self._started.stdout.readline())
        return subprocess.CompletedProcess(arguments, code, out.read_text(), err.read_text())

    def run(self, *arguments: str, **given: str) -> subprocess.CompletedProcess[str]:
        """Run a command as the program that was installed."""
        settings = {f"CASEHAND_{name}": value for name, value in given.items()}
        return subprocess.run(
            [CASEHAND, *arguments],
            env={**self.environment, **settings},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def json(self, *arguments: str) -> Any:
        """What a command says to programs."""
        ran = self(*arguments, "--json")
        assert ran.stderr == ""
        return json.loads(ran.stdout)

    def file(self, *rows: str, name: str = "tasks.csv", header: str = HEADER) -> str:
        """A file to be handed in."""
        path = self.folder / name
        path.write_text("\n".join([header, *rows]) + "\n")
        return str(path)

    def hand_in(self, *rows: str, name: str = "tasks.csv") -> None:
        """Hand in a batch for the desk."""
        ran = self("enqueue", "desk/pay", self.file(*rows, name=name))
        assert ran.returncode == 0, ran.stderr

    def work(self) -> int:
        """Work all there is; the exit code."""
        return self("work", "--workers", "1", "--burst").returncode

    def paid(self) -> list[str]:
        """The payments the workflow has made."""
        path = self.folder / "paid"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture(scope="session")
def started() -> Iterator[subprocess.Popen[str]]:
    with ExitStack() as ends:
        program = [sys.executable, "-c", STARTED]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        process = ends.enter_context(subprocess.Popen(program, **pipes))
        yield process


@pytest.fixture
def casehand(tmp_path: Path, redis: Redis, redis_url: str, started: subprocess.Popen[str]) -> Casehand:
    (tmp_path / "desk.py").write_text(DESK)
    return Casehand(tmp_path, redis_url, started)


@pytest.fixture
def refuses(casehand: Casehand) -> Callable[..., str]:
    """Runs a command that must fail with one line on standard error and nothing else; gives the line."""

    def refuses(*arguments: str, code: int = 1, **given: str) -> str:
        ran = casehand(*arguments, **given)
        assert ran.returncode == code, (ran.stdout, ran.stderr)
        assert ran.stdout == ""
        assert ran.stderr.startswith("casehand: ")
        assert ran.stderr.count("\n") == 1, ran.stderr
        return ran.stderr.removeprefix("casehand: ").rstrip()

    return refuses
