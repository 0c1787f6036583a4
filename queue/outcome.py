"""How an attempt ends: a closed set of values."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class EscalationKind(StrEnum):
    """Why a person is asked."""

    BUSINESS = "business"  #: the rules say that a person must decide
    QUESTION = "question"  #: the workflow asked something
    FAILURE = "failure"  #: the legacy system failed too often
    FAULT = "fault"  #: the workflow itself is wrong
    IN_DOUBT = "in doubt"  #: whether a change was made cannot be known
    LATE = "late"  #: its due date passed before it was begun


@dataclass(frozen=True)
class Scene:
    """Where in the legacy system an attempt stood when it ended."""

    page: str | None = None  #: the page's address
    screenshot: str | None = None  #: the name of the evidence file


@dataclass(frozen=True)
class Done:
    """The workflow finished; `result` is its JSON."""

    result: str | None


@dataclass(frozen=True)
class Failed:
    """The legacy system misbehaved: tried again with backoff, then escalated."""

    reason: str
    scene: Scene = Scene()
    bot: str | None = None  #: whose system it was, where that is known; otherwise it counts against all


@dataclass(frozen=True)
class Escalated:
    """A person has to look at it; `question` is the JSON of what is asked."""

    kind: EscalationKind
    reason: str
    question: str | None = None
    scene: Scene = Scene()


@dataclass(frozen=True)
class Waiting:
    """It could not go on for now: queued again, at no cost, not before `until`."""

    reason: str
    until: datetime | None = None


Outcome = Done | Failed | Escalated | Waiting
