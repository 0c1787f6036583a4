"""The site: what the pages stand on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from casehand.console.office import Office
from casehand.console.planned import Planned, note_all
from casehand.console.web.settings import ConsoleSettings
from casehand.queue.ledger import Ledger
from casehand.settings import Settings
from casehand.workflows.workflow import Workflow


@dataclass(frozen=True)
class Site:
    """The ledger that the pages show, and what they are told by the settings."""

    ledger: Ledger
    workflows: Mapping[str, Workflow]
    settings: Settings
    console: ConsoleSettings
    nudge: Callable[[], object]  #: tells RQ that something is due
    planned: Mapping[str, Planned] = field(default_factory=dict)  #: the schedules, by their names

    @classmethod
    def of(cls, office: Office, console: ConsoleSettings) -> "Site":
        """The site of this machine's settings. Raises CasehandError when a schedule of theirs is wrong."""
        return cls(office.ledger, office.workflows, office.settings, console, office.nudge, note_all(office))

    @property
    def zone(self) -> ZoneInfo:
        """Whose local time is shown."""
        return ZoneInfo(self.settings.time_zone)
