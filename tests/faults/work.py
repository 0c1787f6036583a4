"""The workflow that is struck: the sample one, with a bot that has room for many workers and little patience."""

import os
from datetime import timedelta

from casehand import Case, workflow
from casehand.bots.benefits import BenefitsBot
from casehand.workflows.rent_change import RentChange, RentChanged
from casehand.workflows.rent_change import change_rent as sample

NAME = "faults/rent-change"
BOT = "faults"
SETTLES_VARIABLE = "CASEHAND_FAULTS_SETTLES"
SETTLES = float(os.environ.get(SETTLES_VARIABLE, "5"))
"""Seconds; the mischief of the practice system comes to an end within them."""
PATIENCE = 4.0
"""Seconds until the browser gives up."""


class FaultsBot(BenefitsBot):
    """Hands in the practice system."""

    name = BOT
    sessions = 32
    settles = timedelta(seconds=SETTLES)
    patience = timedelta(seconds=PATIENCE)


@workflow(NAME, reference="claim", timeout=timedelta(seconds=60))
def change_rent(case: Case[RentChange], benefits: FaultsBot) -> RentChanged:
    """Put the new rent on the claim."""
    changed = sample(case, benefits=benefits)
    assert isinstance(changed, RentChanged)
    return changed
