"""How many cases a machine works at once."""

import pytest

from casehand.console.capacity import HORSE_MB, LANE_MB, Machine


@pytest.mark.parametrize(
    ("cores", "memory_gb", "horses", "lanes"),
    [(1, 16, 1, 4), (2, 24, 2, 4), (2, 2, 1, 8), (2, 1, 1, 2), (4, 8, 2, 8), (8, 64, 2, 16), (32, 64, 4, 32)],
)
def test_a_machine_has_as_many_horses_and_lanes_as_it_can_feed(
    cores: int, memory_gb: int, horses: int, lanes: int
) -> None:
    machine = Machine(cores, memory_gb * 1024)
    assert (machine.horses(), machine.lanes(machine.horses())) == (horses, lanes)


@pytest.mark.parametrize("memory_gb", [1, 2, 4, 8, 64])
def test_half_of_the_memory_is_left(memory_gb: int) -> None:
    machine = Machine(64, memory_gb * 1024)
    horses = machine.horses()
    assert horses * (HORSE_MB + machine.lanes(horses) * LANE_MB) <= machine.memory_mb / 2


def test_there_is_always_one_lane() -> None:
    assert Machine(1, 100).lanes(1) == 1
    assert Machine(2, 4096).lanes(40) == 1


def test_more_than_the_cores_can_feed_is_an_overload() -> None:
    assert not Machine(2, 4096).is_overloaded_by(16)
    assert Machine(2, 4096).is_overloaded_by(17)


def test_this_machine_has_some() -> None:
    machine = Machine.this()
    assert machine.cores >= 1
    assert machine.memory_mb > 100
