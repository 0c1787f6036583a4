"""The desk: every action, for each role; what it may not do changes nothing and leaves no trace."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import BaseModel, Field
from sqlalchemy import insert, select

from casehand.bots.bot import Bot
from casehand.console.actions import RIGHT_FOR, Action
from casehand.console.desk import Desk, NoSuchBulk, NoSuchCase, NotAllowed, Taken, TooLate, WrongFields
from casehand.console.entries import all_of, named
from casehand.console.person import Person
from casehand.console.rights import EVERY, ROLES_WITH, Right, Role
from casehand.exceptions import CasehandError
from casehand.queue import attempts, commits, endings, schema
from casehand.queue.audit import EntryFilter
from casehand.queue.backoff import Backoff
from casehand.queue.bulk import BulkAction
from casehand.queue.bulk_filter import BulkFilter
from casehand.queue.cases import CaseFilter, tell
from casehand.queue.escalations import WAS_DONE, EscalationFilter, waiting
from casehand.queue.intake import hand_in
from casehand.queue.ledger import Ledger
from casehand.queue.outcome import Escalated, EscalationKind
from casehand.queue.pauses import PauseKind, all_pauses, pause
from casehand.queue.rules import Rule
from casehand.queue.schedules import Plan, RunState
from casehand.queue.state import State
from casehand.workflows.case import Case
from casehand.workflows.data import CaseData
from casehand.workflows.workflow import Workflow, workflow

RENTS, TAX = "desk/rents", "desk/tax"
UTC_ZONE = ZoneInfo("UTC")
DUE = datetime(2026, 12, 24, 12, tzinfo=UTC)


class Rent(CaseData):
    """A landlord's row."""

    claim: str = Field(pattern=r"HB\d{6}", examples=["HB000125"])
    weekly_rent: Decimal = Field(gt=0, max_digits=7, decimal_places=2)
    note: str | None = None


class Decision(BaseModel):
    """What a person decides."""

    pay: Decimal = Field(gt=0, title="Weekly award", description="As the letter says.")
    because: str = Field(min_length=3)


class Benefits(Bot):
    """A system that is never opened here."""

    name = "benefits"


@workflow(RENTS, reference="claim")
def rents(case: Case[Rent], bot: Benefits) -> None:
    """Never run here."""


@workflow(TAX, reference="claim")
def tax(case: Case[Rent]) -> None:
    """Never run here."""


WORKFLOWS: dict[str, Workflow] = {RENTS: rents, TAX: tax}


@dataclass
class Stage:
    """A ledger with cases, and the desks of people."""

    ledger: Ledger
    folder: Path
    nudged: list[str] = field(default_factory=list)

    def desk(self, role: Role, where: str = EVERY, id: str = "m.sample") -> Desk:
        person = Person(id, id.title(), {where: frozenset({role})})
        return Desk(self.ledger, WORKFLOWS, person, lambda: self.nudged.append(id))

    def file(self, *references: str, name: str = "rents.csv") -> Path:
        path = self.folder / name
        path.write_text(
            "\n".join(["claim,weekly_rent,note", *(f"{one},112.40," for one in references)]) + "\n"
        )
        return path

    def case(self, reference: str = "HB000125", workflow: str = RENTS) -> str:
        """A queued case in a batch of its own."""
        self.desk(Role.ADMINISTRATOR).hand_in(workflow, self.file(reference, name=f"{reference}.csv"))
        return self.desk(Role.ADMINISTRATOR).find(reference).id

    def escalated(
        self, reference: str = "HB000125", kind: EscalationKind = EscalationKind.BUSINESS, **asked: Any
    ) -> str:
        case = self.case(reference)
        self.escalate(case, kind, **asked)
        return case

    def escalate(self, case: str, kind: EscalationKind = EscalationKind.BUSINESS, **asked: Any) -> None:
        number = tell(self.ledger, case).line.attempts + 1
        begun = attempts.begin(self.ledger, case, number, "worker-1")
        assert begun is not None
        if kind is EscalationKind.IN_DOUBT:
            commits.intend(self.ledger, case, begun.number, "pay", "benefits", timedelta(seconds=60))
        question = json.dumps({"prompt": "Pay it?", "key": "1", **asked}) if asked else None
        outcome = Escalated(kind, "the claim is closed", question)
        assert endings.end(self.ledger, begun, outcome, "[]", Backoff(), 0.0) is State.ESCALATED

    def question(self, reference: str = "HB000125") -> str:
        return self.escalated(reference, EscalationKind.QUESTION, choices=["yes", "no"])

    def form(self) -> str:
        return self.escalated(kind=EscalationKind.QUESTION, form=Decision.model_json_schema())

    def state(self, case: str) -> State:
        return tell(self.ledger, case).line.state

    def everything(self) -> list[Any]:
        """All that an action could have changed."""
        tables = ("cases", "escalations", "comments", "answers", "audit", "pauses", "batches", "bulk_actions")
        with self.ledger.reading() as connection:
            return [connection.execute(select(schema.metadata.tables[name])).all() for name in tables]


@pytest.fixture
def stage(ledger: Ledger, tmp_path: Path) -> Stage:
    return Stage(ledger, tmp_path)


@contextmanager
def unchanged(stage: Stage) -> Iterator[None]:
    before = stage.everything()
    yield
    assert stage.everything() == before


def _on_a_bulk(does: str) -> Callable[[Stage, Desk], Any]:
    def act(stage: Stage, desk: Desk) -> None:
        case = stage.case()
        boss = stage.desk(Role.ADMINISTRATOR)
        bulk = boss.begin_bulk(BulkAction.CANCEL, [case], "the wrong file")
        if does == "resume_bulk":
            boss.pause_bulk(bulk)
        yield_to(stage, lambda: getattr(desk, does)(bulk))

    return act


def yield_to(stage: Stage, act: Callable[[], Any]) -> None:
    """Do what is tried, when all that it needs stands: only that may change anything."""
    before = stage.everything()
    try:
        act()
    except NotAllowed:
        assert stage.everything() == before
        raise
    assert stage.everything() != before, "it says that it was done and has changed nothing"


def _on(make: Callable[[Stage], str], does: Callable[[Desk, str], Any]) -> Callable[[Stage, Desk], None]:
    def act(stage: Stage, desk: Desk) -> None:
        case = make(stage)
        yield_to(stage, lambda: does(desk, case))

    return act


def _taken_by_another(stage: Stage) -> str:
    case = stage.escalated()
    stage.desk(Role.CASEWORKER, id="p.sample").take(case)
    return case


def _taken_by_oneself(stage: Stage) -> str:
    case = stage.escalated()
    stage.desk(Role.CASEWORKER).take(case)
    return case


def _paused(kind: PauseKind, name: str) -> Callable[[Stage], str]:
    def make(stage: Stage) -> str:
        case = stage.case()
        batch = tell(stage.ledger, case).line.batch
        pause(stage.ledger, kind, batch or name if kind is PauseKind.BATCH else name, "upgrade", "a person")
        return case

    return make


def _broken(stage: Stage) -> str:
    """A case, while the system of its bot fails."""
    case = stage.case()
    now = stage.ledger.clock()
    values = {"failures": 5, "opened_at": now, "probe_at": now + timedelta(minutes=5), "probes": 1}
    with stage.ledger.writing() as connection:
        connection.execute(insert(schema.breakers).values(bot="benefits", **values))
    return case


def _unsent(stage: Stage) -> str:
    """A message, of what concerns no workflow alone, that could not be sent."""
    at = stage.ledger.clock()
    of = {"key": "0" * 32, "what": "paused", "receiver": "0" * 64, "shown": "a mailbox", "subject": "Paused"}
    when = {"written_at": at, "not_before": at, "give_up_at": at}
    with stage.ledger.writing() as connection:
        given = {**of, **when, "body": "", "things": 1, "gathers": False, "state": "given up", "tries": 9}
        (number,) = connection.execute(insert(schema.messages).values(given)).inserted_primary_key
    return str(number)


def _failed(stage: Stage) -> str:
    """A run of a schedule that failed."""
    values = {"state": RunState.FAILED, "not_before": RUN_AT, "tries": 1, "accepted": 0, "rejected": 0}
    with stage.ledger.writing() as connection:
        of = {"schedule": PLAN.name, "at": RUN_AT, "workflow": RENTS, "batches": "[]", "concerns": True}
        connection.execute(insert(schema.schedule_slots).values(**of, **values))
    return PLAN.name


def _rejected(stage: Stage) -> str:
    """A batch with a row that was not taken in."""
    return stage.desk(Role.ADMINISTRATOR).hand_in(RENTS, stage.file("HB000125", "no claim")).batch


def _batch_of(desk: Desk, case: str) -> str:
    return str(tell(desk.ledger, case).line.batch)


RUN_AT = datetime(2026, 11, 2, 6, 30, tzinfo=UTC)
PLAN = Plan("nightly-rents", Rule.from_cron("30 6 * * *", ZoneInfo("Europe/London")), RENTS)

ACTIONS: dict[str, tuple[Right, Callable[[Stage, Desk], None]]] = {
    "take": (Right.SETTLE, _on(Stage.escalated, lambda desk, case: desk.take(case))),
    "give back": (Right.SETTLE, _on(_taken_by_oneself, lambda desk, case: desk.give_back(case))),
    "hand on": (Right.SETTLE, _on(Stage.escalated, lambda desk, case: desk.hand_on(case, "p.sample"))),
    "comment": (Right.SETTLE, _on(Stage.case, lambda desk, case: desk.comment(case, "Rang them."))),
    "answer": (Right.SETTLE, _on(Stage.question, lambda desk, case: desk.answer(case, "yes"))),
    "answer a form": (
        Right.SETTLE,
        _on(Stage.form, lambda desk, case: desk.answer(case, {"pay": "12.50", "because": "letter"})),
    ),
    "return": (Right.SETTLE, _on(Stage.escalated, lambda desk, case: desk.send_back(case))),
    "amend": (
        Right.SETTLE,
        _on(Stage.escalated, lambda desk, case: desk.send_back(case, {"weekly_rent": "99.00"})),
    ),
    "close": (Right.SETTLE, _on(Stage.escalated, lambda desk, case: desk.close(case, "by hand"))),
    "cancel": (Right.SETTLE, _on(Stage.case, lambda desk, case: desk.cancel(case, "sent twice"))),
    "set due": (Right.SCHEDULE, _on(Stage.case, lambda desk, case: desk.set_due(case, DUE))),
    "set priority": (Right.SCHEDULE, _on(Stage.case, lambda desk, case: desk.set_priority(case, 5))),
    "pause a bot": (
        Right.PAUSE,
        _on(Stage.case, lambda desk, _: desk.pause(PauseKind.BOT, "benefits", "upgrade")),
    ),
    "pause a workflow": (
        Right.PAUSE,
        _on(Stage.case, lambda desk, _: desk.pause(PauseKind.WORKFLOW, RENTS, "upgrade")),
    ),
    "pause a batch": (
        Right.PAUSE,
        _on(Stage.case, lambda desk, case: desk.pause(PauseKind.BATCH, _batch_of(desk, case), "wrong file")),
    ),
    "resume a bot": (
        Right.PAUSE,
        _on(_paused(PauseKind.BOT, "benefits"), lambda desk, _: desk.resume(PauseKind.BOT, "benefits")),
    ),
    "resume a workflow": (
        Right.PAUSE,
        _on(_paused(PauseKind.WORKFLOW, RENTS), lambda desk, _: desk.resume(PauseKind.WORKFLOW, RENTS)),
    ),
    "resume a batch": (
        Right.PAUSE,
        _on(
            _paused(PauseKind.BATCH, ""),
            lambda desk, case: desk.resume(PauseKind.BATCH, _batch_of(desk, case)),
        ),
    ),
    "hand in": (
        Right.HAND_IN,
        lambda stage, desk: yield_to(stage, lambda: desk.hand_in(RENTS, stage.file("HB000777"))),
    ),
    "try a bot's system now": (
        Right.PAUSE,
        _on(_broken, lambda desk, _: desk.try_now("benefits")),
    ),
    "results taken out": (
        Right.HAND_IN,
        _on(Stage.case, lambda desk, case: desk.results(_batch_of(desk, case), "csv", UTC)),
    ),
    "result rows taken out": (
        Right.HAND_IN,
        _on(Stage.case, lambda desk, case: desk.result_rows(_batch_of(desk, case))),
    ),
    "rejects taken out": (
        Right.HAND_IN,
        _on(_rejected, lambda desk, batch: desk.rejects(batch, "csv")),
    ),
    "reject rows taken out": (
        Right.HAND_IN,
        _on(_rejected, lambda desk, batch: list(desk.reject_rows(batch))),
    ),
    "cancel a batch": (
        Right.ACT_ON_MANY,
        _on(Stage.case, lambda desk, case: desk.cancel_batch(_batch_of(desk, case), "wrong file")),
    ),
    "change a batch": (
        Right.ACT_ON_MANY,
        _on(
            Stage.case,
            lambda desk, case: desk.begin_change(
                BulkAction.SET_PRIORITY, PauseKind.BATCH, _batch_of(desk, case), "promised", "5"
            ),
        ),
    ),
    "change a workflow": (
        Right.ACT_ON_MANY,
        _on(
            Stage.case,
            lambda desk, _: desk.begin_change(
                BulkAction.SET_PRIORITY, PauseKind.WORKFLOW, RENTS, "promised", "5"
            ),
        ),
    ),
    "run what failed again": (Right.HAND_IN, _on(_failed, lambda desk, _: desk.run_again(PLAN, RUN_AT))),
    "note what failed": (Right.HAND_IN, _on(_failed, lambda desk, _: desk.note_seen(PLAN.name))),
    "begin a bulk action over a filter": (
        Right.ACT_ON_MANY,
        _on(
            Stage.case,
            lambda desk, _: desk.begin_bulk(BulkAction.CANCEL, BulkFilter(workflow=RENTS), "wrong file"),
        ),
    ),
    "begin a bulk action over a selection": (
        Right.ACT_ON_MANY,
        _on(Stage.case, lambda desk, case: desk.begin_bulk(BulkAction.CANCEL, [case], "wrong file")),
    ),
    "pause a bulk action": (Right.ACT_ON_MANY, _on_a_bulk("pause_bulk")),
    "resume a bulk action": (Right.ACT_ON_MANY, _on_a_bulk("resume_bulk")),
    "cancel a bulk action": (Right.ACT_ON_MANY, _on_a_bulk("cancel_bulk")),
}

OF_ALL: dict[str, tuple[Right, Callable[[Stage, Desk], None]]] = {
    "pause everything": (
        Right.PAUSE_ALL,
        lambda stage, desk: yield_to(stage, lambda: desk.pause_everything("fire alarm")),
    ),
    "resume everything": (
        Right.PAUSE_ALL,
        _on(_paused(PauseKind.EVERYTHING, "*"), lambda desk, _: desk.resume_everything()),
    ),
    "verify the audit": (
        Right.SEE_AUDIT,
        _on(Stage.case, lambda desk, _: desk.verify_audit()),
    ),
    "retry a message": (
        Right.MANAGE_MESSAGES,
        _on(_unsent, lambda desk, message: desk.retry_message(int(message))),
    ),
}
"""What belongs to no workflow."""


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("name", [*ACTIONS, *OF_ALL])
def test_an_action_is_for_the_roles_that_the_table_says(stage: Stage, name: str, role: Role) -> None:
    right, act = (ACTIONS | OF_ALL)[name]
    desk = stage.desk(role)

    if role in ROLES_WITH[right]:
        act(stage, desk)
    else:
        with pytest.raises(NotAllowed):
            act(stage, desk)


@pytest.mark.parametrize("name", ACTIONS)
def test_a_role_for_one_workflow_is_enough_there(stage: Stage, name: str) -> None:
    ACTIONS[name][1](stage, stage.desk(Role.SUPERVISOR, RENTS))


@pytest.mark.parametrize("name", [*ACTIONS, *OF_ALL])
def test_a_role_for_another_workflow_is_none_here_and_does_not_even_tell_that_there_is_a_case(
    stage: Stage, name: str
) -> None:
    right, act = (ACTIONS | OF_ALL)[name]

    with pytest.raises(CasehandError) as refused:
        act(stage, stage.desk(Role.ADMINISTRATOR, TAX))
    assert isinstance(refused.value, NotAllowed | NoSuchCase | NoSuchBulk) or "there is no" in str(
        refused.value
    )
    if right in (Right.SETTLE, Right.SCHEDULE):
        assert isinstance(refused.value, NoSuchCase)


def test_every_action_of_one_case_is_tried_above() -> None:
    assert {str(action) for action in RIGHT_FOR} <= set(ACTIONS)
    public = {name for name in vars(Desk) if not name.startswith("_")}
    looks = {
        "may",
        "check",
        "check_may_run",
        "workflows_with",
        "find_batch",
        "preview_selection",
        "preview_batch",
        "rule_of",
        "find",
        "actions_for",
        "find_bulk",
        "bulks",
        "preview_bulk",
        "work_bulk",
        "figures",
        "unsent",
        "messages",
        "counts",
        "counts_by_batch",
        "cases",
        "waiting",
        "notices",
        "paused",
        "broken",
        "count_held",
        "at_risk",
        "risk_of",
        "late",
        "story_of",
        "search",
        "find_references",
        "find_batches",
        "find_reasons",
    }
    tried = {name.split()[0] for name in (*ACTIONS, *OF_ALL)}
    assert {name for name in public - looks if name.split("_")[0] not in tried | {"send"}} == set()


@pytest.mark.parametrize("role", Role)
def test_a_file_is_looked_over_by_those_who_may_hand_it_in(stage: Stage, role: Role) -> None:
    file = stage.file("HB000125", "no claim")
    desk = stage.desk(role)
    with unchanged(stage):
        if role in ROLES_WITH[Right.HAND_IN]:
            assert desk.preview_batch(RENTS, file).accepted == 1
        else:
            with pytest.raises(NotAllowed):
                desk.preview_batch(RENTS, file)
        with pytest.raises(CasehandError):
            stage.desk(role, TAX).preview_batch(RENTS, file)


@pytest.mark.parametrize(
    "settle",
    [
        lambda desk, case: desk.answer(case, "yes"),
        lambda desk, case: desk.send_back(case),
        lambda desk, case: desk.close(case, "by hand"),
        lambda desk, case: desk.cancel(case, "sent twice"),
        lambda desk, case: desk.hand_on(case, "z.sample"),
        lambda desk, case: desk.give_back(case),
    ],
    ids=["answer", "return", "close", "cancel", "hand on", "give back"],
)
def test_what_another_has_taken_is_his_until_he_hands_it_on_or_a_supervisor_steps_in(
    stage: Stage, settle: Callable[[Desk, str], None]
) -> None:
    case = stage.question()
    owner = stage.desk(Role.CASEWORKER, id="p.sample")
    owner.take(case)
    colleague = stage.desk(Role.CASEWORKER)

    with unchanged(stage), pytest.raises(Taken, match=r"p\.sample has had this case since"):
        settle(colleague, case)

    owner.hand_on(case, "m.sample")
    settle(colleague, case)

    other = stage.question("HB000126")
    owner.take(other)
    settle(stage.desk(Role.SUPERVISOR, id="s.sample"), other)


def test_who_comes_too_late_is_told_who_settled_it_when_and_how(stage: Stage) -> None:
    case = stage.escalated()
    (shown,) = waiting(stage.ledger)
    stage.desk(Role.CASEWORKER, id="p.sample").close(case, "by hand", shown.id)

    for settle in (
        lambda desk: desk.take(case, shown.id),
        lambda desk: desk.send_back(case, seen=shown.id),
        lambda desk: desk.close(case, "by hand", shown.id),
        lambda desk: desk.cancel(case, "sent twice"),
    ):
        with pytest.raises(TooLate) as late:
            settle(stage.desk(Role.CASEWORKER))
        assert (late.value.settled_by, late.value.settlement) == ("p.sample", "closed")
        assert late.value.settled_at is not None
        assert "p.sample settled it on" in str(late.value)


def _actions(stage: Stage, case: str, role: Role = Role.SUPERVISOR, id: str = "m.sample") -> set[Action]:
    return set(stage.desk(role, id=id).actions_for(case))


def test_the_actions_offered_are_those_that_the_case_allows_now(stage: Stage) -> None:
    always = {Action.COMMENT}
    urgent = {Action.SET_DUE, Action.SET_PRIORITY}
    settles = {Action.HAND_ON, Action.RETURN, Action.CLOSE, Action.CANCEL}

    queued = stage.case("HB000001")
    assert _actions(stage, queued) == always | urgent | {Action.CANCEL}
    begun = attempts.begin(stage.ledger, queued, 1, "worker-1")
    assert begun is not None
    assert _actions(stage, queued) == always | urgent

    business = stage.escalated("HB000002")
    assert _actions(stage, business) == always | urgent | settles | {Action.TAKE, Action.AMEND}
    question = stage.question("HB000003")
    assert Action.ANSWER in _actions(stage, question)
    in_doubt = stage.escalated("HB000004", EscalationKind.IN_DOUBT)
    assert _actions(stage, in_doubt) == always | urgent | settles | {Action.TAKE, Action.ANSWER}
    stage.desk(Role.CASEWORKER).answer(in_doubt, WAS_DONE)

    stage.desk(Role.CASEWORKER).close(business, "by hand")
    assert _actions(stage, business) == always


def test_the_actions_offered_are_those_that_the_person_may_do(stage: Stage) -> None:
    case = stage.escalated()

    assert _actions(stage, case, Role.VIEWER) == set()
    assert _actions(stage, case, Role.DEVELOPER) == set()
    assert Action.SET_DUE not in _actions(stage, case, Role.CASEWORKER)
    stage.desk(Role.CASEWORKER, id="p.sample").take(case)
    assert _actions(stage, case, Role.CASEWORKER) == {Action.COMMENT}
    assert {Action.GIVE_BACK, Action.CLOSE} <= _actions(stage, case, Role.CASEWORKER, "p.sample")
    assert {Action.GIVE_BACK, Action.CLOSE, Action.SET_DUE} <= _actions(stage, case)
    with pytest.raises(NoSuchCase):
        stage.desk(Role.ADMINISTRATOR, TAX).actions_for(case)


def test_an_amendment_is_told_of_every_field_at_once_and_changes_nothing(stage: Stage) -> None:
    case = stage.escalated()
    desk = stage.desk(Role.CASEWORKER)

    with unchanged(stage), pytest.raises(WrongFields) as wrong:
        desk.send_back(case, {"claim": "HB1", "weekly_rent": "£5", "colour": "red"})
    assert set(wrong.value.faults) == {"claim", "weekly_rent", "colour"}
    assert wrong.value.faults["claim"].endswith("such as HB000125")
    assert "currency" in wrong.value.faults["weekly_rent"]
    with unchanged(stage), pytest.raises(WrongFields) as wrong:
        desk.send_back(case, {"weekly_rent": "-5"})
    assert wrong.value.faults == {"weekly_rent": "must be more than 0"}
    with unchanged(stage), pytest.raises(WrongFields, match="the reference of a case cannot be amended"):
        desk.send_back(case, {"claim": "HB000126"})

    desk.send_back(case, {"weekly_rent": "99.00", "note": ""})
    assert tell(stage.ledger, case).data == {"claim": "HB000125", "weekly_rent": "99.00", "note": None}


def test_an_answer_to_a_form_is_told_of_every_field_at_once(stage: Stage) -> None:
    case = stage.form()
    desk = stage.desk(Role.CASEWORKER)

    with unchanged(stage), pytest.raises(WrongFields) as wrong:
        desk.answer(case, {"pay": "lots", "because": "no"})
    assert wrong.value.faults == {
        "pay": "must be a plain number such as 123.45",
        "because": "must have at least 3 characters",
    }
    with unchanged(stage), pytest.raises(WrongFields) as wrong:
        desk.answer(case, {"pay": "", "because": " "})
    assert wrong.value.faults == {"pay": "is empty", "because": "is empty"}
    with unchanged(stage), pytest.raises(WrongFields) as wrong:
        desk.answer(case, '{"pay": -1}')
    assert wrong.value.faults == {"pay": "must be more than 0", "because": "is empty"}
    with unchanged(stage), pytest.raises(CasehandError, match="is JSON"):
        desk.answer(case, "lots")

    desk.answer(case, {"pay": "1234567890.12", "because": "letter"})
    begun = attempts.begin(stage.ledger, case, 2, "worker-1")
    assert begun is not None
    assert Decision.model_validate_json(begun.answers["1"]).pay == Decimal("1234567890.12")


def test_a_bot_of_several_workflows_is_paused_by_who_supervises_them_all(stage: Stage) -> None:
    stage.case()
    both = {RENTS: frozenset({Role.SUPERVISOR}), TAX: frozenset({Role.SUPERVISOR})}
    one = stage.desk(Role.SUPERVISOR, RENTS)
    shared = Workflow(TAX, tax.function, Rent, "claim", {"bot": Benefits}, 0, timedelta(minutes=5))
    workflows = {RENTS: rents, TAX: shared}

    of_one = Desk(stage.ledger, workflows, one.person, lambda: None)
    of_both = Desk(stage.ledger, workflows, Person("b.sample", "B. Sample", both), lambda: None)

    with unchanged(stage), pytest.raises(NotAllowed, match=f"pause work of {TAX}"):
        of_one.pause(PauseKind.BOT, "benefits", "upgrade")
    assert of_both.pause(PauseKind.BOT, "benefits", "upgrade")
    with unchanged(stage), pytest.raises(NotAllowed):
        of_one.resume(PauseKind.BOT, "benefits")
    of_both.resume(PauseKind.BOT, "benefits")
    assert all_pauses(stage.ledger) == []


def test_of_two_cases_with_one_reference_that_is_found_which_may_be_seen(stage: Stage) -> None:
    mine = stage.case("HB000001", RENTS)
    path = stage.folder / "again.csv"
    path.write_text("claim,weekly_rent,note\nHB000001,5.00,\n")
    hand_in(stage.ledger, workflow=TAX, model=Rent, reference="claim", path=path, by="a person")

    assert stage.desk(Role.VIEWER, RENTS).find("HB000001").id == mine
    assert stage.desk(Role.VIEWER, TAX).find("HB000001").workflow == TAX
    with pytest.raises(NoSuchCase):
        stage.desk(Role.VIEWER, TAX).find(mine)


def test_a_bulk_action_over_a_filter_takes_in_only_what_the_person_supervises(stage: Stage) -> None:
    stage.case("HB000001", RENTS)
    stage.case("HB000002", TAX)
    desk = stage.desk(Role.SUPERVISOR, RENTS)

    seen = desk.preview_bulk(BulkAction.CANCEL, BulkFilter(state=State.QUEUED))
    assert [one.reference for one in seen.first] == ["HB000001"]
    bulk = desk.find_bulk(desk.begin_bulk(BulkAction.CANCEL, BulkFilter(state=State.QUEUED), "wrong file"))
    assert (bulk.total, bulk.workflows) == (1, (RENTS,))
    with pytest.raises(NotAllowed):
        desk.begin_bulk(BulkAction.CANCEL, BulkFilter(workflow=TAX), "wrong file")
    with pytest.raises(NoSuchBulk):
        stage.desk(Role.SUPERVISOR, TAX).find_bulk(bulk.id)
    assert stage.desk(Role.SUPERVISOR, TAX).bulks() == []
    assert [one.id for one in desk.bulks()] == [bulk.id]


@pytest.mark.parametrize("text", ["", "  ", "\n"])
def test_what_needs_a_reason_is_not_done_without(stage: Stage, text: str) -> None:
    case = stage.escalated()
    desk = stage.desk(Role.ADMINISTRATOR)

    for act in (
        lambda: desk.close(case, text),
        lambda: desk.comment(case, text),
        lambda: desk.pause(PauseKind.WORKFLOW, RENTS, text),
        lambda: desk.pause_everything(text),
        lambda: desk.begin_bulk(BulkAction.CANCEL, [case], text),
        lambda: desk.hand_on(case, text),
    ):
        with unchanged(stage), pytest.raises(CasehandError):
            act()


HOSTILE = (
    "\0",
    "HB\0000125",
    "\ud800",
    "<script>alert(1)</script>",
    "{{7*7}}",
    "\u202egnp.exe",
    "x" * 100_000,
)


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:20]))
def test_whatever_is_typed_is_taken_or_refused_in_words(stage: Stage, text: str) -> None:
    case = stage.form()
    desk = stage.desk(Role.ADMINISTRATOR)
    acts: list[Callable[[], object]] = [
        lambda: desk.find(text),
        lambda: desk.actions_for(text),
        lambda: desk.take(text),
        lambda: desk.hand_on(case, text),
        lambda: desk.comment(case, text),
        lambda: desk.answer(case, text),
        lambda: desk.answer(case, {"pay": text, text: text}),
        lambda: desk.send_back(case, {"note": text, text: text}),
        lambda: desk.pause(PauseKind.BOT, text, text),
        lambda: desk.pause(PauseKind.BOT, "benefits", text),
        lambda: desk.resume(PauseKind.BATCH, text),
        lambda: desk.pause_everything(text),
        lambda: desk.find_bulk(text),
        lambda: desk.cancel_bulk(text),
        lambda: desk.begin_bulk(BulkAction.SET_PRIORITY, [text], text, "1"),
        lambda: desk.begin_bulk(BulkAction.SET_PRIORITY, BulkFilter(workflow=text), text, "1"),
        lambda: desk.begin_bulk(BulkAction.SET_PRIORITY, BulkFilter(batch=text, alike=text), "why", "1"),
        lambda: desk.begin_bulk(BulkAction.CLOSE, [case], text, text),
        lambda: desk.begin_bulk(BulkAction.SET_DUE, [case], text, text),
        lambda: desk.close(case, text),
    ]
    for act in acts:
        with suppress(CasehandError):
            act()
    told = tell(stage.ledger, case)
    if text.isprintable() and len(text) < 100:
        assert [one.text for one in told.comments] == [text]
        assert told.line.reason == text


# What is looked at: the web pages and the command line ask the desk alike.


@pytest.mark.parametrize("role", Role)
def test_what_is_looked_at_is_for_those_who_may_see_it(stage: Stage, role: Role) -> None:
    case = stage.escalated("HB000125")
    stage.desk(Role.ADMINISTRATOR).hand_in(TAX, stage.file("HB000777", name="tax.csv"))
    desk, today = stage.desk(role, RENTS), stage.ledger.clock().date()
    reads = role in ROLES_WITH[Right.SEE_CASES]

    story = desk.story_of(desk.find(case))
    assert (story.data != {}, story.escalations[0].reason != "") == (reads, reads)
    with pytest.raises(NotAllowed):
        desk.story_of(stage.desk(Role.ADMINISTRATOR).find("HB000777"))
    assert [one.reference for one in desk.find_references("HB", 9)] == ["HB000125"]
    assert desk.find_batches("tax", 9) == []
    assert [one.reference for one in desk.find_reasons("claim closed", 9)] == ["HB000125"] * reads
    if reads:
        assert [one.reference for one in desk.search("HB", None, 9)] == ["HB000125"]
    for of in (TAX,) if reads else (None, RENTS, TAX):
        with pytest.raises(NotAllowed):
            desk.search("HB", of, 9)

    found = desk.figures(today, today, UTC_ZONE)
    assert {one.workflow for one in found.days} == {RENTS}
    assert [one.example is not None for one in found.reasons] == [reads]
    with pytest.raises(NotAllowed):
        desk.figures(today, today, UTC_ZONE, TAX)


@pytest.mark.parametrize("role", Role)
def test_what_the_command_line_lists_is_for_those_who_may_see_it(stage: Stage, role: Role) -> None:
    stage.escalated("HB000125")
    boss, elsewhere = stage.desk(Role.ADMINISTRATOR), stage.desk(role, TAX)
    boss.pause(PauseKind.WORKFLOW, RENTS, "the printer is away")
    boss.pause(PauseKind.BOT, "benefits", "a new password")
    stage.case("HB000126")
    desk = stage.desk(role, RENTS)
    reads = role in ROLES_WITH[Right.SEE_CASES]

    counted = {state: number for state, number in desk.counts().items() if number}
    assert counted == {"queued": 1, "escalated": 1}
    assert len(desk.counts_by_batch()) == 2
    assert [one.reference for one in desk.cases(CaseFilter())] == ["HB000125", "HB000126"]
    assert [one.reason is not None for one in desk.cases(CaseFilter(state=State.ESCALATED))] == [reads]
    assert [(one.name, desk.count_held(one)) for one in desk.paused()] == [("benefits", 1), (RENTS, 1)]
    assert {one.subject for one in desk.notices()} == {"bot benefits", f"workflow {RENTS}"}
    if reads:
        assert [one.reference for one in desk.waiting(EscalationFilter())] == ["HB000125"]
        assert elsewhere.waiting(EscalationFilter()) == []
    for other in (elsewhere,) if reads else (desk, elsewhere):
        with pytest.raises(NotAllowed):
            other.waiting(EscalationFilter(workflow=RENTS))

    assert set(elsewhere.counts().values()) == {0}
    assert elsewhere.counts(workflow=RENTS) == elsewhere.counts()
    assert elsewhere.counts_by_batch() == elsewhere.cases(CaseFilter(workflow=RENTS)) == []
    assert elsewhere.paused() == elsewhere.notices() == elsewhere.notices(workflow=RENTS) == []
    boss.pause_everything("fire alarm")
    assert [one.subject for one in elsewhere.notices()] == ["everything"]
    assert [one.kind for one in elsewhere.paused()] == [PauseKind.EVERYTHING]


def test_a_system_that_fails_is_told_to_those_whose_work_it_is(stage: Stage) -> None:
    stage.case()
    values = {"bot": "benefits", "failures": 3, "opened_at": DUE, "probe_at": DUE, "probes": 0}
    with stage.ledger.writing() as connection:
        connection.execute(insert(schema.breakers).values(values))

    assert [one.bot for one in stage.desk(Role.VIEWER).broken()] == ["benefits"]
    assert [one.bot for one in stage.desk(Role.DEVELOPER, RENTS).broken()] == ["benefits"]
    assert stage.desk(Role.ADMINISTRATOR, TAX).broken() == []


@pytest.mark.parametrize("role", Role)
def test_the_audit_is_listed_for_those_who_may_see_it(stage: Stage, role: Role) -> None:
    case = stage.escalated("HB000125")
    stage.desk(Role.ADMINISTRATOR).hand_in(TAX, stage.file("HB000777", name="tax.csv"))
    desk = stage.desk(role, RENTS)
    if role not in ROLES_WITH[Right.SEE_AUDIT]:
        with pytest.raises(NotAllowed):
            list(all_of(desk, EntryFilter()))
        return
    subjects = {subject.name for _, subject in all_of(desk, EntryFilter())}
    assert "HB000125" in subjects
    assert "HB000777" not in subjects
    whole = [entry.id for entry, _ in all_of(desk, named(desk, EntryFilter(), "HB000125"))]
    assert len(whole) > 1
    behind = all_of(desk, named(desk, EntryFilter(), case), whole[0])
    assert [entry.id for entry, _ in behind] == whole[1:]
    oldest = all_of(desk, named(desk, EntryFilter(), "HB000125"), oldest_first=True)
    assert [entry.id for entry, _ in oldest] == whole[::-1]


def test_a_due_date_that_no_calendar_has_is_refused(stage: Stage) -> None:
    case = stage.case()
    desk = stage.desk(Role.ADMINISTRATOR)

    for due in (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC), datetime(2026, 1, 1)):  # noqa: DTZ001
        with unchanged(stage), pytest.raises(CasehandError, match="a due date has"):
            desk.set_due(case, due)
        with unchanged(stage), pytest.raises(CasehandError):
            desk.begin_bulk(BulkAction.CANCEL, BulkFilter(due_before=due), "why")
