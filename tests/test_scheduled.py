"""Work that comes by itself, end to end: a casehand.toml from the documentation, real cron, a worker and its scheduler
beside it, a producer with a bot; judged by the practice system's journal."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select

from casehand.fixtures.practice.seed import generate
from casehand.fixtures.practice.server import PracticeServer
from casehand.queue import schema
from casehand.queue.cases import find_cases, tell
from casehand.queue.ledger import Ledger
from casehand.queue.vault import Vault
from casehand.settings import PREFIX

CASEHAND = Path(sys.executable).with_name("casehand")
DOCUMENTED = Path(__file__).parent.parent / "docs/schedules.md"
CASES = 4
FIRST = 300001

PRODUCER = """
from collections.abc import Iterator
from datetime import date
from decimal import Decimal

from casehand import Slot, producer, scheduled
from casehand.bots.benefits import BenefitsBot
from casehand.workflows.rent_change import RentChange, change_rent


@scheduled("month-end-rents", every="every day at 00:01", due="within 5 working days")
@producer("council/rents-due", change_rent)
def rents_due(benefits: BenefitsBot, slot: Slot) -> Iterator[RentChange]:
    for reference in ("HB300003", "HB300004"):
        claim = benefits.open_claim(reference)
        rent = claim.rents[0].weekly_rent + Decimal("1.00")
        starts = date(2026, 4, 6)
        yield RentChange(claim=reference, weekly_rent=rent, from_date=starts, claimant=claim.claimant)


@scheduled("that-fails", every="every day at 00:02")
@producer("council/that-fails", change_rent)
def that_fails() -> Iterator[RentChange]:
    yield {"claim": "secret"}["claimant"]
"""

pytestmark = pytest.mark.timeout(400)


@dataclass
class Council:
    """A directory that was empty, and all that is run in it."""

    folder: Path
    practice: PracticeServer
    environment: dict[str, str]

    def casehand(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [CASEHAND, *arguments],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        home = self.folder / ".casehand"
        ledger = Ledger.open(f"sqlite:///{home / 'ledger.db'}", Vault.from_file(home / "key"))
        yield ledger
        ledger.close()

    @contextmanager
    def worker(self, *options: str) -> Iterator[None]:
        command = [CASEHAND, "work", "--workers", "1", "--lanes", "1", *options]
        log = (self.folder / "work.log").open("ab")
        with (
            log,
            subprocess.Popen(
                command, env=self.environment, cwd=self.folder, stdout=log, stderr=log
            ) as process,
        ):
            try:
                yield
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(90)

    def states(self) -> list[str]:
        with self.ledger() as ledger:
            return [str(one.state) for one in find_cases(ledger)]

    def faults(self) -> list[str]:
        """What the practice system's journal says against the ledger."""
        with self.ledger() as ledger:
            stories = [tell(ledger, one.id) for one in find_cases(ledger)]
        return self.practice.judge(
            (story.line.reference, story.data, str(story.line.state), False) for story in stories
        )


@pytest.fixture
def council(tmp_path: Path) -> Iterator[Council]:
    folder = tmp_path / "council"
    (folder / "inbox").mkdir(parents=True)
    toml = re.search(r"```toml\n(.*?)```", DOCUMENTED.read_text(), re.DOTALL)
    assert toml is not None
    (folder / "casehand.toml").write_text(toml[1])
    (folder / "council_rents.py").write_text(PRODUCER)
    claims = generate(tmp_path, CASES, first=FIRST)
    rows = (tmp_path / "batch.csv").read_text().splitlines(keepends=True)
    (folder / "inbox/rents.csv").write_text("".join(rows[:3]))
    with PracticeServer(tmp_path / "practice", claims) as practice:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        environment |= {
            "CASEHAND_BOT_BENEFITS_URL": practice.url,
            "CASEHAND_BOT_BENEFITS_USERNAME": practice.username,
            "CASEHAND_BOT_BENEFITS_PASSWORD": practice.password,
        }
        yield Council(folder, practice, environment)


def test_real_cron_and_a_scheduler_hand_in_a_documented_schedule_once(
    council: Council, tmp_path: Path, until: Callable[..., None]
) -> None:
    assert council.casehand("schedule").returncode == 0
    with cron(council, tmp_path), council.worker():
        until(lambda: council.states() == ["done", "done"], 240, "the cases that cron handed in")
    ran = [line for line in (council.folder / "cron.log").read_text().splitlines() if "The run of" in line]

    assert len(ran) >= 2, "cron called it twice in the same minute"
    assert council.faults() == []
    changed = [one for one in council.practice.journal() if one.user == council.practice.username]
    assert len(changed) == 2
    (listed,) = json.loads(council.casehand("schedule", "--json").stdout)
    assert [one["state"] for one in listed["last"]] == ["done"]
    assert listed["last"][0]["accepted"] == 2
    assert len(listed["next"]) == 5
    with council.ledger() as ledger, ledger.reading() as connection:
        batches = connection.execute(select(schema.batches.c.handed_in_by)).scalars().all()
    assert batches == ["schedule nightly-rents"]


def test_a_producer_with_a_bot_hands_in_what_it_finds_and_gives_its_session_back(council: Council) -> None:
    council.environment |= {
        "CASEHAND_WORKFLOWS": "council_rents",
        "PYTHONPATH": os.pathsep.join((str(council.folder), council.environment.get("PYTHONPATH", ""))),
    }
    first = council.casehand("schedule", "run", "month-end-rents")
    assert (first.returncode, "2 cases taken in" in first.stdout) == (0, True), first.stdout + first.stderr
    again = council.casehand("schedule", "run", "month-end-rents")
    assert again.returncode == 0
    with council.ledger() as ledger:
        with ledger.reading() as connection:
            held = connection.execute(select(schema.leases.c.name)).scalars().all()
            due = connection.execute(select(schema.cases.c.due)).scalars().all()
        assert [name for name in held if name.startswith(("session", "sign-in"))] == []
        assert len(due) == 2
        assert all(due)

    worked = council.casehand("work", "--burst", "--workers", "1")
    assert worked.returncode == 0, worked.stdout + worked.stderr
    assert council.states() == ["done", "done"]
    assert council.faults() == []

    failed = council.casehand("schedule", "run", "that-fails")
    assert failed.returncode == 1
    assert "the producer has a fault: KeyError at council_rents.py:" in failed.stdout
    status = council.casehand("status")
    assert "The schedule that-fails failed" in status.stdout
    assert council.casehand("schedule", "seen", "that-fails").returncode == 0
    assert "that-fails" not in council.casehand("status").stdout


def test_a_mistyped_schedule_is_one_line_and_nothing_starts(council: Council) -> None:
    toml = council.folder / "casehand.toml"
    right = toml.read_text()
    for wrong, words in (
        (right.replace("30 2 * * *", "30 25 * * *"), "[[schedule]] number 1 is wrong: cron is wrong"),
        (right.replace("rent-change", "rent-chnage"), "did you mean housing-benefit/rent-change"),
        (right.replace("file =", "fiel ="), "a [[schedule]] has no setting fiel: did you mean file?"),
        (right + right, "two schedules are named nightly-rents"),
    ):
        toml.write_text(wrong)
        refused = council.casehand("work", "--burst")
        assert refused.returncode == 1
        assert words in refused.stderr
        assert refused.stderr.count("\n") == 1


@contextmanager
def cron(council: Council, folder: Path) -> Iterator[None]:
    """Debian's cron, with a crontab of its own that calls the schedule twice a minute.

    It knows only the places where all machines have them: in a mount namespace others stand there.
    """
    if not (os.geteuid() == 0 and Path("/usr/sbin/cron").exists() and shutil.which("unshare")):
        pytest.skip("cron is not installed here (Debian's package is cron), or this is not root")
    if subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode:
        pytest.skip("no mount namespace can be made here")
    tabs, none, run = folder / "crontabs", folder / "none", folder / "run"
    for one in (tabs, none, run):
        one.mkdir(mode=0o700)
    (folder / "empty").write_text("")
    given = [f"{name}={value}" for name, value in council.environment.items() if name.startswith(PREFIX)]
    line = f"* * * * * cd {council.folder} && {CASEHAND} schedule run nightly-rents >> cron.log 2>&1"
    table = tabs / "root"
    table.write_text("\n".join(('MAILTO=""', *given, line, line, "")))
    table.chmod(0o600)
    places = [(tabs, "/var/spool/cron/crontabs"), (none, "/etc/cron.d"), (folder / "empty", "/etc/crontab")]
    binds = [f"mount --bind {mine} {place}" for mine, place in [*places, (run, "/run")]]
    program = " && ".join((*binds, "exec /usr/sbin/cron -f"))
    with subprocess.Popen(["unshare", "-m", "sh", "-c", program], start_new_session=True) as process:
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(20)
