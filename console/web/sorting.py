"""The order of a list by time, as the address has it: the heading of its column turns it round."""

from starlette.requests import Request

BY_TIME = "when"
LATEST_FIRST = f"-{BY_TIME}"
"""What is not asked for otherwise."""


def sort_by_time(request: Request) -> str:
    """BY_TIME or LATEST_FIRST: what the address says, or the latter."""
    return BY_TIME if request.query_params.get("sort") == BY_TIME else LATEST_FIRST
