"""An errand: what a producer does, in a horse's lane with its bots signed in where it needs any."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from casehand.bots.bot import Bot
from casehand.queue.ledger import Ledger
from casehand.schedule import Slot
from casehand.settings import Settings
from casehand.workflows.data import CaseData
from casehand.workflows.horse import Horse
from casehand.workflows.lane import Lane
from casehand.workflows.producer import Producer, checked
from casehand.workflows.workflow import Workflow

GRACE = timedelta(seconds=10)
"""So much later the process is killed than the producer's time is over: whoever runs it says so first."""


def produce(
    producer: Producer,
    slot: Slot,
    settings: Settings,
    ledger: Ledger,
    workflows: dict[str, Workflow],
    holder: str,
) -> list[CaseData]:
    """All that a producer yields; one with bots gets a browser, which ends with this process.

    Raises NotOpen while a bot is closed or has no session free, and whatever the producer raises.
    """
    told: dict[str, Any] = dict.fromkeys(producer.slots, slot)

    def collect(bots: dict[str, Bot]) -> list[CaseData]:
        given = {parameter: bots[bot.name] for parameter, bot in producer.bots.items()}
        return [checked(one, producer) for one in producer(**told, **given)]

    if not producer.bots:
        return collect({})
    horse = Horse(settings, ledger, _with_bots_of(producer, workflows))
    return horse.run(holder, producer.timeout + GRACE, _in_lane(producer, collect))


def _in_lane(
    producer: Producer, collect: Callable[[dict[str, Bot]], list[CaseData]]
) -> Callable[[Lane], list[CaseData]]:
    def errand(lane: Lane) -> list[CaseData]:
        wanted = list({bot.name: bot for bot in producer.bots.values()}.values())
        with lane.borrow(wanted, producer.timeout) as bots:
            produced = collect(bots)
            for bot in bots.values():
                bot.check()
            return produced

    return errand


def _with_bots_of(producer: Producer, workflows: dict[str, Workflow]) -> dict[str, Workflow]:
    """The browser opens the addresses of the bots of these: the producer's own must be among them."""
    own = Workflow(
        name=f"producer {producer.name}",
        function=producer.workflow.function,
        model=producer.workflow.model,
        reference=producer.workflow.reference,
        bots=producer.bots,
        minutes_by_hand=0,
        timeout=producer.timeout,
    )
    return {**workflows, own.name: own}
