"""Celery's prefork pool, with the job that one writes first, and with a browser kept by each pool process.

`python -m bench.peers.celery_app FILE TASK` hands a batch in; the broker's address is in BENCH_BROKER.
"""

import csv
import os
import sys
from pathlib import Path
from typing import Any

from celery import Celery
from celery.signals import worker_process_init
from playwright.sync_api import Page, sync_playwright

from bench import clicks
from bench.peers import naive

app = Celery("bench", broker=os.environ["BENCH_BROKER"])
app.conf.task_ignore_result = True
# As Celery's guide says for tasks that take long: take no more from the queue than can be worked.
app.conf.worker_prefetch_multiplier = 1

kept: dict[str, Page] = {}


@worker_process_init.connect
def keep_browser(**given: Any) -> None:
    """Open the browser of a pool process, and sign in once, where tasks are to share it."""
    if "BENCH_WARM" in os.environ:
        place = clicks.Place.given()
        kept["page"] = clicks.open_page(clicks.launch(sync_playwright().start(), place))
        clicks.sign_in(kept["page"], place)


@app.task(name="cold")
def cold(line: dict[str, Any]) -> None:
    """A browser for this one case."""
    naive.work(line)


@app.task(name="warm")
def warm(line: dict[str, Any]) -> None:
    """In the browser of this pool process."""
    clicks.change_rent(kept["page"], clicks.Place.given(), clicks.as_row(line))


def main() -> None:
    """Hand every line in."""
    with Path(sys.argv[1]).open(newline="") as file:
        for line in csv.DictReader(file):
            app.send_task(sys.argv[2], args=(line,))


if __name__ == "__main__":
    main()
