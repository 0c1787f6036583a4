"""The batch and the rules, which Robot Framework leaves to Python."""

import csv
import re
from datetime import date
from decimal import Decimal
from pathlib import Path

MOST = Decimal("1.10")


class PersonNeeded(Exception):
    """The rules say that a person must decide."""


def read_batch(path: str) -> list[dict[str, str]]:
    """Its lines, with the date as the screens show it."""
    with Path(path).open(newline="", encoding="utf-8") as file:
        return [
            {**line, "from_date": f"{date.fromisoformat(line['from_date']):%d/%m/%Y}"}
            for line in csv.DictReader(file)
        ]


def rent_is_needed(claim: str, row: dict[str, str]) -> bool:
    """Whether the claim lacks the rent. Raises PersonNeeded where the rules say so."""
    status = re.search(r"Status\t(\w+)", claim)
    if status is None:
        raise ValueError("the system shows another screen than the claim")
    rents = [
        (start, Decimal(amount.replace(",", "")))
        for start, amount in re.findall(r"^(\d\d/\d\d/\d{4})\t£([\d.,]+)$", claim, re.MULTILINE)
    ]
    rent = Decimal(row["weekly_rent"])
    if (row["from_date"], rent) in rents:
        return False
    if status[1] != "Live":
        raise PersonNeeded(f"the claim is {status[1].lower()}")
    if rent > rents[0][1] * MOST:
        raise PersonNeeded("the rent rises by more than a tenth")
    return True
