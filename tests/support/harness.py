"""A stage of one call a record without an engine: keyed state in a dict, outputs in lists.

It does what the engine does for the stages of this project, and nothing more: state by key and by
descriptor's name, values passed through the serialisation the engine would use, side outputs by tag.
test_harness_is_faithful.py compares it with a real mini cluster.
"""

from __future__ import annotations

import pickle
from collections import defaultdict
from typing import Any

from pyflink.datastream import OutputTag

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


class KeyedHarness:
    """Runs one SingleStage. ``state``: key -> {state name -> pickled value}."""

    def __init__(self, function: SingleStage):
        self.state: dict[str, dict[str, bytes]] = defaultdict(dict)
        self.key = ""
        self.main: list[Any] = []
        self.side: dict[str, list[Any]] = defaultdict(list)
        function.settings = function.settings._replace(thread_mode=False)
        self._function = function
        self._context = _Context(self)
        function.open(self._context)

    def process(self, key: str, value: Any) -> list[Any]:
        """The main outputs of this one element."""
        self.key = key
        return self._take(self._function.process_element(value, self._context))

    def _take(self, outputs: Any) -> list[Any]:
        made = []
        for out in outputs or ():
            if isinstance(out, tuple) and isinstance(out[0], OutputTag):
                self.side[out[0].tag_id].append(out[1])
            else:
                made.append(out)
        self.main += made
        return made
