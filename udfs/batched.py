"""The Python end of a keyed function that is called once for many records.

BatchedPython.java says why and in which bytes. A function is a subclass of `BatchedFunction`: it
decodes and encodes its state and handles one record at a time, as a function called for each record
would; the state of a key is decoded once a batch and encoded once, if it changed.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Mapping
from struct import Struct
from typing import Any

from pyflink.datastream import KeyedCoProcessFunction, RuntimeContext

from state_schemas.versioned import Codec
from udfs.engine import require_thread_mode

_PAIR = Struct(">ii")
_ONE = Struct(">i")
_MADE = Struct(">bii")
STATE, OUTPUT, BROADCAST = 0, 1, 2


def _collect_seldom() -> None:
    """States and records hold no cycles: looking for some at Python's own pace takes a fifth of the
    time of the fraud job's rules. What is loaded by now is not looked at again."""
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


class Outputs:
    """What a batch makes, in order."""

    def __init__(self) -> None:
        self.made: list[bytes] = []

    def emit(self, value: bytes, side: int = 0) -> None:
        """To the main output, or to side output ``side``, counted from 1."""
        self.made += (_MADE.pack(OUTPUT, side, len(value)), value)

    def keep(self, name: str, value: bytes | None) -> None:
        """Broadcast state: ``value`` is shown again at a restore; None removes it."""
        encoded = name.encode()
        length = -1 if value is None else len(value)
        self.made += (_MADE.pack(BROADCAST, len(encoded), length), encoded, value or b"")

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

    def control(self, value: bytes, restored: bool, out: Outputs) -> None:
        """Handles a record of the broadcast input, or one kept of it when a job is restored."""

    def start(self, runtime_context: RuntimeContext) -> None:
        """Called once before any record."""

    def open(self, runtime_context: RuntimeContext) -> None:
        if self.thread_mode:
            require_thread_mode(runtime_context)
            _collect_seldom()
        self._encode = self.codec.writer(self.write_versions)
        self.start(runtime_context)

    def process_element1(self, value: bytes, ctx: Any) -> Iterable[bytes]:
        pair, one = _PAIR.unpack_from, _ONE.unpack_from
        record, decode, encode = self.record, self.codec.decode, self._encode
        out = Outputs()
        key_count, record_count = pair(value)
        at = 8
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
            end = at + length
            after = record(states[number], value[at:end], out)
            at = end
            if after is not None:
                states[number] = after
                changed.add(number)
        for number in changed:
            out.state(number, encode(states[number]))
        return (b"".join(out.made),)

    def process_element2(self, value: bytes, ctx: Any) -> Iterable[bytes]:
        out = Outputs()
        self.control(value[1:], value[0] == 1, out)
        return (b"".join(out.made),) if out.made else ()
