"""The Python end of a keyed function that is called once for many records.

BatchedPython.java says why and in which bytes. A function is a subclass of `BatchedFunction`: it
decodes and encodes its state and handles one record at a time, as a function called for each record
would; the state of a key is decoded once a batch and encoded once, if it changed. A timer that is due
comes among the records, in its place.

A record on which the function raises would stop the job, and again after each restart. So its batch is
done once more, one record at a time, and that record becomes a dead letter, its key's state as it was.
"""

from __future__ import annotations

import gc
import logging
import traceback
from collections.abc import Callable, Iterable, Mapping
from struct import Struct
from typing import Any

from pyflink.datastream import KeyedCoProcessFunction, RuntimeContext

from tillstream.state_schemas.keyed.versioned import Codec
from tillstream.udfs.engine import require_thread_mode

HEAD = Struct(">iiq")  # keys, records, processing time
_PAIR = Struct(">ii")
_ONE = Struct(">i")
_MADE = Struct(">bii")
TIME = Struct(">q")
STATE, OUTPUT, BROADCAST, TIMER = 0, 1, 2, 3
# So many records of a subtask may fail from one start to the next: more, and it is not the records.
MOST_FAILED = 100

_log = logging.getLogger(__name__)


class TooManyFailed(RuntimeError):
    """The rules fail on record after record: the release is wrong, not the records."""


def _collect_seldom() -> None:
    """States and records hold no cycles: looking for some at Python's own pace takes a fifth of the
    time of the fraud job's rules. What is loaded by now is not looked at again."""
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


class Outputs:
    """What a batch makes, in order. ``now_ms``: the engine's processing time as it began."""

    def __init__(self, now_ms: int = 0) -> None:
        self.now_ms = now_ms
        self.made: list[bytes] = []
        self.wakes: list[int] = []

    def emit(self, value: bytes, side: int = 0) -> None:
        """To the main output, or to side output ``side``, counted from 1."""
        self.made += (_MADE.pack(OUTPUT, side, len(value)), value)

    def keep(self, name: str, value: bytes | None) -> None:
        """Broadcast state: ``value`` is shown again at a restore; None removes it."""
        encoded = name.encode()
        length = -1 if value is None else len(value)
        self.made += (_MADE.pack(BROADCAST, len(encoded), length), encoded, value or b"")

    def wake(self, at_ms: int) -> None:
        """Has ``due`` called for the record's key once the processing time is ``at_ms``; twice for the
        same time is once."""
        self.wakes.append(at_ms)

    def set_timers(self, number: int) -> None:
        """What ``wake`` asked for is for key ``number`` of the batch."""
        for at_ms in self.wakes:
            self.made += (_MADE.pack(TIMER, number, TIME.size), TIME.pack(at_ms))
        self.wakes.clear()

    def state(self, number: int, value: bytes) -> None:
        self.made += (_MADE.pack(STATE, number, len(value)), value)


class BatchedFunction(KeyedCoProcessFunction):
    """Subclasses say what a record does to a key's state, and which ``codec`` its bytes have.
    ``write_versions`` is conf's."""

    codec: Codec[Any]
    thread_mode = True
    write_versions: Mapping[str, int] = {}

    def record(self, state: Any, value: bytes, out: Outputs) -> Any:
        """Handles one record; ``state``, of the record's key, is None for a new one. Returns the
        state if it changed, also in place, else None."""
        raise NotImplementedError

    def due(self, state: Any, key: str, at_ms: int, out: Outputs) -> Any:
        """Handles a timer that was set for ``at_ms``, or later; state as of ``record``."""
        raise NotImplementedError

    def reader(self) -> Callable[[bytes], Any]:
        """What decodes a key's state: the codec, unless other bytes than its own may be there too."""
        return self.codec.decode

    def failed(self, value: bytes, problem: str) -> tuple[int, bytes] | None:
        """A dead letter, and its side output, for a record on which ``record`` raised; ``problem`` says
        what and where, without values. None, the default: there is none, the job ends."""
        return None

    def abandon(self) -> None:
        """Forgets what was kept beside the states: those of a batch are not written after all."""

    def control(self, value: bytes, restored: bool, out: Outputs) -> None:
        """Handles a record of the broadcast input, or one kept of it when a job is restored."""

    def start(self, runtime_context: RuntimeContext) -> None:
        """Called once before any record."""

    def open(self, runtime_context: RuntimeContext) -> None:
        if self.thread_mode:
            require_thread_mode(runtime_context)
            _collect_seldom()
        self._decode = self.reader()
        self._encode = self.codec.writer(self.write_versions)
        self._failures = 0
        self.start(runtime_context)

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
        out = Outputs(now_ms)
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
        for _ in range(record_count):
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
        for _ in range(record_count):
            number, length = _PAIR.unpack_from(value, at)
            at += 8
            one = value[at : at + max(length, 0)]
            out, before = Outputs(now_ms), stored[number]
            state = None if before is None else self._decode(before)
            if length < 0:
                (due_ms,) = TIME.unpack_from(value, at)
                at += TIME.size
                after = self._encoded(self.due(state, _key(value, number), due_ms, out))
            else:
                at += length
                try:
                    after = self._encoded(self.record(state, one, out))
                except MemoryError:  # says nothing of the record
                    raise
                except Exception as error:
                    out, after = self._dead_letter(one, error, now_ms), None
            if after is not None:
                stored[number] = after
                changed.add(number)
            out.set_timers(number)
            made += out.made
        last = Outputs()
        for number in changed:
            last.state(number, stored[number] or b"")
        return b"".join(made + last.made)

    def _encoded(self, state: Any) -> bytes | None:
        return None if state is None else self._encode(state)

    def _dead_letter(self, value: bytes, error: Exception, now_ms: int) -> Outputs:
        """Raises ``error`` again where there is no dead letter for it, TooManyFailed after too many."""
        self.abandon()
        problem = _problem(error)
        told = self.failed(value, problem)
        if told is None:
            raise error
        self._failures += 1
        _log.error("a record goes to the dead letters: %s", problem)
        if self._failures > MOST_FAILED:
            raise TooManyFailed(
                f"{type(self).__name__} failed on {self._failures} records since it started, last with "
                f"{problem}: stop the job with a savepoint, restore it with the release before"
            ) from error
        out = Outputs(now_ms)
        out.emit(told[1], told[0])
        return out

    def process_element2(self, value: bytes, ctx: Any) -> Iterable[bytes]:
        out = Outputs()
        self.control(value[1:], value[0] == 1, out)
        return (b"".join(out.made),) if out.made else ()


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


def _problem(error: Exception) -> str:
    """What was raised and where; its message may quote what must not be written down."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {last.filename.rpartition('/')[2]}:{last.lineno} {last.name}"


def _key(batch: bytes, number: int) -> str:
    """Key ``number`` of a batch: only timers ask for it."""
    at = HEAD.size
    for _ in range(number):
        at += 4 + _ONE.unpack_from(batch, at)[0]
        at += 4 + max(_ONE.unpack_from(batch, at)[0], 0)
    (length,) = _ONE.unpack_from(batch, at)
    return batch[at + 4 : at + 4 + length].decode()
