"""What every command works with: the settings, and what they lead to, opened when it is first needed."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

from redis import Redis
from redis.exceptions import RedisError

from casehand.bots.bot import Bot
from casehand.bots.hours import Hours
from casehand.exceptions import CasehandError
from casehand.queue.dispatch import Dispatcher
from casehand.queue.known import make_known
from casehand.queue.ledger import Ledger
from casehand.queue.valkey import EmbeddedValkey, check_redis
from casehand.settings import Settings, load_settings
from casehand.workflows.installed import find_workflow, installed_workflows
from casehand.workflows.workflow import Workflow


class Office:
    """One command's way to everything."""

    @cached_property
    def settings(self) -> Settings:
        """The settings."""
        return load_settings()

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger, brought up to this version."""
        return Ledger.open(self.settings.ledger_url, self.settings.vault())

    @cached_property
    def workflows(self) -> dict[str, Workflow]:
        """The workflows installed here."""
        return installed_workflows(self.settings.workflows)

    @property
    def person(self) -> str:
        """Whom the audit names: the user of this machine."""
        try:
            return getpass.getuser()
        except (KeyError, OSError):
            return "unknown"

    def workflow(self, name: str) -> Workflow:
        """The workflow of that name, made known to the ledger. Raises CasehandError when it could never begin."""
        workflow = find_workflow(self.workflows, name)
        for bot in workflow.bots.values():
            _check_hours(bot, workflow)
        make_known(self.ledger, workflow.name, workflow.bot_names, workflow.timeout, workflow.minutes_by_hand)
        return workflow

    @contextmanager
    def redis(self) -> Iterator[Redis]:
        """A connection to the Redis that is set, or to the embedded Valkey. Raises CasehandError."""
        if self.settings.redis_url:
            check_redis(self.settings.redis_url)
            yield Redis.from_url(self.settings.redis_url)
            return
        with EmbeddedValkey(self.settings.home) as url:
            yield Redis.from_url(url)

    def nudge(self) -> bool:
        """Tell RQ of what is due, where it can be reached; the reconciler does it otherwise."""
        if not self.settings.redis_url:
            # With an embedded Valkey there are no workers unless it runs, and theirs will reconcile.
            return True
        try:
            check_redis(self.settings.redis_url)
            Dispatcher(self.ledger, Redis.from_url(self.settings.redis_url)).top_up()
        except (CasehandError, RedisError):
            return False
        return True


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
