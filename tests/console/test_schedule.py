"""Running a slot: what is handed in, what is put off, and what a person is told; from the command line's own parts."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from casehand.console.links import Links
from casehand.console.office import Office
from casehand.console.planned import Planned, is_planned
from casehand.console.running import perform
from casehand.console.wording import word_many, word_one
from casehand.exceptions import CasehandError
from casehand.queue import notices, occasions, runs, schedules, schema
from casehand.queue.occasions import What
from casehand.queue.runs import LEASE, MOST_TRIES, Run, RunLine
from casehand.queue.schedules import RunState

MODULE = '''
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
import os

from casehand import Case, CaseData, Slot, SystemException, producer, scheduled, workflow


class Pay(CaseData):
    claim: str
    amount: Decimal
    note: str | None = None


@scheduled("a-folder", every="every day at 06:00", folder=os.environ["INBOX"])
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
    assert line.said.startswith("2 cases taken in, 1 row rejected, 2.csv is empty")


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
