"""Testing a workflow: one case, a real ledger, real commit points and a browser; see docs/authors.md.

The fixtures come with the package as a pytest plugin: `work` above all.
"""

from casehand.testing import faults
from casehand.testing.browsers import launch_options
from casehand.testing.clock import FrozenClock
from casehand.testing.work import Work
from casehand.testing.worked import Worked

__all__ = ["FrozenClock", "Work", "Worked", "faults", "launch_options"]
