"""Telling people: what is new in the ledger is written to the outbox, and the outbox is sent, by one process.

It is a process of its own, so that no mail server can keep a case waiting.
"""

import os
import random
import secrets
import signal
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from functools import partial
from threading import Event
from time import monotonic
from types import FrameType

import structlog
from sqlalchemy.exc import SQLAlchemyError

from casehand.console import wording
from casehand.console.links import Links
from casehand.console.receivers import Receiver, Subscription, subscriptions
from casehand.console.sending import NotSent, Send, Sender
from casehand.console.wording import LONDON
from casehand.logs import set_up_logs
from casehand.queue import leases, messages, occasions
from casehand.queue.batches import note_finished
from casehand.queue.ledger import Ledger
from casehand.queue.messages import Message, MessageState, Wording, Writing
from casehand.queue.occasions import DAY, HOUR, Occasion, What
from casehand.settings import Settings, load_settings

TURN = timedelta(minutes=1)
"""How long one process is the teller unless it goes on: longer than a message may take to be sent."""

LOOK_SECONDS = 5.0
"""How long it rests between two looks."""

SHARE = 10
"""It rests so many times as long as a look took: where very much waits, telling people takes no CPU from working."""

LAST_SECONDS = 15.0
"""How long it goes on sending when it has been told to stop."""

AT_ONCE = 1000
"""How many things are written of in one transaction, which nobody else may write beside on SQLite."""

CLEARS_EVERY = timedelta(hours=1)

log = structlog.get_logger()


@dataclass
class Teller:
    """Finds what there is to tell, and tells it."""

    ledger: Ledger
    told: Sequence[Subscription]
    send: Send
    links: Links
    summary_at: time
    name: str
    chance: Callable[[], float] = random.random
    receivers: dict[str, Receiver] = field(init=False)
    _cleared_at: datetime | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.receivers = {one.receiver.id: one.receiver for one in self.told}

    def turn(self, goes_on: Callable[[], bool] = lambda: True) -> float | None:
        """One look and what follows from it, if it is this process' turn; how many seconds the look took."""
        if not self._is_its_turn():
            return None
        began = monotonic()
        self.write()
        took = monotonic() - began
        self.deliver(goes_on)
        return took

    def write(self) -> None:
        """Write to the outbox what is new; whatever has been written stays written once."""
        note_finished(self.ledger)
        for one in self.told:
            if one.what is What.SUMMARY:
                self._write_daily(one)
            elif one.what is What.HOURLY:
                self._write_hourly(one)
            else:
                self._write_news(one)
        messages.give_up_lost(self.ledger, self.receivers)
        self._clear()

    def deliver(self, goes_on: Callable[[], bool] = lambda: True) -> None:
        """Send what is due, one message after another, outside any transaction."""
        while goes_on() and (due := messages.next_due(self.ledger, self.receivers)) and self._is_its_turn():
            begun = messages.begin_try(self.ledger, due, self.chance())
            if begun is not None:
                self._try(begun)

    def let_go(self) -> None:
        """Let another be the teller at once."""
        leases.let_go(self.ledger, "teller", self.name)

    def _clear(self) -> None:
        """Now and then let go of what was sent long ago."""
        now = self.ledger.clock()
        if self._cleared_at is None or now - self._cleared_at >= CLEARS_EVERY:
            while messages.clear(self.ledger) and self._is_its_turn():
                pass
            self._cleared_at = now

    def _is_its_turn(self) -> bool:
        return leases.hold(self.ledger, "teller", self.name, TURN)

    def _write_news(self, told: Subscription) -> None:
        while found := self._untold(told):
            if not messages.write(self.ledger, self._writing(told), found):
                return

    def _untold(self, told: Subscription) -> list[Occasion]:
        with self.ledger.reading() as connection:
            return occasions.untold(
                connection, told.what, told.receiver.id, told.workflows, self.ledger.clock(), AT_ONCE
            )

    def _writing(self, told: Subscription) -> Writing:
        return Writing(
            told.receiver.id,
            told.receiver.shown,
            told.what,
            partial(wording.word_one, links=self.links),
            partial(wording.word_many, told.what, links=self.links),
        )

    def _write_daily(self, told: Subscription) -> None:
        now = self.ledger.clock()
        if now >= at_london_time(now, self.summary_at):
            self._write_summary(told, _day(now), now, DAY)

    def _write_hourly(self, told: Subscription) -> None:
        hour = _hour(self.ledger.clock())
        self._write_summary(told, hour, hour.since, HOUR)

    def _write_summary(self, told: Subscription, slot: Occasion, now: datetime, within: timedelta) -> None:
        with self.ledger.reading() as connection:
            if occasions.is_told(connection, slot, told.receiver.id):
                return
            standing = occasions.standing(connection, told.workflows, now, within)
        if within == HOUR and not (standing.done or standing.asked):
            return
        summary = wording.word_summary(standing, now, self.links, is_hourly=within == HOUR)
        writing = Writing(
            told.receiver.id, told.receiver.shown, told.what, lambda _: summary, lambda _: summary
        )
        messages.write(self.ledger, writing, [slot])

    def _try(self, message: Message) -> None:
        receiver = self.receivers[message.receiver]
        try:
            self.send(receiver, message.key, message.written_at, Wording(message.subject, message.body))
        except NotSent as why:
            self._note_failure(message, str(why))
            return
        messages.note_sent(self.ledger, message)
        log.info("message_sent", message=message.id, what=message.what, things=message.things)

    def _note_failure(self, message: Message, why: str) -> None:
        state = messages.note_failed(self.ledger, message, why)
        event = "message_given_up" if state is MessageState.GIVEN_UP else "message_not_sent"
        log.warning(event, message=message.id, tries=message.tries, to=message.shown, why=why)


def teller(settings: Settings, ledger: Ledger) -> Teller:
    """The teller as the settings say. Raises CasehandError when a file of addresses cannot be read."""
    return Teller(
        ledger,
        subscriptions(settings.tell, ledger.vault),
        Sender(settings.smtp),
        Links(settings.console_url),
        settings.summary_at,
        f"{socket.gethostname()}.{secrets.token_hex(3)}.{os.getpid()}",
    )


def tell_until_stopped() -> None:
    """Tell people, until this process is asked to stop; then what is new is told once more, and it ends."""
    set_up_logs()
    settings = load_settings()
    stopping = _stop_on((signal.SIGTERM, signal.SIGINT))
    ledger = Ledger.open(settings.ledger_url, settings.vault())
    one = teller(settings, ledger)
    while not stopping.is_set():
        took = _turn(one, lambda: not stopping.is_set())
        stopping.wait(max(LOOK_SECONDS, SHARE * took))
    deadline = monotonic() + LAST_SECONDS
    _turn(one, lambda: monotonic() < deadline)
    one.let_go()
    ledger.close()


def tell_once() -> bool:
    """Look once and send what is due; False when another process is the teller."""
    set_up_logs()
    settings = load_settings()
    ledger = Ledger.open(settings.ledger_url, settings.vault())
    one = teller(settings, ledger)
    took = one.turn()
    if took is not None:
        one.let_go()
    ledger.close()
    return took is not None


def at_london_time(now: datetime, at: time) -> datetime:
    """The instant of today, as it is today in London, at which clocks there show that time, first."""
    today = now.astimezone(LONDON).date()
    return datetime.combine(today, at.replace(tzinfo=None), tzinfo=LONDON).astimezone(UTC)


def _day(now: datetime) -> Occasion:
    midnight = at_london_time(now, time(0))
    name = now.astimezone(LONDON).date().isoformat()
    return Occasion(What.SUMMARY, name, midnight, name)


def _hour(now: datetime) -> Occasion:
    """The last full hour; clocks differ by full hours wherever people are told of them."""
    begun = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    name = f"{begun:%Y-%m-%dT%H}"
    return Occasion(What.HOURLY, name, begun, name)


def _turn(one: Teller, goes_on: Callable[[], bool]) -> float:
    try:
        return one.turn(goes_on) or 0.0
    except SQLAlchemyError as error:
        log.warning("ledger_away", error=str(error).splitlines()[0])
        return 0.0


def _stop_on(signals: Iterable[signal.Signals]) -> Event:
    stopping = Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.set()

    for one in signals:
        signal.signal(one, stop)
    return stopping
