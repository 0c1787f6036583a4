"""Sample cases in every state, in a real ledger, made by the functions that make them in earnest.

All names and references are invented. `Made` says which case is which.
"""

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

from PIL import Image, ImageDraw
from pydantic import BaseModel, Field
from sqlalchemy import select

from casehand import Case, CaseData, Personal, workflow
from casehand.queue import attempts, commits, endings, escalations, pauses, schema
from casehand.queue.attempts import Begun
from casehand.queue.backoff import Backoff
from casehand.queue.batches import note_finished
from casehand.queue.commits import CommitState
from casehand.queue.intake import hand_in
from casehand.queue.known import make_known
from casehand.queue.ledger import Ledger
from casehand.queue.outcome import Done, Escalated, EscalationKind, Failed, Outcome, Scene
from casehand.queue.pauses import PauseKind
from casehand.workflows.workflow import Workflow

NOW = datetime(2026, 11, 24, 10, 42, tzinfo=UTC)
RENT = "housing-benefit/rent-change"
PERMIT = "parking/permit-renewal"
BOT = "benefits"
PUT_ON = "put the new rent on the claim"
SETTLES = timedelta(seconds=20)


class RentChange(CaseData):
    """One row of a landlord's rent file."""

    claim: str = Field(pattern=r"^HB[0-9]{6}$", examples=["HB000125"])
    weekly_rent: Decimal = Field(gt=0, max_digits=7, decimal_places=2)
    from_date: date
    claimant: Annotated[str, Personal]


class PermitRenewal(CaseData):
    """One permit that runs out."""

    permit: str = Field(max_length=200)
    vehicle: str
    zone: str = "A"
    notes: str = ""


class Decision(BaseModel):
    """What a person decides of a permit."""

    zone: str = Field(title="Zone", description="The zone that the permit is for, such as B.", max_length=2)
    fee: Decimal = Field(
        title="Fee in pounds", description="What the holder pays.", gt=0, decimal_places=2, max_digits=6
    )
    remind: bool = Field(default=False, title="Send a reminder")


@workflow(RENT, reference="claim", minutes_by_hand=4)
def change_rent(case: Case[RentChange]) -> None:
    """Put the new rent on the claim."""


@workflow(PERMIT, reference="permit", minutes_by_hand=6)
def renew_permit(case: Case[PermitRenewal]) -> None:
    """Renew the permit."""


WORKFLOWS: Mapping[str, Workflow] = {RENT: change_rent, PERMIT: renew_permit}


class Clock:
    """A time that a test holds still and moves on."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """The time now."""
        return self.now

    def pass_time(self, **span: float) -> None:
        """Move on, by a span as `timedelta` takes it."""
        self.now += timedelta(**span)

    @contextmanager
    def ago(self, **span: float) -> Iterator[None]:
        """Do something as if it were so long ago."""
        now = self.now
        self.now = now - timedelta(**span)
        yield
        self.now = now


@dataclass
class Made:
    """The sample: a case's id for each kind of story."""

    cases: dict[str, str] = field(default_factory=dict)

    def __getattr__(self, name: str) -> str:
        try:
            return self.__dict__["cases"][name]
        except KeyError:
            raise AttributeError(name) from None


@dataclass(frozen=True)
class Sampler:
    """Makes cases, and works them as far as their story goes."""

    ledger: Ledger
    clock: Clock
    evidence: Path
    folder: Path

    def take_in(self, name: str, workflow: Workflow, rows: list[dict[str, str]]) -> dict[str, str]:
        """Hand in a batch; the ids of its cases by reference."""
        columns = list(rows[0])
        file = self.folder / f"{name}.csv"
        lines = [",".join(columns), *(",".join(_cell(row[column]) for column in columns) for row in rows)]
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        taken = hand_in(
            self.ledger,
            workflow=workflow.name,
            model=workflow.model,
            reference=workflow.reference,
            path=file,
            by="s.sample@example.test",
            due=self.clock() + timedelta(days=3),
        )
        cases = schema.cases.c
        query = select(cases.reference, cases.id).where(cases.batch == taken.batch)
        with self.ledger.reading() as connection:
            return {row.reference: row.id for row in connection.execute(query)}

    def begin(self, case: str) -> Begun:
        """Take a case in hand as its next attempt."""
        query = select(schema.cases.c.attempts).where(schema.cases.c.id == case)
        with self.ledger.reading() as connection:
            number = connection.execute(query).scalar_one() + 1
        begun = attempts.begin(self.ledger, case, number, "worker-1.benefits")
        assert begun is not None, case
        return begun

    def work(
        self,
        case: str,
        outcome: Outcome,
        change: CommitState | None = None,
        seconds: float = 4,
        picture: bool = False,
    ) -> None:
        """Work a case once, with a change in the legacy system that ended so."""
        begun = self.begin(case)
        steps: list[dict[str, Any]] = [
            self._step("opens benefits", 1.204),
            self._step("find the claim", 0.61),
        ]
        if change is not None:
            steps += self._change(begun, change)
        if picture:
            name = self._picture(begun, "question", "Claim on hold")
            steps.append({"name": "question", "at": self.clock().isoformat(), "evidence": name})
        self.clock.pass_time(seconds=seconds)
        assert endings.end(self.ledger, begun, outcome, json.dumps(steps), Backoff(), 0.0) is not None

    def ask(self, case: str, prompt: str, **asked: Any) -> None:
        """Work a case up to a question."""
        question = {"prompt": prompt, **asked}
        key = self.ledger.key_of(case).fingerprint(json.dumps(question, sort_keys=True))
        scene = Scene("http://127.0.0.1:1/claim/7", "01-question.jpg")
        text = json.dumps({**question, "key": key})
        self.work(case, Escalated(EscalationKind.QUESTION, prompt, text, scene), picture=True)

    def escalate(
        self, case: str, kind: EscalationKind, reason: str, change: CommitState | None = None
    ) -> None:
        """Work a case until it needs a person."""
        scene = Scene("http://127.0.0.1:1/claim/7", "01-question.jpg")
        self.work(case, Escalated(kind, reason, None, scene), change=change, picture=change is None)

    def _step(self, name: str, seconds: float) -> dict[str, Any]:
        at = self.clock()
        self.clock.pass_time(seconds=seconds)
        return {"name": name, "at": at.isoformat(), "seconds": seconds}

    def _change(self, begun: Begun, state: CommitState) -> list[dict[str, Any]]:
        before = self._picture(begun, f"before {PUT_ON}", "Weekly award: £104.10")
        notes = [{"name": f"begins: {PUT_ON}", "at": self.clock().isoformat(), "evidence": before}]
        intent = commits.intend(self.ledger, begun.case, begun.number, PUT_ON, BOT, SETTLES)
        assert intent is not None
        self.clock.pass_time(seconds=1.5)
        if state is CommitState.INTENDED:
            return notes
        assert commits.resolve(self.ledger, begun.case, begun.number, intent, state)
        after = self._picture(begun, f"after {PUT_ON}", "Weekly award: £112.40", number=2)
        return [*notes, {"name": f"made: {PUT_ON}", "at": self.clock().isoformat(), "evidence": after}]

    def _picture(self, begun: Begun, title: str, shows: str, number: int = 1) -> str:
        """A screenshot, kept as an attempt keeps it."""
        image = Image.new("RGB", (900, 420), "#eeeecc")
        draw = ImageDraw.Draw(image)
        draw.rectangle((0, 0, 900, 40), fill="#223366")
        draw.text((16, 12), "Practice Benefits", fill="white", font_size=18)
        draw.text((16, 70), f"Claim {begun.reference[:20]}", fill="black", font_size=24)
        draw.text((16, 120), shows, fill="black", font_size=20)
        content = io.BytesIO()
        image.save(content, "JPEG")
        name = f"{number:02}-{title.replace(' ', '-')}.jpg"
        folder = self.evidence / begun.case / str(begun.number)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / name).write_bytes(begun.key.seal(content.getvalue()))
        return name


def fill(ledger: Ledger, clock: Clock, evidence: Path, folder: Path) -> Made:
    """Put cases of every state into an empty ledger."""
    make_known(ledger, RENT, [BOT], timedelta(minutes=5), 4)
    make_known(ledger, PERMIT, ["permits"], timedelta(minutes=5), 6)
    sampler, made = Sampler(ledger, clock, evidence, folder), Made()
    with clock.ago(days=2, hours=1):
        rents = sampler.take_in("rent changes", change_rent, _rents())
    with clock.ago(hours=3):
        permits = sampler.take_in("permits", renew_permit, _permits())
    with clock.ago(days=1):
        earlier = sampler.take_in(
            "earlier permits", renew_permit, [_permit("PP-2026-0900"), _permit("PP-2026-0901")]
        )
    _work_rents(sampler, made, rents)
    _work_permits(sampler, made, permits)
    with clock.ago(hours=20):
        for case in earlier.values():
            sampler.work(case, Done(json.dumps({"fee": "42.00"})))
    note_finished(ledger)
    with clock.ago(minutes=50):
        pauses.pause(
            ledger, PauseKind.BOT, "permits", "the permits system is being moved", "s.sample@example.test"
        )
    made.cases["finished"] = earlier["PP-2026-0900"]
    return made


def hostile() -> dict[str, str]:
    """Values that a page must neither run nor be broken by."""
    return {
        "markup": "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>",
        "attribute": "\"' autofocus onfocus=\"document.title='run'\" x='",
        "template": "{{ 7 * 7 }}{% for x in range(9) %}x{% endfor %}${7*7}",
        "control": "bell \x07 escape \x1b[31m null-ish \x01 end",
        "turned": "invoice \u202egpj.exe\u202c and \u2067 more",
        "hidden": "zero\u200bwidth soft\u00adhyphen",
        "formula": '=HYPERLINK("http://127.0.0.1:1/","open")',
        "long": "Aa1" * 33_334,
        "path": "../../etc/passwd?x=1#y",
        "arabic": "السيدة اختبار",
        "surrogate": "half \ud83d a pair",
    }


def _work_rents(sampler: Sampler, made: Made, rents: dict[str, str]) -> None:
    cases = list(rents.values())
    clock = sampler.clock
    for place, case in enumerate(cases[:6]):
        with clock.ago(minutes=12 - place):
            sampler.work(case, Done(json.dumps({"weekly_award": "112.40"})), CommitState.MADE)
    made.cases["done"] = cases[0]
    stories = {
        "business": lambda one: sampler.escalate(one, EscalationKind.BUSINESS, "the claim is closed"),
        "question": lambda one: sampler.ask(
            one, "The rent rises by 14%. Put it through?", choices=["yes", "no"]
        ),
        "failure": lambda one: sampler.escalate(
            one, EscalationKind.FAILURE, "the system did not answer, four times in a row"
        ),
        "fault": lambda one: sampler.escalate(one, EscalationKind.FAULT, "KeyError in the workflow: 'award'"),
        "doubt": lambda one: sampler.escalate(
            one,
            EscalationKind.IN_DOUBT,
            f"it is not known whether this was done: {PUT_ON}",
            CommitState.INTENDED,
        ),
        "closed": lambda one: sampler.escalate(one, EscalationKind.BUSINESS, "the claim is closed"),
        "retried": lambda one: sampler.work(one, Failed("the page did not load", bot=BOT)),
    }
    for place, (name, story) in enumerate(stories.items(), start=6):
        with clock.ago(days=1, hours=20 - place):
            story(cases[place])
        made.cases[name] = cases[place]
    with clock.ago(hours=1):
        escalations.close(sampler.ledger, made.closed, "s.sample@example.test", "done by hand")
    escalations.cancel(sampler.ledger, cases[13], "s.sample@example.test", "handed in twice")
    made.cases["cancelled"] = cases[13]
    sampler.begin(cases[14])
    made.cases["working"] = cases[14]
    made.cases["queued"] = cases[15]


def _work_permits(sampler: Sampler, made: Made, permits: dict[str, str]) -> None:
    with sampler.clock.ago(hours=2):
        made.cases["form"] = permits["PP-2026-0001"]
        sampler.ask(made.form, "Which zone, and what fee?", form=Decision.model_json_schema())
    with sampler.clock.ago(hours=2):
        made.cases["hostile"] = permits["PP-2026-0002"]
        words = " ".join(value for name, value in hostile().items() if name not in ("surrogate", "long"))
        sampler.escalate(made.hostile, EscalationKind.BUSINESS, f"it says {words}")


def _rents() -> list[dict[str, str]]:
    names = ("Ash", "Birch", "Cedar", "Elm", "Fir", "Hazel", "Holly", "Larch", "Maple", "Oak")
    good = [
        {
            "claim": f"HB{100 + number:06}",
            "weekly_rent": f"{90 + number * 1.35:.2f}",
            "from_date": "2026-11-30",
            "claimant": f"Mx Test {names[number % len(names)]}",
        }
        for number in range(20)
    ]
    wrong = [{**good[0], "claim": "HB12"}, {**good[1], "claim": "HB000999", "weekly_rent": "a lot"}]
    return [*good, *wrong]


def _permits() -> list[dict[str, str]]:
    nasty = hostile()
    words = {name: value for name, value in nasty.items() if name not in ("surrogate", "long", "control")}
    return [
        _permit("PP-2026-0001"),
        {**_permit("PP-2026-0002"), "vehicle": nasty["markup"], "notes": " ".join(words.values())},
        {**_permit("PP-2026-0003"), "notes": nasty["long"][:30_000]},
        _permit("PP-2026-0004"),
    ]


def _permit(reference: str) -> dict[str, str]:
    return {"permit": reference, "vehicle": "TE57 AAA", "zone": "B", "notes": ""}


def _cell(text: str) -> str:
    quoted = text.replace('"', '""')
    return f'"{quoted}"'
