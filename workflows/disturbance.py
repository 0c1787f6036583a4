"""Signals that interrupt, and keeping them away from what must not be interrupted: a write to the ledger.

A signal mask would not do: the kernel gives a signal to any thread that lets it in, and Python then runs its
handler in the main thread all the same, whatever that one has masked. So the handlers themselves wait.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec

Given = ParamSpec("Given")

_held = 0
_waiting: deque[Callable[[], object]] = deque()


@contextmanager
def undisturbed() -> Iterator[None]:
    """Have the handlers that wait for it wait until the block has ended. For the main thread only."""
    global _held
    _held += 1
    try:
        yield
    finally:
        _held -= 1
        if not _held:
            _let_in()


def when_undisturbing(handler: Callable[Given, object]) -> Callable[Given, None]:
    """A signal's handler that waits while nothing may disturb, and comes then."""

    @wraps(handler)
    def waits(*args: Given.args, **kwargs: Given.kwargs) -> None:
        if _held:
            _waiting.append(lambda: waits(*args, **kwargs))
        else:
            handler(*args, **kwargs)

    return waits


def _forget() -> None:
    """A child, such as a horse that is fetched meanwhile, is not in the block."""
    global _held
    _held = 0
    _waiting.clear()


os.register_at_fork(after_in_child=_forget)


def _let_in() -> None:
    """Call those who wait, the last first; what one raises keeps no other from its turn."""
    if _waiting:
        try:
            _waiting.pop()()
        finally:
            _let_in()
