"""The ledger against a small pure model: several workers, a person, a clock held by hand, and power cuts.

Hypothesis draws what happens next. Every operation is done with the ledger and with the model, and after each
the two must say the same of every case. A power cut strikes at any statement of an operation, or at its
commit; the model has then not heard of the operation. Beside them stands a legacy system, whose changes
take effect at once, later or never, and which counts them.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete, event, insert, select, text

from casehand.exceptions import CasehandError
from casehand.queue import attempts, commits, endings, escalations, pauses, schema
from casehand.queue.attempts import GRACE, LEASE, Begun
from casehand.queue.backoff import Backoff
from casehand.queue.commits import CommitState, StillUnresolved
from casehand.queue.endings import MOST_CRASHES, Loss
from casehand.queue.escalations import WAS_DONE, WAS_NOT_DONE
from casehand.queue.ledger import Ledger
from casehand.queue.outcome import Done, Escalated, EscalationKind, Failed, Outcome, Waiting
from casehand.queue.pauses import PauseKind
from casehand.queue.state import MOVES, State

WORKFLOW = "housing-benefit/rent-change"
SETTLES = timedelta(seconds=60)
BACKOFF = Backoff(limit=1)
RENT, LETTER = "put the new rent on the claim", "send the letter"
CAN_BE_READ_BACK = {RENT: True, LETTER: False}
START = datetime(2026, 11, 2, 9, tzinfo=UTC)
MOST_OPEN = 3

Answer = TypeVar("Answer")

indexes = st.integers(0, 1_000)
cuts = st.one_of(*[st.none()] * 5, st.integers(1, 14))
becomings = st.sampled_from(["made", "made", "on its way", "on its way", "nothing"])
QUESTION = json.dumps({"prompt": "Go on?", "choices": ["yes", "no"], "key": "go on"})
OUTCOMES: dict[str, Outcome] = {
    "done": Done('{"weekly_award": "80.15"}'),
    "failed": Failed("the page is late"),
    "waits": Waiting("the bot is closed"),
    "waits long": Waiting("until"),
    "business": Escalated(EscalationKind.BUSINESS, "the claim is closed"),
    "question": Escalated(EscalationKind.QUESTION, "Go on?", QUESTION),
}
names = st.sampled_from([RENT, LETTER])


class PowerCut(Exception):
    """The process died between two writes."""


@dataclass
class Change:
    """An entry of the commit table, as the model knows it."""

    id: int | None  #: of an intent; nobody needs that of a change that was found
    attempt: int
    name: str
    state: CommitState = CommitState.INTENDED
    body_ended_at: datetime | None = None


@dataclass
class Modelled:
    """A case, as it must be."""

    id: str
    not_before: datetime
    state: State = State.QUEUED
    attempts: int = 0
    failures: int = 0
    crashes: int = 0
    lease_until: datetime | None = None
    version: int = 0  #: of its data
    amended_after: int = 0  #: the attempt
    changes: list[Change] = field(default_factory=list)
    waits_as: EscalationKind | None = None
    answers: set[str] = field(default_factory=set)
    audit: list[tuple[str, str | None, str | None]] = field(default_factory=list)

    def move(self, after: State, action: str) -> None:
        assert after in MOVES[self.state], f"{self.state} to {after}"
        self.audit.append((action, self.state, after))
        self.state = after

    def unresolved(self) -> list[Change]:
        return [change for change in self.changes if change.state is CommitState.INTENDED]

    def made(self) -> set[str]:
        return {
            change.name
            for change in self.changes
            if change.state is CommitState.MADE and change.attempt > self.amended_after
        }

    def holds(self, attempt: int, now: datetime) -> bool:
        return (
            self.state is State.WORKING
            and self.attempts == attempt
            and self.lease_until is not None
            and self.lease_until > now
        )

    def settle_at(self) -> list[datetime]:
        return [change.body_ended_at + SETTLES for change in self.unresolved() if change.body_ended_at]

    def again(self, action: str, not_before: datetime) -> State:
        self.move(State.QUEUED, action)
        self.not_before = max([not_before, *self.settle_at()])
        self.lease_until = None
        return self.state

    def escalate(self, kind: EscalationKind) -> State:
        self.move(State.ESCALATED, "escalated")
        self.waits_as = kind
        self.lease_until = None
        return self.state

    def in_doubt_or(self, kind: EscalationKind) -> EscalationKind:
        return EscalationKind.IN_DOUBT if self.unresolved() else kind

    def bodies_ended(self, now: datetime) -> None:
        for change in self.unresolved():
            change.body_ended_at = change.body_ended_at or now


@dataclass
class Hand:
    """A worker's hand on a case: what it was told when it began, and what it has done since."""

    begun: Begun
    version: int
    lease_until: datetime
    is_dead: bool = False
    intents: dict[str, int] = field(default_factory=dict)
    bodies: set[str] = field(default_factory=set)

    def can_act(self, now: datetime) -> bool:
        """Whether its horse lives: the kernel's timer kills it with its lease."""
        return not self.is_dead and now < self.lease_until


@dataclass
class OnItsWay:
    """A change that the legacy system has taken and not made yet."""

    what: tuple[str, str, int]
    hand: Hand
    land_by: datetime | None = None


class LedgerAndModel(RuleBasedStateMachine):
    """What may happen, in any order."""

    def __init__(self, ledger: Ledger, seen: Counter[str]) -> None:
        super().__init__()
        self.ledger = ledger
        self.seen = seen
        self.now = START
        self.cases: list[Modelled] = []
        self.hands: list[Hand] = []
        self.paused = False
        self.effects: Counter[tuple[str, str, int]] = Counter()
        self.on_their_way: list[OnItsWay] = []
        self.references = 0
        ledger.clock = lambda: self.now
        with ledger.writing() as connection:
            # The ledger itself refuses to let go of its audit.
            on = " ON audit" if connection.dialect.name == "postgresql" else ""
            connection.execute(text(f"DROP TRIGGER IF EXISTS audit_stays{on}"))
            for table in reversed(schema.metadata.sorted_tables):
                if not table.name.endswith("_head"):
                    connection.execute(delete(table))

    # What happens to cases as such.

    @initialize()
    def hand_in_first(self) -> None:
        for _ in range(MOST_OPEN):
            self.hand_in()

    @precondition(lambda self: sum(bool(MOVES[case.state]) for case in self.cases) < MOST_OPEN)
    @rule()
    def hand_in(self) -> None:
        case = self.ledger.new_id()
        key, wrapped = self.ledger.vault.new_key(case)
        self.references += 1
        with self.ledger.writing() as connection:
            connection.execute(
                insert(schema.cases).values(
                    id=case,
                    reference=f"HB{self.references:06}",
                    workflow=WORKFLOW,
                    state=State.QUEUED,
                    priority=0,
                    not_before=self.now,
                    attempts=0,
                    failures=0,
                    crashes=0,
                    key=wrapped,
                    sealed_data=key.seal_text(json.dumps({"version": 0})),
                    handed_in_at=self.now,
                    changed_at=self.now,
                )
            )
        self.cases.append(Modelled(case, self.now))

    @rule(seconds=st.sampled_from([1, 1, 6, 14, 15, 21, 61, 300]))
    def time_passes(self, seconds: int) -> None:
        self._move_clock(timedelta(seconds=seconds))

    def _move_clock(self, span: timedelta) -> None:
        self.now += span
        for change in list(self.on_their_way):
            if change.land_by is None and not change.hand.can_act(self.now):
                change.land_by = change.hand.lease_until + SETTLES
            if change.land_by is not None and change.land_by <= self.now:
                self._land(change)

    @rule(seldom=st.integers(0, 4))
    def pause_or_resume(self, seldom: int) -> None:
        if self.paused:
            pauses.resume(self.ledger, PauseKind.WORKFLOW, WORKFLOW, "a person")
            self.paused = False
        elif seldom == 4:
            assert pauses.pause(self.ledger, PauseKind.WORKFLOW, WORKFLOW, "month end", "a person")
            self.paused = True

    # What workers do.

    @precondition(lambda self: self._waits_to_be_worked())
    @rule(
        which=indexes,
        name=names,
        goes_on=st.integers(0, 3),
        becomes=becomings,
        how=st.sampled_from([None, "falls silent", "failed", "business", "business", *OUTCOMES]),
        cut=cuts,
        cut_at=st.integers(0, 2),
        late=st.booleans(),
        silence=st.sampled_from([timedelta(seconds=1), GRACE, GRACE + timedelta(seconds=1)]),
        hasty=st.sampled_from([None, "answer", "answer", "return", "return", "amend"]),
    )
    def work(
        self,
        which: int,
        name: str,
        goes_on: int,
        becomes: str,
        how: str | None,
        cut: int | None,
        cut_at: int,
        late: bool,
        silence: timedelta,
        hasty: str | None,
    ) -> None:
        """An attempt, begun when one may be, as far as it comes.

        Every earlier one may speak in the midst of it, it may fall silent until its lease is over, and a
        person may settle at once what it leaves to one. Left to chance these meet too seldom.
        """
        waits = min((case.not_before for case in self._waits_to_be_worked()), default=self.now)
        self._move_clock(max(waits - self.now, timedelta()))
        due, before = self._due(), len(self.hands)
        self._begin(due[which % len(due)], 0, which, cut if cut_at == 0 else None)
        if len(self.hands) == before:
            return
        hand = self.hands[-1]
        if goes_on and (hand, name) in self._before_a_body():
            self._commit(hand, name, becomes, goes_on, cut if cut_at == 1 else None)
        if late:
            self._speak_late(hand, name)
        if how == "falls silent":
            self._fall_silent(hand, silence, cut if cut_at == 2 else None)
        elif how is not None:
            self._end_somehow(hand, how, cut if cut_at == 2 else None)
        if hasty is not None and self._of(hand).waits_as is not None:
            self._settle_at_once(self._of(hand), name, hasty)
        self._forget_the_long_dead()

    def _speak_late(self, hand: Hand, name: str) -> None:
        """What the earlier attempts of a case say while another has it in hand: nobody listens."""
        case = self._of(hand)
        for earlier in [one for one in self.hands if one.begun.case == case.id and one is not hand]:
            one = (case.id, earlier.begun.number)
            assert attempts.renew(self.ledger, [one]) == {one}
            self._intend(earlier, case, name)
            self._end(earlier, case, OUTCOMES["done"])
            # Even the worker that has the case now may have had that attempt too.
            given = (self.ledger, *one, "died", hand.begun.worker)
            assert endings.abandon(*given, Loss.CRASH, BACKOFF, 0.0) is None
            self.seen["spoke late"] += 1

    def _fall_silent(self, hand: Hand, silence: timedelta, cut: int | None) -> None:
        """Nothing is heard of it until so long after its lease: it is taken back then, and not in the grace."""
        self._move_clock(max(hand.lease_until + silence - self.now, timedelta()))
        self.seen["left alone in the grace"] += self._of(hand).state is State.WORKING and silence <= GRACE
        self._take_back_expired(cut)

    def _settle_at_once(self, case: Modelled, name: str, how: str) -> None:
        """A person does not wait until a change has settled, and the next attempt looks as soon as it may."""
        if how == "answer":
            self._answer(case, wrong=False, cut=None)
        else:
            self._send_back(case, how == "amend", cut=None)
        if case not in self._waits_to_be_worked():
            return
        self._move_clock(max(case.not_before - self.now, timedelta()))
        self._begin(case, 0, 0, None)
        hand = self.hands[-1]
        if (hand, name) in self._before_a_body():
            self._commit(hand, name, "made", 2, None)

    @rule(which=indexes, skew=st.sampled_from([0, -1, 1]), cut=cuts)
    def begin_whatever(self, which: int, skew: int, cut: int | None) -> None:
        self._begin(self._case(which), skew, which, cut)

    def _begin(self, case: Modelled, skew: int, which: int, cut: int | None) -> None:
        number = case.attempts + 1 + skew
        with self._power(cut):
            begun = attempts.begin(self.ledger, case.id, number, f"worker-{which % 3}")
            if skew or case not in self._due():
                assert begun is None
                return
            assert begun is not None, "a due case could not be begun"
            case.move(State.WORKING, "begun")
            case.attempts = number
            case.lease_until = self.now + LEASE
            self.hands.append(Hand(begun, case.version, case.lease_until))
            assert {intent.id for intent in begun.unresolved} == {one.id for one in case.unresolved()}
            assert begun.made == case.made()
            assert set(begun.answers) == case.answers
            assert json.loads(begun.data) == {"version": case.version}
            assert begun.after_failure == (case.failures + case.crashes > 0)
            self.seen["begun"] += 1

    @precondition(lambda self: self.hands)
    @rule(which=indexes, cut=cuts)
    def renew(self, which: int, cut: int | None) -> None:
        hand, case = self._hand(which)
        with self._power(cut):
            kept = not attempts.renew(self.ledger, [(case.id, hand.begun.number)])
            assert kept == case.holds(hand.begun.number, self.now)
            if kept:
                case.lease_until = hand.lease_until = self.now + LEASE

    @precondition(lambda self: self._before_a_body())
    @rule(which=indexes, becomes=becomings, goes_on=st.integers(0, 3), cut=cuts)
    def commit(self, which: int, becomes: str, goes_on: int, cut: int | None) -> None:
        """A commit point, up to its body, to the end of that, or to its outcome."""
        able = self._before_a_body()
        self._commit(*able[which % len(able)], becomes, goes_on, cut)

    def _commit(self, hand: Hand, name: str, becomes: str, goes_on: int, cut: int | None) -> None:
        self._enter(hand, name, cut)
        if goes_on >= 1 and (hand, name) in self._at_a_body():
            self._run_body(hand, name, becomes)
            if goes_on >= 2:
                self._read_back(hand, name, cut)

    def _enter(self, hand: Hand, name: str, cut: int | None) -> None:
        case = self._of(hand)
        earlier = [intent for intent in hand.begun.unresolved if intent.name == name]
        with self._power(cut):
            if CAN_BE_READ_BACK[name] and self.effects[case.id, name, hand.version]:
                self._note_found(hand, case, name, [intent.id for intent in earlier])
                return
            if earlier and not CAN_BE_READ_BACK[name]:
                self._end(hand, case, Escalated(EscalationKind.IN_DOUBT, "there is no way to tell"))
                return
            if any(intent.counts_from is None or self.now < intent.counts_from for intent in earlier):
                self.seen["waits for a change to settle"] += 1
                return
            for intent in earlier:
                self._resolve(hand, case, intent.id, CommitState.NOT_MADE)
            self._intend(hand, case, name)

    @precondition(lambda self: self.hands)
    @rule(which=indexes, name=names, cut=cuts)
    def intend_without_looking(self, which: int, name: str, cut: int | None) -> None:
        """What no attempt may do, and the ledger refuses: too late, or with a change on its way."""
        hand, case = self._hand(which)
        if case.holds(hand.begun.number, self.now) and name not in {one.name for one in case.unresolved()}:
            return
        with self._power(cut):
            self._intend(hand, case, name)

    @precondition(lambda self: self._at_a_body())
    @rule(which=indexes, becomes=becomings)
    def run_body(self, which: int, becomes: str) -> None:
        able = self._at_a_body()
        hand, name = able[which % len(able)]
        self._run_body(hand, name, becomes)

    def _run_body(self, hand: Hand, name: str, becomes: str) -> None:
        case = self._of(hand)
        what = (case.id, name, hand.version)
        others = [one for one in case.changes if one.name == name and one.id != hand.intents[name]]
        others = [one for one in others if one.attempt > case.amended_after]
        assert all(one.state is CommitState.NOT_MADE for one in others), "a second body was let run"
        assert hand.version == case.version
        hand.bodies.add(name)
        self.seen["body run"] += 1
        if becomes == "made":
            self._take_effect(what)
        elif becomes == "on its way":
            self.on_their_way.append(OnItsWay(what, hand))

    @precondition(lambda self: self._after_a_body())
    @rule(which=indexes, cut=cuts)
    def read_back(self, which: int, cut: int | None) -> None:
        able = self._after_a_body()
        hand, name = able[which % len(able)]
        self._read_back(hand, name, cut)

    def _read_back(self, hand: Hand, name: str, cut: int | None) -> None:
        case = self._of(hand)
        is_seen = bool(self.effects[case.id, name, hand.version])
        if CAN_BE_READ_BACK[name] and not is_seen:
            return
        with self._power(cut):
            self._resolve(hand, case, hand.intents[name], CommitState.MADE)

    @precondition(lambda self: self.on_their_way)
    @rule(which=indexes)
    def change_takes_effect_late(self, which: int) -> None:
        self._land(self.on_their_way[which % len(self.on_their_way)])

    @precondition(lambda self: self.hands)
    @rule(which=indexes, how=st.sampled_from(list(OUTCOMES)), cut=cuts)
    def end(self, which: int, how: str, cut: int | None) -> None:
        hand, _ = self._hand(which)
        self._end_somehow(hand, how, cut)

    def _end_somehow(self, hand: Hand, how: str, cut: int | None) -> None:
        outcome = OUTCOMES[how]
        if outcome == Waiting("until"):
            outcome = Waiting("the bot is closed", self.now + timedelta(minutes=5))
        with self._power(cut):
            self._end(hand, self._of(hand), outcome)

    @precondition(lambda self: self.hands)
    @rule(
        which=indexes,
        loss=st.sampled_from([None, Loss.CRASH, Loss.CRASH, Loss.STOP, Loss.ORDER]),
        by_another=st.sampled_from([False, False, False, True]),
        cut=cuts,
    )
    def die(self, which: int, loss: Loss | None, by_another: bool, cut: int | None) -> None:
        """Unheard of, or seen by its worker, which gives the case up; another that was given the job may not."""
        hand, case = self._hand(which)
        self._die(hand)
        if loss is None:
            return
        number = hand.begun.number
        by = "another worker" if by_another else hand.begun.worker
        with self._power(cut):
            lost = endings.abandon(self.ledger, case.id, number, "died", by, loss, BACKOFF, 0.0)
            if by_another or case.state is not State.WORKING or case.attempts != number:
                assert lost is None
                return
            assert lost == self._model_loss(case, loss)
            self.seen[f"lost by {loss.value}"] += 1

    @rule(cut=cuts)
    def take_back_expired(self, cut: int | None) -> None:
        self._take_back_expired(cut)

    def _take_back_expired(self, cut: int | None) -> None:
        expired = [
            case
            for case in self.cases
            if case.state is State.WORKING and case.lease_until and case.lease_until < self.now - GRACE
        ]
        with self._power(cut):
            taken = endings.take_back_expired(self.ledger, "reconciler", BACKOFF, 0.0)
            assert sorted(taken) == sorted(case.id for case in expired)
            for case in expired:
                self._model_loss(case, Loss.SILENCE)
                self.seen["taken back"] += 1

    # What a person does.

    @rule(
        which=indexes,
        does=st.sampled_from(
            ["answer", "answer", "answer wrong", "return", "return", "amend", "close", "cancel"]
        ),
        cut=cuts,
    )
    def person(self, which: int, does: str, cut: int | None) -> None:
        """Settles a case, or tries to settle one that does not wait."""
        waiting = [case for case in self.cases if case.waits_as]
        case = waiting[which % len(waiting)] if waiting and which % 5 else self._case(which)
        match does:
            case "answer" | "answer wrong":
                self._answer(case, does == "answer wrong", cut)
            case "return" | "amend":
                self._send_back(case, does == "amend", cut)
            case "close":
                self._close(case, cut)
            case "cancel":
                self._cancel(case, cut)

    def _answer(self, case: Modelled, wrong: bool, cut: int | None) -> None:
        given = self._persons_word(case)
        if given is None:
            return
        is_asked = case.waits_as in (EscalationKind.QUESTION, EscalationKind.IN_DOUBT) and not wrong
        with self._power(cut):
            went_well = _goes_well(
                lambda: escalations.answer(self.ledger, case.id, "perhaps" if wrong else given, "a person")
            )
            assert went_well == is_asked
            if not is_asked:
                return
            not_before = self.now
            if case.waits_as is EscalationKind.IN_DOUBT:
                if given == WAS_NOT_DONE:
                    not_before = max([self.now, *case.settle_at()])
                self._model_word(case, CommitState.MADE if given == WAS_DONE else CommitState.NOT_MADE)
            else:
                case.answers.add("go on")
            self._model_requeue(case, "answered")
            case.not_before = not_before

    def _send_back(self, case: Modelled, amend: bool, cut: int | None) -> None:
        amended = json.dumps({"version": case.version + 1}) if amend else None
        with self._power(cut):
            went_well = _goes_well(lambda: escalations.send_back(self.ledger, case.id, "a person", amended))
            assert went_well == (case.waits_as is not None and not (amend and case.unresolved()))
            if not went_well:
                return
            self._model_requeue(case, "amended" if amend else "returned")
            if amend:
                case.version += 1
                case.amended_after = case.attempts
                case.answers.clear()
                self.seen["amended"] += 1

    def _close(self, case: Modelled, cut: int | None) -> None:
        with self._power(cut):
            went_well = _goes_well(lambda: escalations.close(self.ledger, case.id, "a person", "by hand"))
            assert went_well == (case.waits_as is not None)
            if went_well:
                case.move(State.CLOSED, "closed")
                case.waits_as = None
                self.seen["closed"] += 1

    def _cancel(self, case: Modelled, cut: int | None) -> None:
        with self._power(cut):
            went_well = _goes_well(lambda: escalations.cancel(self.ledger, case.id, "a person"))
            assert went_well == (case.state in (State.QUEUED, State.ESCALATED))
            if went_well:
                case.move(State.CANCELLED, "cancelled")
                case.waits_as = None
                self.seen["cancelled"] += 1

    # What must always hold.

    @invariant()
    def ledger_and_model_say_the_same(self) -> None:
        with self.ledger.reading() as connection:
            rows = {row.id: row for row in connection.execute(select(schema.cases))}
            changes = _by_case(connection.execute(select(schema.commits).order_by(schema.commits.c.id)))
            tries = _by_case(connection.execute(select(schema.attempts).order_by(schema.attempts.c.number)))
            waiting = _by_case(
                connection.execute(
                    select(schema.escalations).where(schema.escalations.c.settled_at.is_(None))
                )
            )
            entries = list(connection.execute(select(schema.audit).order_by(schema.audit.c.id)))
        assert len(rows) == len(self.cases)
        for case in self.cases:
            row = rows[case.id]
            assert (row.state, row.attempts, row.failures, row.crashes, row.not_before, row.lease_until) == (
                case.state,
                case.attempts,
                case.failures,
                case.crashes,
                case.not_before,
                case.lease_until,
            )
            assert (row.worker is not None) == (case.state is State.WORKING)
            assert [
                (one.attempt, one.name, one.state, one.body_ended_at) for one in changes.get(case.id, [])
            ] == [(one.attempt, one.name, one.state, one.body_ended_at) for one in case.changes]
            assert [one.kind for one in waiting.get(case.id, [])] == (
                [case.waits_as] if case.waits_as else []
            )
            assert (case.state is State.ESCALATED) == (case.waits_as is not None)
            of_case = tries.get(case.id, [])
            assert [one.number for one in of_case] == list(range(1, case.attempts + 1))
            in_hand = [one.number for one in of_case if one.ended_at is None]
            assert in_hand == ([case.attempts] if case.state is State.WORKING else [])
            told = [(one.action, one.before, one.after) for one in entries if one.subject == case.id]
            assert told == case.audit

    @invariant()
    def every_move_is_in_the_audit_and_in_the_table(self) -> None:
        for case in self.cases:
            at = State.QUEUED
            for _, before, after in case.audit:
                if before is not None and after is not None:
                    assert before == at
                    assert State(after) in MOVES[at]
                    at = State(after)
            assert at is case.state

    @invariant()
    def no_case_is_in_two_hands(self) -> None:
        for case in self.cases:
            able = [hand for hand in self.hands if hand.begun.case == case.id and hand.can_act(self.now)]
            current = [hand for hand in able if case.holds(hand.begun.number, self.now)]
            assert len(current) <= 1
            # One that has ended its attempt itself acts no more; there is none besides.
            assert all(hand.begun.number == case.attempts for hand in able)

    @invariant()
    def no_change_was_made_twice(self) -> None:
        assert max(self.effects.values(), default=0) <= 1

    @invariant()
    def no_case_is_done_with_a_change_in_doubt(self) -> None:
        assert not any(case.state is State.DONE and case.unresolved() for case in self.cases)

    # The steps that several of these share.

    def _case(self, which: int) -> Modelled:
        return self.cases[which % len(self.cases)]

    def _hand(self, which: int) -> tuple[Hand, Modelled]:
        hand = self.hands[which % len(self.hands)]
        return hand, self._of(hand)

    def _of(self, hand: Hand) -> Modelled:
        return next(case for case in self.cases if case.id == hand.begun.case)

    def _waits_to_be_worked(self) -> list[Modelled]:
        return [] if self.paused else [case for case in self.cases if case.state is State.QUEUED]

    def _due(self) -> list[Modelled]:
        return [case for case in self._waits_to_be_worked() if case.not_before <= self.now]

    def _able(self) -> list[tuple[Hand, str]]:
        """The hands that can act, with each change they could be at."""
        able = [hand for hand in self.hands if hand.can_act(self.now)]
        return [(hand, name) for hand in able for name in CAN_BE_READ_BACK]

    def _before_a_body(self) -> list[tuple[Hand, str]]:
        return [
            (hand, name)
            for hand, name in self._able()
            if name not in hand.bodies and name not in hand.begun.made
        ]

    def _at_a_body(self) -> list[tuple[Hand, str]]:
        return [
            (hand, name) for hand, name in self._able() if name in hand.intents and name not in hand.bodies
        ]

    def _after_a_body(self) -> list[tuple[Hand, str]]:
        return [(hand, name) for hand, name in self._able() if name in hand.bodies]

    @contextmanager
    def _power(self, cut: int | None) -> Iterator[None]:
        """Let the power fail at the so-manieth statement: then nothing of the operation may be left."""
        engine, left = self.ledger.engine, cut

        def strike(*_: Any) -> None:
            nonlocal left
            if left is not None:
                left -= 1
                if left == 0:
                    raise PowerCut

        event.listen(engine, "before_cursor_execute", strike)
        event.listen(engine, "commit", strike)
        try:
            yield
        except PowerCut:
            self.seen["power cut"] += 1
        finally:
            event.remove(engine, "before_cursor_execute", strike)
            event.remove(engine, "commit", strike)

    def _forget_the_long_dead(self) -> None:
        dead = [hand for hand in self.hands if not hand.can_act(self.now)]
        for hand in dead[:-4]:
            self.hands.remove(hand)

    def _intend(self, hand: Hand, case: Modelled, name: str) -> None:
        number = hand.begun.number
        in_doubt = name in {one.name for one in case.unresolved()}
        try:
            intent = commits.intend(self.ledger, case.id, number, name, "benefits", SETTLES)
        except StillUnresolved:
            assert case.holds(number, self.now)
            assert in_doubt
            self.seen["second body refused"] += 1
            return
        if not case.holds(number, self.now):
            assert intent is None
            self.seen["too late to intend"] += 1
            return
        assert intent is not None
        assert not in_doubt
        case.changes.append(Change(intent, number, name))
        hand.intents[name] = intent

    def _resolve(self, hand: Hand, case: Modelled, intent: int, state: CommitState) -> None:
        kept = commits.resolve(self.ledger, case.id, hand.begun.number, intent, state)
        assert kept == case.holds(hand.begun.number, self.now)
        if kept:
            self._model_resolved(case, [one for one in case.unresolved() if one.id == intent], state)

    def _note_found(self, hand: Hand, case: Modelled, name: str, earlier: list[int]) -> None:
        for intent in earlier:
            self._resolve(hand, case, intent, CommitState.MADE)
            self.seen["made by an earlier attempt"] += 1
        if not earlier and name not in hand.intents:
            number = hand.begun.number
            kept = commits.found(self.ledger, case.id, number, name, "benefits")
            assert kept == case.holds(number, self.now)
            if kept:
                # Its id is not asked for: a power cut during that would hide from the model what was written.
                case.changes.append(Change(None, number, name, CommitState.FOUND, self.now))
                self.seen["found"] += 1

    def _end(self, hand: Hand, case: Modelled, outcome: Outcome) -> None:
        number = hand.begun.number
        state = endings.end(self.ledger, hand.begun, outcome, "[]", BACKOFF, 0.0)
        self._die(hand)
        if case.state is not State.WORKING or case.attempts != number:
            assert state is None
            self.seen["too late to end"] += 1
            return
        assert state == self._model_end(case, outcome)
        self.seen[f"{type(outcome).__name__} and {state}"] += 1

    def _die(self, hand: Hand) -> None:
        """From now on it touches the legacy system no more, though it may still speak to the ledger."""
        if hand.can_act(self.now):
            for change in self.on_their_way:
                if change.hand is hand:
                    change.land_by = self.now + SETTLES
        hand.is_dead = True

    def _land(self, change: OnItsWay) -> None:
        self.on_their_way.remove(change)
        self._take_effect(change.what)
        self.seen["took effect late"] += 1

    def _take_effect(self, what: tuple[str, str, int]) -> None:
        self.effects[what] += 1

    def _persons_word(self, case: Modelled) -> str | None:
        """What a person says of a change in doubt: what the system shows.

        Of one that cannot be read back a careful person says nothing while it may be on its way; of the
        others they may be hasty, since `done` looks again.
        """
        if case.waits_as is not EscalationKind.IN_DOUBT:
            return "yes"
        on_their_way = [change.what for change in self.on_their_way if change.what[0] == case.id]
        if any(not CAN_BE_READ_BACK[name] for _, name, _ in on_their_way):
            return None
        self.seen["hasty word"] += bool(on_their_way)
        made = {bool(self.effects[case.id, one.name, case.version]) for one in case.unresolved()}
        return None if len(made) > 1 else WAS_DONE if made == {True} else WAS_NOT_DONE

    def _model_word(self, case: Modelled, state: CommitState) -> None:
        self._model_resolved(case, case.unresolved(), state)
        self.seen["settled in doubt"] += 1

    def _model_resolved(self, case: Modelled, changes: list[Change], state: CommitState) -> None:
        for change in changes:
            change.state = state
        if changes:
            case.audit.append((f"commit {state}", None, None))

    def _model_requeue(self, case: Modelled, action: str) -> None:
        case.move(State.QUEUED, action)
        case.waits_as = None
        case.not_before = self.now
        case.failures = case.crashes = 0

    def _model_end(self, case: Modelled, outcome: Outcome) -> State:
        case.bodies_ended(self.now)
        match outcome:
            case Done() if case.unresolved():
                return case.escalate(EscalationKind.IN_DOUBT)
            case Done():
                case.move(State.DONE, "done")
                case.lease_until = None
                return case.state
            case Waiting(_, until):
                return case.again("waits", until or self.now)
            case Escalated(EscalationKind.QUESTION):
                return case.escalate(EscalationKind.QUESTION)
            case Escalated(kind):
                return case.escalate(case.in_doubt_or(kind))
            case Failed():
                case.failures += 1
                spent = case.failures - bool(case.unresolved())
                if spent <= BACKOFF.limit:
                    return case.again("failed", self.now + BACKOFF.delay(case.failures, 0.0))
                return case.escalate(case.in_doubt_or(EscalationKind.FAILURE))

    def _model_loss(self, case: Modelled, loss: Loss) -> State:
        case.bodies_ended(self.now)
        is_crash = loss in (Loss.CRASH, Loss.SILENCE)
        case.crashes += is_crash
        if loss is Loss.STOP or (is_crash and case.crashes < MOST_CRASHES):
            wait = BACKOFF.delay(case.crashes, 0.0) if loss is Loss.CRASH else timedelta()
            return case.again("lost", self.now + wait)
        return case.escalate(case.in_doubt_or(EscalationKind.FAILURE))


def _goes_well(settle: Callable[[], None]) -> bool:
    try:
        settle()
    except CasehandError:
        return False
    return True


def _by_case(rows: Any) -> dict[str, list[Any]]:
    table: dict[str, list[Any]] = {}
    for row in rows:
        table.setdefault(row.case, []).append(row)
    return table


def _do_not_wait_for_the_disk(connection: Any, *_: object) -> None:
    connection.execute("PRAGMA synchronous = OFF")


EXAMPLES = {"sqlite": 270, "postgresql": 36}

MUST_BE_SEEN = {
    "begun",
    "body run",
    "power cut",
    "taken back",
    "left alone in the grace",
    "settled in doubt",
    "too late to end",
    "too late to intend",
    "spoke late",
    "took effect late",
    "Done and done",
    "Escalated and escalated",
}


@pytest.mark.timeout(600)
def test_the_ledger_does_as_the_model_whatever_happens_and_whenever_the_power_fails(ledger: Ledger) -> None:
    seen: Counter[str] = Counter()
    kind = ledger.engine.dialect.name
    if kind == "sqlite":
        # The power cuts here come before the disk: to wait for it would only make the examples fewer.
        event.listen(ledger.engine, "checkout", _do_not_wait_for_the_disk)

    run_state_machine_as_test(
        lambda: LedgerAndModel(ledger, seen),
        settings=settings(
            max_examples=EXAMPLES[kind],
            stateful_step_count=40,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )

    assert kind != "sqlite" or set(seen) >= MUST_BE_SEEN, f"never happened: {MUST_BE_SEEN - set(seen)}"
