"""What the shell offers when the tab key is pressed."""

from casehand.console.office import Office
from casehand.exceptions import CasehandError


def complete_workflow(beginning: str) -> list[str]:
    """The installed workflows whose name begins so."""
    try:
        return [name for name in Office().workflows if name.startswith(beginning)]
    except CasehandError:
        return []
