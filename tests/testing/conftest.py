from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from casehand.fixtures.practice.options import Options
from casehand.fixtures.practice.server import PracticeServer


@pytest.fixture
def practice(tmp_path: Path) -> Iterator[PracticeServer]:
    """The practice system with the sample claims, none of their mischief, and no pauses."""
    with PracticeServer(tmp_path / "practice", None, Options(pieces=0), mischief=()) as server:
        yield server


@pytest.fixture
def bot_settings(practice: PracticeServer) -> Mapping[str, Mapping[str, str]]:
    account = {"username": practice.username, "password": practice.password}
    return {"benefits": {"url": practice.url, **account}}


@pytest.fixture
def count_changes(practice: PracticeServer) -> Callable[[], int]:
    return lambda: len(practice.journal())
