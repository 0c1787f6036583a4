"""Slots: how many sessions a bot may hold at once, across all workers and machines."""

from datetime import timedelta

from casehand.queue import leases
from casehand.queue.ledger import Ledger

LENGTH = timedelta(seconds=20)
"""How long a slot stays with a horse that is not heard of."""


def take_slot(ledger: Ledger, bot: str, number: int, holder: str) -> int | None:
    """Take one of `number` slots of a bot; None while others hold them all."""
    for slot in range(number):
        if leases.hold(ledger, _name(bot, slot), holder, LENGTH):
            return slot
    return None


def keep_slot(ledger: Ledger, bot: str, slot: int, holder: str) -> bool:
    """Hold it for longer; False when another has it by now."""
    return leases.hold(ledger, _name(bot, slot), holder, LENGTH)


def give_back(ledger: Ledger, bot: str, slot: int, holder: str) -> None:
    """Let another have it."""
    leases.let_go(ledger, _name(bot, slot), holder)


def _name(bot: str, slot: int) -> str:
    return f"session {bot} {slot}"
