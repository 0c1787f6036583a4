"""A soak: many cases on one horse, its memory and its speed at the beginning and at the end.

`make bench ARGS='--parts --soak 1000'`
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from threading import Event, Thread
from time import monotonic

from bench.run import changes_in, legacy_for, stage_for, work
from bench.subjects import Stage, Subject, all_subjects
from bench.tree import descendants, end_all, name, pss
from casehand.settings import PREFIX

HUNDRED = 100
SECONDS = 5.0


@dataclass
class Scales:
    """Weighs each kind of process now and then while the block lasts."""

    others: set[int]
    weighed: list[tuple[float, dict[str, float]]] = field(default_factory=list)

    def __enter__(self) -> "Scales":
        self._over = Event()
        self._thread = Thread(target=self._weigh, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._over.set()
        self._thread.join()

    def between(self, since: float, until: float) -> dict[str, float]:
        """The middle of what was weighed between two moments, in megabytes, by kind of process."""
        found = [kinds for at, kinds in self.weighed if since <= at <= until]
        kinds = sorted({kind for one in found for kind in one})
        return {kind: median(one.get(kind, 0.0) for one in found) for kind in kinds}

    def _weigh(self) -> None:
        while not self._over.wait(SECONDS):
            kinds: dict[str, float] = {}
            for pid in descendants(os.getpid(), self.others):
                kinds[_kind(pid)] = kinds.get(_kind(pid), 0.0) + pss(pid)
            self.weighed.append((monotonic(), {**kinds, "all": sum(kinds.values())}))


def report(cases: int) -> list[str]:
    """Work so many cases on one horse, and tell of it in Markdown."""
    subject = next(one for one in all_subjects() if one.key == "casehand-1")
    with TemporaryDirectory(prefix="bench") as folder, legacy_for(Path(folder), cases, 0) as legacy:
        stage = stage_for(Path(folder), legacy)
        with Scales({legacy.process.pid}) as scales:
            try:
                work(_one_horse(subject, cases), stage, legacy, cases)
            finally:
                end_all(os.getpid(), {legacy.process.pid})
        return list(_tell(scales, sorted(changes_in(legacy.requests()))))


def _one_horse(subject: Subject, cases: int) -> Subject:
    """Without the renewal after a number of cases: that by weight is what is measured."""

    def prepare(stage: Stage) -> list[list[str]]:
        stage.environment[f"{PREFIX}BROWSER_CASES"] = str(cases + 1)
        return subject.prepare(stage)

    return Subject(subject.key, subject.name, prepare, states=subject.states)


def _tell(scales: Scales, changes: list[float]) -> Iterator[str]:
    step = min(HUNDRED, len(changes) // 3)
    early = scales.between(changes[step // 2], changes[step + step // 2])
    late = scales.between(changes[-step], changes[-1])
    first, last = (step - 1) / (changes[step - 1] - changes[0]), (step - 1) / (changes[-1] - changes[-step])
    yield f"## A soak of {len(changes)} cases on one horse"
    yield ""
    yield f"Memory (PSS, MB; medians) around case {step} and in the last {step}, with the renewal by weight as it is."
    yield ""
    yield f"| | around case {step} | last {step} | ratio |"
    yield "|---|--:|--:|--:|"
    for kind in sorted(early, key=lambda one: -early[one]):
        if early[kind] >= 1:
            yield f"| {kind} | {early[kind]:.0f} | {late.get(kind, 0):.0f} | {late.get(kind, 0) / early[kind]:.2f} |"
    yield f"| cases/s, first {step} and last {step} | {first:.2f} | {last:.2f} | {last / first:.2f} |"
    yield ""


def _kind(pid: int) -> str:
    said = name(pid)
    if "valkey" in said:
        return "Valkey"
    if said.startswith(("python", "casehand")):
        return "Casehand (Python)"
    return "Playwright driver" if said.startswith("node") else "browser"
