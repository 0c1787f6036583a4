"""One run: a system, somebody who works a batch in it, and what that cost."""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from time import monotonic
from typing import Any

from bench.subjects import ROOT, Stage, Subject
from bench.tree import Meter, end_all
from casehand.bots.chromium import find_browser
from casehand.fixtures.practice.judge import judge_home
from casehand.settings import PREFIX

PATIENCE_SECONDS = 60.0  #: for each case
GOODBYE_SECONDS = 30.0
BEGINS, CHANGES = "/results", "/rent"


class WrongWork(Exception):
    """The practice system's journal does not show what it should."""


class CannotRun(WrongWork):
    """It ended, or did not even begin, without any case worked."""


@dataclass(frozen=True)
class Measured:
    """What a run came to."""

    rate: float  #: cases a second
    cpu: float  #: milliseconds a case
    memory: float  #: megabytes for each case in work
    first: float  #: seconds until the first case began
    all_begun: float  #: seconds until the last of those at once had begun its first case
    requests: float  #: pages asked for, a case
    legacy: float  #: how much of a core the practice system needed meanwhile


def measure(subject: Subject, cases: int, think: float) -> Measured:
    """Have a batch worked, with so many milliseconds of think time; raises WrongWork if it is not done right."""
    with TemporaryDirectory(prefix="bench") as name, legacy_for(Path(name), cases, think) as legacy:
        stage = stage_for(Path(name), legacy)
        with Meter({legacy.process.pid}) as meter:
            try:
                begun, seen = work(subject, stage, legacy, cases)
                sessions = legacy.begun()
            finally:
                _save_log(subject, stage)
                end_all(os.getpid(), {legacy.process.pid})
        return _result(subject, meter, begun, seen, sessions)


def median(runs: list[Measured]) -> Measured:
    """Of several rounds, for each column."""
    columns = Measured.__dataclass_fields__
    return Measured(**{name: statistics.median(getattr(run, name) for run in runs) for name in columns})


@dataclass(frozen=True)
class Legacy:
    """The practice system that runs."""

    process: subprocess.Popen[str]
    home: Path
    told: dict[str, str]

    def requests(self) -> list[tuple[float, str, str]]:
        """When, how and for what each request came."""
        return [(at, method, path) for at, _, method, path in self._noted()]

    def begun(self) -> list[float]:
        """When each session began its first case, the earliest first."""
        first: dict[str, float] = {}
        for at, session, _, path in self._noted():
            if path == BEGINS:
                first.setdefault(session, at)
        return sorted(first.values())

    def _noted(self) -> list[tuple[float, str, str, str]]:
        lines = (self.home / "requests").read_text().split("\n")[:-1]
        words = (line.split(" ", 3) for line in lines)
        return [(float(at), session, method, path) for at, session, method, path in words]


@contextmanager
def legacy_for(folder: Path, cases: int, think: float) -> Iterator[Legacy]:
    """The practice system, served while the block lasts; `think` is in milliseconds."""
    home = folder / "practice"
    command = [sys.executable, "-m", "bench.legacy", str(home), "--claims", str(cases), "--think", str(think)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        told = process.stdout.readline()
        if not told:
            raise WrongWork("the practice system was ended from outside")
        yield Legacy(process, home, json.loads(told))
        process.stdin.close()


def stage_for(folder: Path, legacy: Legacy) -> Stage:
    """Where a run takes place, with an environment that tells where the practice system is."""
    browser = str(find_browser(os.environ.get(f"{PREFIX}BROWSER")))
    ours = {key: value for key, value in os.environ.items() if not key.startswith(PREFIX)}
    given = {f"BENCH_{key.upper()}": value for key, value in {**legacy.told, "browser": browser}.items()}
    return Stage(folder, legacy.home / "batch.csv", {**ours, **given, "PYTHONPATH": str(ROOT)}, [])


def work(
    subject: Subject, stage: Stage, legacy: Legacy, cases: int
) -> tuple[float, list[tuple[float, str, str]]]:
    """Have the batch worked: when that began, and every request; raises WrongWork if it is not done right."""
    try:
        commands = subject.prepare(stage)
    except (OSError, subprocess.CalledProcessError) as error:
        raise CannotRun(f"{subject.name}: {error}") from None
    begun = monotonic()
    with stage.log.open("wb") as log:
        started = [
            subprocess.Popen(
                command, cwd=ROOT, env=stage.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
            for command in commands
        ]
    _await_changes(legacy, cases, started, stage)
    for one in started:
        if subject.endless:
            one.terminate()
        one.wait(GOODBYE_SECONDS)
    states = subject.states(stage) or _all_done(stage)
    if problems := judge_home(legacy.home, states) or _undone(states):
        raise WrongWork(f"{subject.name}: {'; '.join(problems[:3])}")
    return begun, legacy.requests()


def _await_changes(legacy: Legacy, cases: int, started: list[subprocess.Popen[bytes]], stage: Stage) -> None:
    deadline = monotonic() + PATIENCE_SECONDS * (cases + 1)
    while len(changes_in(legacy.requests())) < cases:
        ended = all(one.poll() is not None for one in started)
        if ended and (made := len(changes_in(legacy.requests()))) < cases:
            why = WrongWork if made else CannotRun
            raise why(f"it ended early:\n{stage.log.read_text(errors='replace')[-2000:]}")
        if monotonic() > deadline:
            raise WrongWork(f"it took too long:\n{stage.log.read_text(errors='replace')[-2000:]}")
        Event().wait(0.1)


def changes_in(requests: list[tuple[float, str, str]]) -> list[float]:
    """When each change was asked for."""
    return [at for at, method, path in requests if method == "POST" and path.endswith(CHANGES)]


def _all_done(stage: Stage) -> list[tuple[str, Mapping[str, Any], str, bool]]:
    """What somebody says of a batch who keeps no record."""
    return [(row["claim"], row, "done", False) for row in stage.rows()]


def _undone(states: list[tuple[str, Mapping[str, Any], str, bool]]) -> list[str]:
    return [f"{reference} is {state}" for reference, _, state, _ in states if state != "done"]


def _save_log(subject: Subject, stage: Stage) -> None:
    """Keep what the last run of a row said, for whoever wonders."""
    if stage.log.exists():
        kept = ROOT / ".casehand" / "bench" / "logs" / f"{subject.key}.log"
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(stage.log.read_bytes())


def _result(
    subject: Subject, meter: Meter, begun: float, seen: list[tuple[float, str, str]], sessions: list[float]
) -> Measured:
    """Between the changes of the first case of each worker and of the last: nobody is starting, and none is idle."""
    changes = sorted(changes_in(seen))
    since, until = changes[subject.at_once - 1], changes[-1]
    worked = len(changes) - subject.at_once
    pages = sum(since < at <= until and not path.endswith(".css") for at, _, path in seen)
    return Measured(
        rate=worked / (until - since),
        cpu=meter.cpu(since, until) / worked * 1000,
        memory=meter.memory(begun, until) / subject.at_once,
        first=sessions[0] - begun,
        all_begun=sessions[subject.at_once - 1] - begun if len(sessions) >= subject.at_once else float("nan"),
        requests=pages / worked,
        legacy=meter.cpu_of_others(since, until) / (until - since),
    )
