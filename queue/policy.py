"""Policy: what a workflow says becomes of its late cases, and of a batch that goes wrong."""

from dataclasses import dataclass
from enum import StrEnum

MOST = 1_000
"""Cases in `first` at most."""


class Late(StrEnum):
    """What becomes of a case whose due date passes before it is begun."""

    ESCALATE = "escalate"  #: a person decides
    CANCEL = "cancel"  #: unless something of it has been changed already: then a person decides


@dataclass(frozen=True)
class BatchStop:
    """When a batch stops itself: more than a share of its first ended cases wait for the same reason.

    Raises ValueError for a rule that cannot be kept.
    """

    share: float = 0.5  #: of `first`
    first: int = 20  #: cases that ended first

    def __post_init__(self) -> None:
        if not (0 <= self.share < 1 and 1 <= self.first <= MOST):
            raise ValueError(
                f"a batch stops at a share from 0 up to 1 of its first 1 to {MOST} cases, not {self}"
            )
