"""The whole of it: a batch handed in and worked from the command line, judged by the practice system's journal."""

import base64
import json
import os
import re
import subprocess
import sys
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from threading import Event, Thread
from typing import Any
from zipfile import ZipFile

import pytest
from playwright.sync_api import Browser
from redis import Redis

from casehand.bots.evidence import read_evidence
from casehand.clock import utc_now
from casehand.fixtures.practice.claims import Claim, Rent
from casehand.fixtures.practice.clerk import Clerk
from casehand.fixtures.practice.mischief import Kind, Mischief
from casehand.fixtures.practice.seed import LAST_YEAR, NEW_RENTS, generate, new_rent
from casehand.fixtures.practice.server import PracticeServer
from casehand.fixtures.practice.sessions import FAILURES_BEFORE_LOCK
from casehand.queue.cases import CaseStory, find_cases, tell
from casehand.queue.escalations import waiting
from casehand.queue.ledger import Ledger
from casehand.queue.outcome import EscalationKind
from casehand.queue.valkey import EmbeddedValkey
from casehand.queue.vault import Vault
from casehand.settings import PREFIX

CASEHAND = Path(sys.executable).with_name("casehand")
CASES = 60
SECONDS = 500
FIRST = 200001

ENDED, ABOVE_LIMIT, QUESTION, ALREADY_DONE = (3, 30), (7, 33), (11, 36), (15, 39)
MISCHIEF = {
    1: Kind.SESSION_ENDS,
    5: Kind.COLLEAGUE_SAVES,
    9: Kind.ERROR_BEFORE,
    13: Kind.ERROR_AFTER,
    17: Kind.DROP_BEFORE,
    21: Kind.DROP_AFTER,
    25: Kind.APPLY_LATE,
    41: Kind.CLAIM_ERROR,
    45: Kind.DIALOG,
    49: Kind.DROP_AFTER,
    53: Kind.SESSION_ENDS,
}
"""By place in the file."""
LATE = 25
"""This one may be seen to be made before anybody loses patience."""

pytestmark = pytest.mark.timeout(SECONDS + 60)

PARISH = {
    "__init__.py": "",
    "bots/__init__.py": "",
    "bots/parish.py": '''
"""Hands in the same system, of an author's own."""

import re
from datetime import timedelta

from casehand import Bot, BusinessException, SignInRefused, SystemException


class ParishBot(Bot):
    name = "parish"
    sessions = 2
    settles = timedelta(seconds=5)

    def sign_in(self) -> None:
        boxes = self.page.get_by_role("textbox")
        boxes.first.fill(self.account.username)
        self.page.locator("input[type=password]").fill(self.account.password.get_secret_value())
        self.page.get_by_role("button", name="Sign in").click()
        if self.page.locator("p.err").is_visible():
            raise SignInRefused("the account was refused")

    def is_signed_in(self) -> bool:
        return self.page.get_by_text("Signed in as").is_visible()

    @property
    def screen(self):
        return self.page.frame(name="work")

    def open(self, reference: str) -> None:
        with self.screen.expect_navigation():
            self.screen.goto(self.url + "search")
        self.screen.get_by_role("textbox").fill(reference)
        with self.screen.expect_navigation():
            self.screen.get_by_role("button", name="Find").click()
        with self.screen.expect_navigation():
            self.screen.get_by_role("link", name=reference, exact=True).click()
        self.screen.get_by_text("Screen BN2").wait_for()

    def has_rent(self, reference: str, rent: str, start: str) -> bool:
        self.open(reference)
        return self.screen.get_by_role("row", name=f"{start} £{rent}").is_visible()

    def add_rent(self, reference: str, rent: str, start: str) -> None:
        with self.screen.expect_navigation():
            self.screen.get_by_role("link", name="New rent").click()
        boxes = self.screen.get_by_role("textbox")
        boxes.nth(0).fill(rent)
        boxes.nth(1).fill(start)
        with self.confirming(reference), self.screen.expect_navigation():
            self.screen.get_by_role("button", name="Save").click()
        if self.screen.locator("p.err").is_visible():
            raise BusinessException(self.screen.locator("p.err").inner_text())
''',
    "rents.py": '''
"""A workflow of an author's own."""

from datetime import date
from decimal import Decimal
from typing import Annotated

from casehand import Case, CaseData, Personal, workflow
from parish.bots.parish import ParishBot


class ParishRent(CaseData):
    claim: str
    weekly_rent: Decimal
    from_date: date
    claimant: Annotated[str, Personal]


@workflow("parish/rent", reference="claim")
def put_rent(case: Case[ParishRent], bot: ParishBot) -> None:
    what = (case.data.claim, f"{case.data.weekly_rent:.2f}", f"{case.data.from_date:%d/%m/%Y}")
    with case.commit("put the rent on", done=lambda: bot.has_rent(*what)):
        bot.add_rent(*what)
''',
}


@dataclass
class Run:
    """One home in which a batch has been handed in and worked, and what was seen meanwhile."""

    home: Path
    practice: PracticeServer
    environment: Mapping[str, str]
    log: str = ""
    code: int = -1
    seen_in_redis: set[bytes] = field(default_factory=set)
    looks: int = 0

    def casehand(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [CASEHAND, *arguments]
        return subprocess.run(
            command, env=self.environment, cwd=self.home, capture_output=True, text=True, check=False
        )

    def work(self) -> None:
        """Have the batch worked to its end by two workers, reading Redis all the while."""
        with EmbeddedValkey(self.home) as url, _reading(self, url):
            worked = subprocess.run(
                [CASEHAND, "work", "--workers", "2", "--burst"],
                env=self.environment,
                cwd=self.home,
                capture_output=True,
                text=True,
                check=False,
                timeout=SECONDS,
            )
        self.code, self.log = worked.returncode, worked.stdout + worked.stderr

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        ledger = Ledger.open(f"sqlite:///{self.home / 'ledger.db'}", Vault.from_file(self.home / "key"))
        yield ledger
        ledger.close()

    def stories(self) -> list[CaseStory]:
        with self.ledger() as ledger:
            return [tell(ledger, case.id) for case in find_cases(ledger)]

    def faults(self) -> list[str]:
        """What the practice system's journal says against the ledger."""
        with self.ledger() as ledger:
            doubtful = {one.case for one in waiting(ledger) if one.kind is EscalationKind.IN_DOUBT}
        return self.practice.judge(
            (story.line.reference, story.data, str(story.line.state), story.line.id in doubtful)
            for story in self.stories()
        )


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Sixty cases, several of them awkward, worked by two workers."""
    folder = tmp_path_factory.mktemp("whole")
    claims = [_special(place, claim) for place, claim in enumerate(generate(folder, CASES, first=FIRST))]
    mischief = [Mischief(claims[place].reference, kind, 1, 2.0) for place, kind in MISCHIEF.items()]
    with PracticeServer(folder / "practice", claims, mischief=mischief) as practice:
        run = Run(folder / "home", practice, _environment(folder, practice, "BENEFITS"))
        run.home.mkdir(mode=0o700)
        handed = run.casehand("enqueue", "housing-benefit/rent-change", str(folder / "batch.csv"))
        assert handed.returncode == 0, handed.stderr
        run.work()
        yield run


def test_every_case_ends_as_it_should(run: Run) -> None:
    states = {int(story.line.reference[2:]) - FIRST: str(story.line.state) for story in run.stories()}
    assert len(states) == CASES
    people = {place for place, state in states.items() if state == "escalated"}
    assert people == {*ENDED, *ABOVE_LIMIT, *QUESTION}, run.log
    assert {states[place] for place in states.keys() - people} == {"done"}
    assert run.code == 3


def test_the_practice_systems_own_journal_agrees(run: Run) -> None:
    assert run.faults() == []
    changed = [entry for entry in run.practice.journal() if entry.user == run.practice.username]
    assert len(changed) == CASES - len((*ENDED, *ABOVE_LIMIT, *QUESTION, *ALREADY_DONE))


def test_mischief_was_met_and_its_cases_took_another_attempt(run: Run) -> None:
    attempts = {int(story.line.reference[2:]) - FIRST: story.line.attempts for story in run.stories()}
    again = {place for place, number in attempts.items() if number > 1}
    assert again | {LATE} == set(MISCHIEF), run.log


def test_several_lanes_worked(run: Run) -> None:
    workers = {attempt.worker for story in run.stories() for attempt in story.attempts}
    assert len(workers) >= 2


def test_nothing_of_any_case_was_ever_in_redis(run: Run) -> None:
    stories = run.stories()
    seen = b"\n".join(run.seen_in_redis)
    assert run.looks > 20
    assert sum(story.line.id.encode() in seen for story in stories) > CASES / 2, "the reader saw no jobs"
    assert _found(seen, _values(stories) | {story.line.reference for story in stories}) == set()


def test_nothing_of_any_case_was_ever_written_to_valkeys_file(run: Run) -> None:
    stories = run.stories()
    written = b"\n".join(path.read_bytes() for path in sorted((run.home / "valkey").rglob("*.aof")))
    assert stories[0].line.id.encode() in written
    unpacked = b"\n".join([written, *_unpacked(written)])
    assert _found(unpacked, _values(stories) | {story.line.reference for story in stories}) == set()


def test_the_ledgers_file_and_the_evidence_hold_nothing_of_any_case_but_its_reference(run: Run) -> None:
    stories = run.stories()
    files = [path for path in run.home.rglob("*") if path.is_file()]
    assert {"ledger.db"} <= {path.name for path in files}
    assert any(path.suffix == ".jpg" for path in files)
    values = _values(stories)
    assert {path.name: found for path in files if (found := _found(path.read_bytes(), values))} == {}
    names = "\n".join(str(path) for path in files).encode()
    assert _found(names, values | {story.line.reference for story in stories}) == set()


def test_everything_in_the_home_is_closed_to_others(run: Run) -> None:
    assert run.home.stat().st_mode & 0o077 == 0
    assert (run.home / "key").stat().st_mode & 0o077 == 0


def test_no_log_line_holds_a_value_of_any_case(run: Run) -> None:
    lines = [json.loads(line) for line in run.log.splitlines() if line.startswith("{")]
    begun = [line for line in lines if line["event"] == "attempt_begun"]
    assert len(begun) > CASES
    assert all({"case", "attempt", "workflow", "worker"} <= line.keys() for line in begun)
    assert _found(run.log.encode(), _values(run.stories()) | {run.practice.password}) == set()


def test_evidence_opens_with_the_cases_key_and_is_what_it_says(run: Run) -> None:
    pictures = traces = 0
    for path, content in _evidence(run):
        if path.suffix == ".jpg":
            assert content.startswith(b"\xff\xd8\xff"), path
            pictures += 1
        else:
            with ZipFile(BytesIO(content)) as archive:
                assert archive.testzip() is None
                assert not any(
                    run.practice.password.encode() in archive.read(name) for name in archive.namelist()
                )
            traces += 1
    assert pictures > CASES
    assert traces == sum(story.line.attempts - 1 for story in run.stories())


def test_there_is_a_picture_of_every_escalation_and_around_every_change(run: Run) -> None:
    for story in run.stories():
        kept = {path.name for path in (run.home / "evidence" / story.line.id).rglob("*.jpg")}
        if story.escalations:
            assert story.escalations[-1].screenshot in kept
            assert story.escalations[-1].page.startswith(run.practice.url)
        if story.line.commits:
            assert any("before-put-the-new-rent" in name for name in kept)
            assert any("after-put-the-new-rent" in name for name in kept) or story.line.attempts > 1


BLACK_BLOCK = """
async source => {
  const image = new Image();
  image.src = source;
  await image.decode();
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [image.width, image.height];
  const context = canvas.getContext('2d');
  context.drawImage(image, 0, 0);
  const pixels = context.getImageData(0, 0, image.width, image.height).data;
  const isBlack = (x, y) => [0, 1, 2].every(one => pixels[(y * image.width + x) * 4 + one] < 24);
  let rows = 0, most = 0;
  for (let y = 0; y < image.height; y++) {
    let run = 0, longest = 0;
    for (let x = 0; x < image.width; x++) {
      run = isBlack(x, y) ? run + 1 : 0;
      longest = Math.max(longest, run);
    }
    rows = longest >= 60 ? rows + 1 : 0;
    most = Math.max(most, rows);
  }
  return most;
}
"""
"""The height of the tallest black block, at least 60 pixels wide, of a picture."""


def test_the_claimants_name_is_blacked_out_in_the_pictures_of_a_change(run: Run, browser: Browser) -> None:
    pictures = [content for path, content in _evidence(run) if "-put-the-new-rent" in path.name][:4]
    assert pictures
    with browser.new_context() as context:
        page = context.new_page()
        for picture in pictures:
            source = f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"
            assert page.evaluate(BLACK_BLOCK, source) >= 10


def test_status_and_escalations_tell_the_same_from_the_command_line(run: Run) -> None:
    status = json.loads(run.casehand("status", "--json").stdout)
    escalated = json.loads(run.casehand("escalations", "--json").stdout)
    assert status["done"] + status["escalated"] == CASES
    assert len(escalated) == status["escalated"]
    assert {one["kind"] for one in escalated} == {"business", "question"}


def test_a_bot_and_a_workflow_of_a_package_elsewhere_do_as_well(tmp_path: Path) -> None:
    for name, text in PARISH.items():
        file = tmp_path / "elsewhere/parish" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    claims = generate(tmp_path, 10)
    mischief = [
        Mischief(claims[2].reference, Kind.DROP_AFTER),
        Mischief(claims[5].reference, Kind.DROP_BEFORE),
    ]
    with PracticeServer(tmp_path / "practice", claims, mischief=mischief) as practice:
        environment = {
            **_environment(tmp_path, practice, "PARISH"),
            "CASEHAND_WORKFLOWS": "parish",
            "PYTHONPATH": os.pathsep.join([str(tmp_path / "elsewhere"), os.environ.get("PYTHONPATH", "")]),
        }
        run = Run(tmp_path / "home", practice, environment)
        run.home.mkdir(mode=0o700)
        handed = run.casehand("enqueue", "parish/rent", str(tmp_path / "batch.csv"))
        assert handed.returncode == 0, handed.stderr
        run.work()
        assert run.code == 0, run.log
        assert {str(story.line.state) for story in run.stories()} == {"done"}
        assert run.faults() == []
        assert len(practice.journal()) == len(claims)


def test_a_refused_sign_in_pauses_the_bot_and_does_not_burn_through_the_batch(tmp_path: Path) -> None:
    """It is tried once in all, not once a case or worker; with the right password the batch goes on."""
    claims = generate(tmp_path, 4)
    began = utc_now()
    # The clock stands still, so that the system forgets no failed attempt.
    with PracticeServer(tmp_path / "practice", claims, clock=lambda: began) as practice:
        environment = _environment(tmp_path, practice, "BENEFITS")
        run = Run(tmp_path / "home", practice, {**environment, "CASEHAND_BOT_BENEFITS_PASSWORD": "wrong"})
        run.home.mkdir(mode=0o700)
        run.casehand("enqueue", "housing-benefit/rent-change", str(tmp_path / "batch.csv"))
        run.work()
        assert run.code == 3, run.log
        status = run.casehand("status").stdout
        assert "benefits" in status
        assert "User name or password not recognised." in status
        assert {str(story.line.state) for story in run.stories()} == {"queued"}
        assert practice.journal() == []

        run.environment = environment
        assert run.casehand("resume", "bot", "benefits").returncode == 0
        run.work()
        assert run.code == 0, run.log
        assert {str(story.line.state) for story in run.stories()} == {"done"}
        assert run.faults() == []
        assert _refused_until_locked(practice) == FAILURES_BEFORE_LOCK - 1


def _refused_until_locked(practice: PracticeServer) -> int:
    """How many wrong passwords the system takes before it locks the account."""
    with Clerk(practice.url, practice.username, "wrong") as clerk:
        for refused in range(FAILURES_BEFORE_LOCK + 1):
            if "locked" in clerk.sign_in().text:
                return refused
    raise AssertionError("it was never locked")


def _environment(folder: Path, practice: PracticeServer, bot: str) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(PREFIX)},
        "CASEHAND_HOME": str(folder / "home"),
        "CASEHAND_RETRY_FIRST_SECONDS": "0.5",
        f"CASEHAND_BOT_{bot}_URL": practice.url,
        f"CASEHAND_BOT_{bot}_USERNAME": practice.username,
        f"CASEHAND_BOT_{bot}_PASSWORD": practice.password,
    }


def _special(place: int, claim: Claim) -> Claim:
    """The claim as the system has it, so that the file's new rent meets what it should."""
    rent = new_rent(claim)
    if place in ENDED:
        return replace(claim, status="Ended")
    if place in ABOVE_LIMIT:
        return replace(claim, rent_limit=rent - 1)
    if place in QUESTION:
        before = (rent * 100 / 114).quantize(rent)
        return replace(claim, rents=(Rent(LAST_YEAR, before),))
    if place in ALREADY_DONE:
        return replace(claim, rents=(*claim.rents, Rent(NEW_RENTS, rent)))
    return claim


@contextmanager
def _reading(run: Run, url: str) -> Iterator[None]:
    """Copy every key and value in Redis, over and over, until the block ends."""
    over = Event()

    def read() -> None:
        with Redis.from_url(url) as redis:
            while not over.wait(0.05):
                for key in redis.scan_iter(count=1000):
                    run.seen_in_redis.update(_parts(key, _value(redis, key)))
                run.looks += 1

    reader = Thread(target=read, name="reader")
    reader.start()
    try:
        yield
    finally:
        over.set()
        reader.join()


def _value(redis: Redis, key: bytes) -> Any:
    read: dict[bytes, Any] = {
        b"string": lambda: redis.get(key),
        b"hash": lambda: redis.hgetall(key),
        b"list": lambda: redis.lrange(key, 0, -1),
        b"set": lambda: redis.smembers(key),
        b"zset": lambda: redis.zrange(key, 0, -1, withscores=True),
        b"stream": lambda: redis.xrange(key),
        b"none": lambda: None,  # It has gone since it was listed.
    }
    return read[redis.type(key)]()


def _parts(*values: Any) -> Iterator[bytes]:
    """Every text in a value, and what RQ has packed."""
    for value in values:
        if isinstance(value, bytes):
            yield value
            yield from _unpacked(value)
        elif isinstance(value, Mapping):
            yield from _parts(*value.keys(), *value.values())
        elif isinstance(value, list | tuple | set):
            yield from _parts(*value)
        elif value is not None:
            yield str(value).encode()


def _unpacked(content: bytes) -> Iterator[bytes]:
    for start in re.finditer(rb"\x78[\x01\x5e\x9c\xda]", content):
        try:
            yield zlib.decompressobj().decompress(content[start.start() :])
        except zlib.error:
            continue


def _values(stories: list[CaseStory]) -> set[str]:
    """Every value of every case: what came in, what came of it, and why it is where it is."""
    values: set[str] = set()
    for story in stories:
        told = [*story.data.values(), *(story.result or {}).values(), story.line.reason]
        told += [one.reason for one in story.escalations]
        values |= {str(one) for one in told if one is not None}
    values -= {story.line.reference for story in stories}
    assert all(len(value) > 3 for value in values), "too short to be looked for"
    return values


def _found(content: bytes, values: set[str]) -> set[str]:
    # A number within a longer one, such as a time, is no value.
    return {
        value
        for value in values
        if value.encode() in content
        and re.search(rb"(?<![\d.])" + re.escape(value.encode()) + rb"(?!\d)", content)
    }


def _evidence(run: Run) -> Iterator[tuple[Path, bytes]]:
    with run.ledger() as ledger:
        for path in sorted((run.home / "evidence").glob("*/*/*")):
            yield path, read_evidence(path, ledger.key_of(path.parent.parent.name).open)
