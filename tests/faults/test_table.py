"""The reduced table: what `make faults` plays in full, on both ledgers."""

from pathlib import Path

import pytest

from faults.fault import Fault, faults
from faults.moment import Moment
from faults.stage import Stage
from faults.table import Table, fill

LASTING = 4.0

CELLS: dict[str, dict[str, list[Moment]]] = {
    "sqlite": {
        "horse killed": [Moment.INTENT_WRITTEN, Moment.CLICKED, Moment.ANSWERED],
        "worker killed": [Moment.CLICKED],
        "horse stopped, later continued": [Moment.ANSWERED],
        "Chromium killed": [Moment.ENDED],
        "dropped three times, though saved": [Moment.CLICKED],
        "saved after the horse died": [Moment.CLICKED],
        "Redis killed, back empty": [Moment.INTENT_WRITTEN],
        "Redis away": [Moment.ENDED],
        "system refuses connections": [Moment.ANSWERED],
    },
    "postgresql": {
        "horse killed": [Moment.CLICKED],
        "ledger locked": [Moment.ANSWERED],
        "disk full at the ledger's write": [Moment.INTENT_WRITTEN],
    },
}


LANES: dict[str, list[Moment]] = {
    "horse killed": [Moment.CLICKED],
    "worker killed": [Moment.INTENT_WRITTEN, Moment.ANSWERED],
    "driver killed": [Moment.INTENT_WRITTEN],
    "worker told to stop twice": [Moment.CLICKED],
}


@pytest.mark.timeout(900)
def test_nothing_is_lost_and_nothing_done_twice_whatever_dies_and_whenever(
    ledger_url: str, tmp_path: Path
) -> None:
    with Stage(tmp_path / "stage", ledger_url, workers=4, claims=600) as stage:
        stage.warm_up()
        ledger = stage.ledger.engine.dialect.name
        cells = fill(stage, _pairs(CELLS[ledger]), LASTING, at_once=3)
    table = Table(ledger, cells)

    assert table.holds, "\n".join(table.lines())


@pytest.mark.timeout(900)
def test_nor_with_several_cases_at_once_on_each_horse(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    with Stage(tmp_path / "stage", url, workers=2, lanes=3, claims=600) as stage:
        stage.warm_up()
        cells = fill(stage, _pairs(LANES), LASTING, at_once=2)
    table = Table("sqlite, 3 lanes", cells)

    assert table.holds, "\n".join(table.lines())


def _pairs(cells: dict[str, list[Moment]]) -> list[tuple[Fault, Moment]]:
    rows = {fault.name: fault for fault in faults()}
    return [(rows[name], moment) for name, moments in cells.items() for moment in moments]
