"""Running a slot of a schedule: handing in its file, its folder, or what its producer yields. In a child of its own."""

import csv
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from time import monotonic
from types import TracebackType

import structlog
from pydantic import BaseModel
from sqlalchemy.exc import DBAPIError

from casehand.console.desk import Desk
from casehand.console.listing import counted
from casehand.console.office import Office
from casehand.console.person import Person
from casehand.console.planned import Planned
from casehand.console.rights import EVERY, Role
from casehand.exceptions import (
    BusinessException,
    CasehandError,
    NotNow,
    NotOpen,
    SignInRefused,
    SystemException,
)
from casehand.queue import runs
from casehand.queue.inbox import is_meant, stamp_of
from casehand.queue.intake import BatchTaken
from casehand.queue.ledger import Ledger
from casehand.queue.reasons import fixed_text
from casehand.queue.runs import LEASE, MOST_TRIES, Ended, Run, quoted, without_names
from casehand.queue.schedules import RunState
from casehand.schedule import Slot
from casehand.workflows.errand import produce
from casehand.workflows.producer import Producer

HAND_IN_LIMIT = timedelta(hours=1)
STILL = timedelta(seconds=10)
"""A file that was changed in the last so long may still be being written."""

BEAT = LEASE.total_seconds() / 5
MARGIN_SECONDS = 10.0
"""So long before its lease ends a run is over for whoever could not renew it."""

log = structlog.get_logger()


def perform(office: Office, one: Planned, run: Run) -> None:
    """Run a slot to its end, and write how that was. The process is killed where the run takes too long or is lost."""
    limit = one.producer.timeout if one.producer else HAND_IN_LIMIT
    with _kept(office.ledger, run, limit):
        try:
            ended = _hand_in(office, one, run)
        except NotOpen as closed:
            runs.put_off(office.ledger, run, closed.until, str(closed), is_try=False)
            return
        except (Exception, SystemExit) as error:  # noqa: BLE001 — whatever goes wrong is for a person
            if _may_pass(error) and run.tries < MOST_TRIES:
                pause = office.settings.backoff.delay(run.tries, 0.5)
                runs.put_off(office.ledger, run, office.ledger.clock() + pause, _in_words(error), is_try=True)
                return
            ended = runs.failed(_in_words(error), runs.handed_in(office.ledger, run))
        runs.end(office.ledger, run, ended)
    said = without_names(ended.said)
    log.info("schedule_run", schedule=run.schedule, at=run.at.isoformat(), state=ended.state, said=said)
    office.nudge()


def _hand_in(office: Office, one: Planned, run: Run) -> Ended:
    desk = Desk(
        office.ledger, office.workflows, _scheduler(run), office.nudge, office.settings.working_calendar
    )
    if one.producer is not None:
        return _hand_in_produced(office, desk, one, one.producer, run)
    if one.schedule.folder is None:
        taken = _hand_in_still(office, desk, one, run, one.schedule.file or Path())
        return _ended(_known_as_own(office.ledger, run, [taken]), [])
    return _hand_in_all(office, desk, one, run, _files(one.schedule.folder))


def _hand_in_all(office: Office, desk: Desk, one: Planned, run: Run, paths: Sequence[Path]) -> Ended:
    """Every file of a folder, whatever becomes of the others. Raises NotNow for what may go well later."""
    taken: list[BatchTaken] = []
    faults: list[str] = []
    later: NotNow | None = None
    for path in paths:
        try:
            taken.append(_hand_in_still(office, desk, one, run, path))
        except CasehandError as fault:
            faults.append(quoted(str(fault), path.name))
            later = NotNow(faults[-1]) if isinstance(fault, NotNow) else later
    if later is not None and run.tries < MOST_TRIES:
        raise later
    return _ended(_known_as_own(office.ledger, run, taken), faults)


def _scheduler(run: Run) -> Person:
    """Who hands in, as the audit names it."""
    return Person(run.by, run.by, {EVERY: frozenset({Role.SUPERVISOR})})


def _hand_in_still(office: Office, desk: Desk, one: Planned, run: Run, path: Path) -> BatchTaken:
    """Hand a file in unless somebody may be writing it still: raises NotNow then."""
    stamp = stamp_of(path)
    changed_at = datetime.fromtimestamp(0 if stamp is None else stamp[1] / 1e9, UTC)
    if timedelta() <= office.ledger.clock() - changed_at < STILL:
        raise NotNow(f"{path.name} was changed just now: it is taken in once nobody writes it any more")
    return _hand_in_file(office, desk, one, run, path)


def _known_as_own(ledger: Ledger, run: Run, taken: Sequence[BatchTaken]) -> list[BatchTaken]:
    """Each batch once; what was handed in for this run before it was begun again is its own."""
    own = {one.batch for one in runs.handed_in(ledger, run)}
    batches = {one.batch: one for one in reversed(taken)}
    return [replace(one, already=one.already and one.batch not in own) for one in reversed(batches.values())]


def _hand_in_file(
    office: Office, desk: Desk, one: Planned, run: Run, path: Path, known_by: str | None = None
) -> BatchTaken:
    calendar = office.settings.working_calendar
    return desk.hand_in(
        one.workflow.name,
        path,
        priority=one.schedule.priority,
        not_before=one.schedule.begins(run.at, calendar),
        due=one.schedule.ends(run.at, calendar),
        may_have_passed=True,
        known_by=known_by,
    )


def _hand_in_produced(office: Office, desk: Desk, one: Planned, producer: Producer, run: Run) -> Ended:
    """The batch is known by the slot: a run that is begun again after it was handed in hands in no other."""
    slot = Slot(run.schedule, run.at.astimezone(one.plan.rule.zone))
    holder = f"{run.holder} {run.schedule}"
    cases = produce(producer, slot, office.settings, office.ledger, office.workflows, holder)
    if not cases:
        return Ended(RunState.DONE, "the producer yielded no cases")
    with _as_file(run.schedule, cases) as path:
        taken = _hand_in_file(office, desk, one, run, path, run.key)
    # Known by this slot, it is this run's own, though whoever began it may not have lived to say so.
    return _ended([replace(taken, already=False)], [])


def _ended(taken: Sequence[BatchTaken], faults: Sequence[str]) -> Ended:
    new = [one for one in taken if not one.already]
    accepted, rejected = sum(one.accepted for one in new), sum(one.rejected for one in new)
    duplicates = sum(one.duplicates for one in new)
    said = [f"{counted(accepted, 'case')} taken in"] if new else []
    said += [f"{counted(rejected, 'row')} rejected"] if rejected else []
    said += [counted(duplicates, "duplicate")] if duplicates else []
    said += [f"handed in before, as batch {one.batch}" for one in taken if one.already][:1]
    said += (
        [f"{faults[0]}{f' (and {len(faults) - 1} more files)' if len(faults) > 1 else ''}"] if faults else []
    )
    state = RunState.FAILED if faults else RunState.DONE
    batches = tuple(one.batch for one in new)
    return Ended(state, ", ".join(said) or "there was nothing to hand in", accepted, rejected, batches)


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(one for one in folder.iterdir() if one.is_file() and is_meant(one.name))
    except OSError as error:
        raise CasehandError(
            f"{folder} cannot be read ({error.strerror}): make it, or correct `folder`"
        ) from None


@contextmanager
def _as_file(name: str, cases: Sequence[BaseModel]) -> Iterator[Path]:
    """Cases as a file to be handed in, in memory only: one on disk would outlive a kill, with what cases hold."""
    columns = [field.alias or name for name, field in type(cases[0]).model_fields.items()]
    with (
        TemporaryDirectory(prefix="casehand-") as folder,
        os.fdopen(os.memfd_create(name), "w", encoding="utf-8", newline="") as file,
    ):
        rows = csv.writer(file)
        rows.writerow(columns)
        for case in cases:
            plain = case.model_dump(mode="json", by_alias=True)
            rows.writerow(["" if plain[column] is None else plain[column] for column in columns])
        file.flush()
        path = Path(folder) / f"{name}.csv"
        path.symlink_to(f"/proc/{os.getpid()}/fd/{file.fileno()}")
        yield path


@contextmanager
def _kept(ledger: Ledger, run: Run, limit: timedelta) -> Iterator[None]:
    """Renew the run's lease meanwhile; the process ends where it takes too long, or another has the run."""
    over = Event()
    beats = Thread(target=_beat, args=(ledger, run, limit, over), name="run", daemon=True)
    beats.start()
    try:
        yield
    finally:
        over.set()
        beats.join()


def _beat(ledger: Ledger, run: Run, limit: timedelta, over: Event) -> None:
    begun = renewed = monotonic()
    while not over.wait(_rest(begun + limit.total_seconds() - monotonic())):
        asked = monotonic()
        try:
            if asked - begun >= limit.total_seconds():
                late = runs.failed(f"it took longer than {limit}", runs.handed_in(ledger, run))
                runs.end(ledger, run, late)
                os.kill(os.getpid(), signal.SIGKILL)
            if not runs.renew(ledger, run):
                os.kill(os.getpid(), signal.SIGKILL)
            renewed = asked
        except DBAPIError as away:
            log.warning("ledger_away", while_doing="run", error=type(away.orig).__name__)
        if monotonic() - renewed > LEASE.total_seconds() - MARGIN_SECONDS:
            os.kill(os.getpid(), signal.SIGKILL)


def _rest(left: float) -> float:
    """Seconds until the next beat: the end of the limit is one, since the bots' own timers strike soon after it."""
    return min(BEAT, left) if left > 0 else 1.0


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, SystemException | DBAPIError | NotNow) or type(error).__module__.startswith(
        "playwright"
    )


def _in_words(error: BaseException) -> str:
    """In one line, of which nothing is of a case: Casehand's words, an author's fixed ones, or where it was."""
    if isinstance(error, DBAPIError):
        return "the ledger did not answer"
    if isinstance(error, SignInRefused):
        return "the system refused the sign-in"
    place = _place(error)
    if isinstance(error, CasehandError | BusinessException | SystemException):
        is_own = place is not None and not isinstance(error, BusinessException) and _is_casehands(place)
        words = str(error) if is_own else fixed_text(error)
        if words and words.strip():
            return " ".join(words.split())
    where = "" if place is None else f" at {Path(place.tb_frame.f_code.co_filename).name}:{place.tb_lineno}"
    return f"the producer has a fault: {type(error).__name__}{where}"


def _place(error: BaseException) -> TracebackType | None:
    """Where it was raised."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return place


def _is_casehands(place: TracebackType) -> bool:
    return str(place.tb_frame.f_globals.get("__name__", "")).startswith("casehand.")
