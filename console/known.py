"""A workflow as it is worked: known to the ledger, and such that it could ever begin."""

from collections.abc import Mapping

from casehand.bots.bot import Bot
from casehand.bots.hours import Hours
from casehand.exceptions import CasehandError
from casehand.queue.known import make_known
from casehand.queue.ledger import Ledger
from casehand.workflows.installed import find_workflow
from casehand.workflows.workflow import Workflow


def known_workflow(ledger: Ledger, installed: Mapping[str, Workflow], name: str) -> Workflow:
    """The workflow of that name, made known to the ledger. Raises CasehandError when it could never begin."""
    workflow = find_workflow(installed, name)
    for bot in workflow.bots.values():
        _check_hours(bot, workflow)
    make_known(
        ledger,
        workflow.name,
        workflow.bot_names,
        workflow.timeout,
        workflow.minutes_by_hand,
        late=workflow.late,
        stop=workflow.batch_stop,
    )
    return workflow


def _check_hours(bot: type[Bot], workflow: Workflow) -> None:
    """Raise CasehandError when the bot is never open for as long as the workflow may take."""
    if bot.hours is None:
        return
    try:
        fits = Hours.parse(bot.hours, bot.closed).ever_fits(workflow.timeout)
    except ValueError as error:
        raise CasehandError(f"the bot {bot.name} cannot be used: {error}") from None
    if not fits:
        raise CasehandError(
            f"{workflow.name} may take {workflow.timeout}, and the bot {bot.name} is never open for so long "
            f"({bot.hours}): shorten the workflow's timeout, or correct the bot's hours"
        )
