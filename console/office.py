"""What every command works with: the settings, and what they lead to, opened when it is first needed."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from casehand.bots.bot import Bot
from casehand.console.desk import Desk
from casehand.console.known import known_workflow
from casehand.console.person import Person, machine_user
from casehand.exceptions import CasehandError
from casehand.queue.dispatch import Dispatcher
from casehand.queue.ledger import Ledger
from casehand.queue.valkey import EmbeddedValkey, check_redis
from casehand.settings import Settings, load_settings
from casehand.workflows.installed import find_workflow, installed_bots, installed_workflows
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

    @cached_property
    def bots(self) -> dict[str, type[Bot]]:
        """The bots that stand in what is installed here."""
        return installed_bots(self.settings.workflows)

    @cached_property
    def person(self) -> Person:
        """Who acts: the user of this machine."""
        return machine_user()

    @cached_property
    def desk(self) -> Desk:
        """All that a person may do."""
        calendar = self.settings.working_calendar
        return Desk(self.ledger, self.workflows, self.person, self.nudge, calendar)

    def workflow(self, name: str) -> Workflow:
        """The workflow of that name, made known to the ledger. Raises CasehandError when it could never begin."""
        return known_workflow(self.ledger, self.workflows, name)

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


def check_folders(office: Office) -> None:
    """Raise CasehandError when a [[folder]] is for a workflow that there is not, or its files could not be put away."""
    for settings in office.settings.folder:
        try:
            find_workflow(office.workflows, settings.workflow)
            for place in (settings.done_at, settings.rejected_at):
                _check_same_disk(settings.path, place)
        except CasehandError as error:
            raise CasehandError(f"[[folder]] {settings.called} is wrong: {error}") from None


def _check_same_disk(inbox: Path, place: Path) -> None:
    """A file is moved there in one step, which no disk does to another."""
    there = next(one for one in (place, *place.absolute().parents) if one.exists())
    if inbox.exists() and inbox.stat().st_dev != there.stat().st_dev:
        raise CasehandError(f"{place} is on another disk than {inbox}: give a folder on the same one")
