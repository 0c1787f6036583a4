"""Named points in the life of an attempt, at which the fault tests strike. In service, nothing happens there."""

import importlib
import os
from collections.abc import Callable
from enum import StrEnum
from functools import cache

VARIABLE = "CASEHAND_FAULTS"
"""Names the function that is called at each point, as `module:function`; only the fault tests set it."""


class Point(StrEnum):
    """A place where something may die."""

    TAKEN = "taken"  #: the worker has the job from RQ; the attempt is not begun
    BEGUN = "begun"  #: the attempt is written down
    SIGNED_IN = "signed in"  #: every bot is ready
    BEFORE_INTENT = "before intent"  #: the commit is entered, nothing is written of it
    AFTER_INTENT = "after intent"  #: the intent is written, the body has not begun
    BODY_ENDED = "body ended"  #: the system has answered, nothing is written of that
    OUTCOME_WRITTEN = "outcome written"  #: the change is written down as made
    ENDED = "ended"  #: the end of the attempt is written, RQ does not know yet


def reach(point: Point, case: str, attempt: int) -> None:
    """Come to a point of an attempt."""
    if VARIABLE in os.environ:
        _strike(os.environ[VARIABLE])(point, case, attempt)


@cache
def _strike(name: str) -> Callable[[Point, str, int], None]:
    module, _, function = name.partition(":")
    strike: Callable[[Point, str, int], None] = getattr(importlib.import_module(module), function)
    return strike
