"""`make soak`: many cases are worked while something random is struck every few seconds, and the journal judges."""

import argparse
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import mkdtemp

from redis.exceptions import RedisError

from casehand.fixtures.practice.mischief import Kind
from casehand.queue.state import State
from faults.__main__ import finish, say
from faults.process import command, descendants, send
from faults.stage import Fate, Handed, Stage

MISCHIEF = (
    Kind.ERROR_BEFORE,
    Kind.ERROR_AFTER,
    Kind.DROP_BEFORE,
    Kind.DROP_AFTER,
    Kind.NEVER_ANSWER_AFTER,
    Kind.APPLY_LATE,
    Kind.SESSION_ENDS,
    Kind.COLLEAGUE_SAVES,
    Kind.BUSY_SCRIPT,
    Kind.CLAIM_HANGS,
)
BATCH = 200
LATE_SECONDS = 3.0
END_SECONDS = 900.0

Strike = Callable[[Stage, random.Random], None]


def main() -> int:
    """Soak; the exit code is 0 only when nothing was lost and nothing done twice."""
    asked = _arguments()
    say(f"seed {asked.seed}")
    home = Path(mkdtemp(prefix="soak-"))
    with Stage(home, f"sqlite:///{home / 'ledger.db'}", workers=asked.workers, claims=asked.cases) as stage:
        stage.wait_until(lambda: len(stage.horses) >= asked.workers, 120, "the workers come up")
        cases = [one for size in _batches(asked.cases) for one in stage.hand_in(size)]
        struck = _strike(stage, random.Random(asked.seed), asked.minutes * 60, asked.every, cases)
        fates = _wait_for_the_end(stage, cases)
        holds = _report(stage, cases, fates, struck)
    return finish(home, holds=holds)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--every", type=float, default=4, help="seconds between two faults, on average")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    return parser.parse_args()


def _batches(cases: int) -> list[int]:
    return [min(BATCH, cases - start) for start in range(0, cases, BATCH)]


def _strike(
    stage: Stage, luck: random.Random, seconds: float, every: float, cases: list[Handed]
) -> Counter[str]:
    struck: Counter[str] = Counter()
    over = time.monotonic() + seconds
    for _, one in zip(range(len(cases) // 10), luck.sample(cases, len(cases)), strict=False):
        kind = luck.choice(MISCHIEF)
        stage.practice.plant(one.reference, kind, 1, LATE_SECONDS)
        struck[f"claim: {kind}"] += 1
    while time.monotonic() < over:
        name = luck.choice(list(STRIKES))
        STRIKES[name](stage, luck)
        struck[name] += 1
        time.sleep(luck.uniform(every / 2, every * 1.5))  # noqa: TID251 — the pace of the faults
        if all(fate.is_over for fate in stage.fates(cases).values()):
            break
    return struck


def _wait_for_the_end(stage: Stage, cases: list[Handed]) -> dict[str, Fate]:
    try:
        stage.wait_until(
            lambda: all(fate.is_over for fate in stage.fates(cases).values()), END_SECONDS, "all cases end"
        )
    except TimeoutError as error:
        say(str(error))
    return stage.fates(cases)


def _report(stage: Stage, cases: list[Handed], fates: dict[str, Fate], struck: Counter[str]) -> bool:
    lost = twice = doubt = 0
    for one in cases:
        fate = fates[one.case]
        right, wrong = stage.changes(one)
        doubt += fate.in_doubt
        twice += right > 1
        is_well = (
            (fate.state is State.DONE and right == 1)
            or fate.in_doubt
            or (fate.state is State.ESCALATED and not right)
        )
        if wrong or (not is_well and right <= 1):
            lost += 1
            say(f"! {one.reference} ({one.case}) is {fate.state}, and was changed {right + wrong} times")
    states = Counter(str(fate.state) for fate in fates.values())
    say("struck: " + ", ".join(f"{name} {number} times" for name, number in struck.most_common()))
    say(f"{len(cases)} cases: {lost} lost, {twice} done twice, {doubt} in doubt; {dict(states)}")
    say(f"{stage.deaths} workers died")
    return not lost and not twice


def _kill_horse(stage: Stage, luck: random.Random) -> None:
    _kill_one(luck, stage.horses)


def _kill_worker(stage: Stage, luck: random.Random) -> None:
    _kill_one(luck, stage.workers)


def _kill_all_workers(stage: Stage, luck: random.Random) -> None:
    send(signal.SIGKILL, *stage.workers)


def _kill_of_browser(part: str) -> Strike:
    def strike(stage: Stage, luck: random.Random) -> None:
        _kill_one(luck, [pid for horse in stage.horses for pid in descendants(horse) if part in command(pid)])

    return strike


def _kill_one(luck: random.Random, pids: list[int], how: signal.Signals = signal.SIGKILL) -> None:
    if pids:
        send(how, luck.choice(pids))


def _stop_horse(stage: Stage, luck: random.Random) -> None:
    """The kernel's timer must end it, or it may go on: whichever comes first."""
    if horses := stage.horses:
        horse = luck.choice(horses)
        send(signal.SIGSTOP, horse)
        stage.later(partial(_continue, horse, time.monotonic() + luck.uniform(1, 40)))


def _continue(horse: int, over: float) -> bool:
    if time.monotonic() < over:
        return False
    if command(horse):
        send(signal.SIGCONT, horse)
    return True


def _tell_worker(stage: Stage, luck: random.Random) -> None:
    _kill_one(luck, stage.workers, signal.SIGTERM)


def _empty_redis(stage: Stage, luck: random.Random) -> None:
    try:
        with stage.valkey.connect() as redis:
            redis.flushall()
    except RedisError:
        pass  # It is away just now.


def _restart_redis(stage: Stage, luck: random.Random) -> None:
    stage.valkey.kill()
    if luck.random() < 0.5:
        stage.valkey.forget()
    time.sleep(luck.uniform(0, 5))  # noqa: TID251 — it is away for so long
    stage.valkey.start()


def _be_away(stage: Stage, luck: random.Random) -> None:
    stage.practice.outage(luck.uniform(1, 8), refuses=luck.random() < 0.5)


def _end_sessions(stage: Stage, luck: random.Random) -> None:
    stage.practice.end_sessions()


def _lock_ledger(stage: Stage, luck: random.Random) -> None:
    with stage.ledger.writing():
        time.sleep(luck.uniform(1, 8))  # noqa: TID251 — it is locked for so long


STRIKES: dict[str, Strike] = {
    "horse killed": _kill_horse,
    "worker killed": _kill_worker,
    "all workers killed": _kill_all_workers,
    "driver killed": _kill_of_browser("run-driver"),
    "Chromium killed": _kill_of_browser("--remote-debugging-pipe"),
    "renderer killed": _kill_of_browser("--type=renderer"),
    "horse stopped": _stop_horse,
    "worker told to stop": _tell_worker,
    "Redis emptied": _empty_redis,
    "Redis restarted": _restart_redis,
    "system away": _be_away,
    "sessions ended": _end_sessions,
    "ledger locked": _lock_ledger,
}


if __name__ == "__main__":
    sys.exit(main())
