"""`casehand figures`: how cases ended, day by day, and what that saved."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from typing import Annotated

import typer

from casehand.console.completion import complete_workflow
from casehand.console.days import as_day
from casehand.console.listing import say, show_json, show_table, shown, stream_csv
from casehand.console.office import Office
from casehand.exceptions import CasehandError
from casehand.queue.figures import Ended, Overview, Times
from casehand.queue.tally import End

DAYS = 30
COLUMNS = (
    "Day",
    "Workflow",
    "Done alone",
    "Done after a person",
    "Closed by a person",
    "Cancelled",
    "Escalated",
)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(figures)


def figures(
    since: Annotated[
        str | None, typer.Option("--from", help=f"The first day; {DAYS} days ago.", metavar="DAY")
    ] = None,
    until: Annotated[str | None, typer.Option(help="The last day; today.", metavar="DAY")] = None,
    workflow: Annotated[
        str | None, typer.Option(help="Only of this workflow.", autocompletion=complete_workflow)
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    csv: Annotated[
        bool, typer.Option("--csv", help="For spreadsheets: a line for each day and workflow.")
    ] = False,
) -> None:
    """Show how cases ended by day, how many without a person, why people were asked, and the hours given back."""
    office = Office()
    zone = office.settings.zone
    last = as_day(until, "--until") or office.ledger.clock().astimezone(zone).date()
    first = as_day(since, "--from") or last - timedelta(days=min(DAYS - 1, (last - date.min).days))
    if first > last:
        raise CasehandError(f"--from {first} is later than --until {last}: give the earlier day first")
    found = office.desk.figures(first, last, zone, workflow)
    if json:
        show_json(_as_plain(found))
    elif csv:
        stream_csv(COLUMNS, _rows(found.days))
    else:
        _show(found)


def _rows(days: Iterable[Ended]) -> Iterator[tuple[object, ...]]:
    for day in days:
        yield (day.day.isoformat(), day.workflow, *(day.ends[end] for end in End), day.escalated)


def _as_plain(found: Overview) -> dict[str, object]:
    """With days as text, as programs read them, and nothing that an enum's own name would add."""
    return {
        "from": found.since.isoformat(),
        "until": found.until.isoformat(),
        "days": [
            {"day": day.day.isoformat(), "workflow": day.workflow, "escalated": day.escalated}
            | _ends(day.ends)
            for day in found.days
        ],
        "escalated": found.escalated,
        "share_alone": found.share_alone,
        "minutes_given_back": found.minutes_given_back,
        "times": found.times,
        "reasons": found.reasons,
        "oldest_open": found.oldest_open,
    } | _ends(found.ends)


def _ends(ends: Mapping[End, int]) -> dict[str, object]:
    return {end.replace(" ", "_"): number for end, number in ends.items()}


def _show(found: Overview) -> None:
    title = f"Cases from {found.since:%d %b %Y} to {found.until:%d %b %Y}"
    total = ("all", "", *(found.ends[end] for end in End), found.escalated)
    show_table(title, COLUMNS, [*_rows(found.days), total])
    if found.share_alone is not None:
        say(f"{found.share_alone:.0%} of what was done or closed was done without a person.")
    if found.minutes_given_back:
        say(f"{found.minutes_given_back / 60:.1f} hours of work were given back.")
    if found.times is not None:
        say(_told(found.times))
    if found.reasons:
        reasons = [
            (one.number, one.workflow, one.kind, one.example and one.example.reason) for one in found.reasons
        ]
        show_table("Why people were asked", ("Times", "Workflow", "Kind", "Such as"), reasons)
    if found.oldest_open is not None:
        say(f"The oldest case that is still open came in {shown(found.oldest_open)}.")


def _told(times: Times) -> str:
    return (
        f"From arrival to end, half took no longer than about {_span(times.median)}, "
        f"and nine in ten no longer than about {_span(times.nine_in_ten)}."
    )


def _span(span: timedelta) -> str:
    seconds = span.total_seconds()
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            number = f"{seconds / length:.1f}".removesuffix(".0")
            return f"{number} {unit}" if number == "1" else f"{number} {unit}s"
    return f"{seconds:.0f} seconds"
