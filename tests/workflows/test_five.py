"""The sample workflows together: three practice systems, a real ledger, a real worker, and the journals as judge."""

import csv
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import pytest
from redis import Redis

from casehand.clock import utc_now
from casehand.fixtures.council_tax import accounts, seed
from casehand.fixtures.council_tax.judge import Case, judge
from casehand.fixtures.council_tax.records import Register
from casehand.fixtures.council_tax.server import CouncilTaxServer
from casehand.fixtures.practice.claims import Circumstances, Claim, Overpayment
from casehand.fixtures.practice.deeds import Deed, judge_deeds
from casehand.fixtures.practice.deeds import Work as Fate
from casehand.fixtures.practice.filing import keep
from casehand.fixtures.practice.mischief import Kind
from casehand.fixtures.practice.options import Options
from casehand.fixtures.practice.records import transaction
from casehand.fixtures.practice.seed import ordinary_claim
from casehand.fixtures.practice.server import PracticeServer
from casehand.fixtures.practice.sessions import COLLEAGUE
from casehand.fixtures.practice.system import PracticeSystem
from casehand.fixtures.services.documents import Request
from casehand.fixtures.services.seed import move_request, starter
from casehand.fixtures.services.server import ServicesServer
from casehand.queue import escalations
from casehand.queue.cases import CaseStory, counts, find_cases, tell
from casehand.queue.commits import CommitState
from casehand.queue.dispatch import Dispatcher
from casehand.queue.intake import hand_in
from casehand.queue.known import make_known
from casehand.queue.ledger import Ledger
from casehand.queue.vault import Vault
from casehand.workflows.installed import installed_workflows

SECONDS = 240
STOP, MOVES, DEBT = "housing-benefit/stop-notice", "council-tax/move", "debt/single-view"
STARTER, RENT = "human-resources/new-starter-progress", "housing-benefit/rent-change"

LANDLORD, CLAIMANT, PRIVATE, SPECIFIED, TEMPORARY, JOINT, ENDED, ELSEWHERE, TWICE = (
    f"HB60000{number}" for number in range(1, 10)
)
RISES = "HB600010"
UC_STARTS = "2026-06-08"

ALONE, BENEFITS, UNLISTED, FULL = (seed.account_number(0, house) for house in (1, 8, 3, 5))

pytestmark = pytest.mark.timeout(SECONDS + 60)


def claims() -> list[Claim]:
    given = {
        LANDLORD: Circumstances(income_reduction=Decimal("40.00")),
        CLAIMANT: Circumstances(payee="Claimant", spare_bedrooms=1),
        PRIVATE: Circumstances(tenure="Private"),
        SPECIFIED: Circumstances(accommodation="Specified"),
        TEMPORARY: Circumstances(accommodation="Temporary"),
        JOINT: Circumstances(partner="Mx Partner Ash"),
    }
    made = [
        replace(
            ordinary_claim(reference),
            circumstances=given.get(reference, Circumstances()),
            ineligible_charges=Decimal("8.00"),
            non_dependant_deduction=Decimal("0.00"),
            allowance=Decimal("70.00") if reference == PRIVATE else Decimal("250.00"),
        )
        for reference in (LANDLORD, CLAIMANT, PRIVATE, SPECIFIED, TEMPORARY, JOINT, ELSEWHERE, TWICE, RISES)
    ]
    ended = replace(ordinary_claim(ENDED), status="Ended", award_ended=date(2026, 5, 31))
    return [*made, ended]


@dataclass
class Council:
    """The three systems, and a ledger whose batches were worked, a person helping once."""

    folder: Path
    benefits: PracticeServer
    council_tax: CouncilTaxServer
    services: ServicesServer
    ledger: Ledger
    redis: Redis
    environment: dict[str, str] = field(default_factory=dict)
    batches: dict[str, str] = field(default_factory=dict)
    in_the_middle: CaseStory | None = None
    """The move that a person had to help with, as it was then."""

    def systems(self) -> dict[str, PracticeSystem]:
        return {"BENEFITS": self.benefits, "COUNCIL_TAX": self.council_tax, "SERVICES": self.services}

    def hand_in(self, name: str, rows: Sequence[Mapping[str, object]]) -> None:
        workflow = installed_workflows()[name]
        file = self.folder / f"{len(self.batches)}.csv"
        with file.open("w", newline="") as opened:
            writer = csv.DictWriter(opened, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        make_known(self.ledger, name, workflow.bot_names, workflow.timeout)
        taken = hand_in(
            self.ledger,
            workflow=name,
            model=workflow.model,
            reference=workflow.reference,
            path=file,
            by="a test",
        )
        assert taken.accepted == len(rows)
        self.batches[f"{name} {len(self.batches)}"] = taken.batch

    def run_schedule(self) -> None:
        """Have the questions looked for as cron would: no file is handed in."""
        (self.folder / "casehand.toml").write_text(SCHEDULE)
        command = [Path(sys.executable).with_name("casehand"), "schedule", "run", "questions"]
        subprocess.run(command, env=self.environment, cwd=self.folder, check=True)

    def work(self) -> None:
        """Have a worker work until nothing is queued any more."""
        Dispatcher(self.ledger, self.redis).top_up()
        pause, deadline = Event(), monotonic() + SECONDS
        with (self.folder / "log").open("ab") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "casehand.worker"],
                stderr=log,
                env=self.environment,
                cwd=self.folder,
            )
        try:
            while (now := counts(self.ledger))["queued"] + now["working"]:
                assert monotonic() < deadline, f"{now} {(self.folder / 'log').read_text()[-3000:]}"
                pause.wait(0.2)
            worker.send_signal(signal.SIGTERM)
            worker.wait(30)
        finally:
            worker.kill()
            worker.wait()

    def stories(self, workflow: str) -> list[CaseStory]:
        found = [case for case in find_cases(self.ledger) if case.workflow == workflow]
        return [tell(self.ledger, case.id) for case in found]

    def ends(self, workflow: str) -> list[tuple[str, str, str | None]]:
        return [(one.line.reference, str(one.line.state), one.line.reason) for one in self.stories(workflow)]

    def story(self, workflow: str, reference: str) -> CaseStory:
        (found,) = (one for one in self.stories(workflow) if one.line.reference == reference)
        return found


def notice(reference: str, starts: str = UC_STARTS, **other: object) -> dict[str, object]:
    claim = ordinary_claim(reference)
    row = {"claim": reference, "claimant": claim.claimant, "address": claim.address, "starts": starts}
    return {**row, "moved": "no", **other}


def move(account: str, new_property: str, request: str, house: int) -> dict[str, object]:
    return {
        "account": account,
        "request": request,
        "person": seed.person_of(0, house),
        "new_property": new_property,
        "told_on": "2026-05-11",
        "moves_on": "2026-06-01",
        "lives_alone": "yes" if house == 1 else "no",
    }


def requests() -> Iterator[Request]:
    for number, row in enumerate(HOMES, 1):
        yield move_request(number, str(row["person"]))
    yield starter(1, asks="Progress?")
    yield starter(2, asks="Progress?", ready=1, begun=1, starts=date(2026, 5, 13))
    yield starter(3, asks="Question")


NOTICES = [
    *(notice(one) for one in (LANDLORD, CLAIMANT, SPECIFIED, TEMPORARY, JOINT, ENDED)),
    notice(PRIVATE, moved="yes", address="7 Elsewhere Road, Exampleton"),
    notice(ELSEWHERE, address="7 Elsewhere Road, Exampleton"),
    notice(TWICE),
]
HOMES = [
    move(ALONE, seed.property_reference(0, 13), "CA00001", 1),
    move(BENEFITS, seed.property_reference(0, 14), "CA00002", 8),
    move(UNLISTED, seed.property_reference(0, seed.HOUSES), "CA00003", 3),
    move(FULL, seed.property_reference(0, 6), "CA00004", 5),
]
PEOPLE: list[dict[str, object]] = [
    {"number": "PE00001", "name": seed.person_of(0, 5), "claim": RISES, "account": FULL, "registration": ""},
    {"number": "PE00002", "name": seed.person_of(0, 5), "claim": "", "account": FULL, "registration": ""},
    {"number": "PE00003", "name": "Mx Test Stranger", "claim": "", "account": FULL, "registration": ""},
]


@pytest.fixture(scope="module")
def council(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[Council]:
    folder = tmp_path_factory.mktemp("five")
    (folder / "home").mkdir(mode=0o700)
    owing = replace(
        claims()[8],
        claimant=seed.person_of(0, 5),
        overpayments=(Overpayment("OP0001", "Claimant error", Decimal("120.50")),),
    )
    with ExitStack() as serving:
        enter = serving.enter_context
        redis = enter(Redis.from_url(redis_url))
        redis.flushall()
        vault = Vault.from_file(folder / "home" / "key")
        council = Council(
            folder,
            enter(PracticeServer(folder / "b", [*claims()[:8], owing, claims()[9]], Options(pieces=0))),
            enter(CouncilTaxServer(folder / "c")),
            enter(ServicesServer(folder / "s", requests())),
            Ledger.open(f"sqlite:///{folder / 'home' / 'ledger.db'}", vault),
            redis,
        )
        serving.callback(council.ledger.close)
        council.environment = environment(council, redis_url)
        council.hand_in(STOP, NOTICES)
        council.hand_in(MOVES, HOMES)
        council.hand_in(DEBT, PEOPLE)
        council.run_schedule()
        council.hand_in(RENT, [RENT_ROW])
        council.benefits.plant(CLAIMANT, Kind.DROP_AFTER)
        council.council_tax.plant(ALONE, Kind.DROP_AFTER)
        council.work()
        council.in_the_middle = council.story(MOVES, UNLISTED)
        list_and_open(council, HOMES[2])
        escalations.send_back(council.ledger, council.in_the_middle.line.id, COLLEAGUE)
        council.hand_in(STOP, [notice(TWICE), notice(LANDLORD, "2026-06-15")])
        council.work()
        yield council


SCHEDULE = """
[[schedule]]
name = "questions"
cron = "* * * * *"
producer = "human-resources/open-questions"
"""

RENT_ROW: dict[str, object] = {
    "claim": RISES,
    "weekly_rent": f"{ordinary_claim(RISES).current_rent.weekly_rent + 1}",
    "from_date": "2026-04-06",
    "claimant": seed.person_of(0, 5),
}


def environment(council: Council, redis_url: str) -> dict[str, str]:
    bots = {
        f"CASEHAND_BOT_{name}_{what}": value
        for name, one in council.systems().items()
        for what, value in (("URL", one.url), ("USERNAME", one.username), ("PASSWORD", one.password))
    }
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("CASEHAND_")},
        **bots,
        "CASEHAND_HOME": str(council.folder / "home"),
        "CASEHAND_REDIS_URL": redis_url,
        "CASEHAND_RETRY_FIRST_SECONDS": "0.5",
    }


def test_stop_notices_end_as_the_rules_say(council: Council) -> None:
    assert council.ends(STOP) == [
        (LANDLORD, "done", None),
        (CLAIMANT, "done", None),
        (SPECIFIED, "escalated", "the accommodation is specified: the award goes on"),
        (TEMPORARY, "escalated", "the accommodation is temporary: the award goes on"),
        (JOINT, "escalated", "the claim is a joint one"),
        (ENDED, "escalated", "the award has ended already, on 31/05/2026"),
        (PRIVATE, "done", None),
        (ELSEWHERE, "escalated", "the address on the notice is not the claim's"),
        (TWICE, "done", None),
        (TWICE, "done", None),
        (LANDLORD, "escalated", "the award has ended already, on 07/06/2026"),
    ]


def test_each_award_is_ended_once_and_its_run_on_paid_once_at_the_maximum(council: Council) -> None:
    def deeds(reference: str, weekly: Decimal, payee: str) -> list[Deed]:
        paid = {"first_day": "2026-06-08", "last_day": "2026-06-21", "weekly_amount": str(weekly)}
        ended = {"last_day": "2026-06-07", "reason": "Universal Credit"}
        return [
            Deed("award-end", reference, ended),
            Deed("payment", reference, {**paid, "payee": payee}),
        ]

    rents = {one.reference: one.current_rent.weekly_rent - one.ineligible_charges for one in claims()}
    less = (rents[CLAIMANT] * Decimal("0.86")).quantize(Decimal("0.01"))
    fates = [
        Fate(LANDLORD, "done", deeds(LANDLORD, rents[LANDLORD], "Landlord")),
        Fate(CLAIMANT, "done", deeds(CLAIMANT, less, "Claimant")),
        Fate(PRIVATE, "done", deeds(PRIVATE, Decimal("70.00"), "Claimant")),
        Fate(TWICE, "done", deeds(TWICE, rents[TWICE], "Landlord")),
        Fate(RISES, "done", [Deed("rent", RISES)]),
    ]
    assert judge_deeds(council.benefits.journal(), fates) == []


def test_a_move_is_made_once_and_one_with_benefits_not_at_all(council: Council) -> None:
    ends = council.ends(MOVES)
    assert [end[:2] for end in ends] == [
        (ALONE, "done"),
        (BENEFITS, "escalated"),
        (UNLISTED, "done"),
        (FULL, "escalated"),
    ]
    assert ends[1][2] == "benefits are on the account"
    assert ends[3][2] == f"account {seed.account_number(0, 6)} is open at the new property"
    assert moves_judged(council) == []


def test_debt_is_one_record_for_each_person_in_the_batchs_file(council: Council) -> None:
    batch = next(name for key, name in council.batches.items() if key.startswith(DEBT))
    file = council.folder / "debts.csv"
    casehand = Path(sys.executable).with_name("casehand")
    subprocess.run(
        [casehand, "results", batch, "--output", file],
        env=council.environment,
        cwd=council.folder,
        check=True,
    )
    with file.open(newline="", encoding="utf-8-sig") as opened:
        rows = list(csv.DictReader(opened))
    told = [[row[f"Result: {name}"] for name in ("overpayments", "council_tax", "total")] for row in rows]
    assert told == [["120.50", "212.50", "333.00"], ["", "212.50", "212.50"], ["", "", ""]]
    assert rows[2]["Why"] == "the account is another person's"


def test_a_new_starters_question_is_answered_or_left_to_a_person(council: Council) -> None:
    assert sorted(council.ends(STARTER)) == [
        ("NS00001-1", "done", None),
        (
            "NS00002-1",
            "escalated",
            "the first day is 2 working days away and nobody has begun: building pass",
        ),
        ("NS00003-1", "escalated", "something else than the progress is asked"),
    ]
    answers = [entry for entry in council.services.journal() if entry.kind == "answer"]
    assert [(one.reference, one.values["text"][:18]) for one in answers] == [
        ("NS00001", "3 of 5 are ready. ")
    ]


def test_a_person_takes_over_a_move_in_the_middle_and_the_robot_does_the_rest(council: Council) -> None:
    before = council.in_the_middle
    assert before is not None
    assert before.line.reason == "The property is not on the valuation list."
    done = ["end the old account", "end the discount on the old account"]
    assert [one.name for one in before.commits if one.state is CommitState.MADE] == done

    after = council.story(MOVES, UNLISTED)
    assert str(after.line.state) == "done"
    made = [one.name for one in after.commits if one.state is CommitState.MADE]
    assert made == [*done, "put a note on both accounts", "close the request"]
    assert "open the new account" in [one.name for one in after.commits if one.state is CommitState.FOUND]
    assert moves_judged(council) == []


def list_and_open(council: Council, row: dict[str, Any]) -> None:
    """What a person does by hand: has the property put on the list, and opens the account."""
    with transaction(council.council_tax.home) as connection:
        register = Register(connection, utc_now, COLLEAGUE)
        found = register.property(row["new_property"])
        assert found is not None
        listed: accounts.Property = found.model_copy(update={"is_listed": True})
        keep(connection, listed)
        register.open(listed, row["person"], date.fromisoformat(row["moves_on"]))


def moves_judged(council: Council) -> list[str]:
    """What the journals have against the moves; no other account was touched."""
    cases = [Case(one.data, str(one.line.state)) for one in council.stories(MOVES)]
    known = {one.data["account"] for one in cases} | {one.data["new_property"] for one in cases}
    journal = council.council_tax.journal()
    known |= {entry.values["account"] for entry in journal if entry.kind == "open"}
    strays = [f"{entry.reference}: {entry.kind}" for entry in journal if entry.reference not in known]
    return strays + judge(council.council_tax.home, council.services.home, cases)
