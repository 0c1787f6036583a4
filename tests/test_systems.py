"""What a legacy system in trouble does to a batch, with real workers: breaker, sessions, hours, hung pages."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import select

from casehand.fixtures.practice.mischief import Kind
from casehand.fixtures.practice.options import Options
from casehand.fixtures.practice.seed import generate
from casehand.fixtures.practice.server import PracticeServer
from casehand.queue import schema
from casehand.queue.breaker import open_breakers
from casehand.queue.cases import CaseLine, counts, find_cases, tell
from casehand.queue.dispatch import Dispatcher
from casehand.queue.intake import hand_in
from casehand.queue.known import make_known
from casehand.queue.ledger import Ledger
from casehand.queue.state import State
from casehand.settings import load_settings
from casehand.workflows.installed import installed_workflows

Until = Callable[..., None]

OUTAGE_CASES = int(os.environ.get("OUTAGE_CASES", "30"))
OUTAGE_SECONDS = int(os.environ.get("OUTAGE_SECONDS", "12"))
"""`make faults` plays an outage of two minutes in a batch of 300."""

PACKAGE = """
import os
import pathlib
import signal
from datetime import timedelta

from casehand import Case, workflow
from casehand.bots.benefits import BenefitsBot
from casehand.workflows.rent_change import RentChange, RentChanged, change_rent


class OneSession(BenefitsBot):
    name = "one-session"
    sessions = 1


class SecondBot(BenefitsBot):
    name = "second"


class ClosedToday(BenefitsBot):
    name = "closed-today"
    hours = "Mon-Sun 00:00-00:01"


@workflow("one-session/rent-change", reference="claim")
def one_session(case: Case[RentChange], bot: OneSession) -> RentChanged:
    return change_rent(case, bot)


@workflow("closed-today/rent-change", reference="claim")
def closed_today(case: Case[RentChange], bot: ClosedToday) -> RentChanged:
    return change_rent(case, bot)


@workflow("brief/rent-change", reference="claim", timeout=timedelta(seconds=20))
def brief(case: Case[RentChange], bot: BenefitsBot) -> RentChanged:
    return change_rent(case, bot)


@workflow("two-systems/rent-change", reference="claim")
def two_systems(case: Case[RentChange], first: BenefitsBot, second: SecondBot) -> None:
    rent, start = case.data.weekly_rent, case.data.from_date
    for number, bot in ((1, first), (2, second)):
        claim = bot.open_claim(case.data.claim)
        with case.commit(f"change system {number}", done=lambda: claim.has_rent(rent, start), bot=bot):
            claim.add_rent(rent, start)
            die_in(number, case.reference)


def die_in(number, reference):
    # Where the change is made and nothing is written of it yet: once in each system, for two claims.
    mark = pathlib.Path(f"died-{number}-{reference}")
    if reference in ("HB200001", "HB200003") and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)


@workflow("poison/rent-change", reference="claim")
def poison(case: Case[RentChange]) -> None:
    if case.reference == "HB200001":
        os.kill(os.getpid(), signal.SIGKILL)
"""


class Branch:
    """A practice system with generated claims, a ledger, and workers."""

    def __init__(self, folder: Path, redis: Redis, redis_url: str, cases: int) -> None:
        self.folder = folder
        self.redis = redis
        (folder / "branch.py").write_text(PACKAGE)
        self.file = folder / "batch.csv"
        self.practice = PracticeServer(
            folder / "practice", generate(self.file, cases), Options(), mischief=()
        )
        settings = load_settings()
        self.ledger = Ledger.open(settings.ledger_url, settings.vault())
        self.environment = {
            **os.environ,
            "CASEHAND_REDIS_URL": redis_url,
            "CASEHAND_WORKFLOWS": "branch",
            "CASEHAND_RETRY_FIRST_SECONDS": "1",
            "CASEHAND_BREAKER_FIRST_SECONDS": "1",
            "CASEHAND_BREAKER_LONGEST_SECONDS": "2",
            "PYTHONPATH": str(folder),
        }

    def __enter__(self) -> "Branch":
        self.practice.__enter__()
        for bot in ("BENEFITS", "ONE_SESSION", "CLOSED_TODAY"):
            self.sets(bot, self.practice)
        return self

    def __exit__(self, *_: object) -> None:
        self.practice.__exit__(None, None, None)
        self.ledger.close()

    def sets(self, bot: str, practice: PracticeServer) -> None:
        """Tell the workers where a bot's system is."""
        self.environment[f"CASEHAND_BOT_{bot}_URL"] = practice.url
        self.environment[f"CASEHAND_BOT_{bot}_USERNAME"] = practice.username
        self.environment[f"CASEHAND_BOT_{bot}_PASSWORD"] = practice.password

    def hand_in(self, name: str) -> None:
        """Hand in the batch for a workflow."""
        found = installed_workflows("branch")[name]
        make_known(self.ledger, found.name, found.bot_names, found.timeout)
        hand_in(
            self.ledger,
            workflow=found.name,
            model=found.model,
            reference=found.reference,
            path=self.file,
            by="a test",
        )
        Dispatcher(self.ledger, self.redis).top_up()

    @contextmanager
    def workers(self, number: int) -> Iterator[list[subprocess.Popen[bytes]]]:
        """Real workers, stopped at the end of the block."""
        with ExitStack() as stack:
            log = stack.enter_context((self.folder / "log").open("ab"))
            started = [
                subprocess.Popen(
                    [sys.executable, "-m", "casehand.worker"],
                    stderr=log,
                    env=self.environment,
                    cwd=self.folder,
                )
                for _ in range(number)
            ]
            try:
                yield started
                for worker in started:
                    worker.send_signal(signal.SIGTERM)
                for worker in started:
                    worker.wait(30)
            finally:
                for worker in started:
                    worker.kill()
                    worker.wait()

    def is_over(self) -> bool:
        """Whether nothing is queued or being worked."""
        now = counts(self.ledger)
        return now["queued"] + now["working"] == 0

    def cases(self) -> list[CaseLine]:
        return find_cases(self.ledger)

    def problems(self, practice: PracticeServer | None = None) -> list[str]:
        """What the journal of the practice system, or of another, has against the ledger."""
        worked = [
            (case.reference, tell(self.ledger, case.id).data, str(case.state), False) for case in self.cases()
        ]
        return (practice or self.practice).judge(worked)

    def attempts(self) -> list[Any]:
        with self.ledger.reading() as connection:
            return list(connection.execute(select(schema.attempts)))


@pytest.fixture
def branch(
    tmp_path: Path,
    redis: Redis,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Iterator[Branch]:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "branch", raising=False)
    with Branch(tmp_path, redis, redis_url, getattr(request, "param", 6)) as opened:
        yield opened


@pytest.mark.parametrize("branch", [OUTAGE_CASES], indirect=True)
def test_an_outage_costs_a_few_attempts_and_no_case_is_escalated(branch: Branch, until: Until) -> None:
    branch.hand_in("housing-benefit/rent-change")
    with branch.workers(2):
        until(lambda: counts(branch.ledger)["done"] >= 5, 60, "five cases done")
        branch.practice.outage(OUTAGE_SECONDS)
        until(lambda: open_breakers(branch.ledger), 30, "an open breaker")
        until(branch.is_over, OUTAGE_SECONDS + 4 * OUTAGE_CASES, "the end of the batch")

    assert {case.state for case in branch.cases()} == {State.DONE}
    assert open_breakers(branch.ledger) == []
    # Five open the breaker, two workers may be in the middle of a case, and a probe comes every two seconds.
    assert len(branch.attempts()) - len(branch.cases()) <= 5 + 2 + OUTAGE_SECONDS
    assert branch.problems() == []


def test_two_changes_in_two_systems_are_each_made_once_whichever_kills_the_horse(
    branch: Branch, until: Until
) -> None:
    claims = generate(branch.folder / "same.csv", 6)
    with PracticeServer(branch.folder / "second", claims, Options(), mischief=()) as second:
        branch.sets("SECOND", second)
        branch.hand_in("two-systems/rent-change")
        with branch.workers(1):
            until(branch.is_over, 150, "the end of the batch")

        assert {case.state for case in branch.cases()} == {State.DONE}
        assert len(list(branch.folder.glob("died-*"))) == 4
        assert branch.problems() == []
        assert branch.problems(second) == []


@pytest.mark.parametrize("branch", [8], indirect=True)
def test_one_session_is_one_for_all_workers_and_a_killed_workers_comes_back(
    branch: Branch, until: Until
) -> None:
    branch.hand_in("one-session/rent-change")
    with branch.workers(2) as workers:
        until(lambda: counts(branch.ledger)["done"] >= 2, 60, "two cases done")
        (holder,) = {attempt.worker for attempt in branch.attempts()}
        (killed,) = [worker for worker in workers if holder.endswith(f".{worker.pid}")]
        killed.kill()
        until(branch.is_over, 60, "the end of the batch")

    assert {case.state for case in branch.cases()} == {State.DONE}
    assert len({attempt.worker for attempt in branch.attempts()}) == 2
    assert branch.problems() == []


def test_a_case_whose_bot_is_closed_waits_until_it_opens_and_costs_no_attempt(
    branch: Branch, until: Until
) -> None:
    branch.hand_in("closed-today/rent-change")
    with branch.workers(1):
        now = branch.ledger.clock()
        until(lambda: all(case.not_before > now for case in branch.cases()), 30, "every case put off")

    assert {(case.state, case.attempts) for case in branch.cases()} == {(State.QUEUED, 0)}
    assert branch.attempts() == []


def test_a_case_that_kills_its_horse_three_times_is_escalated_and_the_batch_goes_on(
    branch: Branch, until: Until
) -> None:
    branch.hand_in("poison/rent-change")
    with branch.workers(1):
        until(branch.is_over, 90, "the end of the batch")

    by_reference = {case.reference: case for case in branch.cases()}
    poison = by_reference.pop("HB200001")
    assert (poison.state, poison.attempts) == (State.ESCALATED, 3)
    assert poison.reason == "the horse died, 3 times with this case"
    assert {case.state for case in by_reference.values()} == {State.DONE}


@pytest.mark.parametrize("kind", [Kind.BUSY_SCRIPT, Kind.CLAIM_HANGS, Kind.DIALOG, Kind.NEVER_ANSWER_AFTER])
def test_a_page_that_hangs_ends_with_the_case_deadline_and_the_case_is_done_once(
    branch: Branch, until: Until, kind: Kind
) -> None:
    struck = "HB200002"
    branch.practice.plant(struck, kind, seconds=60)
    branch.hand_in("brief/rent-change")
    with branch.workers(1):
        until(branch.is_over, 120, "the end of the batch")

    assert {case.state for case in branch.cases()} == {State.DONE}
    story = next(tell(branch.ledger, case.id) for case in branch.cases() if case.reference == struck)
    assert len(story.attempts) > 1
    assert branch.problems() == []
