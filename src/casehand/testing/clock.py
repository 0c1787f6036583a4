"""The clock of a test: it stands still until it is told to go on."""

from datetime import UTC, datetime, timedelta

FIRST_OF_APRIL = datetime(2026, 4, 1, 9, 0, tzinfo=UTC)
"""A Wednesday morning, when every system is open."""


class FrozenClock:
    """Gives the time that it was set to. `work` has it go on where a case waits to be tried again."""

    def __init__(self, now: datetime = FIRST_OF_APRIL) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """The time, aware."""
        return self.now

    def set(self, now: datetime) -> None:
        """Be another time; raises ValueError for one without a zone."""
        if now.tzinfo is None:
            raise ValueError("give the time with its zone, such as datetime(2026, 4, 1, tzinfo=UTC)")
        self.now = now

    def go_on(self, span: timedelta) -> None:
        """Be so much later."""
        self.now += span

    def come_to(self, moment: datetime) -> None:
        """Be that late, unless it is later already."""
        self.now = max(self.now, moment)
