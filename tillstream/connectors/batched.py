"""Python stages that are called once for many records: see BatchedPython.java."""

from __future__ import annotations

from typing import Any, Protocol

from pyflink.common import Types
from pyflink.datastream import DataStream, KeyedStream
from pyflink.datastream.data_stream import (
    _create_j_data_stream_python_function_info,
    _get_one_input_stream_operator,
)
from pyflink.fn_execution.flink_fn_execution_pb2 import UserDefinedDataStreamFunction
from pyflink.util.java_utils import get_j_env_configuration

from tillstream.connectors import sources
from tillstream.connectors.context import JobContext
from tillstream.connectors.gateway import java, ours

DAY_MS = 86_400_000
BYTES = Types.PRIMITIVE_ARRAY(Types.BYTE())


class Stage(Protocol):
    """A KeyedCoProcessFunction of ``udfs.batched``; ``sides``: names of its side outputs."""

    @property
    def sides(self) -> tuple[str, ...]: ...


class Titled(Stage, Protocol):
    title: str


def process(
    context: JobContext | None,
    records: KeyedStream,
    control: DataStream | None,
    function: Stage,
    *,
    state: str,
    uid: str,
    name: str,
    life_ms: int | None = None,
    by_arrival: bool = False,
    wait_ms: int = 2,
    batch_size: int = 128,
) -> DataStream:
    """``records`` through ``function``, bytes out.

    context: of the job whose stage it is; None outside of any, for a test. control: rows of (key,
    bytes), shown to every subtask; None: there are none. state: name of the
    keyed state, found again in savepoints; state_schemas/keyed/states.py has it. life_ms: keys
    without a change for so long are forgotten, 0 for never; None: never, whatever the settings, and a
    savepoint of the one does not restore into the other. by_arrival: by the stream's time, which stands
    still while the job does; its source is ``timed``. Else by the machine's clock. wait_ms: how long a
    record waits for others to make a batch, and an output on its way out.
    """
    if context is not None:
        context.state(state)
    j_records = records._j_data_stream
    if control is None:
        # The operator has two inputs: its second is a stream of nothing, made where the records are.
        control = sources.none_of(
            records._origin_stream, f"{uid}-no-control", f"no control of {name}"
        )
    operator = ours().BatchedPython(
        get_j_env_configuration(j_records.getExecutionEnvironment()),
        _create_j_data_stream_python_function_info(
            function,
            UserDefinedDataStreamFunction.KEYED_CO_PROCESS,
        ),
        j_records.getType(),
        control._j_data_stream.getType(),
        state,
        -1 if life_ms is None else life_ms,
        by_arrival,
        batch_size,
        wait_ms,
    )
    for side in function.sides:
        operator = operator.side(side)
    made = ours().Wiring.withControl(
        j_records, control._j_data_stream, name, BYTES.get_java_type_info(), operator
    )
    return DataStream(made.uid(uid).name(name).setBufferTimeout(wait_ms))


class Stages:
    """Makes the stages of a job that differ in little. ``function.title`` is what its operator is called."""

    def __init__(self, context: JobContext, control: DataStream, job: str, wait_ms: int) -> None:
        """control, wait_ms: as of `process`."""
        self._context, self._control, self._job, self._wait_ms = context, control, job, wait_ms

    def __call__(
        self, records: KeyedStream, function: Titled, days: int, *, state: str, uid: str = ""
    ) -> DataStream:
        """`process`; its uid is the state's name unless said, keys without a change for ``days`` go."""
        return process(
            self._context, records, self._control, function, state=state, uid=uid or state,
            name=function.title, life_ms=days * DAY_MS, wait_ms=self._wait_ms,
        )  # fmt: skip

    def by(self, key: str, stream: DataStream, *rows: DataStream) -> KeyedStream:
        """`rekeyed`, with the uid ``<job>-by-<key>``; and ``rows`` that have that key already."""
        made = by_line(stream, f"{self._job}-by-{key}", f"by {key}", self._wait_ms)
        return sources.keyed(made.union(*rows) if rows else made)


def each(
    context: JobContext, records: KeyedStream, function: Any, made: Any, uid: str, name: str
) -> DataStream:
    """``records`` through ``function`` (of ``udfs.single``), one at a time; ``made``: type of what
    comes out."""
    for state in filter(None, (function.kept, function.rest)):
        context.state(state)
    keyed = UserDefinedDataStreamFunction.KEYED_PROCESS
    operator, made_type = _get_one_input_stream_operator(records, function, keyed, made)
    of_python = ours().Wiring.python(records._j_data_stream, name, made_type, operator)
    return DataStream(of_python.uid(uid).name(name))


def refused(*stages: DataStream) -> DataStream:
    """The dead letters of several stages as one stream."""
    return sides("dead-letters", *stages)


def sides(name: str, *stages: DataStream) -> DataStream:
    """A side output that several stages have, as one stream."""
    first, *others = (side(stage, name) for stage in stages)
    return first.union(*others) if others else first


def side(stream: DataStream, name: str) -> DataStream:
    """What the function of ``stream``, batched or not, put into its side output ``name``.

    PyFlink's get_side_output would add an idle Python operator without a uid.
    """
    tag = java().org.apache.flink.util.OutputTag(name, BYTES.get_java_type_info())
    return DataStream(stream._j_data_stream.getSideOutput(tag))


def rekeyed(stream: DataStream, uid: str, name: str, wait_ms: int = 2) -> KeyedStream:
    """Bytes whose first line is the key of the next stage, keyed by it, that line taken off."""
    return sources.keyed(by_line(stream, uid, name, wait_ms))


def by_line(stream: DataStream, uid: str, name: str, wait_ms: int = 2) -> DataStream:
    """The same as rows of (key, bytes), not yet keyed."""
    rows: Any = stream._j_data_stream.map(ours().KeyLine())
    return DataStream(rows.uid(uid).name(name).setBufferTimeout(wait_ms))
