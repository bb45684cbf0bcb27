"""A stage that is called once for each record, as PyFlink has it: for streams of few records.

Its state is PyFlink's pickle of the codec's bytes, as savepoints have it. A key is forgotten as in
StateLife.java: by a timer of the stream's time, which stands still while the job is down. Flink's own life
goes on then; it is there for state from savepoints without such timers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import chain
from typing import Any, ClassVar

from pyflink.common import Time
from pyflink.datastream import KeyedProcessFunction, OutputTag, RuntimeContext
from pyflink.datastream.state import ValueState, ValueStateDescriptor
from pyflink.datastream.time_domain import TimeDomain

from tillstream.state_schemas.keyed import unfinished
from tillstream.udfs.engine import BYTES, STATE_BYTES, life_of
from tillstream.udfs.stage import MAIN, Stage

LONGEST_OUTAGE_MS = 366 * 86_400_000  # no stream keeps records longer
END_OF_TIME = 2**63 - 1


class Emitted:
    """What one record makes, in order: values, or pairs of a side output's tag and a value."""

    def __init__(self, tags: Mapping[str, OutputTag]) -> None:
        self._tags = tags
        self._parts: list[Iterable[Any]] = []
        self.is_in_pieces = False

    def emit(self, value: Any, side: str = MAIN) -> None:
        """To the main output, or to the side output ``side``."""
        self._parts.append((value if side == MAIN else (self._tags[side], value),))

    def in_pieces(self, make: Callable[[], Iterable[Any]]) -> None:
        """To the main output, behind all else, what the stage's ``piece`` makes, one after the other.
        ``make()`` yields all of it, which shows whether it raises."""
        deque(make(), maxlen=0)
        self.is_in_pieces = True

    def add(self, values: Iterable[Any]) -> None:
        self._parts.append(values)

    def emit_each(self, make: Callable[[], Iterable[Any]]) -> None:
        """To the main output what ``make()`` yields, which is never held whole.

        It is called twice and must yield the same: the first time through shows whether it raises, which
        it must not once the engine has some of it.
        """
        deque(make(), maxlen=0)
        self._parts.append(make())

    def made(self) -> Iterable[Any]:
        return chain.from_iterable(self._parts)

    def clear(self) -> None:
        """A rule has failed."""
        self._parts.clear()
        self.is_in_pieces = False


class SingleStage(Stage, KeyedProcessFunction):
    """kept: name of the keyed state, its values bytes of ``codec``; None: there is none. life_ms: how long
    after it was first written a key's state goes, by the stream's time, of a source that is ``timed``; None:
    it stays. rest: name of the state of records that are not through; None: each is, once it was handled.
    at_once, every_ms: so much of those is made, and when the next: 5,000 a second."""

    kept: ClassVar[str | None] = None
    life_ms: int | None = None
    rest: ClassVar[str | None] = None
    at_once, every_ms = 500, 100

    def piece(self, value: bytes, after: int) -> tuple[Iterable[Any], int | None]:
        """What a record makes that ``Emitted.in_pieces`` was asked for, behind part number ``after``, 0 for
        its beginning: some ``at_once`` values, and the number of the last part in it, None at the end."""
        raise NotImplementedError

    def open(self, runtime_context: RuntimeContext) -> None:
        super().open(runtime_context)
        self._tags = {name: OutputTag(name, BYTES) for name in self.sides}
        self._state: ValueState | None = None
        if self.kept is not None:
            kept = ValueStateDescriptor(self.kept, STATE_BYTES)
            if self.life_ms is not None:
                kept.enable_time_to_live(
                    life_of(Time.milliseconds(self.life_ms + LONGEST_OUTAGE_MS))
                )
            self._state = runtime_context.get_state(kept)
        if self.rest is not None:
            self._rest: ValueState = runtime_context.get_state(
                ValueStateDescriptor(self.rest, STATE_BYTES)
            )

    def process_element(self, value: bytes, ctx: KeyedProcessFunction.Context) -> Iterable[Any]:
        stored = None if self._state is None else self._state.value()
        before = None if stored is None else self._decode(stored)
        out = Emitted(self._tags)
        rule = partial(self.record, before, value, out)
        after = self._safely(rule, partial(self._source, value), out)
        if out.is_in_pieces:
            self._begin(value, out, ctx)
        if after is not None and self._state is not None:
            self._state.update(after)
            if before is None and self.life_ms is not None:
                self._forget_after(self.life_ms, ctx)
        return out.made()

    def _begin(self, value: bytes, out: Emitted, ctx: KeyedProcessFunction.Context) -> None:
        made, last = self.piece(value, 0)
        out.add(made)
        if last is None:
            return
        stored = self._rest.value()
        waiting = unfinished.CODEC.decode(stored).records if stored else []
        if not waiting:
            self._wake(ctx)
        waiting.append(unfinished.Record(value, last))
        self._rest.update(unfinished.CODEC.encode(unfinished.Unfinished(waiting)))

    def _go_on(self, ctx: KeyedProcessFunction.OnTimerContext) -> Iterable[Any]:
        """The next piece. Between two of them a checkpoint's barrier passes, and other records."""
        stored = self._rest.value()
        if not stored:
            return ()
        waiting, out = unfinished.CODEC.decode(stored).records, Emitted(self._tags)
        first = waiting[0]
        last: int | None = None

        def rule() -> None:
            nonlocal last
            made, end = self.piece(first.value, first.after)
            out.add(list(made))
            last = end

        self._safely(rule, partial(self._source, first.value), out)
        if last is None:  # it is through, or its dead letter is made
            del waiting[0]
        else:
            first.after = last
        if waiting:
            self._rest.update(unfinished.CODEC.encode(unfinished.Unfinished(waiting)))
            self._wake(ctx)
        else:
            self._rest.clear()
        return out.made()

    def _wake(self, ctx: KeyedProcessFunction.Context) -> None:
        timers = ctx.timer_service()
        timers.register_processing_time_timer(timers.current_processing_time() + self.every_ms)

    @staticmethod
    def _forget_after(life_ms: int, ctx: KeyedProcessFunction.Context) -> None:
        timers = ctx.timer_service()
        if (arrived_ms := ctx.timestamp()) is not None:
            end_ms = max(arrived_ms, timers.current_watermark()) + life_ms
            timers.register_event_time_timer(end_ms)

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterable[Any]:
        if ctx.time_domain() == TimeDomain.PROCESSING_TIME:
            return self._go_on(ctx)
        # A drained job ends the stream's time, but may be restored all the same.
        if self._state is not None and ctx.timer_service().current_watermark() < END_OF_TIME:
            self._state.clear()
        return ()
