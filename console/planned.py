"""What is planned: the schedules of the settings, and those that stand next to workflows and producers."""

from collections.abc import Iterator
from dataclasses import dataclass

from casehand.console.office import Office
from casehand.exceptions import CasehandError
from casehand.queue import schedules
from casehand.queue.schedules import Plan
from casehand.schedule import Schedule, by_name
from casehand.workflows.installed import find_producer, find_workflow, installed_producers
from casehand.workflows.producer import Producer
from casehand.workflows.workflow import Workflow


@dataclass(frozen=True)
class Planned:
    """A schedule, and what it is for."""

    schedule: Schedule
    plan: Plan
    workflow: Workflow
    producer: Producer | None


def all_planned(office: Office) -> dict[str, Planned]:
    """Every schedule by its name. Raises CasehandError when one names what there is not, or two have one name."""
    producers = installed_producers(office.settings.workflows)
    named = by_name(_schedules(office, producers))
    return {name: _planned(office, producers, one) for name, one in named.items()}


def note_all(office: Office) -> dict[str, Planned]:
    """What is planned, each made known to the ledger, so that it can be paused before it has ever run."""
    planned = all_planned(office)
    for one in planned.values():
        schedules.note(office.ledger, one.plan)
    return planned


def is_planned(office: Office, name: str) -> Planned:
    """The schedule of that name. Raises CasehandError when there is none."""
    planned = all_planned(office)
    if name not in planned:
        known = ", ".join(sorted(planned)) or "none: write a [[schedule]] into casehand.toml"
        raise CasehandError(f"there is no schedule {name!r}: those there are: {known}")
    return planned[name]


def _schedules(office: Office, producers: dict[str, Producer]) -> Iterator[Schedule]:
    yield from office.settings.schedule
    for workflow in office.workflows.values():
        yield from workflow.schedules
    for producer in producers.values():
        yield from producer.schedules


def _planned(office: Office, producers: dict[str, Producer], schedule: Schedule) -> Planned:
    settings = office.settings
    try:
        producer = find_producer(producers, schedule.producer) if schedule.producer else None
        name = producer.workflow.name if producer else str(schedule.workflow)
        workflow = find_workflow(office.workflows, name)
        rule = schedule.rule(settings.working_calendar)
    except CasehandError as error:
        raise CasehandError(f"the schedule {schedule.name} is wrong: {error}") from None
    bots = frozenset(producer.bot_names if producer else ())
    plan = Plan(schedule.name, rule, workflow.name, bots, schedule.missed, schedule.overlap)
    return Planned(schedule, plan, workflow, producer)
