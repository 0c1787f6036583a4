"""Chores: what the console does beside answering: it goes on with bulk actions, and throws old uploads away.

Bulk actions are the workers' to do as well; somebody may cancel a batch just because he has stopped them.
"""

import asyncio
import os
from contextlib import suppress
from types import TracebackType

import structlog
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from casehand.console.web.handing_in import uploads_at
from casehand.console.web.site import Site
from casehand.exceptions import CasehandError
from casehand.queue.bulk_turn import end_turn, turn

log = structlog.get_logger()

BREAK_SECONDS = 2.0
TURNS_TO_CLEAR = 30


class Chores:
    """Does them while the pages are served."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._holder = f"console.{os.getpid()}.{site.ledger.new_id()[:8]}"
        self._stopping = asyncio.Event()

    async def __aenter__(self) -> "Chores":
        self._working = asyncio.create_task(self._work())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        await self._working

    async def _work(self) -> None:
        done = 0
        while not self._stopping.is_set():
            await run_in_threadpool(self._take_turn, clears=done % TURNS_TO_CLEAR == 0)
            done += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), BREAK_SECONDS)

    def _take_turn(self, clears: bool) -> None:
        ledger = self._site.ledger
        try:
            if clears:
                uploads_at(self._site).clear()
            if turn(ledger, self._holder):
                end_turn(ledger, self._holder)
                self._site.nudge()
        except (CasehandError, SQLAlchemyError, OSError) as error:
            log.warning("chores.failed", error=type(error).__name__)
