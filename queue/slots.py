"""Slots: how many sessions a bot may hold at once, across all workers and machines."""

from collections.abc import Collection
from datetime import timedelta
from typing import NamedTuple

from casehand.queue import leases
from casehand.queue.ledger import Ledger

LENGTH = timedelta(seconds=20)
"""How long a slot stays with a horse that is not heard of."""


class Slot(NamedTuple):
    """One of a bot's sessions, and the worker whose lane may hold it."""

    bot: str
    number: int
    holder: str

    @property
    def name(self) -> str:
        """Its name among the leases."""
        return f"session {self.bot} {self.number}"


def take_slot(ledger: Ledger, bot: str, number: int, holder: str) -> int | None:
    """Take one of `number` slots of a bot; None while others hold them all."""
    for slot in range(number):
        if keep_slot(ledger, Slot(bot, slot, holder)):
            return slot
    return None


def keep_slot(ledger: Ledger, slot: Slot) -> bool:
    """Hold it for longer; False when another has it by now."""
    return leases.hold(ledger, slot.name, slot.holder, LENGTH)


def keep_slots(ledger: Ledger, held: Collection[Slot]) -> list[Slot]:
    """Hold several for longer; returns those that nobody else has meanwhile."""
    kept = leases.renew(ledger, [(slot.name, slot.holder) for slot in held], LENGTH)
    return [slot for slot in held if (slot.name, slot.holder) in kept]


def give_back(ledger: Ledger, held: Collection[Slot]) -> None:
    """Let others have them."""
    for slot in held:
        leases.let_go(ledger, slot.name, slot.holder)
