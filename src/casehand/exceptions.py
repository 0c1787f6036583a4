"""What may go wrong, as a tree: where an exception stands decides what becomes of the case."""

from datetime import datetime


class CasehandError(Exception):
    """Something a person has to put right; its text is one line that says what to do."""


class NotNow(CasehandError):
    """It may go well later as it is: nothing is said against what was handed in."""


class BusinessException(Exception):
    """The rules say that a person must decide: the case is escalated and never retried."""


class SystemException(Exception):
    """The legacy system misbehaved: the case is retried with backoff, then escalated."""


class SessionExpired(SystemException):
    """The legacy system no longer knows the session: it is signed in again before the retry."""


class OutsideAddress(SystemException):
    """A page led away from the bot's own addresses."""


class NotOpen(SystemException):
    """The legacy system is closed, or lets nobody else in for now: it is tried again at `until`."""

    def __init__(self, until: datetime, why: str) -> None:
        super().__init__(why)
        self.until = until


class SignInRefused(Exception):
    """The legacy system refused the account: the bot is paused at once, since trying on locks accounts."""
