"""Charts as SVG, made on the server: each twice, for wide screens and for narrow ones, of which a style shows one.

Nothing is told by colour alone: what is stacked has patterns and a legend, what stands alone is labelled. There is
no style and no script in them. Whoever cannot see them has their title, their description, and the table beneath.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor, log10

from markupsafe import Markup

from casehand.console.web.text import one_line, visible

INK = "#0b0c0c"
GRID = "#b1b4b6"
TICKS = 4
TOP, BOTTOM, RIGHT = 12, 30, 30
ROW, BAR = 44, 18
LETTER = 8
"""How wide a letter is, at the most that is usual."""


@dataclass(frozen=True)
class Size:
    """For how wide a screen a chart is."""

    name: str
    width: int
    height: int
    left: int
    labels: int  #: that have room beside each other

    @property
    def inner(self) -> float:
        """How wide the part with the data is."""
        return self.width - self.left - RIGHT


SIZES = (Size("wide", 920, 280, 56, 9), Size("narrow", 340, 240, 46, 4))


@dataclass(frozen=True)
class Series:
    """Numbers of one sort."""

    name: str
    values: Sequence[float]


@dataclass(frozen=True)
class Words:
    """What a chart is called, and what it says in words; `key` is a name for it that no other on the page has."""

    key: str
    title: str
    says: str


Pattern = tuple[str, str]
"""The colour of a filling, and the marks on it, on a tile of 8 by 8."""

PATTERNS: Sequence[Pattern] = (
    ("#0b3d4f", ""),
    ("#7fb2d6", f'<path d="M-2 2 2 -2M0 8 8 0M6 10 10 6" stroke="{INK}" stroke-width="1.5"/>'),
    ("#f7d9a3", f'<circle cx="4" cy="4" r="1.7" fill="{INK}"/>'),
    ("#ffffff", f'<path d="M0 2H8M0 6H8" stroke="{INK}" stroke-width="1.2"/>'),
    ("#b58840", '<path d="M0 0 8 8M8 0 0 8" stroke="#ffffff" stroke-width="1.5"/>'),
)


def columns(words: Words, labels: Sequence[str], series: Sequence[Series], names: Sequence[str]) -> Markup:
    """A column for each label, of all series on top of each other; `names` say what a column is of, in full."""
    if not any(any(one.values) for one in series):
        return Markup("")
    drawn = (_columns(size, words, labels, series, names) for size in SIZES)
    return _figure(words, drawn, series if len(series) > 1 else ())


def line(words: Words, labels: Sequence[str], shares: Sequence[float | None]) -> Markup:
    """A line of shares from nothing to all; it is broken where there is none. The last is labelled."""
    if all(one is None for one in shares):
        return Markup("")
    return _figure(words, (_line(size, words, labels, shares) for size in SIZES), ())


def bars(
    words: Words,
    labels: Sequence[str],
    series: Sequence[Series],
    shown: Callable[[float], str] = "{:,.0f}".format,
) -> Markup:
    """A bar for each label, with the label above it and its whole behind it."""
    if not any(any(one.values) for one in series):
        return Markup("")
    drawn = (_bars(size, words, labels, series, shown) for size in SIZES)
    return _figure(words, drawn, series if len(series) > 1 else ())


def ticks(most: float) -> list[float]:
    """Round numbers from 0 to no less than the most, whole ones above 2."""
    rough = most / TICKS
    unit = 10 ** floor(log10(rough))
    step = next(unit * one for one in (1, 2, 5, 10) if unit * one >= rough)
    step = max(step, 1) if most > 2 else step
    return [step * number for number in range(ceil(most / step) + 1)]


def _figure(words: Words, drawn: Iterable[Markup], series: Sequence[Series]) -> Markup:
    both = Markup("").join(drawn)
    legend = Markup("").join(
        Markup("<li>{}{}</li>").format(_swatch(words.key, number), one.name)
        for number, one in enumerate(series)
    )
    listed = Markup('<ul class="app-chart__legend" aria-hidden="true">{}</ul>').format(legend)
    return Markup('<div class="app-chart">{}{}</div>').format(both, listed if series else "")


def _svg(size: Size, height: float, words: Words, prefix: str, fillings: int, parts: list[Markup]) -> Markup:
    return Markup(
        '<svg class="app-chart__{}" viewBox="0 0 {} {:.0f}" role="img" aria-labelledby="{}-title {}-desc">'
        '<title id="{}-title">{}</title><desc id="{}-desc">{}</desc><defs>{}</defs>{}</svg>'
    ).format(
        size.name,
        size.width,
        height,
        prefix,
        prefix,
        prefix,
        words.title,
        prefix,
        words.says,
        Markup("").join(_pattern(f"{prefix}-{number}", number) for number in range(fillings)),
        Markup("").join(parts),
    )


def _pattern(name: str, number: int) -> Markup:
    colour, marks = PATTERNS[number % len(PATTERNS)]
    return Markup(
        '<pattern id="{}" width="8" height="8" patternUnits="userSpaceOnUse">'
        '<rect width="8" height="8" fill="{}"/>{}</pattern>'
    ).format(name, colour, Markup(marks))  # noqa: S704 — the marks are written above


def _swatch(key: str, number: int) -> Markup:
    # Its own pattern: one in a chart that is not shown would not be drawn.
    name = f"{key}-swatch-{number}"
    return Markup(
        '<svg class="app-chart__swatch" viewBox="0 0 28 16" focusable="false"><defs>{}</defs>'
        '<rect x="0.5" y="0.5" width="27" height="15" fill="url(#{})" stroke="{}"/></svg>'
    ).format(_pattern(name, number), name, INK)


def _columns(
    size: Size, words: Words, labels: Sequence[str], series: Sequence[Series], names: Sequence[str]
) -> Markup:
    prefix = f"{words.key}-{size.name}"
    scale = ticks(max(map(sum, zip(*(one.values for one in series), strict=True))))
    room = size.inner / len(labels)
    wide = min(room * 0.8, 60)
    parts = _grid(size, scale, "{:,g}".format)
    for place, name in enumerate(names):
        left, below = size.left + room * place + (room - wide) / 2, 0.0
        for number, one in enumerate(series):
            value = one.values[place]
            if value:
                box = _box(size, scale[-1], left, wide, below, value)
                said = f"{name}: {one.name.lower()} {value:,g}"
                parts.append(_filled(box, f"{prefix}-{number}", said))
            below += value
    return _svg(size, size.height, words, prefix, len(series), [*parts, *_below(size, labels)])


def _line(size: Size, words: Words, labels: Sequence[str], shares: Sequence[float | None]) -> Markup:
    room = size.inner / len(labels)
    points = [
        None if share is None else (size.left + room * (place + 0.5), _height(size, 1, share))
        for place, share in enumerate(shares)
    ]
    parts = _grid(size, [0, 0.25, 0.5, 0.75, 1], "{:.0%}".format)
    for one, other in pairwise(points):
        if one and other:
            parts.append(_stroke(*one, *other, "#0b3d4f", 3))
    marks = [point for point in points if point]
    parts += [Markup('<circle cx="{:.1f}" cy="{:.1f}" r="4" fill="#0b3d4f"/>').format(*one) for one in marks]
    last = next(share for share in reversed(shares) if share is not None)
    x, y = marks[-1]
    parts.append(_text(min(x, size.width - 40), y - 10 if y > TOP + 20 else y + 22, f"{last:.0%}", "middle"))
    prefix = f"{words.key}-{size.name}"
    return _svg(size, size.height, words, prefix, 0, [*parts, *_below(size, labels)])


def _bars(
    size: Size,
    words: Words,
    labels: Sequence[str],
    series: Sequence[Series],
    shown: Callable[[float], str],
) -> Markup:
    prefix = f"{words.key}-{size.name}"
    wholes = [sum(one.values[place] for one in series) for place in range(len(labels))]
    longest = max(len(shown(whole)) for whole in wholes) * LETTER + 12
    scale = (size.width - longest) / max(wholes)
    parts = []
    for place, label in enumerate(labels):
        top, left = place * ROW, 0.0
        parts.append(_text(0, top + 15, one_line(label, size.width // LETTER), "start"))
        for number, one in enumerate(series):
            width = one.values[place] * scale
            if width:
                said = f"{label}: {one.name.lower()} {shown(one.values[place])}"
                parts.append(_filled((left, top + 21, width, BAR), f"{prefix}-{number}", said))
            left += width
        parts.append(_text(left + 8, top + 35, shown(wholes[place]), "start"))
    return _svg(size, len(labels) * ROW, words, prefix, len(series), parts)


def _grid(size: Size, scale: Sequence[float], shown: Callable[[float], str]) -> list[Markup]:
    lines = []
    for one in scale:
        y = _height(size, scale[-1], one)
        lines.append(_stroke(size.left, y, size.width - RIGHT, y, INK if one == 0 else GRID, 1))
        lines.append(_text(size.left - 6, y + 5, shown(one), "end"))
    return lines


def _below(size: Size, labels: Sequence[str]) -> list[Markup]:
    step = ceil(len(labels) / size.labels)
    room = size.inner / len(labels)
    return [
        _text(size.left + room * (place + 0.5), size.height - 8, label, "middle")
        for place, label in enumerate(labels)
        if place % step == 0
    ]


def _height(size: Size, most: float, value: float) -> float:
    return TOP + (size.height - TOP - BOTTOM) * (1 - value / most)


def _box(
    size: Size, most: float, left: float, wide: float, below: float, value: float
) -> tuple[float, float, float, float]:
    top = _height(size, most, below + value)
    return left, top, wide, _height(size, most, below) - top


def _filled(box: tuple[float, float, float, float], filling: str, said: str) -> Markup:
    return Markup(
        '<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="url(#{})" stroke="{}" stroke-width="0.7">'
        "<title>{}</title></rect>"
    ).format(*box, filling, INK, str(visible(one_line(said, 200))))


def _stroke(x: float, y: float, to_x: float, to_y: float, colour: str, width: float) -> Markup:
    return Markup(
        '<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" stroke="{}" stroke-width="{}"/>'
    ).format(x, y, to_x, to_y, colour, width)


def _text(x: float, y: float, text: str, anchor: str) -> Markup:
    # The edge keeps it readable where a line runs under it.
    return Markup(
        '<text x="{:.1f}" y="{:.1f}" text-anchor="{}" fill="{}" stroke="#fff" stroke-width="4" paint-order="stroke">'
        "{}</text>"
    ).format(x, y, anchor, INK, text)
