"""The sample workflow, with as many sessions as the benchmark has workers."""

from casehand import Case, workflow
from casehand.bots.benefits import BenefitsBot
from casehand.workflows.rent_change import RentChange, RentChanged
from casehand.workflows.rent_change import change_rent as sample


class RoomyBot(BenefitsBot):
    """Hands in the benefits system, which here lets in whoever comes."""

    name = "bench"
    sessions = 64


@workflow("bench/rent-change", reference="claim")
def change_rent(case: Case[RentChange], benefits: RoomyBot) -> RentChanged:
    """What the sample does."""
    result = sample(case, benefits)
    assert isinstance(result, RentChanged)
    return result
