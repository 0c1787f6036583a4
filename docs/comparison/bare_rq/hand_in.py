"""Hands a batch to RQ: `python hand_in.py FILE`."""

import csv
import os
import sys
from pathlib import Path

from redis import Redis
from rq import Queue, Retry
from rq.exceptions import DuplicateJobError

YEAR = 365 * 24 * 60 * 60


def main() -> None:
    queue = Queue("rents", connection=Redis.from_url(os.environ["REDIS_URL"]))
    with Path(sys.argv[1]).open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            job = f"{line['claim']}-{line['from_date']}"
            try:
                queue.enqueue(
                    "rents.change_rent",
                    kwargs={name: line[name] for name in ("claim", "weekly_rent", "from_date")},
                    job_id=job,
                    unique=True,
                    retry=Retry(max=3, interval=[3, 30, 300]),
                    result_ttl=YEAR,
                )
            except DuplicateJobError:
                sys.stdout.write(f"{job} has been handed in before\n")


if __name__ == "__main__":
    main()
