"""The time, passed in wherever it matters, so that a test can hold it still."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The time now, aware and in UTC."""
    return datetime.now(UTC)
