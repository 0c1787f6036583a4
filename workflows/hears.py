"""Hearing where an attempt is: for whoever watches one, or has something go wrong there."""

from enum import StrEnum
from typing import Protocol


class Stage(StrEnum):
    """What an attempt comes to."""

    BEGIN = "begin"  #: every bot is signed in, and the workflow begins
    STEP = "step"
    CHANGE = "change"  #: a commit point whose change is not there yet, before anything is written of it


class Hears(Protocol):
    """Told of each stage just before it begins; the beginning has no name."""

    def __call__(self, stage: Stage, name: str, /) -> object: ...


def say_nothing(stage: Stage, name: str, /) -> None:
    """For whoever does not want to hear."""
