"""`casehand status`, `cases` and `case`: how things stand, and one case's whole story."""

from datetime import datetime
from functools import partial
from json import dumps
from operator import attrgetter
from pathlib import Path
from typing import Annotated

import typer

from casehand.bots.evidence import read_evidence
from casehand.console.completion import complete_workflow
from casehand.console.listing import (
    LIST_LIMIT,
    as_plain,
    counted,
    say,
    say_there_are_more,
    say_who_waits,
    show_json,
    show_table,
    shown,
    stream_json,
)
from casehand.console.office import Office
from casehand.console.standing import why_it_waits
from casehand.exceptions import CasehandError
from casehand.queue.cases import CaseFilter, CaseStory
from casehand.queue.holdups import holdups
from casehand.queue.paging import in_pages
from casehand.queue.pauses import COUNTED, Pause, PauseKind
from casehand.queue.state import OPEN, State

Json = Annotated[bool, typer.Option("--json", help="For programs.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(status)
    app.command()(cases)
    app.command()(case)


def status(
    batch: Annotated[str | None, typer.Option(help="Only this batch.")] = None,
    workflow: Annotated[
        str | None, typer.Option(help="Only this workflow.", autocompletion=complete_workflow)
    ] = None,
    json: Json = False,
) -> None:
    """Show how many cases are in each state, and what is paused."""
    office = Office()
    now = office.desk.counts(batch, workflow)
    if json:
        show_json(now)
        return
    lines = office.desk.counts_by_batch(batch, workflow)
    listed = (
        lines if len(lines) <= LIST_LIMIT else [row for row in lines if any(row[state] for state in OPEN)]
    )
    rows = [(row["batch"], row["workflow"], *(row[state] for state in State)) for row in listed]
    rows.append(("all", "", *(now[state] for state in State)))
    show_table("Cases", ("Batch", "Workflow", *(str(state) for state in State)), rows)
    if len(listed) < len(lines):
        left_out = len(lines) - len(listed)
        say(f"{left_out} batches that are over are left out: --batch or --workflow shows them.")
    paused = [
        (one.kind, one.name, one.reason, one.paused_by, one.paused_at, _waiting(office, one))
        for one in office.desk.paused()
    ]
    if paused:
        show_table("Paused", ("What", "Name", "Reason", "By", "Since", "Cases that wait"), paused)
        say("`casehand resume` lets it go on.")
    for breaker in office.desk.broken():
        say(
            f"The system of the bot {breaker.bot} has failed case after case since {shown(breaker.opened_at)}: "
            f"its cases wait at no cost, and one tries again at {shown(breaker.probe_at)}."
        )
    for notice in office.desk.notices(workflow, batch):
        if notice.subject.startswith(PauseKind.SCHEDULE):
            say(str(notice))
    if unsent := office.desk.unsent():
        say(f"{counted(unsent, 'message')} to people could not be sent: `casehand messages` shows why.")
    if now["escalated"]:
        say_who_waits(now["escalated"])


def _waiting(office: Office, pause: Pause) -> str:
    waiting = office.desk.count_held(pause)
    return f"{COUNTED} or more" if waiting == COUNTED else str(waiting)


def cases(
    batch: Annotated[str | None, typer.Option(help="Only of this batch.")] = None,
    state: Annotated[State | None, typer.Option(help="Only in this state.")] = None,
    workflow: Annotated[
        str | None, typer.Option(help="Only of this workflow.", autocompletion=complete_workflow)
    ] = None,
    reference: Annotated[str | None, typer.Option(help="Only with this reference.")] = None,
    search: Annotated[
        str | None,
        typer.Option(
            help="Only those whose reference or batch begins so, or whose reason had these words.",
            metavar="WORDS",
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help=f"At most so many: {LIST_LIMIT}, or all for programs.", min=1)
    ] = None,
    after: Annotated[
        str | None, typer.Option(help="Only what came in after this case.", metavar="REFERENCE")
    ] = None,
    json: Json = False,
) -> None:
    """List cases, in the order they came in; what is searched for, best first."""
    office = Office()
    look = partial(office.desk.cases, CaseFilter(batch, state, workflow, reference))
    if search is not None:
        if any((batch, state, reference)):
            raise CasehandError("--search looks everywhere: give it alone, or with --workflow")
        look = partial(office.desk.search, search, workflow)
    begin = None if after is None else office.desk.find(after).id
    if json:
        stream_json(in_pages(look, attrgetter("id"), limit, begin))
        return
    most = limit or LIST_LIMIT
    found = look(most + 1, begin)
    listed = found[:most]
    if not listed:
        say("There are no such cases.")
        return
    rows = [(one.reference, one.workflow, one.state, one.attempts, one.commits, one.reason) for one in listed]
    show_table("Cases", ("Reference", "Workflow", "State", "Attempts", "Changes", "Reason"), rows)
    if len(found) > most:
        say_there_are_more(most, listed[-1].id)


def case(
    which: Annotated[str, typer.Argument(help="The reference, or the case's id.", metavar="REFERENCE")],
    evidence: Annotated[
        Path | None, typer.Option(help="Write its screenshots and traces, decrypted, to this folder.")
    ] = None,
    json: Json = False,
) -> None:
    """Tell one case's whole story."""
    office = Office()
    line = office.desk.find(which)
    # Of a case that was erased there is nothing to tell: this says so.
    office.ledger.key_of(line.id)
    story = office.desk.story_of(line)
    waits = why_it_waits(holdups(office.ledger, line.id)) if line.state is State.QUEUED else []
    written = [] if evidence is None else _write_evidence(office, story, evidence)
    kept = _evidence_kept(office, story.line.id)
    if json:
        show_json(as_plain(story) | {"evidence": kept, "waits": waits})
        return
    _tell(story, kept, waits)
    for path in written:
        say(f"written: {path}")


def _tell(story: CaseStory, kept: dict[int, list[str]], waits: list[str]) -> None:
    line = story.line
    say(f"{line.reference}  {line.workflow}  {line.state}")
    for sentence in waits:
        say(shown(sentence))
    if line.reason:
        say(f"Why: {line.reason}")
    say(f"Handed in {shown(story.handed_in_at)}, batch {line.batch}, id {line.id}")
    show_table("What came in", ("Field", "Value"), list(story.data.items()))
    if story.result:
        show_table("Result", ("Field", "Value"), list(story.result.items()))
    for attempt in story.attempts:
        steps = [
            (
                datetime.fromisoformat(str(one["at"])),
                one["name"],
                one.get("seconds"),
                one.get("end"),
                one.get("evidence"),
            )
            for one in attempt.steps
        ]
        title = f"Attempt {attempt.number} by {attempt.worker}: {attempt.end or 'in work'}"
        if attempt.reason:
            title += f" ({attempt.reason})"
        show_table(title, ("At", "Step", "Seconds", "Ended by", "Evidence"), steps)
        # An attempt whose horse was killed has written no steps, and yet has left pictures.
        told = {one.get("evidence") for one in attempt.steps}
        if untold := [name for name in kept.get(attempt.number, []) if name not in told]:
            say(f"Attempt {attempt.number} also left: {', '.join(untold)} (--evidence writes them out)")
    if story.commits:
        rows = [(one.name, one.attempt, one.state, one.intended_at, one.resolved_by) for one in story.commits]
        show_table("Changes", ("Change", "Attempt", "State", "Begun", "Resolved by"), rows)
    if story.escalations:
        asked = [
            (
                one.kind,
                one.reason,
                one.opened_at,
                one.page,
                one.assigned_to,
                one.settlement,
                one.settled_by,
                None if one.answer is None else dumps(one.answer, ensure_ascii=False),
            )
            for one in story.escalations
        ]
        columns = ("Kind", "Reason", "Since", "Page", "With", "Settled", "By", "Answer")
        show_table("In front of a person", columns, asked)
    if story.comments:
        show_table("Comments", ("At", "Who", "Said"), [(one.at, one.by, one.text) for one in story.comments])
    moves = [
        (entry["at"], entry["actor"], entry["action"], entry["before"], entry["after"], entry["reason"])
        for entry in story.audit
    ]
    show_table("Audit", ("At", "Who", "Did", "From", "To", "Why"), moves)


def _evidence_kept(office: Office, case: str) -> dict[int, list[str]]:
    """The evidence files on this machine, by attempt."""
    kept: dict[int, list[str]] = {}
    for file in sorted((office.settings.evidence / case).glob("[0-9]*/[0-9]*")):
        kept.setdefault(int(file.parent.name), []).append(file.name)
    return kept


def _write_evidence(office: Office, story: CaseStory, folder: Path) -> list[Path]:
    key = office.ledger.key_of(story.line.id)
    written = []
    for source in sorted((office.settings.evidence / story.line.id).glob("*/*")):
        target = folder / f"{story.line.reference}-attempt-{source.parent.name}-{source.name}"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(read_evidence(source, key.open))
        except OSError as error:
            raise CasehandError(
                f"{folder} cannot be written to ({error.strerror}): name another folder"
            ) from None
        written.append(target)
    return written
