"""A place: one session of a bot in the service's own ledger, kept from the workers for whoever works beside them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from casehand.bots.bot import Account, Bot
from casehand.console.office import Office
from casehand.exceptions import CasehandError
from casehand.queue import leases, pauses
from casehand.queue.breaker import open_breakers
from casehand.queue.pauses import ALL, PauseKind
from casehand.queue.slots import Slot


@dataclass
class Place:
    """A session of a bot, taken by `keep` and kept by further calls of it."""

    office: Office
    bot: type[Bot]
    holder: str
    slot: Slot | None = None
    elsewhere: list[Slot] = field(default_factory=list)  #: those that others had when it was taken

    def keep(self, length: timedelta) -> None:
        """Hold it for so long from now on. Raises CasehandError when all sessions of the bot are at work."""
        ledger = self.office.ledger
        if self.slot is not None and leases.hold(ledger, self.slot.name, self.holder, length):
            return
        number = self.bot.slots(len(self.office.settings.for_bot(self.bot.name).accounts))
        self.slot, self.elsewhere = None, []
        for one in (Slot(self.bot.name, place, self.holder) for place in range(number)):
            if leases.hold(ledger, one.name, self.holder, length):
                self.slot = one
                return
            self.elsewhere.append(one)
        raise CasehandError(
            f"the bot {self.bot.name} holds all of its {number} sessions at work: "
            "try again when it has less to do"
        )

    def give_back(self) -> None:
        """Let workers have it again."""
        if self.slot is not None:
            leases.let_go(self.office.ledger, self.slot.name, self.holder)

    def account(self) -> Account:
        """Whose session it is: the same that a worker with this session would sign in."""
        accounts = self.office.settings.for_bot(self.bot.name).accounts
        own = accounts[(0 if self.slot is None else self.slot.number) % len(accounts)]
        return Account(own.username, own.password)


@contextmanager
def kept(place: Place, length: timedelta) -> Iterator[Place]:
    """A place that is taken for the length of the block."""
    try:
        place.keep(length)
        yield place
    finally:
        place.give_back()


def check_free(office: Office, bots: Iterable[type[Bot]], length: timedelta) -> None:
    """Raise CasehandError when a bot is not set up, closed for some of that length, paused or in trouble."""
    ledger = office.ledger
    if pauses.is_paused(ledger, PauseKind.EVERYTHING, ALL):
        raise CasehandError("everything is paused: see `casehand status`")
    broken = {one.bot for one in open_breakers(ledger)}
    for bot in bots:
        office.settings.for_bot(bot.name)
        opens = _opens(office, bot, length)
        if opens is not None:
            when = opens.astimezone(office.settings.zone)
            raise CasehandError(f"the bot {bot.name} is closed until {when:%A %d %B at %H:%M}: try then")
        if pauses.is_paused(ledger, PauseKind.BOT, bot.name):
            raise CasehandError(f"the bot {bot.name} is paused: `casehand status` says why")
        if bot.name in broken:
            raise CasehandError(
                f"the system of the bot {bot.name} fails case after case: try when it is well"
            )


def _opens(office: Office, bot: type[Bot], length: timedelta) -> datetime | None:
    try:
        return bot.must_wait_until(office.ledger.clock(), length, office.desk.calendar.is_working_day)
    except ValueError as error:
        raise CasehandError(f"the hours of the bot {bot.name} cannot be kept to: {error}") from None
