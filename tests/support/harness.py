"""A stage of one call a record without an engine: keyed state in a dict, outputs in lists.

It does what the engine does for the stages of this project, and nothing more: state by key and by
descriptor's name, values passed through the serialisation the engine would use, side outputs by tag, timers
of the stream's time and of the machine's.
test_harness_is_faithful.py compares it with a real mini cluster.
"""

from __future__ import annotations

import contextlib
import pickle
from collections import defaultdict
from typing import Any

from pyflink.datastream import OutputTag
from pyflink.datastream.time_domain import TimeDomain

from tillstream.domain.envelope import unseal
from tillstream.udfs.single import SingleStage


class _ValueState:
    def __init__(self, harness: KeyedHarness, name: str):
        self._harness = harness
        self._name = name

    def _cells(self) -> dict[str, bytes]:
        return self._harness.state[self._harness.key]

    def value(self) -> Any:
        stored = self._harness.state.get(self._harness.key, {}).get(self._name)
        return None if stored is None else pickle.loads(stored)

    def update(self, value: Any) -> None:
        self._cells()[self._name] = pickle.dumps(value)

    def clear(self) -> None:
        self._cells().pop(self._name, None)


class _Context:
    def __init__(self, harness: KeyedHarness):
        self._harness = harness

    def get_state(self, descriptor: Any) -> _ValueState:
        return _ValueState(self._harness, descriptor.name)

    def get_current_key(self) -> str:
        return self._harness.key

    def timestamp(self) -> int | None:
        return self._harness.arrived_ms

    def timer_service(self) -> _Context:
        return self

    def current_watermark(self) -> int:
        return self._harness.watermark_ms

    def register_event_time_timer(self, at_ms: int) -> None:
        self._harness.timers.add((at_ms, self._harness.key))

    def current_processing_time(self) -> int:
        return self._harness.now_ms

    def register_processing_time_timer(self, at_ms: int) -> None:
        self._harness.alarms.add((at_ms, self._harness.key))

    def time_domain(self) -> TimeDomain:
        return self._harness.domain


class KeyedHarness:
    """Runs one SingleStage. ``state``: key -> {state name -> pickled value}. ``timers``, ``alarms``: (when,
    key), by the stream's time and by the machine's."""

    def __init__(self, function: SingleStage):
        self.state: dict[str, dict[str, bytes]] = defaultdict(dict)
        self.key = ""
        self.arrived_ms: int | None = None
        self.watermark_ms = -(2**63)
        self.timers: set[tuple[int, str]] = set()
        self.alarms: set[tuple[int, str]] = set()
        self.now_ms = 0
        self.domain = TimeDomain.EVENT_TIME
        self.main: list[Any] = []
        self.side: dict[str, list[Any]] = defaultdict(list)
        function.settings = function.settings._replace(thread_mode=False)
        self._function = function
        self._context = _Context(self)
        function.open(self._context)

    def process(self, key: str, value: Any) -> list[Any]:
        """The main outputs of this one element."""
        self.key = key
        with contextlib.suppress(ValueError):
            self.arrived_ms = unseal(value).arrived_ms
        return self._take(self._function.process_element(value, self._context))

    def wait(self, ms: int) -> list[Any]:
        """The main outputs of the timers that are due by then."""
        made = []
        end = self.now_ms + ms
        self.domain = TimeDomain.PROCESSING_TIME
        while due := [alarm for alarm in self.alarms if alarm[0] <= end]:
            self.alarms.remove(alarm := min(due))
            self.now_ms, self.key = alarm
            made += self._take(self._function.on_timer(self.now_ms, self._context))
        self.now_ms, self.domain = end, TimeDomain.EVENT_TIME
        return made

    def advance_to(self, watermark_ms: int) -> None:
        """The stream is so far."""
        self.watermark_ms = watermark_ms
        for timer in sorted(self.timers):
            at_ms, self.key = timer
            if at_ms <= watermark_ms:
                self.timers.remove(timer)
                self._take(self._function.on_timer(at_ms, self._context))

    def _take(self, outputs: Any) -> list[Any]:
        made = []
        for out in outputs or ():
            if isinstance(out, tuple) and isinstance(out[0], OutputTag):
                self.side[out[0].tag_id].append(out[1])
            else:
                made.append(out)
        self.main += made
        return made
