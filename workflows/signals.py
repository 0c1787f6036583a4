"""What ends an attempt before its workflow does.

These are no `Exception`s, so that a workflow's `except Exception` cannot swallow one.
"""

from datetime import datetime


class AttemptEnds(BaseException):
    """The attempt stops here."""


class Asked(AttemptEnds):
    """A person has to answer first."""

    def __init__(self, prompt: str, question: str) -> None:
        super().__init__("asked")
        self.prompt = prompt
        self.question = question  #: JSON


class MustWait(AttemptEnds):
    """Nothing can be said yet of a change that may still be on its way."""

    def __init__(self, reason: str, until: datetime) -> None:
        super().__init__(reason)
        self.reason = reason
        self.until = until


class InDoubt(AttemptEnds):
    """Whether an earlier attempt made the change cannot be told."""


class Rehearsed(AttemptEnds):
    """The attempt was a rehearsal, and has come to the first change that it would have made."""

    def __init__(self, name: str) -> None:
        super().__init__(f"would make the change: {name}")
        self.name = name


class LostCase(AttemptEnds):
    """Another attempt holds the case by now: this one must not do anything more."""


class TimeUp(AttemptEnds):
    """The attempt took longer than its workflow allows."""


class Stopped(AttemptEnds):
    """The attempt was told to let go of its case."""


class TooLong(AttemptEnds):
    """A part of the attempt, such as a picture, took longer than it is given."""
