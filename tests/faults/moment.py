"""When a fault strikes: the columns of the table."""

from enum import StrEnum

from casehand.points import Point


class Moment(StrEnum):
    """A moment in the life of an attempt."""

    NOT_BEGUN = "not begun"
    BEGUN = "begun"
    SIGNED_IN = "signed in"
    BEFORE_INTENT = "before intent"
    INTENT_WRITTEN = "intent written"
    CLICKED = "clicked"  #: the change is made, the answer is on its way
    ANSWERED = "answered"  #: nothing is written of it yet
    OUTCOME_WRITTEN = "outcome written"
    ENDED = "ended"  #: RQ does not know yet
    NEXT_TAKEN = "next taken"  #: while the worker takes the next case

    @property
    def point(self) -> Point:
        """The point of the attempt that is waited for."""
        return _POINTS[self]

    @property
    def holds(self) -> bool:
        """Whether the horse waits there for the strike; otherwise it goes on, and is struck on its way."""
        return self not in (Moment.CLICKED, Moment.NEXT_TAKEN)

    @property
    def leaves_doubt(self) -> bool:
        """Whether an attempt that dies here leaves an intent of which nothing is known yet."""
        return self in (Moment.INTENT_WRITTEN, Moment.CLICKED, Moment.ANSWERED)


_POINTS = {
    Moment.NOT_BEGUN: Point.TAKEN,
    Moment.BEGUN: Point.BEGUN,
    Moment.SIGNED_IN: Point.SIGNED_IN,
    Moment.BEFORE_INTENT: Point.BEFORE_INTENT,
    Moment.INTENT_WRITTEN: Point.AFTER_INTENT,
    Moment.CLICKED: Point.AFTER_INTENT,
    Moment.ANSWERED: Point.BODY_ENDED,
    Moment.OUTCOME_WRITTEN: Point.OUTCOME_WRITTEN,
    Moment.ENDED: Point.ENDED,
    Moment.NEXT_TAKEN: Point.ENDED,
}
