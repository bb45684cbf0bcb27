"""Stories side by side: each lane has a TaskManager to itself and runs its stories one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

Story = Callable[[], object]


def run(
    lanes: Sequence[Sequence[tuple[str, Story]]], wanted: set[str]
) -> dict[str, Future[object]]:
    """By name, what became of each story that is ``wanted``: ``result()`` raises what it raised."""
    ended: dict[str, Future[object]] = {}

    def drive(lane: Sequence[tuple[str, Story]]) -> None:
        for name, story in lane:
            if name in wanted:
                ended[name] = future = Future()
                try:
                    future.set_result(story())
                except BaseException as error:
                    future.set_exception(error)

    with ThreadPoolExecutor(len(lanes)) as pool:
        list(pool.map(drive, lanes))
    return ended
