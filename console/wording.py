"""How messages to people are put: plain English, and nothing of what a case holds but its reference."""

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from casehand.console.links import Links
from casehand.console.listing import counted, shown
from casehand.queue.messages import Wording
from casehand.queue.occasions import Occasion, Standing, What
from casehand.queue.outcome import EscalationKind

LONDON = ZoneInfo("Europe/London")
LONGEST = 120

WHY: Mapping[str, str] = {
    EscalationKind.BUSINESS: "the rules say that a person must decide",
    EscalationKind.QUESTION: "it asks a question",
    EscalationKind.FAILURE: "the system failed too often",
    EscalationKind.FAULT: "the workflow has a mistake",
    EscalationKind.IN_DOUBT: "it is not known whether a change was made",
    EscalationKind.LATE: "its due date passed before it was begun",
}

MANY: Mapping[What, tuple[str, str, str]] = {
    What.ESCALATION: ("case", "of high priority", "waits for a person|wait for a person"),
    What.OVERDUE: ("case", "", "is past its due date|are past their due dates"),
    What.PAUSED: ("bot", "", "is paused or held up|are paused or held up"),
    What.RUN: ("scheduled run", "", "went wrong|went wrong"),
    What.STOPPED: ("batch", "", "has stopped itself|have stopped themselves"),
    What.FINISHED: ("batch", "", "is finished|are finished"),
}
"""What they are, which of them, and what is said of one or of several."""


def word_one(occasion: Occasion, links: Links) -> Wording:
    """One thing by itself."""
    match occasion.what:
        case What.ESCALATION:
            return _of_case(occasion, links, "waits for a person", "It has a high priority.")
        case What.OVERDUE:
            due = f"It was to be settled by {in_words(occasion.since)}."
            return _of_case(occasion, links, "is past its due date", due)
        case What.PAUSED:
            return _of_bot(occasion, links)
        case What.RUN:
            return _of_run(occasion, links)
        case What.STOPPED:
            return _of_stopped(occasion, links)
        case _:
            return _of_batch(occasion, links)


def word_many(what: What, by_workflow: Mapping[str | None, int], links: Links) -> Wording:
    """Many things at once: how many, and of which workflows."""
    noun, which, saying = MANY[what]
    number = sum(by_workflow.values())
    verb = saying.split("|")[number > 1]
    how_many = counted(number, noun).replace("batchs", "batches").replace(str(number), f"{number:,}", 1)
    said = " ".join(part for part in (how_many, which, verb) if part)
    rows = [f"{name}: {of:,}" for name, of in sorted(by_workflow.items(), key=str) if name is not None]
    batches = dict.fromkeys((What.STOPPED, What.FINISHED), links.to_batches)
    elsewhere = {What.PAUSED: links.to_home, What.RUN: links.to_schedules, **batches}
    link = elsewhere.get(what, links.to_escalations)
    return Wording(f"Casehand: {said}", _paragraphs(f"{said}.", "\n".join(rows), link()))


def word_summary(standing: Standing, at: datetime, links: Links, is_hourly: bool = False) -> Wording:
    """How things stand, once a day or after an hour."""
    oldest = f"the oldest since {in_words(standing.oldest)}" if standing.oldest else ""
    notes = (
        f"{standing.urgent:,} of high priority" if standing.urgent else "",
        f"{standing.overdue:,} past the due date" if standing.overdue else "",
        oldest,
    )
    aside = ", ".join(note for note in notes if note)
    rows = [
        f"Waiting for a person: {standing.escalated:,}{f' ({aside})' if aside else ''}",
        f"Done by the robot in the last {'hour' if is_hourly else '24 hours'}: {standing.done:,}",
        f"Put before a person in that time: {standing.asked:,}" if is_hourly else "",
        f"Queued: {standing.queued:,}",
        f"Being worked: {standing.working:,}",
        f"Bots paused or held up: {', '.join(map(plain, standing.bots)) or 'none'}",
    ]
    day = f"{at.astimezone(LONDON):%A} {_date(at)}"
    when = f"at {in_words(at)}" if is_hourly else f"on {day}"
    waiting = f"{counted(standing.escalated, 'case')} for a person"
    return Wording(f"Casehand {when}: {waiting}", _paragraphs("\n".join(filter(None, rows)), links.to_home()))


def word_test(links: Links) -> Wording:
    """What `casehand tell test` sends."""
    return Wording(
        "Casehand: a test message",
        _paragraphs(
            "Somebody tries whether messages from Casehand come here. Nothing is to be done.", links.to_home()
        ),
    )


def in_words(at: datetime) -> str:
    """A time as people here say it, such as 9:05am on 2 November 2026."""
    local = at.astimezone(LONDON)
    return f"{local.hour % 12 or 12}:{local:%M}{'am' if local.hour < 12 else 'pm'} on {_date(at)}"


def plain(text: str) -> str:
    """A name in one line without control characters, as a subject and a chat take it."""
    clean = " ".join(shown(text).split())
    return clean if len(clean) <= LONGEST else f"{clean[: LONGEST - 1]}…"


def _of_case(occasion: Occasion, links: Links, says: str, note: str) -> Wording:
    name = plain(occasion.name)
    why = WHY.get(occasion.kind or "", "a person must look at it")
    body = (
        f"The case {name} {says}: {why}. {note}",
        f"Workflow: {occasion.workflow}",
        links.to_case(occasion.name),
    )
    return Wording(f"Casehand: {name} {says}", _paragraphs(*body))


def _of_bot(occasion: Occasion, links: Links) -> Wording:
    bot = plain(occasion.name)
    if occasion.kind == "paused":
        said = f"The bot {bot} is paused"
        body = f"{said} since {in_words(occasion.since)}. Its cases wait until somebody resumes it."
    else:
        said = f"The system of the bot {bot} fails"
        body = (
            f"{said} case after case since {in_words(occasion.since)}. "
            "Its cases wait at no cost, and one tries from time to time."
        )
    return Wording(f"Casehand: {said[0].lower()}{said[1:]}", _paragraphs(body, links.to_home()))


def _of_run(occasion: Occasion, links: Links) -> Wording:
    name = plain(occasion.name)
    said = f"A run of the schedule {name} went wrong"
    body = (
        f"{said} at {in_words(occasion.since)}: {plain(occasion.kind or 'nobody knows why')}.",
        "Its next run is not held up by that.",
        f"Workflow: {occasion.workflow}",
        links.to_schedules(),
    )
    return Wording(f"Casehand: {said[0].lower()}{said[1:]}", _paragraphs(*body))


def _of_stopped(occasion: Occasion, links: Links) -> Wording:
    name = plain(occasion.name)
    body = (
        f"The batch {name} stopped itself at {in_words(occasion.since)}: too many of its first cases need a person "
        "for the same reason. The rest waits until somebody resumes it.",
        f"Workflow: {occasion.workflow}",
        links.to_batch(occasion.name),
    )
    return Wording(f"Casehand: the batch {name} has stopped itself", _paragraphs(*body))


def _of_batch(occasion: Occasion, links: Links) -> Wording:
    name = plain(occasion.name)
    words = {"rejected": "not taken in", "duplicates": "taken in before", "closed": "closed by a person"}
    ended = ", ".join(f"{number:,} {words.get(of, of)}" for of, number in occasion.numbers if number)
    body = (
        f"The batch {name} is finished{f': {ended}' if ended else ''}.",
        f"Workflow: {occasion.workflow}",
        links.to_batch(occasion.name),
    )
    return Wording(f"Casehand: the batch {name} is finished", _paragraphs(*body))


def _date(at: datetime) -> str:
    local = at.astimezone(LONDON)
    return f"{local.day} {local:%B %Y}"


def _paragraphs(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"
