"""The desk: all that a person may do. The command line and the web pages both go through it.

Every action is checked against the rights of whoever acts, and done by a function of `queue/` that writes
the audit in the transaction of what it changes.
"""

import difflib
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta, tzinfo
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from pydantic import BaseModel
from sqlalchemy import select

from casehand.console.actions import RIGHT_FOR, Action, actions_for
from casehand.console.known import known_workflow
from casehand.console.person import Person
from casehand.console.rights import Right, may, workflows_with
from casehand.exceptions import CasehandError
from casehand.queue import (
    assignments,
    audit,
    batches,
    bulk,
    bulk_filter,
    bulk_turn,
    comments,
    escalations,
    intake,
    pauses,
    results,
    runs,
    schema,
    search,
    single,
    urgency,
)
from casehand.queue import messages as outbox
from casehand.queue.batches import BatchLine
from casehand.queue.batches import NoSuchBatch as NoSuchBatch
from casehand.queue.breaker import OpenBreaker, open_breakers
from casehand.queue.bulk import Bulk, BulkAction
from casehand.queue.bulk import NoSuchBulk as NoSuchBulk
from casehand.queue.bulk_filter import BulkFilter, Preview
from casehand.queue.calendar import WorkingCalendar
from casehand.queue.cases import (
    CaseFilter,
    CaseLine,
    CaseSort,
    CaseStory,
    counts,
    counts_by_batch,
    find_case,
    list_cases,
    story_of,
)
from casehand.queue.chain import ChainHead, Verdict
from casehand.queue.dating import DueOf, no_date
from casehand.queue.escalations import Escalation, EscalationFilter
from casehand.queue.figures import Overview, Piece, overview_at_once
from casehand.queue.intake import BatchTaken
from casehand.queue.ledger import Ledger
from casehand.queue.messages import Message, MessageState
from casehand.queue.notices import Notice, notices
from casehand.queue.overdue import PastDue as PastDue
from casehand.queue.pauses import ALL, Pause, PauseKind
from casehand.queue.preview import BatchPreview, preview
from casehand.queue.rejects import RejectFile, reject_file
from casehand.queue.results import RowResult
from casehand.queue.risk import AtRisk, Outlook, Why
from casehand.queue.rolling import catch_up
from casehand.queue.schedules import Plan
from casehand.queue.sheets import Sheet
from casehand.queue.storable import is_storable, storable
from casehand.queue.too_late import Taken as Taken
from casehand.queue.too_late import TooLate as TooLate
from casehand.queue.verification import verify_and_note
from casehand.queue.waiting import NoSuchCase as NoSuchCase
from casehand.queue.waiting import look_for_open
from casehand.workflows.amending import amended as amend
from casehand.workflows.forms import WrongFields as WrongFields
from casehand.workflows.forms import check_form, check_typed
from casehand.workflows.installed import find_workflow
from casehand.workflows.workflow import Workflow

LONGEST = 10_000
"""Characters to a reason or note."""

CALENDAR = WorkingCalendar()

Cases = schema.cases.c


class NotAllowed(CasehandError):
    """Whoever acts has no right to."""

    def __init__(self, right: Right, workflow: str | None) -> None:
        self.right = right
        self.workflow = workflow
        of = "" if workflow is None else f" of {workflow}"
        super().__init__(f"you may not {right}{of}: ask your administrator if you should")


def outlook_of(
    ledger: Ledger,
    workflows: Mapping[str, Workflow],
    calendar: WorkingCalendar,
    fresh: timedelta = timedelta(),
) -> Outlook:
    """What may miss its due date, by when bots are open; always, where a workflow is not known here."""

    def open_time(workflow: str, begin: datetime, end: datetime) -> timedelta:
        found = workflows.get(workflow)
        return end - begin if found is None else found.open_time(begin, end, calendar)

    return Outlook(ledger, open_time, fresh)


class Desk:
    """Where one person works."""

    def __init__(
        self,
        ledger: Ledger,
        workflows: Mapping[str, Workflow],
        person: Person,
        nudge: Callable[[], object],
        calendar: WorkingCalendar = CALENDAR,
        outlook: Outlook | None = None,
    ) -> None:
        self.ledger = ledger
        self.workflows = workflows
        self.person = person
        self.calendar = calendar
        self._nudge = nudge
        self._outlook = outlook or outlook_of(ledger, workflows, calendar)

    # What may be seen and done.

    def may(self, right: Right, workflow: str | None = None) -> bool:
        """Whether this person has a right for a workflow, or for what belongs to none."""
        return may(self.person, right, workflow)

    def check(self, right: Right, workflow: str | None = None) -> None:
        """Raise NotAllowed unless this person has a right."""
        self._check_right(right, workflow)

    def workflows_with(self, right: Right) -> frozenset[str] | None:
        """The workflows for which this person has a right; None for all."""
        return workflows_with(self.person, right)

    def find(self, which: str) -> CaseLine:
        """The case with this id or reference, if this person may know of it. Raises NoSuchCase.

        It says why the case waits, which somebody without SEE_CASES must not be shown.
        """
        if not is_storable(which):
            raise NoSuchCase(which)
        return find_case(self.ledger, which, self.workflows_with(Right.SEE_STRUCTURE))

    def counts(self, batch: str | None = None, workflow: str | None = None) -> dict[str, int]:
        """How many cases that this person may know of are in each state."""
        return counts(self.ledger, batch, workflow, self.workflows_with(Right.SEE_STRUCTURE))

    def counts_by_batch(
        self, batch: str | None = None, workflow: str | None = None
    ) -> list[dict[str, object]]:
        """The same for each batch and workflow."""
        return counts_by_batch(self.ledger, batch, workflow, self.workflows_with(Right.SEE_STRUCTURE))

    def cases(self, which: CaseFilter, limit: int | None = None, after: str | None = None) -> list[CaseLine]:
        """The cases that match and that this person may know of, in the order they came in; only behind `after`.

        Without the reason, where he may not see what cases hold.
        """
        seen = replace(which, workflows=self.workflows_with(Right.SEE_STRUCTURE))
        found = list_cases(self.ledger, seen, limit=limit, after=after)
        return [
            one if self.may(Right.SEE_CASES, one.workflow) else replace(one, reason=None) for one in found
        ]

    def waiting(
        self, which: EscalationFilter, limit: int | None = None, after: str | None = None
    ) -> list[Escalation]:
        """What waits for a person and matches, oldest first, with what it holds; only behind `after`.

        Raises NotAllowed where this person may not see what cases hold.
        """
        seen = replace(which, workflows=self._those_with(Right.SEE_CASES, which.workflow))
        return escalations.list_waiting(self.ledger, seen, limit=limit, after=after)

    def notices(self, workflow: str | None = None, batch: str | None = None) -> list[Notice]:
        """What holds up many cases now, where it concerns workflows that this person may know of."""
        return notices(self.ledger, workflow, batch, self.workflows_with(Right.SEE_STRUCTURE))

    def paused(self) -> list[Pause]:
        """What is paused now, where it concerns workflows that this person may know of."""
        every, mine = pauses.all_pauses(self.ledger), self.workflows_with(Right.SEE_STRUCTURE)
        if mine is None:
            return every
        held = pauses.all_workflows_held(self.ledger, every)
        return [one for one in every if one.kind is PauseKind.EVERYTHING or not mine.isdisjoint(held[one])]

    def broken(self) -> list[OpenBreaker]:
        """The bots whose system fails case after case, where they work for what this person may know of."""
        every, mine = open_breakers(self.ledger), self.workflows_with(Right.SEE_STRUCTURE)
        if mine is None:
            return every
        bots = pauses.workflows_of_bots(self.ledger)
        return [one for one in every if not mine.isdisjoint(bots.get(one.bot, set()))]

    def count_held(self, paused: Pause) -> int:
        """How many cases that this person may know of wait for a pause, counted no further than COUNTED."""
        return pauses.count_held(self.ledger, paused, self.workflows_with(Right.SEE_STRUCTURE))

    def at_risk(self, workflow: str | None = None, batch: str | None = None) -> list[AtRisk]:
        """What may miss its due date, of workflows that this person may know of."""
        mine = self.workflows_with(Right.SEE_STRUCTURE)
        if workflow is not None:
            mine = frozenset({workflow} if mine is None or workflow in mine else ())
        return self._outlook.at_risk(mine, batch)

    def risk_of(self, line: CaseLine) -> Why | None:
        """Why a queued case may miss its due date; None when it need not."""
        self._check_right(Right.SEE_STRUCTURE, line.workflow)
        return self._outlook.risk_of(line.id)

    def late(
        self, workflow: str | None = None, batch: str | None = None, limit: int | None = None
    ) -> list[CaseLine]:
        """The cases that are not over and past their due date, that this person may know of; the oldest date first."""
        mine = self.workflows_with(Right.SEE_STRUCTURE)
        seen = CaseFilter(batch, workflow=workflow, workflows=mine, overdue_at=self.ledger.clock())
        found = list_cases(self.ledger, seen, CaseSort.DUE, limit=limit)
        return [
            one if self.may(Right.SEE_CASES, one.workflow) else replace(one, reason=None) for one in found
        ]

    def story_of(self, line: CaseLine) -> CaseStory:
        """The whole story of a case; to whoever may not see what cases hold, what is left without that."""
        self._check_right(Right.SEE_STRUCTURE, line.workflow)
        return story_of(self.ledger, line, with_data=self.may(Right.SEE_CASES, line.workflow))

    def search(self, text: str, workflow: str | None, limit: int, after: str | None = None) -> list[CaseLine]:
        """The cases that a text finds, best first, by what reasons say as well; only behind the one `after`.

        Raises NotAllowed where a person may read no reason: its words must not be found out either.
        """
        return search.search(self.ledger, text, self._those_with(Right.SEE_CASES, workflow), limit, after)

    def find_references(self, text: str, limit: int) -> list[CaseLine]:
        """The cases that this person may know of, whose reference begins so."""
        return search.find_references(self.ledger, text, self.workflows_with(Right.SEE_STRUCTURE), limit)

    def find_batches(self, text: str, limit: int) -> list[str]:
        """The names of the batches that this person may know of and that begin so."""
        return search.find_batches(self.ledger, text, self.workflows_with(Right.SEE_STRUCTURE), limit)

    def find_reasons(self, text: str, limit: int) -> list[CaseLine]:
        """The cases that wait for a person for a reason with these words; none for whoever may not read reasons."""
        read = self.workflows_with(Right.SEE_CASES)
        return [] if read == frozenset() else search.find_reasons(self.ledger, text, read, limit)

    def figures(
        self,
        since: date,
        until: date,
        zone: ZoneInfo,
        workflow: str | None = None,
        *,
        at_once: bool = False,
        pieces: Collection[Piece] = tuple(Piece),
    ) -> Overview:
        """The figures of some local days, of one workflow or of all that this person has to do with.

        `at_once` leaves out what nobody has counted yet, which may take long, and all but `pieces` is left out too.
        Reasons are told by an example only where this person may see what cases hold.
        """
        seen = self._those_with(Right.SEE_FIGURES, workflow)
        read = self.workflows_with(Right.SEE_CASES)
        if not at_once:
            catch_up(self.ledger, zone)
        shown = read != frozenset()
        found = overview_at_once(self.ledger, since, until, zone, seen, with_examples=shown, pieces=pieces)
        if read is None:
            return found
        reasons = [one if one.workflow in read else replace(one, example=None) for one in found.reasons]
        return replace(found, reasons=reasons)

    def actions_for(self, case: str) -> tuple[Action, ...]:
        """What this person may do with a case as it is now."""
        self._workflow_of(case)
        return actions_for(self.ledger, self.person, case)

    # One case. `seen` is the id of the escalation that the person was shown, where that is known.

    def take(self, case: str, seen: int | None = None) -> None:
        """Take what waits for a person. Raises Taken when somebody else has it, TooLate when it waits no more."""
        self._check(case, Action.TAKE)
        assignments.take(self.ledger, case, self.person.id, seen)

    def give_back(self, case: str, seen: int | None = None) -> None:
        """Let go of it, so that anybody may take it."""
        over = self._check(case, Action.GIVE_BACK)
        assignments.give_back(self.ledger, case, self.person.id, seen, over_others=over)

    def hand_on(self, case: str, to: str, seen: int | None = None) -> None:
        """Give it to somebody else, named as the audit names him."""
        over = self._check(case, Action.HAND_ON)
        assignments.hand_on(self.ledger, case, to, self.person.id, seen, over_others=over)

    def comment(self, case: str, text: str) -> None:
        """Say something of the case to those who look at it later."""
        self._check(case, Action.COMMENT)
        comments.comment(self.ledger, case, text, self.person.id)

    def set_due(self, case: str, due: datetime | None) -> None:
        """Say by when it must be done or settled."""
        self._check(case, Action.SET_DUE)
        urgency.set_due(self.ledger, case, urgency.checked_due(due), self.person.id)

    def set_priority(self, case: str, priority: int) -> None:
        """Say how urgent it is: higher is worked first."""
        self._check(case, Action.SET_PRIORITY)
        urgency.set_priority(self.ledger, case, priority, self.person.id)
        self._nudge()

    def answer(
        self,
        case: str,
        given: str | Mapping[str, str],
        seen: int | None = None,
        *,
        may_be_late: bool = False,
    ) -> None:
        """Answer what the case asks, and queue it again. Raises PastDue unless it may be late.

        `given` is one of the choices; for a form, JSON, or what was typed into each of its fields. Raises
        WrongFields that says of every field of a form what it must be.
        """
        over = self._check(case, Action.ANSWER)
        seen, value = self._read_answer(case, given, seen)
        escalations.answer(
            self.ledger, case, value, self.person.id, seen, over_others=over, may_be_late=may_be_late
        )
        self._nudge()

    def send_back(
        self,
        case: str,
        amended: Mapping[str, str] | None = None,
        seen: int | None = None,
        *,
        may_be_late: bool = False,
    ) -> None:
        """Queue the case again, perhaps with some fields amended as a person typed them.

        Raises WrongFields that says of every field what it must be, and PastDue unless it may be late.
        """
        over = self._check(case, Action.AMEND if amended else Action.RETURN)
        data = self._amended(case, amended) if amended else None
        escalations.send_back(
            self.ledger, case, self.person.id, data, seen, over_others=over, may_be_late=may_be_late
        )
        self._nudge()

    def close(self, case: str, note: str, seen: int | None = None) -> None:
        """Close the case: a person did it by hand, or rejected it; the note says which."""
        over = self._check(case, Action.CLOSE)
        said = _said(note, "what was done about it")
        escalations.close(self.ledger, case, self.person.id, said, seen, over_others=over)

    def cancel(self, case: str, reason: str | None = None, seen: int | None = None) -> None:
        """Cancel a case that is queued or waits for a person; the reason is kept with the case."""
        over = self._check(case, Action.CANCEL)
        said = None if reason is None else _said(reason, "why")
        escalations.cancel(self.ledger, case, self.person.id, said, seen, over_others=over)

    # What holds work back.

    def pause(self, kind: PauseKind, name: str, reason: str) -> bool:
        """Pause a bot, a workflow or a batch; False when it was paused already (the first reason stands)."""
        if kind is PauseKind.EVERYTHING:
            return self.pause_everything(reason)
        self._check_name(kind, name)
        self._check_pause(kind, name)
        return pauses.pause(self.ledger, kind, name, _said(reason, "why"), self.person.id)

    def resume(self, kind: PauseKind, name: str) -> None:
        """Let it go on. Raises CasehandError when nothing of it waits."""
        if kind is PauseKind.EVERYTHING:
            self.resume_everything()
            return
        self._check_pause(kind, name)
        pauses.resume(self.ledger, kind, name, self.person.id)
        self._nudge()

    def pause_everything(self, reason: str) -> bool:
        """Let no case begin; those in work are finished. False when everything was paused already."""
        self._check_right(Right.PAUSE_ALL, None)
        said = _said(reason, "why")
        return pauses.pause(self.ledger, PauseKind.EVERYTHING, ALL, said, self.person.id)

    def resume_everything(self) -> None:
        """Let cases begin again, but for those that wait for another pause."""
        self._check_right(Right.PAUSE_ALL, None)
        pauses.resume(self.ledger, PauseKind.EVERYTHING, ALL, self.person.id)
        self._nudge()

    def try_now(self, bot: str) -> None:
        """Let one case try at once whether a bot's system works again. Raises CasehandError when none waits for it."""
        self._check_pause(PauseKind.BOT, bot)
        pauses.try_now(self.ledger, bot, self.person.id)
        self._nudge()

    # Many cases at once.

    def preview_bulk(self, action: BulkAction, which: BulkFilter) -> Preview:
        """How many cases it would take in, and which come first."""
        return bulk.preview_bulk(self.ledger, action, which, self._bulk_workflows(which))

    def begin_bulk(
        self, action: BulkAction, which: BulkFilter | Sequence[str], reason: str, value: str | None = None
    ) -> str:
        """Begin to act on the cases of a filter, or on those whose ids are given; returns the action's id.

        `value` is a note to close with, whom to hand on to, a due date (ISO) or a priority. The workers'
        reconciler, or `work_bulk`, then goes through the list.
        """
        workflows = self._bulk_workflows(which)
        if not isinstance(which, BulkFilter):
            self._check_selection(which)
        return bulk.begin(self.ledger, action, which, reason, self.person.id, value, workflows)

    def preview_selection(self, cases: Sequence[str]) -> Preview:
        """How many cases are selected, and which come first. Raises NoSuchCase, NotAllowed."""
        chosen = list(dict.fromkeys(cases))
        self._check_selection(chosen)
        return bulk_filter.preview_selection(self.ledger, chosen)

    def find_bulk(self, which: str) -> Bulk:
        """A bulk action, if this person may know of all its cases. Raises NoSuchBulk."""
        if not is_storable(which):
            raise NoSuchBulk(which)
        found = bulk.find_bulk(self.ledger, which)
        if not all(self.may(Right.SEE_STRUCTURE, workflow) for workflow in found.workflows):
            raise NoSuchBulk(which)
        return found

    def bulks(
        self, limit: int | None = None, after: str | None = None, *, oldest_first: bool = False
    ) -> list[Bulk]:
        """The bulk actions that this person may know of, latest first or the other way round; only behind `after`."""
        mine = self.workflows_with(Right.SEE_STRUCTURE)
        return bulk.list_bulks(self.ledger, mine, limit, after, oldest_first=oldest_first)

    def pause_bulk(self, which: str) -> None:
        """Let a bulk action wait."""
        self._check_bulk(which)
        bulk.pause(self.ledger, which, self.person.id)

    def resume_bulk(self, which: str) -> None:
        """Let a bulk action go on."""
        self._check_bulk(which)
        bulk.resume(self.ledger, which, self.person.id)

    def cancel_bulk(self, which: str) -> None:
        """End a bulk action: what was done stays done."""
        self._check_bulk(which)
        bulk.cancel(self.ledger, which, self.person.id)

    def work_bulk(self, which: str, holder: str) -> Bulk:
        """Go on with a bulk action for a moment, unless another process does; how far it is then."""
        self._check_bulk(which)
        bulk_turn.turn(self.ledger, holder, only=which)
        return self.find_bulk(which)

    # Messages to people, and the audit.

    def messages(
        self,
        state: MessageState | None = None,
        limit: int | None = None,
        after: int | None = None,
        is_unsent: bool = False,
        *,
        oldest_first: bool = False,
    ) -> list[Message]:
        """The messages that this person may know of, latest first or the other way round; only behind `after`."""
        mine = self._told_workflows()
        return outbox.find_messages(
            self.ledger, state, limit, after, mine, is_unsent, oldest_first=oldest_first
        )

    def unsent(self) -> int:
        """How many of them could not be sent."""
        return outbox.count_unsent(self.ledger, self._told_workflows())

    def retry_message(self, message: int) -> None:
        """Have a message that was not sent tried again at once, and for another day."""
        outbox.retry(self.ledger, message, self.person.id, self._told_workflows())

    def verify_audit(self, kept: Sequence[ChainHead] = ()) -> Verdict:
        """Go through the chain of the audit, and note what was found; `kept` are heads kept elsewhere."""
        self._check_right(Right.SEE_AUDIT, None)
        return verify_and_note(self.ledger, self.person.id, kept)

    # Batches.

    def hand_in(
        self,
        workflow: str,
        path: Path,
        *,
        priority: int = 0,
        not_before: datetime | None = None,
        due: datetime | None = None,
        may_be_late: bool = False,
        may_have_passed: bool = False,
        again: bool = False,
        known_by: str | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> BatchTaken:
        """Take a file in as a batch; the workers are not told yet.

        Cases whose due date `may_have_passed`, since nobody is there who could correct it, are taken in, and the
        next sweep does with each what its workflow says.
        """
        self._check_right(Right.HAND_IN, workflow)
        found = known_workflow(self.ledger, self.workflows, workflow)
        has_passed = due is not None and due <= self.ledger.clock()
        if has_passed and not (may_be_late or may_have_passed):
            raise CasehandError(
                "that due date has passed already: correct it, or say that it may be late (--late)"
            )
        return intake.hand_in(
            self.ledger,
            workflow=found.name,
            model=found.model,
            reference=found.reference,
            path=path,
            by=self.person.id,
            priority=priority,
            not_before=not_before,
            due=due,
            due_of=self.rule_of(found),
            may_be_late=may_be_late,
            again=again,
            known_by=known_by,
            progress=progress,
        )

    def take_in(self, workflow: str, data: BaseModel) -> str:
        """Take in one case by itself, which belongs to no batch; returns its id. The workers are not told."""
        self._check_right(Right.HAND_IN, workflow)
        found = known_workflow(self.ledger, self.workflows, workflow)
        return single.take_in(
            self.ledger,
            workflow=found.name,
            reference=found.reference,
            data=data,
            by=self.person.id,
            due=found.due_of(data, self.calendar),
        )

    def begin_rehearsal(self, workflow: str) -> Workflow:
        """The workflow, for who may hand in for it; the audit says that he rehearsed, since he sees what cases show."""
        self._check_right(Right.HAND_IN, workflow)
        found = known_workflow(self.ledger, self.workflows, workflow)
        self._note("rehearsed", f"workflow {found.name}")
        return found

    def begin_recording(self, bot: str) -> None:
        """Note that this person has a bot's system opened signed in: what is done there is done as the bot."""
        self._check_right(Right.HAND_IN, None)
        self._note("recorded", f"bot {bot}")

    def preview_batch(self, workflow: str, path: Path, due: datetime | None = None) -> BatchPreview:
        """What would become of a file if it were handed in now, to be done by then; nothing is taken in."""
        self._check_right(Right.HAND_IN, workflow)
        found = known_workflow(self.ledger, self.workflows, workflow)
        return preview(
            self.ledger,
            workflow=found.name,
            model=found.model,
            reference=found.reference,
            path=path,
            due_of=self.rule_of(found) if due is None else no_date,
        )

    def rule_of(self, workflow: Workflow) -> DueOf:
        """By when each of a workflow's cases must be done, by its own rule and the calendar here."""
        return partial(workflow.due_of, calendar=self.calendar)

    def find_batch(self, name: str) -> BatchLine:
        """A batch, if this person may know of it. Raises NoSuchBatch."""
        return batches.find_batch(self.ledger, name, self.workflows_with(Right.SEE_STRUCTURE))

    def begin_change(
        self, action: BulkAction, kind: PauseKind, name: str, reason: str, value: str | None
    ) -> list[str]:
        """Begin to act on all that is open of a batch, a workflow or a bot; the ids of the actions that do it."""
        if kind is PauseKind.BATCH:
            self._check_right(Right.ACT_ON_MANY, self.find_batch(name).workflow)
            return [self.begin_bulk(action, BulkFilter(batch=name), reason, value)]
        if kind not in (PauseKind.WORKFLOW, PauseKind.BOT):
            raise CasehandError("say which batch, workflow or bot: nothing is done to everything at once")
        self._check_name(kind, name)
        concerned = sorted(pauses.workflows_held_by(self.ledger, kind, name))
        for workflow in concerned:
            self._check_right(Right.ACT_ON_MANY, workflow)
        found = [one for one in concerned if self.preview_bulk(action, BulkFilter(workflow=one)).total]
        if not found:
            raise CasehandError("there are no such cases: nothing is to be done")
        return [self.begin_bulk(action, BulkFilter(workflow=one), reason, value) for one in found]

    def cancel_batch(self, name: str, reason: str) -> str:
        """Cancel what of a batch is queued or waits for a person; returns the id of the bulk action that does it."""
        batch = self.find_batch(name)
        self._check_right(Right.ACT_ON_MANY, batch.workflow)
        return self.begin_bulk(BulkAction.CANCEL, BulkFilter(batch=batch.name), reason)

    def results(self, name: str, kind: str, zone: tzinfo) -> Sheet:
        """What became of every row of a batch, to be given out as a file of that kind; the audit says that it was."""
        self._note_taken_out("results", name, kind)
        return results.result_sheet(self.ledger, name, zone)

    def result_rows(self, name: str) -> Iterator[RowResult]:
        """The same for programs."""
        self._note_taken_out("results", name, "json")
        return results.results_of(self.ledger, name)

    def rejects(self, name: str, kind: str | None = None) -> RejectFile:
        """The rows of a batch that were not taken in, to be mended and handed in again; the audit says so too.

        They come as "csv" or "xlsx", or as what the batch came in as.
        """
        found = reject_file(self.ledger, self._own_batch(name).name, kind)
        self._note_taken_out("rejects", name, found.ending.removeprefix("."))
        return found

    def reject_rows(self, name: str) -> Iterator[dict[str, object]]:
        """The same for programs."""
        sheet = results.reject_sheet(self.ledger, self._own_batch(name).name)
        self._note_taken_out("rejects", name, "json")
        return (dict(zip(sheet.columns, map(results.plain_cell, row), strict=True)) for row in sheet.rows)

    # What comes by itself.

    def check_may_run(self, plan: Plan) -> None:
        """Raise NotAllowed unless this person may have a schedule hand in."""
        self._check_right(Right.HAND_IN, plan.workflow)

    def run_again(self, plan: Plan, at: datetime) -> None:
        """Have a slot that failed or was skipped run after all. Raises CasehandError when it is neither."""
        self.check_may_run(plan)
        runs.run_again(self.ledger, plan.name, at, self.person.id)

    def note_seen(self, schedule: str, until: datetime | None = None) -> int:
        """Note that this person knows of the runs of a schedule that went wrong; returns how many those were.

        With `until`, only of those that had ended by then. The schedule may be one that is kept no more.
        """
        for workflow in runs.workflows_gone_wrong(self.ledger, schedule):
            self._check_right(Right.HAND_IN, workflow)
        return runs.note_seen(self.ledger, schedule, self.person.id, until)

    # The checks that these share.

    def _check(self, case: str, action: Action) -> bool:
        """Raise unless this person may act so; returns whether he may where somebody else has taken the case."""
        workflow = self._workflow_of(case)
        self._check_right(RIGHT_FOR[action], workflow)
        return self.may(Right.SUPERVISE, workflow)

    def _check_right(self, right: Right, workflow: str | None) -> None:
        if not self.may(right, workflow):
            raise NotAllowed(right, workflow)

    def _those_with(self, right: Right, workflow: str | None) -> frozenset[str] | None:
        """The workflows to look at: the one asked for, or all for which this person has the right, None for all."""
        if workflow is not None:
            self._check_right(right, workflow)
            return frozenset({workflow})
        mine = self.workflows_with(right)
        if mine == frozenset():
            raise NotAllowed(right, None)
        return mine

    def _workflow_of(self, case: str) -> str:
        """The workflow of a case, if this person may know that there is such a case."""
        if not is_storable(case):
            raise NoSuchCase(case)
        with self.ledger.reading() as connection:
            workflow = connection.execute(select(Cases.workflow).where(Cases.id == case)).scalar()
        if workflow is None or not self.may(Right.SEE_STRUCTURE, workflow):
            raise NoSuchCase(case)
        return str(workflow)

    def _told_workflows(self) -> frozenset[str] | None:
        workflows = self.workflows_with(Right.MANAGE_MESSAGES)
        if workflows == frozenset():
            raise NotAllowed(Right.MANAGE_MESSAGES, None)
        return workflows

    def _bulk_workflows(self, which: object) -> frozenset[str] | None:
        """The workflows on whose cases this person may act; raises NotAllowed when there is none."""
        named = which.workflow if isinstance(which, BulkFilter) else None
        workflows = self.workflows_with(Right.ACT_ON_MANY)
        if workflows is not None and (not workflows or (named is not None and named not in workflows)):
            raise NotAllowed(Right.ACT_ON_MANY, named)
        return workflows

    def _own_batch(self, name: str) -> BatchLine:
        """A batch that this person hands in and takes out. Raises NoSuchBatch, NotAllowed."""
        batch = self.find_batch(name)
        self._check_right(Right.HAND_IN, batch.workflow)
        return batch

    def _note(self, action: str, subject: str) -> None:
        with self.ledger.writing() as connection:
            audit.record(connection, self.ledger.clock(), self.person.id, action, subject)

    def _note_taken_out(self, what: str, name: str, kind: str) -> None:
        results.note_taken_out(self.ledger, what, self._own_batch(name).name, kind, self.person.id)

    def _check_selection(self, cases: Sequence[str]) -> None:
        """Raise NoSuchCase or NotAllowed unless this person may act on all of them."""
        workflows = bulk_filter.workflows_of_selection(self.ledger, cases)
        for case, workflow in workflows.items():
            if not self.may(Right.SEE_STRUCTURE, workflow):
                raise NoSuchCase(case)
        for workflow in sorted(set(workflows.values())):
            self._check_right(Right.ACT_ON_MANY, workflow)

    def _check_bulk(self, which: str) -> None:
        for workflow in self.find_bulk(which).workflows:
            self._check_right(Right.ACT_ON_MANY, workflow)

    def _check_pause(self, kind: PauseKind, name: str) -> None:
        """Raise NotAllowed unless this person may pause work of every workflow that it would hold."""
        if not is_storable(name):
            raise CasehandError(f"there is no such {kind}: see `casehand status`")
        concerned = pauses.workflows_held_by(self.ledger, kind, name)
        concerned |= {one.name for one in self.workflows.values() if name in one.bot_names and kind == "bot"}
        if not concerned:
            self._check_right(Right.PAUSE, None)
        for workflow in sorted(concerned):
            self._check_right(Right.PAUSE, workflow)

    def _check_name(self, kind: PauseKind, name: str) -> None:
        """Raise CasehandError when there is nothing of that name to pause, as far as this person may know."""
        visible = self.workflows_with(Right.SEE_STRUCTURE)
        names = pauses.names_of(self.ledger, kind, visible)
        mine = [one for one in self.workflows.values() if visible is None or one.name in visible]
        if kind is PauseKind.WORKFLOW:
            names |= {one.name for one in mine}
        if kind is PauseKind.BOT:
            names |= {bot for one in mine for bot in one.bot_names}
        if name not in names:
            near = difflib.get_close_matches(name, sorted(names), n=3, cutoff=0.4) or sorted(names)[:3]
            hint = " or ".join(near) or "another kind"
            raise CasehandError(f"there is no {kind} {name!r}: did you mean {hint}?")

    def _read_answer(
        self, case: str, given: str | Mapping[str, str], seen: int | None
    ) -> tuple[int | None, object]:
        """The answer as the question has it, and the id of the question that it was checked against."""
        with self.ledger.reading() as connection:
            row = look_for_open(connection, case)
        if row is None or seen not in (None, row.id) or row.sealed_question is None:
            return seen, given
        question = json.loads(self.ledger.key_of(case).open_text(row.sealed_question))
        form = question.get("form")
        if form is None:
            return row.id, given
        if isinstance(given, str):
            return row.id, check_form(form, _as_json(given))
        return row.id, check_typed(form, given)

    def _amended(self, case: str, changes: Mapping[str, str]) -> str:
        with self.ledger.reading() as connection:
            row = connection.execute(select(schema.cases).where(Cases.id == case)).one()
        data = json.loads(self.ledger.vault.open_key(case, row.key).open_text(row.sealed_data))
        return amend(find_workflow(self.workflows, row.workflow), data, row.reference, changes)


def _said(text: str, what: str) -> str:
    said = storable(text).strip()
    if not said:
        raise CasehandError(f"say {what}: it is kept for those who look at it later")
    if len(said) > LONGEST:
        raise CasehandError(f"{what} is said in at most {LONGEST:,} characters")
    return said


def _as_json(given: str) -> object:
    try:
        return json.loads(given)
    except ValueError:
        raise CasehandError('the answer to a form is JSON, such as \'{"field": "value"}\'') from None
