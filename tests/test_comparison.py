"""The comparison of docs/comparison.md: all four solutions work the same batch, and the page's figures are theirs."""

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from redis import Redis
from rq.registry import FinishedJobRegistry

from casehand.bots.chromium import find_browser
from casehand.fixtures.practice.mischief import Kind
from casehand.fixtures.practice.seed import generate
from casehand.fixtures.practice.server import PracticeServer

ROOT = Path(__file__).parent.parent
SOLUTIONS = ROOT / "docs" / "comparison"
PAGE = ROOT / "docs" / "comparison.md"
PEERS = ROOT / ".casehand" / "bench" / ".venv"
NAMES = {
    "casehand": "Casehand",
    "bare_rq": "RQ and Playwright",
    "robocorp": "Robocorp",
    "robot_framework": "Robot Framework Browser",
}
ORDINARY, FAILS_ONCE, SAVED_UNSEEN, ENDED = (f"HB20000{number}" for number in range(1, 5))
SECONDS = 120


@dataclass(frozen=True)
class Stage:
    """Where one solution works."""

    folder: Path
    practice: PracticeServer
    environment: dict[str, str]
    until: Callable[..., None]

    @property
    def batch(self) -> Path:
        return self.folder / "batch.csv"

    @property
    def escalated(self) -> Path:
        return self.folder / "escalated"

    def run(self, *command: str | Path) -> str:
        """Run a command to its end, in the solution's folder."""
        ran = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=SECONDS
        )
        assert ran.returncode in (0, 3), ran.stdout + ran.stderr
        return ran.stdout


@pytest.fixture(scope="module")
def peers() -> Path:
    """The peers' environment, made by `make` where it is missing."""
    subprocess.run(["make", "--silent", ".casehand/bench/.venv/installed"], cwd=ROOT, check=True)
    return PEERS / "bin"


@pytest.fixture
def stage(tmp_path: Path, until: Callable[..., None]) -> Iterator[Stage]:
    """Four claims in a practice system of their own: one has ended, two have something go wrong with the save."""
    claims = generate(tmp_path / "batch.csv", 4)
    claims[3] = replace(claims[3], status="Ended")
    with (tmp_path / "batch.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    # The first row comes a second time.
    with (tmp_path / "batch.csv").open("w", newline="") as file:
        csv.writer(file).writerows([*rows, rows[1]])
    with PracticeServer(tmp_path, claims) as practice:
        practice.plant(FAILS_ONCE, Kind.ERROR_BEFORE)
        practice.plant(SAVED_UNSEEN, Kind.DROP_AFTER)
        environment = {
            **os.environ,
            "BENEFITS_URL": practice.url,
            "BENEFITS_USERNAME": practice.username,
            "BENEFITS_PASSWORD": practice.password,
            "BROWSER": str(find_browser()),
            "ESCALATED": str(tmp_path / "escalated"),
        }
        yield Stage(tmp_path, practice, environment, until)


def test_casehand_works_the_batch(stage: Stage) -> None:
    stage.environment.update(
        CASEHAND_WORKFLOWS="rents",
        PYTHONPATH=str(SOLUTIONS / "casehand"),
        CASEHAND_RETRY_FIRST_SECONDS="0.5",
        CASEHAND_BOT_RENTS_URL=stage.practice.url,
        CASEHAND_BOT_RENTS_USERNAME=stage.practice.username,
        CASEHAND_BOT_RENTS_PASSWORD=stage.practice.password,
    )
    casehand = Path(sys.executable).with_name("casehand")

    stage.run(casehand, "enqueue", "rents/change", stage.batch)
    stage.run(casehand, "work", "--workers", "1", "--burst")

    assert_each_was_made_once(stage)
    cases = json.loads(stage.run(casehand, "cases", "--json"))
    assert [(case["reference"], case["reason"]) for case in cases if case["state"] == "escalated"] == [
        (ENDED, "the claim is ended")
    ]
    assert "01-exception.jpg" in stage.run(casehand, "case", ENDED)


def test_bare_rq_with_playwright_works_the_batch(
    stage: Stage, peers: Path, redis: Redis, redis_url: str
) -> None:
    stage.environment.update(PYTHONPATH=str(SOLUTIONS / "bare_rq"), REDIS_URL=redis_url)
    jobs = FinishedJobRegistry("rents", connection=redis)

    said = stage.run(peers / "python", SOLUTIONS / "bare_rq" / "hand_in.py", stage.batch)
    worker = [peers / "rq", "worker", "rents", "--url", redis_url, "--with-scheduler"]
    with (stage.folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*worker, "--worker-class", "rq.SimpleWorker"],
            cwd=stage.folder,
            env=stage.environment,
            stdout=log,
            stderr=log,
        )
        try:
            stage.until(lambda: jobs.get_job_count() == 4, SECONDS, "the end of every job")
        finally:
            process.terminate()
            process.wait()

    assert f"{ORDINARY}-2026-04-06 has been handed in before" in said
    assert_each_was_made_once(stage)
    assert_the_ended_claim_is_in_front_of_a_person(stage)


def test_robocorp_works_the_batch(stage: Stage, peers: Path) -> None:
    items = stage.folder / "items.json"
    with stage.batch.open(newline="") as file:
        items.write_text(json.dumps([{"payload": row} for row in csv.DictReader(file)]))
    stage.environment.update(
        RC_WORKITEM_ADAPTER="FileAdapter",
        RC_WORKITEM_INPUT_PATH=str(items),
        RC_WORKITEM_OUTPUT_PATH=str(stage.folder / "items-out.json"),
    )

    tasks = SOLUTIONS / "robocorp" / "tasks.py"
    output = stage.folder / "output"
    stage.run(peers / "python", "-m", "robocorp.tasks", "run", tasks, "--output-dir", output)

    assert_each_was_made_once(stage)
    assert_the_ended_claim_is_in_front_of_a_person(stage)


def test_robot_framework_browser_works_the_batch(stage: Stage, peers: Path) -> None:
    output = stage.folder / "output"
    suite = SOLUTIONS / "robot_framework" / "rents.robot"
    stage.run(peers / "robot", "--outputdir", output, "--variable", f"BATCH:{stage.batch}", suite)

    assert_each_was_made_once(stage)
    assert_the_ended_claim_is_in_front_of_a_person(stage)


def assert_each_was_made_once(stage: Stage) -> None:
    """By the practice system's own journal, whatever a solution says."""
    made = [entry.reference for entry in stage.practice.journal()]
    assert sorted(made) == [ORDINARY, FAILS_ONCE, SAVED_UNSEEN]
    # One for all, and one after each of the two failures: each row and retry for itself would be six or more.
    assert stage.practice.sign_ins <= 3


def assert_the_ended_claim_is_in_front_of_a_person(stage: Stage) -> None:
    assert [case.name for case in stage.escalated.iterdir()] == [ENDED]
    assert "the claim is ended" in (stage.escalated / ENDED / "reason.txt").read_text()
    assert (stage.escalated / ENDED / "screen.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("solution", NAMES)
def test_the_page_says_how_long_each_solution_is(solution: str) -> None:
    files = [file for file in (SOLUTIONS / solution).iterdir() if file.suffix in (".py", ".robot")]
    row = next(line for line in table() if line[0] == NAMES[solution])
    assert row[1:3] == [str(sum(map(lines_of, files))), str(len(files))]


def table() -> Iterable[list[str]]:
    """The rows of the page's first table, each as its cells."""
    for line in PAGE.read_text().splitlines():
        if line.startswith("|"):
            yield [re.sub(r"[*`]|\[|\]\([^)]*\)", "", cell).strip() for cell in line.strip("|").split("|")]


def lines_of(file: Path) -> int:
    """Its lines that are neither blank nor a comment."""
    lines = (line.strip() for line in file.read_text().splitlines())
    return sum(bool(line) and not line.startswith("#") for line in lines)
