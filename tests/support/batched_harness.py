"""A batched stage without an engine: what BatchedPython.java does, in Python.

test_batched_is_faithful.py compares it with the real operator on a mini cluster.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from struct import pack
from typing import Any

from tillstream.udfs.batched import (
    BROADCAST,
    HEAD,
    MADE,
    OUTPUT,
    STATE,
    TIME,
    TIMER,
    BatchedStage,
    output_numbers,
)
from tillstream.udfs.stage import MAIN


class BatchedHarness:
    """``state``: key -> bytes; ``kept``: broadcast state; ``main``: the main output, in order;
    ``side``: name -> the same; ``records``: of which record of its batch each output is;
    ``timers``: (time, key) still to fire; ``now_ms``: the processing time."""

    def __init__(
        self, function: BatchedStage, kept: dict[str, bytes] | None = None, now_ms: int = 0
    ):
        function.settings = function.settings._replace(thread_mode=False)
        self.function = function
        self.now_ms = now_ms
        self.timers: set[tuple[int, str]] = set()
        self.state: dict[str, bytes] = {}
        self.kept = dict(kept or {})
        self.main: list[bytes] = []
        self.records: list[int] = []
        self.side: dict[str, list[bytes]] = defaultdict(list)
        self._names = {number: name for name, number in output_numbers(function.sides).items()}
        function.open(self)
        for value in self.kept.values():
            self._apply(function.process_element2(b"\1" + value, None), [])

    # What functions ask of their context.
    def get_index_of_this_subtask(self) -> int:
        return 0

    def get_number_of_parallel_subtasks(self) -> int:
        return 1

    def process(self, *records: tuple[str, bytes]) -> list[bytes]:
        """One batch; returns its main outputs."""
        return self._batch(records)

    def advance_to(self, now_ms: int) -> list[bytes]:
        """Moves the clock; the main outputs of the timers that are due, those they set included."""
        self.now_ms = now_ms
        made = []
        while due := sorted(timer for timer in self.timers if timer[0] <= now_ms):
            self.timers -= set(due)
            made += self._batch([(key, at_ms) for at_ms, key in due])
        return made

    def _batch(self, records: Sequence[tuple[str, bytes | int]]) -> list[bytes]:
        """In the place of a record, the time of a timer."""
        names = list(dict.fromkeys(key for key, _ in records))
        batch = HEAD.pack(len(names), len(records), self.now_ms)
        for name in names:
            state = self.state.get(name)
            length = -1 if state is None else len(state)
            batch += pack(">i", len(name.encode())) + name.encode()
            batch += pack(">i", length) + (state or b"")
        for key, value in records:
            if isinstance(value, int):
                batch += pack(">ii", names.index(key), -1) + TIME.pack(value)
            else:
                batch += pack(">ii", names.index(key), len(value)) + value
        before = len(self.main)
        self._apply(self.function.process_element1(batch, None), names)
        return self.main[before:]

    def control(self, value: bytes) -> None:
        self._apply(self.function.process_element2(b"\0" + value, None), [])

    def _apply(self, results: Any, names: list[str]) -> None:
        for made in results:
            at = 0
            while at < len(made):
                kind, record, number, length = MADE.unpack_from(made, at)
                at += MADE.size
                name = ""
                if kind == BROADCAST:
                    name = made[at : at + number].decode()
                    at += number
                value = made[at : at + max(length, 0)]
                at += max(length, 0)
                if kind == STATE:
                    self.state[names[number]] = value
                elif kind == TIMER:
                    self.timers.add((*TIME.unpack(value), names[number]))
                elif kind == OUTPUT:
                    output = self._names[number]
                    self.records.append(record)
                    (self.main if output == MAIN else self.side[output]).append(value)
                elif length < 0:
                    self.kept.pop(name, None)
                else:
                    self.kept[name] = value
