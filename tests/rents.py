"""Rows of the sample batch, for tests that work one of them."""

import csv
from importlib.resources import files

CHANGE = "put the new rent on the claim"
ORDINARY = "HB000101"
QUESTION = "HB000105"  #: its rent rises by 14%
THERE_ALREADY = "HB000116"
ENDED = "HB000111"


def row(claim: str) -> dict[str, str]:
    """The row of the sample batch for a claim."""
    text = files("casehand.fixtures").joinpath("batches/rent_changes.csv").read_text()
    return next(one for one in csv.DictReader(text.splitlines()) if one["claim"] == claim)
