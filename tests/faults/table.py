"""The table: one row for each fault, one column for each moment."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from faults.cell import Cell, play
from faults.fault import Fault
from faults.moment import Moment
from faults.stage import Stage

LEGEND = "in each cell: cases / lost / done twice / in doubt / seconds until the slowest struck case went on"
WIDTH = 17


@dataclass
class Table:
    """The cells of one ledger."""

    ledger: str
    cells: list[Cell] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether every promise was kept in every cell."""
        return bool(self.cells) and all(cell.holds for cell in self.cells)

    def lines(self) -> Iterator[str]:
        """The table as text."""
        yield f"{self.ledger}: {LEGEND}"
        yield f"{'':36}" + "".join(f"{moment:>{WIDTH}}" for moment in Moment)
        found = {(cell.fault.name, cell.moment): cell for cell in self.cells}
        for fault in dict.fromkeys(cell.fault.name for cell in self.cells):
            cells = (found.get((fault, moment)) for moment in Moment)
            yield f"{fault:36}" + "".join(f"{_figures(cell):>{WIDTH}}" for cell in cells)
        yield self.summary()
        for cell in self.cells:
            yield from (f"! {cell.fault.name} / {cell.moment}: {problem}" for problem in cell.problems)
            if cell.escalated:
                yield f"- {cell.fault.name} / {cell.moment}: {cell.escalated} of {cell.cases} were escalated"

    def summary(self) -> str:
        """The figures of all cells together."""
        cases, struck = (sum(getattr(cell, name) for cell in self.cells) for name in ("cases", "struck"))
        lost, twice, doubt = (
            sum(getattr(cell, name) for cell in self.cells) for name in ("lost", "twice", "in_doubt")
        )
        return (
            f"{self.ledger}: {len(self.cells)} cells, {cases} cases, {struck} of them struck:"
            f" {lost} lost, {twice} done twice, {doubt} in doubt"
        )


def fill(
    stage: Stage,
    pairs: Iterable[tuple[Fault, Moment]],
    lasting: float,
    at_once: int,
    tell: Callable[[Cell], None] = lambda cell: None,
) -> list[Cell]:
    """Play these cells: those that strike single processes some at once, those that concern all one by one."""
    pairs = list(pairs)

    def one(pair: tuple[Fault, Moment]) -> Cell:
        cell = play(stage, *pair, lasting)
        tell(cell)
        return cell

    beside = [pair for pair in pairs if not (pair[0].together or pair[0].one_by_one)]
    with ThreadPoolExecutor(at_once) as pool:
        played = dict(zip(beside, pool.map(one, beside), strict=True))
    played |= {pair: one(pair) for pair in pairs if pair not in played}
    return [played[pair] for pair in pairs]


def _figures(cell: Cell | None) -> str:
    if cell is None:
        return "-"
    mark = "" if cell.holds else "!"
    return f"{mark}{cell.cases}/{cell.lost}/{cell.twice}/{cell.in_doubt}/{cell.seconds:.1f}"
