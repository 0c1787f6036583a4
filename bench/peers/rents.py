"""The batch for Robot Framework."""

from pathlib import Path

from bench import clicks


def read_batch(path: str) -> list[dict[str, str]]:
    """Its lines, with the change as the claim's screen will show it."""
    return [
        {
            "claim": row.claim,
            "weekly_rent": row.weekly_rent,
            "from_date": row.from_date,
            "shown": f"{row.from_date}\t£{row.weekly_rent}",
        }
        for row in clicks.read_rows(Path(path))
    ]
