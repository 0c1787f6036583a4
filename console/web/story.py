"""The story of a case in plain words: what happened, in the order it happened."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from casehand.console.web.fields import CaseField, fields_of_answer
from casehand.queue.cases import AttemptStory, CaseStory, EscalationStory
from casehand.queue.commits import CommitState, Intent

Kept = Mapping[int, Sequence[str]]
"""The names of the evidence files that are on this machine, by attempt."""

TRACE = ".zip"

BEGINS, MADE, FOUND = "begins: ", "made: ", "was there already: "

NOTES = (
    (BEGINS, "Begins: {}"),
    (MADE, "Saved and read back: {}"),
    (FOUND, "Was there already, so nothing was changed: {}"),
    ("could not be looked for: ", "Could not be looked for: {}"),
    ("was made all the same: ", "Was made although the system refused it: {}"),
    ("was not made: ", "Was not made: {}"),
    ("answered: ", "Goes on with the answer to: {}"),
    ("opens ", "Opens {}"),
)
"""How the names of an attempt's own steps begin, and what they are in plain words."""

OF_ATTEMPT = re.compile(r"(?P<what>made|was not made) by attempt (?P<number>[0-9]+): (?P<name>.*)", re.DOTALL)

SCENES: Mapping[str, str] = {
    "question": "What the system showed when the question was asked",
    "exception": "What the system showed when the rules left it to a person",
    "failure": "What the system showed when it failed",
    "fault": "What the system showed when the workflow failed",
    "in doubt": "What the system showed when it was not known whether the change was made",
    "time up": "What the system showed when the time was up",
    "refused": "What the system showed when it refused the change",
    "trace": "A recording of the attempt was kept",
}

ENDS: Mapping[str, str] = {
    "done": "The case was done.",
    "failed": "The attempt failed.",
    "escalated": "The case was put in front of a person.",
    "waiting": "The case had to wait.",
    "lost": "The attempt was lost: the worker died or was not heard of.",
}

DEEDS: Mapping[str, str] = {
    "taken in": "Came in",
    "taken": "Taken, to be settled",
    "handed on": "Handed on to somebody else",
    "given back": "Given back, for anybody to take",
    "answered": "Answered, and queued again",
    "returned": "Sent back to be worked again",
    "amended": "Amended, and sent back to be worked again",
    "closed": "Closed",
    "cancelled": "Cancelled",
    "commented": "Commented",
    "due date set": "Due date set",
    "priority set": "Priority set",
    "put off": "Put off",
    "let be late": "Let be worked past its due date",
    "erased": "Erased: what it held can be read no more",
}
"""What the audit says that people did, in plain words. What attempts did, they tell themselves."""

SAID_BY_A_PERSON: Mapping[str, str] = {
    "commit made": "Said that the change was made",
    "commit not made": "Said that the change was not made",
}


@dataclass(frozen=True)
class Step:
    """One step of an attempt."""

    at: datetime
    words: str
    took: str | None
    is_change: bool  #: saved and read back
    is_shown: bool  #: its picture is among those of the changes already
    fault: str | None  #: what ended it too early
    picture: str | None  #: the evidence file that shows it, if it is here
    is_elsewhere: bool  #: a picture was kept, but not on this machine


@dataclass(frozen=True)
class Trial:
    """An attempt as the timeline tells it."""

    story: AttemptStory
    steps: Sequence[Step]
    end: str
    traces: Sequence[str]
    left: Sequence[str]  #: pictures that belong to no step: its horse was killed before it wrote any


@dataclass(frozen=True)
class Event:
    """Something that happened."""

    at: datetime
    words: str
    by: str | None = None
    said: str | None = None  #: what came from outside: a reason
    detail: str | None = None
    trial: Trial | None = None
    escalation: EscalationStory | None = None
    answer: Sequence[CaseField] = ()  #: what a person answered, where the question is settled so


@dataclass(frozen=True)
class Change:
    """A change in the legacy system, and what is known of it."""

    intent: Intent
    before: str | None  #: the picture of what the system showed before
    after: str | None
    shown_before: Mapping[str, str]  #: what was read from the system before
    shown_after: Mapping[str, str]

    @property
    def shown_names(self) -> list[str]:
        """What was read, each once."""
        return list(dict.fromkeys([*self.shown_before, *self.shown_after]))


def timeline(story: CaseStory, kept: Kept, latest: int | None) -> list[Event]:
    """What happened, oldest first; of the attempts only the latest, if so many are given."""
    told = story.attempts if latest is None else story.attempts[-latest:]
    events = [*_deeds(story), *(_attempt(one, kept.get(one.number, ())) for one in told)]
    events += [_escalation(one) for one in story.escalations]
    return sorted(events, key=lambda event: event.at)


def changes_of(story: CaseStory, kept: Kept) -> list[Change]:
    """The changes in the legacy system, oldest first."""
    return [_change(story, intent, kept.get(intent.attempt, ())) for intent in story.commits]


def step_in_words(name: str) -> str:
    """The name of a step as a sentence begins."""
    if name in SCENES:
        return SCENES[name]
    if found := OF_ATTEMPT.fullmatch(name):
        what = "Was made" if found["what"] == "made" else "Was not made"
        return f"{what} by attempt {found['number']}: {found['name']}"
    for beginning, words in NOTES:
        if name.startswith(beginning):
            return words.format(name.removeprefix(beginning))
    return name[:1].upper() + name[1:]


def took(seconds: object) -> str | None:
    """How long a step took; None for no time worth telling."""
    if not isinstance(seconds, int | float) or seconds <= 0:
        return None
    if seconds < 1:
        return "less than a second"
    if seconds < 60:
        return f"{seconds:.1f} seconds"
    return str(timedelta(seconds=round(seconds)))


def _deeds(story: CaseStory) -> Iterator[Event]:
    for entry in story.audit:
        action, at, by = str(entry["action"]), entry["at"], str(entry["actor"])
        words = DEEDS.get(action)
        if words is None and action in SAID_BY_A_PERSON and entry["attempt"] is None:
            words = SAID_BY_A_PERSON[action]
        if words is not None and isinstance(at, datetime):
            detail = entry["detail"]
            yield Event(at, words, by, detail=None if detail is None else str(detail))


def _escalation(one: EscalationStory) -> Event:
    answer = fields_of_answer(one.answer, one.question)
    return Event(one.opened_at, "Put in front of a person", said=one.reason, escalation=one, answer=answer)


def _attempt(one: AttemptStory, kept: Sequence[str]) -> Event:
    steps = [_step(step, kept) for step in one.steps]
    shown = {step.picture for step in steps}
    traces = [name for name in kept if name.endswith(TRACE)]
    left = [name for name in kept if name not in shown and name not in traces]
    end = "It is in work." if one.end is None else ENDS.get(one.end, one.end)
    return Event(one.begun_at, f"Attempt {one.number}", trial=Trial(one, steps, end, traces, left))


def _step(step: Mapping[str, object], kept: Sequence[str]) -> Step:
    name, evidence = str(step["name"]), step.get("evidence")
    is_picture = isinstance(evidence, str) and not evidence.endswith(TRACE)
    return Step(
        at=datetime.fromisoformat(str(step["at"])),
        words=step_in_words(name),
        took=took(step.get("seconds")),
        is_change=name.startswith(MADE),
        is_shown=name.startswith((BEGINS, MADE)),
        fault=None if step.get("end") is None else str(step["end"]),
        picture=str(evidence) if is_picture and evidence in kept else None,
        is_elsewhere=is_picture and evidence not in kept,
    )


def _change(story: CaseStory, intent: Intent, kept: Sequence[str]) -> Change:
    attempt = next((one for one in story.attempts if one.number == intent.attempt), None)
    steps = {} if attempt is None else {str(step["name"]): step for step in attempt.steps}
    before, after = steps.get(f"{BEGINS}{intent.name}", {}), steps.get(f"{MADE}{intent.name}", {})
    if intent.state is CommitState.FOUND:
        # Nobody saw what was there before.
        after = steps.get(f"{FOUND}{intent.name}", {})
    return Change(
        intent=intent,
        before=_picture(before, kept),
        after=_picture(after, kept),
        shown_before=_shown(before),
        shown_after=_shown(after),
    )


def _picture(step: Mapping[str, object], kept: Sequence[str]) -> str | None:
    evidence = step.get("evidence")
    return evidence if isinstance(evidence, str) and evidence in kept else None


def _shown(step: Mapping[str, object]) -> dict[str, str]:
    shown = step.get("shows")
    return {str(name): str(value) for name, value in shown.items()} if isinstance(shown, dict) else {}
