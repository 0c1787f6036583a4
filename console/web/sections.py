"""The sections of the figures: of each the chart, the numbers as a table, and the lines of its file."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from itertools import chain

from markupsafe import Markup

from casehand.console.web import charts
from casehand.console.web.charts import Series, Words
from casehand.console.web.home import WHY
from casehand.console.web.moments import span_in_words
from casehand.console.web.paths import case_path
from casehand.console.web.period import Part, Period, part_of
from casehand.console.web.text import one_line, shown
from casehand.queue.figures import Ended, Overview, Piece, Reason, Took, share_alone, summed, together
from casehand.queue.outcome import EscalationKind
from casehand.queue.tally import End

ENDS: Mapping[End, str] = {
    End.DONE_ALONE: "Done alone",
    End.DONE_AFTER_PERSON: "Done after a person",
    End.CLOSED: "Closed by a person",
    End.CANCELLED: "Cancelled",
}
AGE = "Age of its oldest open case"
IN_CHART = 8
"""Reasons that have a bar; the table has more."""
MOST_WORKFLOWS = 25
TEXTS = ("Workflow", "Such as", AGE)
"""Columns that hold no numbers."""


@dataclass(frozen=True)
class Section:
    """One thing to be seen of the figures."""

    name: str  #: as its file and its place on the page are called
    title: str
    says: str  #: the gist, in words
    chart: Markup
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]  #: as people read them; the first cell of each is its heading
    file_columns: Sequence[str]
    file_rows: Callable[[], Iterable[Sequence[object]]]  #: which the page does not show

    def numeric(self, column: int) -> bool:
        """Whether a column holds numbers, which stand to the right."""
        return column > 0 and self.columns[column] not in TEXTS


@dataclass(frozen=True)
class Figures:
    """What the sections are made of."""

    found: Overview
    period: Period
    parts: Sequence[Part]
    now: datetime
    readable: Collection[str] | None  #: workflows whose reasons may be shown; None for all

    @cached_property
    def by_part(self) -> list[list[Ended]]:
        """What there is of each part, by workflow."""
        table: list[dict[str, list[Ended]]] = [{} for _ in self.parts]
        for day in self.found.days:
            table[part_of(self.parts, day.day)].setdefault(day.workflow, []).append(day)
        return [[together(days) for days in part.values()] for part in table]

    @property
    def by_workflow(self) -> dict[str, list[Ended]]:
        """What there is of each workflow, the busiest first."""
        table: dict[str, list[Ended]] = {}
        for one in chain.from_iterable(self.by_part):
            table.setdefault(one.workflow, []).append(one)
        return dict(sorted(table.items(), key=lambda one: -sum(sum(day.ends.values()) for day in one[1])))

    def may_read(self, reason: Reason) -> bool:
        """Whether the person may see what the reason says."""
        return self.readable is None or reason.workflow in self.readable

    @property
    def unit(self) -> str:
        """What the first column of a table is of."""
        return str(self.period.unit).capitalize()


def sections(figures: Figures) -> list[Section]:
    """All that there is to see."""
    return [make(figures) for make in SECTIONS.values()]


def section(figures: Figures, name: str) -> Section:
    """One of them. Raises KeyError."""
    return SECTIONS[name](figures)


def _ends(figures: Figures) -> Section:
    found, parts = figures.found, figures.by_part
    ends = [summed(day.ends for day in days) for days in parts]
    ended = ", ".join(f"{number:,} {ENDS[end].lower()}" for end, number in found.ends.items())
    series = [Series(title, [one[end] for one in ends]) for end, title in ENDS.items()]
    return Section(
        name="ends",
        title="How cases ended",
        says=f"{sum(found.ends.values()):,} cases ended: {ended}.",
        chart=_columns(figures, "ends", "How cases ended", f"{ended}.", series),
        columns=(figures.unit, *ENDS.values(), "All"),
        rows=_rows(figures, ([one[end] for end in ENDS] + [sum(one.values())] for one in ends)),
        file_columns=("Day", "Workflow", *ENDS.values(), "Put in front of a person"),
        file_rows=lambda: [
            (*_day(day), *(day.ends[end] for end in ENDS), day.escalated) for day in figures.found.days
        ],
    )


def _workflows(figures: Figures) -> Section:
    by_workflow = figures.by_workflow
    ends = {name: summed(day.ends for day in days) for name, days in by_workflow.items()}
    counted = [
        (name, *(ends[name][end] for end in ENDS), sum(day.escalated for day in days))
        for name, days in by_workflow.items()
    ]
    shares = [share_alone(ends[name]) for name in by_workflow]
    hours = [sum(day.minutes_given_back for day in days) / 60 for days in by_workflow.values()]
    whole = list(zip(counted, shares, hours, strict=True))
    names = [name for name in ends if any(ends[name].values())][:MOST_WORKFLOWS]
    series = [Series(title, [ends[name][end] for name in names]) for end, title in ENDS.items()]
    says = "; ".join(f"{name} {sum(ends[name].values()):,}" for name in names[:5])
    return Section(
        name="workflows",
        title="By workflow",
        says=f"Cases that ended, by workflow: {says}." if says else "No case ended.",
        chart=charts.bars(Words("workflows", "How cases ended, by workflow", says), names, series),
        columns=(
            "Workflow",
            *ENDS.values(),
            "Put in front of a person",
            "Without a person",
            "Hours given back",
        ),
        rows=[(*map(_number, row), _percent(share), f"{given:,.1f}") for row, share, given in whole],
        file_columns=(
            "Workflow",
            *ENDS.values(),
            "Put in front of a person",
            "Share without a person",
            "Hours given back",
        ),
        file_rows=lambda: [(*row, _rounded(share), round(given, 2)) for row, share, given in whole],
    )


def _alone(figures: Figures) -> Section:
    ends = [summed(day.ends for day in days) for days in figures.by_part]
    shares = [share_alone(one) for one in ends]
    worked = [sum(number for end, number in one.items() if end is not End.CANCELLED) for one in ends]
    rows = [
        (number, one[End.DONE_ALONE], _percent(share))
        for number, one, share in zip(worked, ends, shares, strict=True)
    ]
    known = [share for share in shares if share is not None]
    between = f"From {min(known):.0%} to {max(known):.0%} by {figures.period.unit}." if known else ""
    whole = _percent(figures.found.share_alone)
    return Section(
        name="alone",
        title="Done without a person",
        says=f"{whole} of what was done or closed was done without a person." if known else "",
        chart=charts.line(
            Words("alone", "Share of cases done without a person", between), _labels(figures), shares
        ),
        columns=(figures.unit, "Done or closed", "Without a person", "Share"),
        rows=_rows(figures, rows),
        file_columns=("Day", "Workflow", "Done or closed", "Done without a person", "Share"),
        file_rows=lambda: [_alone_row(day) for day in figures.found.days],
    )


def _asked(figures: Figures) -> Section:
    parts = figures.by_part
    counted = [
        {kind: sum(day.asked.get(kind, 0) for day in days) for kind in EscalationKind} for days in parts
    ]
    whole = {kind: sum(one[kind] for one in counted) for kind in WHY}
    said = ", ".join(f"{WHY[kind].lower()} {number:,}" for kind, number in whole.items() if number)
    return Section(
        name="asked",
        title="Cases put in front of a person",
        says=f"{sum(whole.values()):,} times: {said}." if said else "No case was put in front of a person.",
        chart=_columns(
            figures,
            "asked",
            "Cases put in front of a person, by why",
            f"{said}.",
            [Series(WHY[kind], [one[kind] for one in counted]) for kind in WHY],
        ),
        columns=(figures.unit, *WHY.values(), "All"),
        rows=_rows(figures, ([one[kind] for kind in WHY] + [sum(one.values())] for one in counted)),
        file_columns=("Day", "Workflow", *WHY.values(), "All"),
        file_rows=lambda: [
            (*_day(day), *(day.asked.get(kind, 0) for kind in WHY), day.escalated)
            for day in figures.found.days
        ],
    )


def _reasons(figures: Figures) -> Section:
    found = figures.found.reasons
    readable = any(figures.may_read(one) for one in found)
    first = found[:IN_CHART]
    says = f"Most often: {_reason_label(figures, first[0])}, {first[0].number:,} times." if first else ""
    extra = ("Such as",) if readable else ()
    return Section(
        name="reasons",
        title="Why people were asked",
        says=says,
        chart=charts.bars(
            Words("reasons", "Reasons for which people were asked most often", says),
            [_reason_label(figures, one) for one in first],
            [Series("Times", [one.number for one in first])],
        ),
        columns=("Why", "Times", "Workflow", *extra),
        rows=[
            (WHY[one.kind], _number(one.number), one.workflow, *([_example(figures, one)] if extra else ()))
            for one in found
        ],
        file_columns=("Why", "Times", "Workflow", *(("Such as", "Case") if readable else ())),
        file_rows=lambda: [
            (WHY[one.kind], one.number, one.workflow, *(_example_cells(figures, one) if extra else ()))
            for one in found
        ],
    )


def _hours(figures: Figures) -> Section:
    hours = [sum(day.minutes_given_back for day in days) / 60 for days in figures.by_part]
    says = (
        f"{sum(hours):,.1f} hours of work were given back: what the cases that were done take by hand."
        if sum(hours)
        else "No workflow here says how long its cases take by hand, so no hours are counted."
    )
    return Section(
        name="hours",
        title="Hours of work given back",
        says=says,
        chart=_columns(
            figures,
            "hours",
            "Hours of work given back",
            says,
            [Series("Hours", [round(one, 1) for one in hours])],
        ),
        columns=(figures.unit, "Hours"),
        rows=_rows(figures, ([f"{one:,.1f}"] for one in hours)),
        file_columns=("Day", "Workflow", "Hours given back"),
        file_rows=lambda: [(*_day(day), round(day.minutes_given_back / 60, 2)) for day in figures.found.days],
    )


def _times(figures: Figures) -> Section:
    found = figures.found
    says = (
        ""
        if found.times is None
        else (
            f"Half took no longer than about {span_in_words(found.times.median)}, "
            f"and nine in ten no longer than about {span_in_words(found.times.nine_in_ten)}."
        )
    )
    names = [_took_name(one, before) for one, before in zip(found.took, [None, *found.took], strict=False)]
    whole = sum(one.number for one in found.took)
    return Section(
        name="times",
        title="From arrival to end",
        says=says,
        chart=charts.bars(
            Words("times", "How long cases took from arrival to end", says),
            names,
            [Series("Cases", [one.number for one in found.took])],
        ),
        columns=("Took", "Cases", "Share"),
        rows=[
            (name, _number(one.number), _percent(one.number / whole if whole else None))
            for name, one in zip(names, found.took, strict=True)
        ],
        file_columns=("Took", "Cases"),
        file_rows=lambda: [(name, one.number) for name, one in zip(names, found.took, strict=True)],
    )


def _oldest(figures: Figures) -> Section:
    found = sorted(figures.found.oldest.items(), key=lambda one: one[1])
    ages = {name: figures.now - came for name, came in found}
    days = [ages[name] / timedelta(days=1) for name, _ in found][:MOST_WORKFLOWS]
    says = (
        f"The oldest case that is still open came in {span_in_words(ages[found[0][0]])} ago." if found else ""
    )
    return Section(
        name="oldest",
        title="The oldest open case",
        says=says,
        chart=charts.bars(
            Words("oldest", "Age of the oldest open case now, by workflow", says),
            [name for name, _ in found][:MOST_WORKFLOWS],
            [Series("Age", days)],
            lambda one: span_in_words(timedelta(days=one)),
        ),
        columns=("Workflow", AGE),
        rows=[(name, span_in_words(age)) for name, age in ages.items()],
        file_columns=("Workflow", "Oldest open case came in", "Days ago"),
        file_rows=lambda: [
            (name, came.isoformat(timespec="seconds"), round(ages[name] / timedelta(days=1), 2))
            for name, came in found
        ],
    )


SECTIONS: Mapping[str, Callable[[Figures], Section]] = {
    "ends": _ends,
    "workflows": _workflows,
    "alone": _alone,
    "asked": _asked,
    "reasons": _reasons,
    "hours": _hours,
    "times": _times,
    "oldest": _oldest,
}


PIECES: Mapping[str, Piece] = {
    **dict.fromkeys(SECTIONS, Piece.DAYS),
    "reasons": Piece.REASONS,
    "times": Piece.TIMES,
    "oldest": Piece.OLDEST,
}
"""What each section is made of."""


def _columns(figures: Figures, key: str, title: str, says: str, series: Sequence[Series]) -> Markup:
    names = [str(part) for part in figures.parts]
    return charts.columns(Words(key, title, says), _labels(figures), series, names)


def _labels(figures: Figures) -> list[str]:
    return [part.label for part in figures.parts]


def _rows(figures: Figures, cells: Iterable[Iterable[object]]) -> list[tuple[object, ...]]:
    return [(str(part), *map(_number, row)) for part, row in zip(figures.parts, cells, strict=True)]


def _day(day: Ended) -> Iterator[str]:
    yield day.day.isoformat()
    yield day.workflow


def _alone_row(day: Ended) -> tuple[object, ...]:
    worked = sum(number for end, number in day.ends.items() if end is not End.CANCELLED)
    return (*_day(day), worked, day.ends[End.DONE_ALONE], _rounded(share_alone(day.ends)))


def _number(cell: object) -> object:
    return f"{cell:,}" if isinstance(cell, int) else cell


def _percent(share: float | None) -> str:
    return "None" if share is None else f"{share:.0%}"


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)


def _reason_label(figures: Figures, reason: Reason) -> str:
    if reason.example is not None and figures.may_read(reason):
        return one_line(reason.example.reason, 100)
    return f"{WHY[reason.kind]} ({reason.workflow})"


def _example(figures: Figures, reason: Reason) -> Markup:
    if reason.example is None or not figures.may_read(reason):
        return Markup("Not to be shown")
    one = reason.example
    return Markup(
        '{}<span class="app-aside">Case <a class="govuk-link" href="{}"><bdi>{}</bdi></a></span>'
    ).format(shown(one.reason), case_path(one.reference, one.case), one_line(one.reference, 40))


def _example_cells(figures: Figures, reason: Reason) -> tuple[object, ...]:
    if reason.example is None or not figures.may_read(reason):
        return (None, None)
    return (reason.example.reason, reason.example.reference)


def _took_name(took: Took, before: Took | None) -> str:
    begin = None if before is None else before.upto
    if begin is None:
        return f"Up to {span_in_words(took.upto or timedelta())}"
    if took.upto is None:
        return f"More than {span_in_words(begin)}"
    return f"{span_in_words(begin)} to {span_in_words(took.upto)}"
