"""Schedules of the sample's workflows, as the settings' own are planned, and runs of them that have ended."""

from collections.abc import Mapping

from samples import PERMIT, RENT, WORKFLOWS

from casehand.console.planned import Planned
from casehand.queue import runs, schedules
from casehand.queue.calendar import WorkingCalendar
from casehand.queue.ledger import Ledger
from casehand.queue.runs import Ended
from casehand.queue.schedules import Plan, RunState
from casehand.schedule import Schedule

NIGHTLY = "nightly-rents"
SLOT = "2026-11-24T02:30:00+00:00"
"""The latest of them, by the sample's clock."""
DAILY = "permit-renewals"
OVER = "earlier-permits-2026-11-23"
MISSING = Ended(RunState.FAILED, "inbox/rents.csv does not exist: check the name")


def planned(schedule: Schedule) -> Planned:
    """A schedule of the sample, planned."""
    workflow = WORKFLOWS[str(schedule.workflow)]
    plan = Plan(schedule.name, schedule.rule(WorkingCalendar()), workflow.name)
    return Planned(schedule, plan, workflow, None)


PLANNED: Mapping[str, Planned] = {
    one.name: planned(one)
    for one in (
        Schedule.model_validate(
            {"name": NIGHTLY, "cron": "30 2 * * *", "workflow": RENT, "file": "inbox/rents.csv"}
        ),
        Schedule.model_validate(
            {
                "name": DAILY,
                "every": "every working day at 06:30",
                "time_zone": "Europe/Paris",
                "workflow": PERMIT,
                "folder": "inbox/permits",
            }
        ),
    )
}


def run(ledger: Ledger, name: str, *endings: Ended) -> None:
    """Run a schedule's slots of the last days, one for each ending, the last today; the clock is a test's own."""
    plan = PLANNED[name].plan
    clock = ledger.clock
    for days, ended in reversed(list(enumerate(reversed(endings)))):
        with clock.ago(days=days):  # type: ignore[attr-defined]
            schedules.write_due(ledger, plan, asked=True)
            taken = runs.take(ledger, plan, "a scheduler")
            assert taken is not None
            assert runs.end(ledger, taken, ended)


def go_wrong(ledger: Ledger) -> None:
    """What a supervisor finds in the morning: a file that is missing again, and rows that were not taken in."""
    run(ledger, NIGHTLY, MISSING, MISSING)
    some = Ended(RunState.DONE, "3 cases taken in, 2 rows rejected", 3, 2, (OVER,))
    run(ledger, DAILY, Ended(RunState.DONE, "there was nothing to hand in"), some)
