"""`casehand record`: what a person does in a system, as screens of its bot, and as a HAR file to test against."""

import json
import os
import signal
import sys
import tempfile
import textwrap
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from secrets import token_hex
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer

from casehand.bots.bot import Account
from casehand.console.office import Office
from casehand.console.place import Place, check_free, kept
from casehand.exceptions import CasehandError, SignInRefused
from casehand.queue.pauses import PauseKind

if TYPE_CHECKING:
    from casehand.bots.har import Cleaned

HELD = timedelta(minutes=1)
"""How long the session stays with a recording that is not heard of."""
LONGEST_SHOWN = 80


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(record)


def record(
    bot: Annotated[str, typer.Argument(help="The bot, by its name.")],
    to: Annotated[
        Path | None, typer.Option(help="A new file for the screens; else they are printed.")
    ] = None,
    har: Annotated[
        Path | None,
        typer.Option(help="A new HAR file for the session, with personal data replaced, to test against."),
    ] = None,
    personal: Annotated[
        list[str] | None,
        typer.Option(help="A further text to be replaced in the HAR file, such as a name; once for each."),
    ] = None,
) -> None:
    """Open a system signed in, in a window, and turn what you do there into screens of its bot.

    Close the window to end, or press Ctrl+C. What comes of it is a start that a person edits.
    """
    office = Office()
    settings, bots = office.settings, office.bots
    if bot not in bots:
        raise CasehandError(f"there is no bot {bot!r}: the bots here are {', '.join(sorted(bots)) or 'none'}")
    for file in filter(None, (to, har)):
        _must_be_new(file)
    check_free(office, [bots[bot]], timedelta())
    office.desk.begin_recording(bot)
    place = Place(office, bots[bot], f"recording.{token_hex(4)}")
    with tempfile.TemporaryDirectory(dir=settings.home) as folder, kept(place, HELD):
        raw = Path(folder) / "session.har" if har else None
        try:
            screens = _record(place, settings.browser, raw)
        except SignInRefused as refused:
            # It counts for the workers too: trying on locks accounts.
            office.desk.pause(PauseKind.BOT, bot, str(refused))
            raise CasehandError(f"the bot {bot} is paused from now on: {refused}") from None
        if to is None:
            typer.echo(screens)
        else:
            _write(to, screens)
            typer.echo(f"The screens are in {to}: edit them, they are a start.", err=True)
        if har is not None and raw is not None:
            _keep(raw, har, place.account(), personal or [])


def _record(place: Place, browser: str | None, har: Path | None) -> str:
    from casehand.bots.chromium import find_browser_with_window
    from casehand.bots.driver import start_driver
    from casehand.bots.recorder import recorder, until_closed
    from casehand.bots.screens import write_screens

    found = find_browser_with_window(browser)
    bot, account = place.bot, place.account()
    url = place.office.settings.for_bot(bot.name).url
    over = Event()
    before = signal.signal(signal.SIGINT, lambda number, frame: over.set())
    playwright = start_driver()
    try:
        with recorder(playwright, bot, url, account, found, har) as (page, recording):
            typer.echo(
                "Do in the window what the bot is to do, and close it when you are done, or press Ctrl+C here.",
                err=True,
            )
            typer.echo("It is the system itself: what you save there is saved.", err=True)
            until_closed(page, _keeping(place, over))
    finally:
        playwright.stop()
        signal.signal(signal.SIGINT, before)
    known = {account.username: "self.account.username"}
    known[account.password.get_secret_value()] = "self.account.password.get_secret_value()"
    return write_screens(recording.events, bot.__name__, bot.__module__, known)


def _keeping(place: Place, over: Event) -> Callable[[], bool]:
    """Tells whether it is over, and meanwhile keeps the session from the workers."""
    kept_at = monotonic()

    def is_over() -> bool:
        nonlocal kept_at
        if monotonic() - kept_at > HELD.total_seconds() / 4:
            kept_at = monotonic()
            # A machine that slept has lost it: the person goes on all the same.
            with suppress(CasehandError):
                place.keep(HELD)
        return over.is_set()

    return is_over


def _keep(raw: Path, har: Path, account: Account, personal: list[str]) -> None:
    from casehand.bots.har import as_text

    if not raw.exists():
        raise CasehandError(
            "the browser ended before the session was kept: record it again, and close the window only"
        )
    secrets = (account.password.get_secret_value(),)
    cleaned = _clean(json.loads(raw.read_text(encoding="utf-8")), secrets, personal)
    _write(har, as_text(cleaned.har))
    for original, (kind, invention) in cleaned.replacements.by.items():
        if times := cleaned.replacements.times[original]:
            typer.echo(f"{kind}: {_shortened(original)} -> {invention} ({times} times)", err=True)
    for kind in sorted(set(cleaned.left_out)):
        typer.echo(f"left out, since it cannot be searched: {kind}", err=True)
    typer.echo(f"The session is in {har}: read it before you pass it on.", err=True)


def _clean(session: dict[str, Any], secrets: tuple[str, ...], personal: list[str]) -> "Cleaned":
    """The session with nothing personal left; whoever sits at a terminal is asked for what no rule finds."""
    from casehand.bots.har import WouldBeLeft, clean

    given = [*personal]
    while True:
        try:
            return clean(session, secrets, dict.fromkeys(given, "text"))
        except WouldBeLeft as refused:
            if not sys.stdin.isatty():
                raise
            for one in refused.leftovers:
                typer.echo(
                    f"left: {one.kind}: {_shortened(one.text)} (entry {one.number}, {one.place})", err=True
                )
            further = typer.prompt(
                "A further text to be replaced, as it stands there (nothing: give the session up)",
                default="",
                show_default=False,
                err=True,
            )
            if not further:
                raise
            given.append(further)


def _shortened(text: str) -> str:
    """A text in one line, since a hidden state has no end."""
    return textwrap.shorten(text, LONGEST_SHOWN) if " " in text else text[:LONGEST_SHOWN]


def _must_be_new(file: Path) -> None:
    if file.exists():
        raise CasehandError(f"{file} is there already: give another name, nothing is written over")
    if not file.absolute().parent.is_dir():
        raise CasehandError(f"{file.absolute().parent} is no folder: make it first")


def _write(file: Path, text: str) -> None:
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(text)
            os.fsync(opened.fileno())
    except OSError as error:
        raise CasehandError(f"{file} cannot be written ({error.strerror}): give another name") from None
