"""Slots of schedules: each is written once and run once, whatever dies, and by the rules where one was missed."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count, takewhile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from sqlalchemy import func, select, update
from went_wrong import unseen

from casehand.exceptions import CasehandError
from casehand.queue import pauses, runs, schedules, schema
from casehand.queue.calendar import LONDON, WorkingCalendar
from casehand.queue.intake import hand_in
from casehand.queue.known import make_known
from casehand.queue.ledger import Ledger
from casehand.queue.pauses import PauseKind
from casehand.queue.rules import Rule
from casehand.queue.runs import LEASE, MOST_TRIES, Ended, Run
from casehand.queue.schedules import MOST_MISSED, Missed, Overlap, Plan, RunState, write_due
from casehand.queue.vault import KEY_BYTES, Vault

PassTime = Callable[..., None]
EXAMPLES = int(os.environ.get("SCHEDULE_EXAMPLES", "60")) // 2
WORKFLOW = "housing-benefit/rent-change"
CALENDAR = WorkingCalendar()
NIGHTLY = Plan("nightly-rents", Rule.from_cron("30 2 * * *", LONDON), WORKFLOW)
DONE = Ended(RunState.DONE, "1 case taken in", accepted=1)


def states(ledger: Ledger, plan: Plan = NIGHTLY) -> list[RunState]:
    """What became of its slots, oldest first."""
    return [one.state for one in reversed(runs.runs_of(ledger, plan.name, 200))]


def work_off(ledger: Ledger, plan: Plan = NIGHTLY, holder: str = "a") -> list[datetime]:
    """Run all that is to be run now."""
    done = []
    while run := runs.take(ledger, plan, holder):
        assert runs.end(ledger, run, DONE)
        done.append(run.at)
    return done


@pytest.fixture
def kept(ledger: Ledger, pass_time: PassTime) -> PassTime:
    """The schedule is kept since Monday the 2nd of November 2026, 9am."""
    write_due(ledger, NIGHTLY)
    return pass_time


def test_what_came_before_a_schedule_was_kept_is_nobodys(ledger: Ledger, kept: PassTime) -> None:
    assert write_due(ledger, NIGHTLY) == 0
    kept(hours=17, minutes=30)

    assert write_due(ledger, NIGHTLY) == 1
    assert write_due(ledger, NIGHTLY) == 0
    assert work_off(ledger) == [datetime(2026, 11, 3, 2, 30, tzinfo=UTC)]
    assert states(ledger) == [RunState.DONE]


@pytest.mark.parametrize(
    ("missed", "expected"),
    [
        (Missed.ONCE, [RunState.SKIPPED] * 3 + [RunState.DONE]),
        (Missed.ALL, [RunState.DONE] * 4),
        (Missed.SKIP, [RunState.SKIPPED] * 4),
    ],
)
def test_missed_runs_are_made_up_for_by_rule(
    ledger: Ledger, kept: PassTime, missed: Missed, expected: list[RunState]
) -> None:
    kept(days=4)
    plan = replace(NIGHTLY, missed=missed)
    write_due(ledger, plan)
    done = work_off(ledger, plan)

    assert states(ledger) == expected
    assert done == sorted(done)


def test_one_that_is_on_time_is_not_missed_though_others_were(ledger: Ledger, kept: PassTime) -> None:
    kept(days=3, hours=17, minutes=32)
    plan = replace(NIGHTLY, missed=Missed.SKIP)
    write_due(ledger, plan)

    assert len(work_off(ledger, plan)) == 1
    assert states(ledger) == [RunState.SKIPPED] * 3 + [RunState.DONE]


def test_a_years_absence_is_made_up_for_up_to_a_bound_which_a_person_is_told(
    ledger: Ledger, kept: PassTime
) -> None:
    kept(days=365)
    plan = replace(NIGHTLY, missed=Missed.ALL)
    write_due(ledger, plan)

    assert len(work_off(ledger, plan)) == MOST_MISSED
    (left_out,) = unseen(ledger)
    assert left_out.state is RunState.SKIPPED
    assert "more than 100 runs were missed" in str(left_out.said)


def test_a_scheduler_that_dies_leaves_its_slot_to_the_next_which_ends_it(
    ledger: Ledger, kept: PassTime
) -> None:
    kept(days=1)
    write_due(ledger, NIGHTLY)
    lost = runs.take(ledger, NIGHTLY, "a")
    assert lost is not None
    assert runs.take(ledger, NIGHTLY, "b") is None
    kept(seconds=LEASE.total_seconds() - 1)
    assert runs.renew(ledger, lost)
    kept(seconds=LEASE.total_seconds() + 1)

    taken = runs.take(ledger, NIGHTLY, "b")
    assert taken == replace(lost, holder="b", tries=2)
    assert not runs.renew(ledger, lost)
    assert not runs.end(ledger, lost, DONE)
    assert runs.end(ledger, taken, DONE)
    assert states(ledger) == [RunState.DONE]


def test_a_slot_that_kills_whoever_takes_it_is_put_in_front_of_a_person_and_stops_no_other(
    ledger: Ledger, kept: PassTime
) -> None:
    kept(days=1)
    write_due(ledger, NIGHTLY)
    for _ in range(MOST_TRIES):
        assert runs.take(ledger, NIGHTLY, "a")
        kept(seconds=LEASE.total_seconds() + 1)
    assert runs.take(ledger, NIGHTLY, "a") is None

    (failed,) = unseen(ledger)
    assert (failed.state, failed.tries) == (RunState.FAILED, MOST_TRIES)
    kept(days=1)
    write_due(ledger, NIGHTLY)
    assert len(work_off(ledger)) == 1


def test_a_failed_run_is_for_a_person_until_he_has_said_so_and_may_be_run_again(
    ledger: Ledger, kept: PassTime
) -> None:
    kept(days=1)
    write_due(ledger, NIGHTLY)
    run = runs.take(ledger, NIGHTLY, "a")
    assert run is not None
    runs.end(ledger, run, Ended(RunState.FAILED, "rents.csv does not exist"))
    assert [one.said for one in unseen(ledger)] == ["rents.csv does not exist"]
    assert unseen(ledger, ["another/workflow"]) == []

    assert runs.note_seen(ledger, NIGHTLY.name, "a person") == 1
    assert unseen(ledger) == []
    runs.run_again(ledger, NIGHTLY.name, run.at, "a person")
    again = runs.take(ledger, NIGHTLY, "b")
    assert again is not None
    runs.end(ledger, again, Ended(RunState.FAILED, "rents.csv is empty"))
    assert [one.said for one in unseen(ledger)] == ["rents.csv is empty"]
    with pytest.raises(CasehandError, match="neither failed nor was skipped"):
        runs.run_again(ledger, NIGHTLY.name, run.at + timedelta(days=9), "a person")
    with ledger.reading() as connection:
        said = connection.execute(select(schema.audit.c.action).order_by(schema.audit.c.id)).scalars().all()
    assert said == ["run failed", "failed runs seen", "run again", "run failed"]


def test_what_went_wrong_is_told_by_schedule_and_known_as_far_as_it_was_shown(
    ledger: Ledger, kept: PassTime
) -> None:
    other = replace(NIGHTLY, name="hourly-moves", workflow="council-tax/moves")
    write_due(ledger, other)
    for why in ("the file is missing", "the file is empty", "the file is cut off"):
        kept(days=1)
        for plan in (NIGHTLY, other):
            write_due(ledger, plan)
            run = runs.take(ledger, plan, "a")
            assert run is not None
            assert runs.end(ledger, run, Ended(RunState.FAILED, why))
    moves, nightly = runs.gone_wrong(ledger)
    assert (moves.schedule, nightly.schedule) == (other.name, NIGHTLY.name)
    assert (nightly.number, nightly.last.said, nightly.until) == (3, "the file is cut off", ledger.clock())
    assert [one.schedule for one in runs.gone_wrong(ledger, [WORKFLOW])] == [NIGHTLY.name]
    assert [one.schedule for one in runs.gone_wrong(ledger, limit=1)] == [other.name]
    assert (runs.count_unseen(ledger), runs.count_unseen(ledger, [WORKFLOW])) == (6, 3)
    assert runs.count_unseen(ledger, []) == 0
    assert runs.workflows_gone_wrong(ledger, other.name) == {other.workflow}

    last = runs.last_runs(ledger, [NIGHTLY.name, other.name, "none"], 2, [WORKFLOW])
    assert [one.said for one in last[NIGHTLY.name]] == ["the file is cut off", "the file is empty"]
    assert last[NIGHTLY.name] == runs.runs_of(ledger, NIGHTLY.name, 2)
    assert (last[other.name], last["none"], runs.last_runs(ledger, [], 2)) == ([], [], {})

    before = ledger.clock() - timedelta(hours=1)
    assert runs.note_seen(ledger, NIGHTLY.name, "a person", before) == 2
    assert [one.said for one in unseen(ledger, [WORKFLOW])] == ["the file is cut off"]
    assert runs.note_seen(ledger, NIGHTLY.name, "a person", before) == 0
    assert runs.note_seen(ledger, NIGHTLY.name, "a person") == 1


def test_rows_that_were_not_taken_in_are_for_a_person_too(ledger: Ledger, kept: PassTime) -> None:
    kept(days=1)
    write_due(ledger, NIGHTLY)
    run = runs.take(ledger, NIGHTLY, "a")
    assert run is not None
    runs.end(ledger, run, Ended(RunState.DONE, "1 case taken in, 2 rows rejected", 1, 2, ("b",)))

    (line,) = unseen(ledger)
    assert (line.state, line.rejected, line.batches) == (RunState.DONE, 2, ["b"])


@pytest.mark.parametrize("kind", [PauseKind.SCHEDULE, PauseKind.BOT, PauseKind.EVERYTHING])
def test_a_pause_holds_it_back_and_what_came_meanwhile_has_been_missed(
    ledger: Ledger, kept: PassTime, kind: PauseKind
) -> None:
    plan = replace(NIGHTLY, bots=frozenset({"benefits"}))
    names = {PauseKind.SCHEDULE: NIGHTLY.name, PauseKind.BOT: "benefits", PauseKind.EVERYTHING: pauses.ALL}
    kept(days=1)
    write_due(ledger, plan)
    pauses.pause(ledger, kind, names[kind], "month end", "a person")
    assert runs.take(ledger, plan, "a") is None
    kept(days=2)
    assert write_due(ledger, plan) == 0
    assert len(states(ledger)) == 1

    pauses.resume(ledger, kind, names[kind], "a person")
    write_due(ledger, plan)
    assert len(work_off(ledger, plan)) == 2
    assert states(ledger) == [RunState.DONE, RunState.SKIPPED, RunState.DONE]


def test_a_run_waits_until_robots_have_worked_what_the_one_before_handed_in(
    ledger: Ledger, kept: PassTime, known: str, take_in: Callable[..., str]
) -> None:
    _hand_in_one(ledger, kept, take_in)
    kept(days=1)
    assert write_due(ledger, NIGHTLY) == 1
    assert runs.take(ledger, NIGHTLY, "a") is None

    _end_cases(ledger, "escalated")  # which waits for a person, and for no robot
    assert len(work_off(ledger)) == 1


@pytest.mark.parametrize("why", ["put off", "batch", "workflow", "bot", "behind another"])
def test_a_run_waits_for_no_case_that_robots_may_not_work_for_long(
    ledger: Ledger, kept: PassTime, known: str, take_in: Callable[..., str], why: str
) -> None:
    if why == "behind another":
        make_known(ledger, "another", ["benefits"], timedelta(minutes=5))
        take_in("HB000125", workflow="another")
    _hand_in_one(ledger, kept, take_in)
    if why in ("batch", "workflow", "bot"):
        name = {"batch": "rents", "workflow": known, "bot": "benefits"}[why]
        pauses.pause(ledger, PauseKind(why), name, "it goes wrong", "a person")
    kept(days=1)
    if why == "put off":
        _put_off(ledger, ledger.clock() + timedelta(minutes=59))
        write_due(ledger, NIGHTLY)
        assert runs.take(ledger, NIGHTLY, "a") is None
        _put_off(ledger, ledger.clock() + timedelta(days=90))

    write_due(ledger, NIGHTLY)
    assert len(work_off(ledger)) == 1


def test_one_that_is_run_again_waits_for_no_case_of_its_own(
    ledger: Ledger, kept: PassTime, known: str, take_in: Callable[..., str]
) -> None:
    _hand_in_one(ledger, kept, take_in, RunState.FAILED)
    runs.run_again(ledger, NIGHTLY.name, runs.runs_of(ledger, NIGHTLY.name, 1)[0].at, "a person")
    assert len(work_off(ledger)) == 1


def test_what_was_written_while_the_clock_was_ahead_hides_nothing(
    ledger: Ledger, pass_time: PassTime
) -> None:
    pass_time(days=50)
    write_due(ledger, NIGHTLY)
    pass_time(days=1)
    write_due(ledger, NIGHTLY)
    assert len(work_off(ledger)) == 1
    pass_time(days=-51)
    write_due(ledger, NIGHTLY)
    for _ in range(52):
        pass_time(days=1)
        write_due(ledger, NIGHTLY)
        work_off(ledger)

    assert len(states(ledger)) == 52
    assert set(states(ledger)) == {RunState.DONE}


def test_a_run_is_skipped_while_the_one_before_is_going_where_that_is_the_rule(
    ledger: Ledger, kept: PassTime, known: str, take_in: Callable[..., str]
) -> None:
    plan = replace(NIGHTLY, overlap=Overlap.SKIP)
    _hand_in_one(ledger, kept, take_in)
    kept(days=1)
    assert write_due(ledger, plan) == 0
    assert runs.runs_of(ledger, plan.name, 1)[0].said == "the run before it was still going"

    _end_cases(ledger, "done")
    kept(days=1)
    write_due(ledger, plan)
    assert len(work_off(ledger, plan)) == 1
    assert states(ledger) == [RunState.DONE, RunState.SKIPPED, RunState.DONE]


def test_who_is_asked_runs_the_latest_though_nobody_kept_the_schedule(
    ledger: Ledger, pass_time: PassTime
) -> None:
    pass_time(hours=1)
    assert write_due(ledger, NIGHTLY) == 0
    assert write_due(ledger, NIGHTLY, asked=True) == 1
    assert write_due(ledger, NIGHTLY, asked=True) == 0
    assert work_off(ledger) == [datetime(2026, 11, 2, 2, 30, tzinfo=UTC)]


def test_a_new_rule_is_kept_from_when_it_is_first_seen(ledger: Ledger, kept: PassTime) -> None:
    kept(days=2)
    later = replace(NIGHTLY, rule=Rule.from_cron("0 4 * * *", LONDON))
    assert write_due(ledger, later) == 0
    kept(days=1)
    write_due(ledger, later)
    assert work_off(ledger, later) == [datetime(2026, 11, 5, 4, tzinfo=UTC)]


def test_what_is_put_off_begins_again_at_its_time(ledger: Ledger, kept: PassTime) -> None:
    kept(days=1)
    write_due(ledger, NIGHTLY)
    run = runs.take(ledger, NIGHTLY, "a")
    assert run is not None
    runs.put_off(ledger, run, ledger.clock() + timedelta(minutes=10), "the system is closed", is_try=False)
    assert runs.take(ledger, NIGHTLY, "a") is None
    kept(minutes=10)

    again = runs.take(ledger, NIGHTLY, "a")
    assert again is not None
    assert again.tries == 1


def test_many_schedulers_at_once_write_and_take_each_slot_once(ledger: Ledger, kept: PassTime) -> None:
    plan = replace(NIGHTLY, missed=Missed.ALL)
    kept(days=12)

    def one(number: int) -> list[datetime]:
        mine: list[datetime] = []
        for _ in range(6):
            write_due(ledger, plan)
            mine += work_off(ledger, plan, f"scheduler {number}")
        return mine

    with ThreadPoolExecutor(6) as pool:
        ran = Counter(at for mine in pool.map(one, range(6)) for at in mine)
    assert len(ran) == 12
    assert set(ran.values()) == {1}
    assert states(ledger) == [RunState.DONE] * 12


class Due(BaseModel):
    """A row of the file of a night."""

    reference: str


def test_two_schedulers_run_each_slot_of_ten_weeks_once(ledger: Ledger, tmp_path: Path) -> None:
    """The clocks go back in the sixth week; a third of the runs is lost after its batch was handed in."""
    start, end = datetime(2026, 9, 21, 12, tzinfo=UTC), datetime(2026, 11, 30, 20, tzinfo=UTC)
    now = start
    ledger.clock = lambda: now
    make_known(ledger, WORKFLOW, [], timedelta(minutes=5))
    nightly = replace(NIGHTLY, rule=Rule.from_cron("30 1 * * *", LONDON), missed=Missed.ALL)
    mornings = Plan("mornings", Rule.from_words("every working day at 06:30", CALENDAR, LONDON), WORKFLOW)
    monthly = Plan(
        "monthly", Rule.from_words("the third working day of the month at 06:30", CALENDAR, LONDON), WORKFLOW
    )
    plans = (nightly, mornings, monthly)
    for plan in plans:
        schedules.note(ledger, plan)

    def turn(who: int) -> list[tuple[str, datetime]]:
        ended = []
        for plan in plans:
            write_due(ledger, plan)
            while run := runs.take(ledger, plan, f"scheduler {who}"):
                _hand_in_night(ledger, run, tmp_path / f"{who}.csv")
                if run.tries == 1 and run.at.day % 3 == 0:
                    break  # It dies before it can say so.
                assert runs.end(ledger, run, DONE)
                ended.append((plan.name, run.at))
        return ended

    ran: list[tuple[str, datetime]] = []
    with ThreadPoolExecutor(2) as pool:
        while now < end:
            now += timedelta(hours=8)
            for ended in pool.map(turn, (1, 2)):
                ran += ended
    named = {
        (plan.name, at) for plan in plans for at in takewhile(lambda at: at <= now, plan.rule.after(start))
    }
    assert len(named) == 70 + 50 + 2
    assert sorted(ran) == sorted(named)
    batches = schema.batches.c
    with ledger.reading() as connection:
        assert connection.execute(select(func.count(), func.sum(batches.accepted))).one() == (122, 122)


# Killed and started at random.


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """One ledger for all that hypothesis tries: each try has a schedule of its own."""
    path: Path = tmp_path_factory.mktemp("shelf") / "ledger.db"
    ledger = Ledger.open(f"sqlite:///{path}", Vault(os.urandom(KEY_BYTES)))
    yield ledger
    ledger.close()


NUMBERS = count(1)
SIMULATED = [
    Rule.from_cron("30 1 * * *", LONDON),
    Rule.from_cron("*/30 1,2 * * *", LONDON),
    Rule.from_cron("0 */8 * * *", LONDON),
    Rule.from_words("every working day at 01:30", CALENDAR, LONDON),
    Rule.from_words("the third working day of the month at 06:30", CALENDAR, LONDON),
]
STARTS = st.integers(2021, 2030).flatmap(
    lambda year: st.sampled_from(
        [
            datetime(year, 3, 27, 20, tzinfo=UTC),
            datetime(year, 10, 27, 20, tzinfo=UTC),
            datetime(year, 12, 22, 20, tzinfo=UTC),
        ]
    )
)
SPANS = st.sampled_from([30.0, 70.0, 600.0, 3_600.0, 9_000.0, 40_000.0, 100_000.0])
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["pass", "turn", "take", "die before", "die after", "end"]), st.integers(0, 1), SPANS
    ),
    max_size=60,
)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(SIMULATED), st.sampled_from(Missed), STARTS, STEPS)
def test_no_slot_is_lost_and_none_run_twice_whenever_schedulers_die(
    shelf: Ledger, rule: Rule, missed: Missed, start: datetime, steps: list[tuple[str, int, float]]
) -> None:
    now = start
    shelf.clock = lambda: now
    plan = Plan(f"simulated-{next(NUMBERS)}", rule, WORKFLOW, missed=missed)
    schedules.note(shelf, plan)
    in_hand: dict[int, Run] = {}
    handed_in: dict[str, int] = {}  # the ledger takes a batch with one key once

    def act(what: str, who: int) -> None:
        if what == "turn":
            write_due(shelf, plan)
        elif what == "take" and who not in in_hand:
            if run := runs.take(shelf, plan, f"scheduler {who}"):
                in_hand[who] = run
        elif what in ("die before", "die after", "end") and who in in_hand:
            run = in_hand.pop(who)
            if what != "die before":
                handed_in[run.key] = handed_in.get(run.key, 0) or 1
            if what == "end":
                runs.end(shelf, run, DONE)

    for what, who, span in steps:
        if what == "pass":
            now += timedelta(seconds=span)
        act(what, who)
    in_hand.clear()
    for _ in range(2 * MOST_MISSED * MOST_TRIES):
        now += LEASE + timedelta(seconds=1)
        for what in ("turn", "take", "end"):
            act(what, 0)
        if not _has_open(shelf, plan):
            break

    named = list(takewhile(lambda at: at <= now, rule.after(start)))
    lines = {one.at: one for one in runs.runs_of(shelf, plan.name, 10_000)}
    assert sorted(lines) == named, "a slot was lost, or one written that there is not"
    ran = {at for at, one in lines.items() if one.state is RunState.DONE}
    given_up = {at for at, one in lines.items() if one.state is RunState.FAILED}
    keys = {Run(plan.name, at, "", 0, at).key for at in ran}
    assert keys <= set(handed_in) <= keys | {Run(plan.name, at, "", 0, at).key for at in given_up}
    assert all(lines[at].tries == MOST_TRIES for at in given_up)
    if missed is Missed.ALL:
        assert ran | given_up == set(named)
    if missed is Missed.ONCE and named:
        assert named[-1] in ran | given_up


def _has_open(ledger: Ledger, plan: Plan) -> bool:
    slots = schema.schedule_slots.c
    open_ = select(func.count()).where(slots.schedule == plan.name, slots.state.in_(schedules.OPEN))
    with ledger.reading() as connection:
        return connection.execute(open_).scalar_one() > 0


def _hand_in_one(
    ledger: Ledger, kept: PassTime, take_in: Callable[..., str], state: RunState = RunState.DONE
) -> None:
    kept(days=1)
    write_due(ledger, NIGHTLY)
    run = runs.take(ledger, NIGHTLY, "a")
    assert run is not None
    take_in("HB000125", batch="rents")
    runs.end(ledger, run, replace(DONE, state=state, batches=("rents",)))


def _put_off(ledger: Ledger, until: datetime) -> None:
    with ledger.writing() as connection:
        connection.execute(update(schema.cases).values(not_before=until))


def _end_cases(ledger: Ledger, state: str) -> None:
    with ledger.writing() as connection:
        connection.execute(update(schema.cases).values(state=state))


def _hand_in_night(ledger: Ledger, run: Run, path: Path) -> None:
    path.write_text(f"reference\n{run.schedule} {run.at:%Y-%m-%d}\n")
    hand_in(
        ledger,
        workflow=WORKFLOW,
        model=Due,
        reference="reference",
        path=path,
        by="a scheduler",
        known_by=run.key,
    )
