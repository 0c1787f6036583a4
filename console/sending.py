"""Sending a message: through the mail server of the settings, or with apprise, to whatever that knows."""

import logging
import re
import smtplib
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime

from casehand.console.deadline import at_most
from casehand.console.receivers import Receiver
from casehand.exceptions import CasehandError
from casehand.queue.messages import Wording
from casehand.tell import SmtpSettings

SECONDS = 20
"""How long a receiver may take; less than the least wait for the next try, so that no two tries overlap."""

LONGEST_ERROR = 300


class NotSent(Exception):
    """Why a message was not sent, in one line without anything secret."""


Send = Callable[[Receiver, str, datetime, Wording], None]
"""Sends a wording to a receiver, with a key that is the same at each try, and the time it was written.

Raises NotSent.
"""


class Sender:
    """Sends messages as the settings say."""

    def __init__(self, smtp: SmtpSettings | None, seconds: int = SECONDS) -> None:
        self._smtp = smtp
        self._seconds = seconds

    def __call__(self, receiver: Receiver, key: str, at: datetime, wording: Wording) -> None:
        """Send it. Raises NotSent, within `seconds` where this is the main thread."""
        try:
            if receiver.is_mail:
                with at_most(self._seconds):
                    self._mail(receiver, key, at, wording)
            else:
                _apprise(receiver, key, wording, self._seconds)
        except NotSent:
            raise
        except Exception as error:
            raise NotSent(_in_one_line(error)) from error

    def _mail(self, receiver: Receiver, key: str, at: datetime, wording: Wording) -> None:
        if self._smtp is None:
            raise NotSent("no mail server is set: set [smtp], or CASEHAND_SMTP_HOST and CASEHAND_SMTP_SENDER")
        try:
            server = _connect(self._smtp, self._seconds)
        except (OSError, smtplib.SMTPException) as error:
            where = f"the mail server {self._smtp.host}:{self._smtp.at_port}"
            raise NotSent(f"{where} cannot be used ({_in_one_line(error)})") from error
        try:
            server.send_message(_letter(self._smtp, receiver, key, at, wording))
            with suppress(OSError, smtplib.SMTPException):
                # It has been taken: what comes now changes nothing.
                server.quit()
        finally:
            server.close()


def _connect(smtp: SmtpSettings, seconds: float) -> smtplib.SMTP:
    tls = ssl.create_default_context()
    if smtp.encryption == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(smtp.host, smtp.at_port, timeout=seconds, context=tls)
    else:
        server = smtplib.SMTP(smtp.host, smtp.at_port, timeout=seconds)
    try:
        if smtp.encryption == "starttls":
            server.starttls(context=tls)
        if smtp.username is not None:
            server.login(smtp.username, smtp.secret())
    except BaseException:
        server.close()
        raise
    return server


def _letter(smtp: SmtpSettings, receiver: Receiver, key: str, at: datetime, wording: Wording) -> EmailMessage:
    letter = EmailMessage()
    letter["From"] = f"Casehand <{smtp.sender}>"
    letter["To"] = receiver.address.get_secret_value().removeprefix("mailto:")
    letter["Subject"] = wording.subject
    letter["Date"] = format_datetime(at)
    letter["Message-ID"] = f"<{key}.casehand@{smtp.sender.partition('@')[2]}>"
    # So that no out-of-office notice answers.
    letter["Auto-Submitted"] = "auto-generated"
    letter.set_content(wording.body)
    return letter


def _apprise(receiver: Receiver, key: str, wording: Wording, seconds: int) -> None:
    # Here, since it takes a second and much memory, and few processes send.
    import apprise

    address = receiver.address.get_secret_value()
    with _heard() as heard:
        # The limit is on the service: to read in all that apprise knows takes a moment, and may not be cut short.
        service = apprise.Apprise.instantiate(address, suppress_exceptions=True)
        if service is None:
            raise NotSent("apprise knows no such address: correct it in the [[tell]] that names it")
        post = apprise.Apprise()
        post.add(service)
        # A chat has no Message-ID: the end of the text tells one that came twice.
        body = f"{wording.body}\n(message {key[:8]})"
        text = apprise.NotifyFormat.TEXT
        with at_most(seconds):
            told = post.notify(body=body, title=wording.subject, body_format=text, timeout=seconds)
    if not told:
        shown = str(service.url(privacy=True))  # type: ignore[no-untyped-call]
        raise NotSent(
            _without_secrets(_in_one_line(heard.last or "the service did not take it"), address, shown)
        )


class _heard(logging.Handler):  # noqa: N801 — reads as what it is where it is used
    """The last warning of apprise, which returns no reason."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.last = record.getMessage()

    def __enter__(self) -> "_heard":
        logger = logging.getLogger("apprise")
        self._before = logger.propagate, logger.level
        # What it logs may hold parts of an address, which are secrets.
        logger.propagate = False
        logger.setLevel(logging.WARNING)
        logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logger = logging.getLogger("apprise")
        logger.removeHandler(self)
        logger.propagate = self._before[0]
        logger.setLevel(self._before[1])


def _without_secrets(text: str, address: str, shown: str) -> str:
    """The text without those parts of an address that apprise itself does not show."""
    for part in sorted(set(re.split(r"[^\w.-]+", address)), key=len, reverse=True):
        if len(part) > 2 and part not in shown:
            text = text.replace(part, "…")
    return text


def _in_one_line(error: Exception | str) -> str:
    match error:
        case smtplib.SMTPRecipientsRefused():
            ((code, said),) = error.recipients.values()
            text = f"the mail server refused the receiver ({code} {said.decode(errors='replace')})"
        case smtplib.SMTPResponseException():
            answer: bytes | str = error.smtp_error
            told = answer.decode(errors="replace") if isinstance(answer, bytes) else answer
            text = f"the mail server answered {error.smtp_code} {told}"
        case smtplib.SMTPServerDisconnected():
            text = str(error).removeprefix("Connection unexpectedly closed: ")
        case TimeoutError():
            text = str(error) or "no answer in time"
        case CasehandError() | str():
            text = str(error)
        case OSError() if error.strerror:
            text = error.strerror
        case _:
            text = str(error) or type(error).__name__
    plain = "".join(one if one.isprintable() else " " for one in text)
    return " ".join(plain.split())[:LONGEST_ERROR]
