"""A stage that is called once for many records: the Python end of BatchedPython.java.

That class says why and in which bytes. A stage handles one record at a time, as one called for each
record would; the state of a key is decoded once a batch and encoded once, if it changed. A timer that
is due comes among the records, in its place.

A batch in which a rule raised is done again, one record at a time, so that only what failed becomes
a dead letter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from struct import Struct
from typing import Any

import msgspec
from pyflink.datastream import KeyedCoProcessFunction, RuntimeContext

from tillstream.domain.envelope import Envelope, unseal
from tillstream.udfs.stage import MAIN, Stage

HEAD = Struct(">iiq")  # keys, records, processing time
_PAIR = Struct(">ii")
_ONE = Struct(">i")
MADE = Struct(">biii")  # kind, record, number, length
TIME = Struct(">q")
STATE, OUTPUT, BROADCAST, TIMER = 0, 1, 2, 3


class Timer(msgspec.Struct, frozen=True):
    """What there is of a timer, for its dead letter."""

    stage: str
    key: str
    timer_ms: int


def output_numbers(sides: Iterable[str]) -> dict[str, int]:
    """Outputs by name, as they are numbered between here and BatchedPython.java."""
    return {name: number for number, name in enumerate((MAIN, *sides))}


class Outputs:
    """What a batch makes, in order. numbers: of `output_numbers`. ``now_ms``: the engine's processing
    time as it began. ``of``: number of the record or timer whose outputs follow."""

    def __init__(self, numbers: Mapping[str, int], now_ms: int = 0) -> None:
        self._numbers = numbers
        self.now_ms = now_ms
        self.of = 0
        self.made: list[bytes] = []
        self.wakes: list[int] = []

    def emit(self, value: bytes, side: str = MAIN) -> None:
        """To the main output, or to the side output ``side``."""
        self.made += (MADE.pack(OUTPUT, self.of, self._numbers[side], len(value)), value)

    def clear(self) -> None:
        self.made.clear()
        self.wakes.clear()

    def keep(self, name: str, value: bytes | None) -> None:
        """Broadcast state: ``value`` is shown again at a restore; None removes it."""
        encoded = name.encode()
        length = -1 if value is None else len(value)
        self.made += (MADE.pack(BROADCAST, 0, len(encoded), length), encoded, value or b"")

    def wake(self, at_ms: int) -> None:
        """Has ``due`` called for the record's key once the processing time is ``at_ms``; twice for the
        same time is once."""
        self.wakes.append(at_ms)

    def set_timers(self, number: int) -> None:
        """What ``wake`` asked for is for key ``number`` of the batch."""
        for at_ms in self.wakes:
            self.made += (MADE.pack(TIMER, 0, number, TIME.size), TIME.pack(at_ms))
        self.wakes.clear()

    def state(self, number: int, value: bytes) -> None:
        self.made += (MADE.pack(STATE, 0, number, len(value)), value)


class BatchedStage(Stage, KeyedCoProcessFunction):
    """A stage with timers and a broadcast input."""

    def due(self, state: Any, key: str, at_ms: int, out: Outputs) -> Any:
        """Handles a timer that was set for ``at_ms``, or later; state as of ``record``."""
        raise NotImplementedError

    def control(self, value: bytes, restored: bool, out: Outputs) -> None:
        """Handles an enveloped record of the broadcast input, or one kept of it when a job is
        restored. What it changes of the stage it changes last, after all that may raise."""

    def open(self, runtime_context: RuntimeContext) -> None:
        self._numbers = output_numbers(self.sides)
        super().open(runtime_context)

    def process_element1(self, value: bytes, ctx: Any) -> Iterable[bytes]:
        try:
            return (self._at_once(value),)
        except Exception:
            self.abandon()
            return (self._one_by_one(value),)

    def _at_once(self, value: bytes) -> bytes:
        pair, one = _PAIR.unpack_from, _ONE.unpack_from
        record, decode, encode = self.record, self._decode, self._encode
        key_count, record_count, now_ms = HEAD.unpack_from(value)
        at = HEAD.size
        out = Outputs(self._numbers, now_ms)
        states: list[Any] = []
        for _ in range(key_count):
            at += 4 + one(value, at)[0]  # past the key: a record needs only its state
            (length,) = one(value, at)
            at += 4
            if length < 0:
                states.append(None)
            else:
                states.append(decode(value[at : at + length]))
                at += length
        changed: set[int] = set()
        for out.of in range(record_count):
            number, length = pair(value, at)
            at += 8
            if length < 0:
                (due_ms,) = TIME.unpack_from(value, at)
                after = self.due(states[number], _key(value, number), due_ms, out)
                at += TIME.size
            else:
                end = at + length
                after = record(states[number], value[at:end], out)
                at = end
            if after is not None:
                states[number] = after
                changed.add(number)
            if out.wakes:
                out.set_timers(number)
        for number in changed:
            out.state(number, encode(states[number]))
        return b"".join(out.made)

    def _one_by_one(self, value: bytes) -> bytes:
        """The same batch, states encoded after each record, so that one that fails leaves no trace."""
        key_count, record_count, now_ms = HEAD.unpack_from(value)
        stored, at = _states(value, key_count)
        made: list[bytes] = []
        changed: set[int] = set()
        for of in range(record_count):
            number, length = _PAIR.unpack_from(value, at)
            at += 8
            out, before = Outputs(self._numbers, now_ms), stored[number]
            out.of = of
            state = None if before is None else self._decode(before)
            if length < 0:
                (due_ms,) = TIME.unpack_from(value, at)
                at += TIME.size
                key = _key(value, number)
                rule = partial(self.due, state, key, due_ms, out)
                source = partial(self._timer, key, due_ms)
            else:
                one = value[at : at + length]
                at += length
                rule = partial(self.record, state, one, out)
                source = partial(self._source, one)
            after = self._safely(rule, source, out)
            if after is not None:
                stored[number] = after
                changed.add(number)
            out.set_timers(number)
            made += out.made
        last = Outputs(self._numbers)
        for number in changed:
            last.state(number, stored[number] or b"")
        return b"".join(made + last.made)

    def process_element2(self, value: bytes, ctx: Any) -> Iterable[bytes]:
        out, restored, record = Outputs(self._numbers), value[0] == 1, value[1:]
        if restored:  # to go on without what was kept would be worse than to stop
            self.control(record, restored, out)
        else:
            rule = partial(self.control, record, restored, out)
            self._safely(rule, partial(self._source, record, unseal), out)
        return (b"".join(out.made),) if out.made else ()

    def _timer(self, key: str, at_ms: int) -> Envelope:
        """Where a timer comes from names it; its bytes say the same."""
        stage = type(self).__name__
        origin = f"{self.settings.job}:timer/{stage}/{key}/{at_ms}"
        return Envelope(origin, at_ms, msgspec.json.encode(Timer(stage, key, at_ms)))


def _states(batch: bytes, count: int) -> tuple[list[bytes | None], int]:
    """The states of all keys of a batch, as they are stored, and where its records begin."""
    at, found = HEAD.size, list[bytes | None]()
    for _ in range(count):
        at += 4 + _ONE.unpack_from(batch, at)[0]
        (length,) = _ONE.unpack_from(batch, at)
        at += 4
        found.append(None if length < 0 else batch[at : at + length])
        at += max(length, 0)
    return found, at


def _key(batch: bytes, number: int) -> str:
    """Key ``number`` of a batch: only timers ask for it."""
    at = HEAD.size
    for _ in range(number):
        at += 4 + _ONE.unpack_from(batch, at)[0]
        at += 4 + max(_ONE.unpack_from(batch, at)[0], 0)
    (length,) = _ONE.unpack_from(batch, at)
    return batch[at + 4 : at + 4 + length].decode()
