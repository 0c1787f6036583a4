"""Leaving out the body of a `with` statement: what a commit does whose change already stands.

Python has no statement for it. Within `__enter__`, a trace function is laid on the frame that holds the
`with`; at the first line of the body it raises `BodySkipped`, which `__exit__` takes back. See
docs/decisions/0003-with-commit.md for why, and for what makes it safe.
"""

import dis
import sys
from types import FrameType, TracebackType
from typing import Any


class BodySkipped(BaseException):
    """Raised at the first line of a body that is left out; never seen outside this module's caller."""


class Skipping:
    """One body that is left out: `begin` from `__enter__`, `ended` from `__exit__`."""

    def __init__(self, frame: FrameType) -> None:
        self._frame = frame
        self._header = frame.f_lineno
        self._others = sys.gettrace()
        self._frames_own = frame.f_trace
        self._left_out = False

    def begin(self) -> None:
        """Arrange that the first line of the body raises BodySkipped."""
        sys.settrace(lambda *_: None)
        self._frame.f_trace = self._at_line

    def ended(self) -> bool:
        """Whether the body was left out, as it must have been."""
        self._put_back()
        return self._left_out

    def _at_line(self, frame: FrameType, event: str, arg: Any) -> Any:
        self._put_back()
        self._left_out = True
        if frame.f_lineno == self._header:
            return None
        raise BodySkipped

    def _put_back(self) -> None:
        sys.settrace(self._others)
        self._frame.f_trace = self._frames_own


def check_body(frame: FrameType) -> None:
    """Raise TypeError when the body of the `with` that the frame stands at could not be left out.

    It has no line of its own to be stopped at when it begins on the line of the `with`. Nor can it be
    stopped before a `try`, `pass` or bare `return`, which no `with` guards. So none of these may be
    written: this is checked whether or not the body is to be left out, and an author's first test meets it.
    """
    following = (one for one in dis.get_instructions(frame.f_code) if one.offset >= frame.f_lasti)
    header = next(following)
    body = next(one for one in following if not one.opname.startswith(("POP_TOP", "STORE_", "NOT_TAKEN")))
    if header.positions is None or body.positions is None or header.positions.lineno == body.positions.lineno:
        raise TypeError(
            "write `with case.commit(...):` as a statement of its own, its body on the lines below"
        )
    if body.opname == "NOP":
        raise TypeError(
            "begin the body of `with case.commit(...):` with what it does, not with try, pass or the like"
        )


class _Trial:
    def __enter__(self) -> None:
        frame = sys._getframe(1)
        check_body(frame)
        self._skipping = Skipping(frame)
        self._skipping.begin()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._skipping.ended()
        return kind is BodySkipped


def check_skipping_works() -> None:
    """Raise RuntimeError where this Python does not leave out a body: no case may be worked on it."""
    ran = False
    with _Trial():
        ran = True
    if ran:
        raise RuntimeError(
            "this Python runs the body of a commit that must be left out: use CPython 3.11 or newer"
        )
