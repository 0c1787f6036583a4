"""Running a slot: what is handed in, what is put off, and what a person is told; from the command line's own parts."""

import os
import re
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import pytest
import typer
from sqlalchemy import func, select
from structlog.testing import capture_logs

from casehand.console.links import Links
from casehand.console.listing import NEEDS_A_PERSON
from casehand.console.office import Office
from casehand.console.planned import Planned, is_planned
from casehand.console.running import BEAT, perform
from casehand.console.schedule import run
from casehand.console.scheduler import Scheduler, start
from casehand.console.wording import word_many, word_one
from casehand.exceptions import CasehandError
from casehand.queue import notices, occasions, overdue, runs, schedules, schema
from casehand.queue.cases import find_cases
from casehand.queue.occasions import What
from casehand.queue.runs import LEASE, MOST_TRIES, Run, RunLine
from casehand.queue.schedules import RunState
from casehand.queue.state import State

MODULE = '''
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from threading import Event
import os

from casehand import Case, CaseData, CasehandError, Slot, SystemException, producer, scheduled, workflow


class Pay(CaseData):
    claim: str
    amount: Decimal
    note: str | None = None


@scheduled("a-folder", every="every day at 06:00", folder=os.environ["INBOX"])
@scheduled("due-today", every="every day at 06:00", file=os.environ["INBOX"] + "/rents.csv", due="today at 17:00")
@scheduled("a-file", cron="0 6 * * *", file=os.environ["INBOX"] + "/rents.csv", priority=7, due="within 5 working days")
@workflow("council/pay", reference="claim")
def pay(case: Case[Pay]) -> None:
    pass


@scheduled("made", every="every day at 06:00")
@producer("council/made", pay)
def made(slot: Slot) -> Iterator[Pay]:
    """Never the same twice: only the slot tells that it was handed in."""
    for number in range(2):
        yield Pay(claim=os.urandom(6).hex(), amount=Decimal("1.50"), note=f'{slot.at:%H:%M}, "quoted"\\nand long')


@scheduled("none", every="every day at 06:00")
@producer("council/none", pay)
def none() -> list[Pay]:
    return []


@scheduled("away", every="every day at 06:00")
@producer("council/away", pay)
def away() -> list[Pay]:
    raise SystemException("the finance system is not available")


@scheduled("says-a-name", every="every day at 06:00")
@producer("council/says-a-name", pay)
def says_a_name() -> list[Pay]:
    name = "Mx Test"
    raise SystemException(f"the page of {name} did not open")


@scheduled("decides", every="every day at 06:00")
@producer("council/decides", pay)
def decides() -> list[Pay]:
    name = "Mx Test"
    raise CasehandError(f"the page of {name} did not open")


@scheduled("slow", every="every day at 06:00")
@producer("council/slow", pay, timeout=timedelta(seconds=1))
def slow() -> list[Pay]:
    Event().wait(30)
    return []


@scheduled("strange", every="every day at 06:00")
@producer("council/strange", pay)
def strange() -> list[str]:
    return ["HB000125"]
'''
NOW = datetime(2026, 11, 3, 6, 0, 30, tzinfo=UTC)
ROWS = "claim,amount\nHB000125,2.00\n"


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "council_pay.py").write_text(MODULE)
    monkeypatch.setenv("INBOX", str(tmp_path / "inbox"))
    monkeypatch.setenv("CASEHAND_WORKFLOWS", "council_pay")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    office = Office()
    office.ledger.clock = lambda: NOW
    yield office
    office.ledger.close()
    sys.modules.pop("council_pay", None)


@pytest.fixture
def ran(office: Office) -> Callable[[str], RunLine]:
    """Runs the latest slot of a schedule and says what became of it."""

    def run(name: str) -> RunLine:
        one, taken = _taken(office, name)
        perform(office, one, taken)
        line = runs.run_at(office.ledger, name, taken.at)
        assert line is not None
        return line

    return run


def test_a_file_is_handed_in_with_what_the_schedule_says_of_its_cases(
    office: Office, ran: Callable[[str], RunLine], tmp_path: Path
) -> None:
    (tmp_path / "inbox/rents.csv").write_text(ROWS)
    line = ran("a-file")

    assert (line.state, line.said, line.accepted) == (RunState.DONE, "1 case taken in", 1)
    with office.ledger.reading() as connection:
        case = connection.execute(select(schema.cases)).one()
    assert (case.priority, case.due) == (7, datetime(2026, 11, 10, 23, 59, tzinfo=UTC))
    assert ran("a-folder").said == f"handed in before, as batch {line.batches[0]}"


def test_a_file_that_is_missing_fails_the_run_and_a_person_is_told_by_notice_and_message(
    office: Office,
) -> None:
    line = _tried_until_it_fails(office, "a-file")

    assert str(line.said).endswith("rents.csv does not exist: check the name")
    (notice,) = notices.notices(office.ledger, "council/pay")
    assert str(notice).startswith("The schedule a-file failed the last time (")
    assert notices.notices(office.ledger, "another/workflow") == []
    with office.ledger.reading() as connection:
        (told,) = occasions.untold(connection, What.RUN, "a receiver", frozenset({"council/pay"}), NOW, 10)
        assert occasions.untold(connection, What.RUN, "a receiver", frozenset({"other"}), NOW, 10) == []
    one = word_one(told, Links(None))
    assert one.subject == "Casehand: a run of the schedule a-file went wrong"
    assert "does not exist" in one.body
    assert "2 scheduled runs went wrong" in word_many(What.RUN, {"council/pay": 2}, Links(None)).subject
    runs.note_seen(office.ledger, "a-file", "a person")
    assert notices.notices(office.ledger) == []


def test_of_a_folder_every_file_is_handed_in_though_one_cannot_be(
    ran: Callable[[str], RunLine], tmp_path: Path
) -> None:
    inbox = tmp_path / "inbox"
    (inbox / "1.csv").write_text(ROWS)
    (inbox / "2.csv").write_text("")
    (inbox / "3.csv").write_text("claim,amount\nHB000126,2.00\nHB000127,a lot\n")
    (inbox / ".4.csv.part").write_text("claim,am")
    line = ran("a-folder")

    assert (line.state, line.accepted, line.rejected, len(line.batches)) == (RunState.FAILED, 2, 1, 2)
    assert line.said is not None
    assert line.said.startswith("2 cases taken in, 1 row rejected, “2.csv” is empty")


def test_an_empty_folder_and_a_producer_without_cases_are_nothing_to_worry_about(
    ran: Callable[[str], RunLine],
) -> None:
    for name in ("a-folder", "none"):
        assert (line := ran(name)).state is RunState.DONE
        assert not line.waits_for_a_person


def test_what_a_producer_yields_comes_in_whole_and_leaves_no_file(
    office: Office, ran: Callable[[str], RunLine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    line = ran("made")

    assert (line.state, line.accepted) == (RunState.DONE, 2)
    with office.ledger.reading() as connection:
        rows = connection.execute(select(schema.cases.c.id, schema.cases.c.sealed_data)).all()
    for case, sealed in rows:
        data = office.ledger.key_of(case).open_text(sealed)
        assert '06:00, \\"quoted\\"\\nand long' in data
    readable = {path.stem.partition(".")[0] for path in _files(tmp_path) if b"and long" in path.read_bytes()}
    assert readable == {"council_pay"}
    assert sorted(path.name for path in tmp_path.glob("casehand-*")) == []


def test_a_run_that_is_begun_again_after_it_was_handed_in_hands_in_no_other(office: Office) -> None:
    one, lost = _taken(office, "made")
    perform(office, one, replace(lost, holder="somebody who is no longer heard of"))
    now = NOW + LEASE + timedelta(seconds=1)
    office.ledger.clock = lambda: now
    again = runs.take(office.ledger, one.plan, "b")
    assert again is not None
    perform(office, one, again)

    (line,) = runs.runs_of(office.ledger, "made", 5)
    assert (line.state, line.tries, line.accepted) == (RunState.DONE, 2, 2)
    with office.ledger.reading() as connection:
        assert connection.execute(select(func.count()).select_from(schema.batches)).scalar() == 1
        assert connection.execute(select(func.count()).select_from(schema.cases)).scalar() == 2


def test_a_folders_run_that_is_begun_again_knows_what_it_handed_in(office: Office, tmp_path: Path) -> None:
    (tmp_path / "inbox/1.csv").write_text(ROWS + "HB000127,a lot\n")
    (tmp_path / "inbox/the-same.csv").write_text(ROWS + "HB000127,a lot\n")
    one, lost = _taken(office, "a-folder")
    perform(office, one, replace(lost, holder="somebody who is no longer heard of"))
    (tmp_path / "inbox/2.csv").write_text("claim,amount\nHB000128,2.00\n")
    perform(office, one, _taken_later(office, one, LEASE))

    (line,) = runs.runs_of(office.ledger, "a-folder", 5)
    assert (line.state, line.accepted, line.rejected, len(line.batches)) == (RunState.DONE, 2, 1, 2)
    assert line.said == "2 cases taken in, 1 row rejected"
    assert line.waits_for_a_person


def test_run_again_after_a_file_was_mended_it_counts_the_others_too(office: Office, tmp_path: Path) -> None:
    (tmp_path / "inbox/1.csv").write_text(ROWS)
    (tmp_path / "inbox/2.csv").write_text("")
    one, run = _taken(office, "a-folder")
    perform(office, one, run)
    (tmp_path / "inbox/2.csv").write_text("claim,amount\nHB000128,2.00\n")
    runs.run_again(office.ledger, "a-folder", run.at, "a person")
    perform(office, one, _taken_later(office, one, timedelta(minutes=5)))

    (line,) = runs.runs_of(office.ledger, "a-folder", 5)
    assert (line.state, line.accepted, len(line.batches)) == (RunState.DONE, 2, 2)


def test_a_run_that_is_given_up_says_what_it_had_handed_in(office: Office, tmp_path: Path) -> None:
    (tmp_path / "inbox/rents.csv").write_text(ROWS)
    one, lost = _taken(office, "a-file")
    for _ in range(1, MOST_TRIES):
        perform(office, one, replace(lost, holder="somebody who is no longer heard of"))
        lost = _taken_later(office, one, LEASE)
    now = office.ledger.clock() + LEASE * 2
    office.ledger.clock = lambda: now
    assert runs.take(office.ledger, one.plan, "b") is None

    (line,) = runs.runs_of(office.ledger, "a-file", 5)
    assert (line.state, line.accepted, len(line.batches)) == (RunState.FAILED, 1, 1)


def test_what_is_no_table_is_left_and_what_is_still_written_is_waited_for(
    office: Office, tmp_path: Path
) -> None:
    inbox = tmp_path / "inbox"
    for junk in ("~$rents.xlsx", "rents.csv.part", "Thumbs.db", "rents.tmp"):
        (inbox / junk).write_text("no table")
    (inbox / "1.csv").write_text("claim,amo")
    os.utime(inbox / "1.csv", times=(NOW.timestamp() - 3, NOW.timestamp() - 3))
    (inbox / "2.csv").write_text("claim,amount\nHB000128,2.00\n")
    one, run = _taken(office, "a-folder")
    perform(office, one, run)
    (line,) = runs.runs_of(office.ledger, "a-folder", 5)
    assert line.state is RunState.WAITING
    assert line.said == "“1.csv” was changed just now: it is taken in once nobody writes it any more"

    (inbox / "1.csv").write_text(ROWS)
    perform(office, one, _taken_later(office, one, timedelta(minutes=1)))
    (line,) = runs.runs_of(office.ledger, "a-folder", 5)
    assert (line.state, line.said, len(line.batches)) == (RunState.DONE, "2 cases taken in", 2)


def test_a_file_whose_name_is_no_text_fails_the_run_once_and_is_not_named_outside(
    office: Office, ran: Callable[[str], RunLine], tmp_path: Path
) -> None:
    (tmp_path / "inbox" / os.fsdecode(b"Mx Test \xff.csv")).write_text("")
    with capture_logs() as logs:
        line = ran("a-folder")

    assert (line.state, line.tries) == (RunState.FAILED, 1)
    assert line.said == "“Mx Test ?.csv” is empty: check that it is the right file"
    with office.ledger.reading() as connection:
        (told,) = occasions.untold(connection, What.RUN, "a receiver", None, NOW, 10)
    assert ": a file is empty: check" in word_one(told, Links(None)).body
    assert "Mx Test" not in word_one(told, Links(None)).body + str(logs)


@pytest.mark.parametrize(("name", "kind"), [("says-a-name", "SystemException"), ("decides", "CasehandError")])
def test_what_a_producer_says_of_a_person_is_told_nobody(office: Office, name: str, kind: str) -> None:
    one, taken = _taken(office, name)
    perform(office, one, taken)
    (line,) = runs.runs_of(office.ledger, name, 1)
    assert re.fullmatch(rf"the producer has a fault: {kind} at council_pay.py:\d+", str(line.said))


def test_cases_that_come_after_their_due_date_are_taken_in_and_put_before_a_person(
    office: Office, ran: Callable[[str], RunLine], tmp_path: Path
) -> None:
    (tmp_path / "inbox/rents.csv").write_text(ROWS)
    office.ledger.clock = lambda: NOW + timedelta(hours=12)
    assert ran("due-today").said == "1 case taken in"

    assert overdue.sweep(office.ledger, "reconciler") == 1
    (case,) = find_cases(office.ledger)
    assert case.state is State.ESCALATED


def test_a_producer_that_takes_too_long_has_failed_at_the_first_try(office: Office) -> None:
    one, run = _taken(office, "slow")
    begun = monotonic()
    assert start(office, one, run).wait() == -signal.SIGKILL
    assert monotonic() - begun < BEAT, "it was ended by a beat that came much later than its time was over"

    (line,) = runs.runs_of(office.ledger, "slow", 1)
    assert (line.state, line.tries, line.said) == (RunState.FAILED, 1, "it took longer than 0:00:01")


def test_a_scheduler_looks_again_though_the_clock_was_set_back(office: Office) -> None:
    one = is_planned(office, "none")
    scheduler = Scheduler(office, [one], "a scheduler")
    office.ledger.clock = lambda: NOW + timedelta(hours=20)
    scheduler.turn()
    office.ledger.clock = lambda: NOW - timedelta(minutes=1)
    scheduler.turn()
    office.ledger.clock = lambda: NOW + timedelta(seconds=30)
    scheduler.turn()
    scheduler.stop()

    assert [one.at for one in runs.runs_of(office.ledger, "none", 5)] == [NOW.replace(second=0)]


def test_what_cron_leaves_undone_is_said_unless_a_scheduler_is_there(
    office: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "inbox/rents.csv").write_text(ROWS)
    one, run = _taken(office, "a-file")
    perform(office, one, run)
    office.ledger.clock = lambda: NOW + timedelta(days=1)
    with pytest.raises(typer.Exit) as left:
        _run_by_cron(office, "a-file")
    assert left.value.exit_code == NEEDS_A_PERSON
    said = capsys.readouterr()
    assert "is waiting: it waits for the run before it" in said.out
    assert said.err == "No scheduler runs that would take it up: have cron call this again.\n"

    Scheduler(office, [], "a scheduler").turn()
    _run_by_cron(office, "a-file")
    assert capsys.readouterr().err == ""


def test_a_system_that_is_away_is_tried_again_and_then_put_before_a_person(office: Office) -> None:
    line = _tried_until_it_fails(office, "away")
    assert line.said == "the finance system is not available"


def test_a_producer_that_yields_something_else_has_failed(ran: Callable[[str], RunLine]) -> None:
    line = ran("strange")

    assert line.state is RunState.FAILED
    assert line.said == "the producer council/strange yields str, not Pay: mend it"


def test_a_producer_whose_parameters_say_nothing_is_refused_where_it_is_written(office: Office) -> None:
    from casehand import producer, scheduled

    pay = office.workflows["council/pay"]
    with pytest.raises(TypeError, match="annotate the parameter 'what' with a Bot or Slot"):

        @producer("council/wrong", pay)
        def wrong(what: str) -> list[object]:
            return []

    with pytest.raises(TypeError, match=r"the schedule wrong: give one of `file`, `folder` and `producer`"):
        scheduled("wrong", cron="0 6 * * *")(pay)


def test_a_schedule_that_is_not_there_is_one_line(office: Office) -> None:
    with pytest.raises(CasehandError, match="there is no schedule 'nope': those there are: a-file, a-folder"):
        is_planned(office, "nope")


def _taken(office: Office, name: str) -> tuple[Planned, Run]:
    one = is_planned(office, name)
    office.workflow(one.workflow.name)
    schedules.write_due(office.ledger, one.plan, asked=True)
    run = runs.take(office.ledger, one.plan, f"scheduler {os.getpid()}")
    assert run is not None
    return one, run


def _taken_later(office: Office, one: Planned, pause: timedelta) -> Run:
    now = office.ledger.clock() + pause + timedelta(seconds=1)
    office.ledger.clock = lambda: now
    run = runs.take(office.ledger, one.plan, "another scheduler")
    assert run is not None
    return run


def _run_by_cron(office: Office, name: str) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("casehand.console.schedule.Office", lambda: office)
        run(name)


def _tried_until_it_fails(office: Office, name: str) -> RunLine:
    now = NOW
    office.ledger.clock = lambda: now
    one, run = _taken(office, name)
    for _ in range(1, MOST_TRIES):
        perform(office, one, run)
        line = runs.runs_of(office.ledger, name, 1)[0]
        assert line.state is RunState.WAITING
        now = line.not_before
        assert runs.tries_again_at(office.ledger, one.plan) == now
        taken = runs.take(office.ledger, one.plan, "a")
        assert taken is not None
        run = taken
    perform(office, one, run)
    assert runs.tries_again_at(office.ledger, one.plan) is None
    line = runs.runs_of(office.ledger, name, 1)[0]
    assert line.state is RunState.FAILED
    return line


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())
