"""The horse: the process that holds one warm browser, and the lanes in which it works cases."""

from __future__ import annotations

import asyncio
import os
import random
import select
import signal
import socket
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

import structlog
from greenlet import greenlet
from sqlalchemy.exc import DBAPIError

from casehand.bots.bot import Bot
from casehand.bots.browser import WarmBrowser
from casehand.bots.chromium import find_browser, launch_arguments
from casehand.bots.driver import start_driver
from casehand.exceptions import CasehandError, SystemException
from casehand.queue import attempts, slots
from casehand.queue.backlog import unfinished
from casehand.queue.ledger import Ledger
from casehand.queue.slots import Slot
from casehand.settings import Settings
from casehand.workflows.hears import Hears, say_nothing
from casehand.workflows.hold import Held, Hold
from casehand.workflows.installed import needed_bots
from casehand.workflows.lane import Lane
from casehand.workflows.reins import Broken, Reins
from casehand.workflows.turns import LoopEnded, Turns
from casehand.workflows.weight import Weight
from casehand.workflows.workflow import Workflow

if TYPE_CHECKING:
    from playwright.sync_api import Playwright

ROOM_SECONDS = 0.02

LEAVING = signal.SIGUSR1
"""What a horse that others share sends to whoever keeps it when it takes no further orders."""

Result = TypeVar("Result")

log = structlog.get_logger()


class Horse:
    """Works cases in its lanes with a warm browser; thrown away when there is any doubt about that."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        workflows: dict[str, Workflow],
        chance: Callable[[], float] = random.random,
        *,
        new_browser: Callable[
            [Path, Sequence[str], Sequence[str], Playwright | None], WarmBrowser
        ] = WarmBrowser,
        hears: Hears = say_nothing,
        rehearses: bool = False,
    ) -> None:
        self.settings = settings
        self.ledger = ledger
        self.workflows = workflows
        self.chance = chance
        self.hears = hears
        self.rehearses = rehearses  #: whether changes are only looked at
        self._new_browser = new_browser
        self.turns = Turns(self._say_who_blocks)
        self.hold = Hold(self._renew, self.turns.watch)
        self.lanes: list[Lane] = []
        self.slots_kept: dict[Slot, float] = {}  #: when each was last renewed beside the work
        self._worked = 0
        self._weight = Weight()
        self._is_spent = False
        self._alone: Lane | None = None
        self._at_work: set[Lane] = set()
        self._browser: WarmBrowser | None = None
        self._is_opening = False
        self._playwright: Playwright | None = None
        self._door: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Future[None] | None = None
        self._keeper = os.getppid()

    @property
    def is_spent(self) -> bool:
        """Whether it takes no further case."""
        return self._is_spent

    def serve(self, door: socket.socket, *, alone: bool) -> None:
        """Take orders: from the one worker that holds the other end of `door`, or from all that connect to it."""
        own = Reins(door) if alone else None
        if own is not None:
            own.send(ready=os.getpid())
        if not (is_wanted := self._is_wanted()):
            # Nothing is started before there is something to do.
            select.select([door], [], [])
        # What it starts is known by the time the driver runs.
        Thread(target=self._look_for_browser, daemon=True).start()
        self._playwright = start_driver()
        self._loop = loop = self.turns.begin(self._playwright)
        self._over = loop.create_future()
        if own is not None:
            self._seat(own)
        else:
            self._door = door
            loop.add_reader(door, self._let_in, door)
        if is_wanted:
            self.turns.start(self._warm_up)
        try:
            self.turns.wait(self._over)
        except LoopEnded:
            self._end_without_loop()

    def run(self, worker: str, length: timedelta, errand: Callable[[Lane], Result]) -> Result:
        """Do what is no case in a lane of its own, once; the process is killed when that takes longer than `length`.

        Raises what the errand raises.
        """
        self._playwright = start_driver()
        self._loop = self.turns.begin(self._playwright)
        lane = Lane(self, worker=worker)
        self.lanes.append(lane)
        # Its beat keeps the sessions that the lane holds, and its timer strikes also where this process is stopped.
        held = Held(worker, 0)
        self.hold.expect(held, length.total_seconds())
        done: asyncio.Future[Result] = self._loop.create_future()

        def ride() -> None:
            try:
                done.set_result(errand(lane))
            except BaseException as error:  # noqa: BLE001 — it is raised where it is waited for
                done.set_exception(error)

        self.turns.start(ride)
        try:
            return self.turns.wait(done)
        finally:
            self.hold.let_go(held)

    def use(self, playwright: Playwright, *, interrupts: bool) -> None:
        """Work in this process, with a driver that has been started, for whoever calls `work` of a lane."""
        self._playwright = playwright
        self.turns.begin(playwright, interrupts=interrupts)

    def end_use(self) -> None:
        """Use the driver no more; the browser is left to whoever made it."""
        self.turns.end()
        self.hold.end()

    def make_room(self, lane: Lane, *, alone: bool) -> None:
        """Wait until a lane may work: until nobody needs to be alone, or nobody else works where it must be.

        A horse's death is counted against all the cases that it had in hand. One more would be the last for some:
        those are worked alone, so that no case is put in front of a person for what another did.
        """
        while self._alone not in (None, lane) or (alone and self._at_work):
            if alone and self._alone is None:
                self._alone = lane
            self.turns.pause(ROOM_SECONDS)
        self._at_work.add(lane)

    def leave_room(self, lane: Lane) -> None:
        """A lane works no more."""
        if self._alone is lane:
            self._alone = None
        if lane not in self._at_work:
            return
        at_once = len(self._at_work)
        self._at_work.discard(lane)
        self._worked += 1
        has_grown = self._browser is not None and self._weight.is_too_much(at_once)
        if has_grown or self._worked >= self.settings.browser_cases:
            log.info("horse_has_worked_enough", cases=self._worked, has_grown=has_grown)
            self.distrust()

    def distrust(self) -> None:
        """Take no further case: the browser cannot be trusted, or has worked enough."""
        if self._is_spent:
            return
        self._is_spent = True
        if self._door is not None:
            self.forget(self._door)
            self._door.close()
            # Whoever keeps us has another horse take the next orders, while we end those in hand.
            if os.getppid() == self._keeper:
                os.kill(self._keeper, LEAVING)
        for lane in list(self.lanes):
            if not lane.is_at_work:
                lane.dismiss()

    def gone(self, lane: Lane) -> None:
        """A lane has ended, since its worker has gone: the last one ends the horse."""
        self.lanes.remove(lane)
        if not self.lanes and self._over is not None and not self._over.done():
            self._over.set_result(None)

    def call_later(self, seconds: float, call: Callable[[], object]) -> asyncio.TimerHandle:
        """Have something called from the loop."""
        assert self._loop is not None  # noqa: S101 — there are no lanes without it
        return self._loop.call_later(seconds, call)

    def forget(self, source: Reins | socket.socket) -> None:
        """Listen to it no more."""
        assert self._loop is not None  # noqa: S101 — it has been listened to
        self._loop.remove_reader(source)

    def warm_browser(self) -> WarmBrowser:
        """The browser, opened when it is first needed. Raises CasehandError when there is none."""
        while self._is_opening:
            self.turns.pause(ROOM_SECONDS)
        if self._browser is None:
            self._is_opening = True
            try:
                self._browser = self._opened()
            finally:
                self._is_opening = False
        return self._browser

    def _is_wanted(self) -> bool:
        """Whether cases wait: then the browser is opened while the worker finds its way to the queue."""
        try:
            return unfinished(self.ledger, timedelta(), most=1) > 0
        except DBAPIError:
            return False

    def _look_for_browser(self) -> None:
        with suppress(CasehandError):  # It is said when a case needs it.
            find_browser(self.settings.browser)

    def _warm_up(self) -> None:
        with suppress(CasehandError, SystemException):  # It is said when a case needs it.
            self.warm_browser()

    def _opened(self) -> WarmBrowser:
        binary = find_browser(self.settings.browser)
        bots = needed_bots(self.workflows.values())
        browser = self._new_browser(
            binary, launch_arguments(), list(_origins(self.settings, bots)), self._playwright
        )
        sizes = {tuple(sorted(bot.viewport.items())): bot.viewport for bot in bots.values()}
        if len(sizes) == 1:
            # Whoever comes first wants this one, and is still on the way.
            browser.make_ready(*sizes.values())
        else:
            browser.open()
        return browser

    def _let_in(self, door: socket.socket) -> None:
        connection, _ = door.accept()
        reins = Reins(connection)
        try:
            reins.send(ready=os.getpid())
        except Broken:
            return
        self._seat(reins)

    def _seat(self, reins: Reins) -> None:
        assert self._loop is not None  # noqa: S101 — it is what lets it in
        lane = Lane(self, reins)
        self.lanes.append(lane)
        self._loop.add_reader(reins, lane.hear)

    def _end_without_loop(self) -> None:
        """The driver died: what its end has not reached yet ends here."""
        self._is_spent = True
        for lane in list(self.lanes):
            if lane.turn is not None and not lane.turn.dead:
                lane.turn.throw(LoopEnded)

    def _renew(self, held: Collection[Held]) -> Collection[Held]:
        lost = {Held(*one) for one in attempts.renew(self.ledger, held)} if held else set()
        if wanted := [one for lane in list(self.lanes) for one in lane.slots]:
            at = monotonic()
            self.slots_kept = dict.fromkeys(slots.keep_slots(self.ledger, wanted), at)
        return lost

    def _say_who_blocks(self, turn: greenlet, at: str) -> None:
        for lane in self.lanes:
            if lane.turn is turn and len(self.lanes) > 1:
                log.warning("lane_blocks_others", case=lane.case, at=at)


def work(case: str, attempt: int) -> None:
    """Work a case: the one function that a job may name. Casehand's workers have their horse do it."""
    raise CasehandError("cases are worked by a Casehand worker: start one with `casehand work`")


def _origins(settings: Settings, bots: dict[str, type[Bot]]) -> Iterator[str]:
    for name, bot in bots.items():
        try:
            yield from bot.origins(settings.for_bot(name).url)
        except CasehandError:
            continue  # A bot that is not set up here has no address that the browser may open.
