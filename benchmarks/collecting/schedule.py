"""The ideal: the requests that a server saw, done again without any cost of a client, on the same places.

A request waits for those whose answers it is made of, and for nothing else: facts for the outline of their passage, the
questions of a fact for the facts, a check for the pairs it checks, more questions of a fact for the first ones. Which
waits for which is told by what the server recognised in the requests (`server.recognise`), so that the ideal holds for
whatever calls a collection makes.
"""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

# What of its passage a request of a kind is made of: a theme stands in the outline, and who asks. A kind that is not
# here needs nothing but the document; what was not asked for is not waited for.
NEEDS = {"facts": ("outline",), "questions": ("outline", "facts"), "check": ("generate",)}


@dataclass(frozen=True)
class Job:
    """A request: how long it takes, in seconds, and which jobs must be done before it (their places in the list)."""

    seconds: float
    needs: tuple[int, ...]


def jobs(log: Sequence[dict[str, Any]]) -> list[Job]:
    """The requests of a server's log that were answered, each once, with what they need."""
    seen: dict[str, dict[str, Any]] = {}
    for record in sorted(log, key=lambda record: float(record["arrived"])):
        if record["answered"]:
            seen.setdefault(record["key"], record)
    places: dict[tuple[str, str], list[int]] = {}
    alike: dict[tuple[str, str, str], int] = {}
    made: list[Job] = []
    for at, record in enumerate(seen.values()):
        kind, passage, stations = record["kind"], record["passage"], record["passage"].split("-")
        needs = {
            before
            for needed in NEEDS.get(kind, ())
            for station in stations
            for before in places.get((needed, station), ())
        }
        same = kind, passage, record["fact"]
        if record["fact"] and same in alike:
            needs.add(alike[same])
        alike[same] = at
        for station in stations:
            places.setdefault((kind, station), []).append(at)
        made.append(Job(record["seconds"], tuple(needs)))
    return made


def ideal(made: Sequence[Job], slots: int) -> float:
    """The shorter makespan of two schedules: begun work first, and the beginnings first."""
    depths: list[int] = []
    for job in made:
        depths.append(1 + max((depths[before] for before in job.needs), default=-1))
    return min(
        makespan(made, slots, lambda at: (-depths[at], at)),
        makespan(made, slots, lambda at: (depths[at], at)),
    )


def makespan(made: Sequence[Job], slots: int, order: Callable[[int], tuple[int, int]]) -> float:
    """Seconds until the last job is done, when each of so many slots always takes the first job that can begin."""
    left = [len(job.needs) for job in made]
    after: list[list[int]] = [[] for _ in made]
    for at, job in enumerate(made):
        for before in job.needs:
            after[before].append(at)
    ready = [(*order(at), at) for at, needed in enumerate(left) if not needed]
    heapq.heapify(ready)
    running: list[tuple[float, int]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < slots:
            at = heapq.heappop(ready)[-1]
            heapq.heappush(running, (now + made[at].seconds, at))
        now, done = heapq.heappop(running)
        for at in after[done]:
            left[at] -= 1
            if not left[at]:
                heapq.heappush(ready, (*order(at), at))
    return now
