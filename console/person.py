"""A person: who acts, as the audit names him, and what he is for which workflow."""

import getpass
from collections.abc import Mapping
from dataclasses import dataclass

from casehand.console.rights import EVERY, Role


@dataclass(frozen=True)
class Person:
    """Somebody who looks or acts."""

    id: str  #: as the audit names him
    name: str
    roles: Mapping[str, frozenset[Role]]  #: by workflow, or EVERY


def machine_user() -> Person:
    """The user of this machine: who has its shell and the key can do everything, so he may."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = "unknown"
    return Person(name, name, {EVERY: frozenset({Role.ADMINISTRATOR})})
