"""Paging: a long list read a page at a time, so that neither memory nor a transaction grows with it."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

ROWS = 500
"""To a page."""

Row = TypeVar("Row")


def in_pages(
    look: Callable[[int, str | None], Sequence[Row]],
    case_of: Callable[[Row], str],
    limit: int | None = None,
    after: str | None = None,
) -> Iterator[Row]:
    """What `look` finds, of which it is told how many at most and the id of the case to begin behind.

    Each page is a look of its own: a long one would keep SQLite from tidying up its log. Whatever was there at
    the beginning, and still matches when its page is read, comes once, since no case changes its place.
    """
    left = limit
    while left is None or left > 0:
        most = ROWS if left is None else min(left, ROWS)
        page = look(most, after)
        yield from page
        if len(page) < most:
            return
        after = case_of(page[-1])
        left = None if left is None else left - most
