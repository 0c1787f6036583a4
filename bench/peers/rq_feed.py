"""Hands a batch to RQ: `python -m bench.peers.rq_feed URL FILE`."""

import csv
import sys
from pathlib import Path

from redis import Redis
from rq import Queue

from bench.peers.naive import work


def main() -> None:
    """Enqueue every line."""
    queue = Queue(connection=Redis.from_url(sys.argv[1]))
    with Path(sys.argv[2]).open(newline="") as file:
        for line in csv.DictReader(file):
            queue.enqueue(work, line)


if __name__ == "__main__":
    main()
