"""What a person is told when somebody else was quicker."""

from datetime import UTC, datetime

from casehand.queue.too_late import Taken


def test_it_says_since_when_by_the_clocks_there() -> None:
    taken = Taken("a case", "another", datetime(2026, 7, 1, 12, tzinfo=UTC))
    assert str(taken).startswith("another has had this case since 1 July 2026 at 13:00:00: ")
