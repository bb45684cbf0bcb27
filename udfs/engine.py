"""What every stage asks of the engine."""

from __future__ import annotations

from typing import NamedTuple

from pyflink.common import Time, Types
from pyflink.datastream import RuntimeContext
from pyflink.datastream.state import StateTtlConfig

# Records cross between the JVM and Python as bytes: the one type that needs no conversion.
BYTES = Types.PRIMITIVE_ARRAY(Types.BYTE())
# Keyed state is bytes of our own codec. As an array of bytes PyFlink's thread mode fails on a key that
# has none yet; its pickle of plain bytes adds a frame of some 15 bytes and no class names.
STATE_BYTES = Types.PICKLED_BYTE_ARRAY()


def life_of(life: Time) -> StateTtlConfig:
    """A state's keys go so long after their last change.

    The usual clean-up in the background, said strategy by strategy: PyFlink makes its default of a Java
    duration that nobody reads, and starts a JVM for that beside each TaskManager, which nobody ends.
    """
    said = StateTtlConfig.new_builder(life).disable_cleanup_in_background()
    said = said.cleanup_incrementally(5, run_cleanup_for_every_record=False)
    return said.cleanup_in_rocksdb_compact_filter(1000, periodic_compaction_time="unread").build()


class Subtask(NamedTuple):
    """number: from 0. of: how many there are."""

    number: int
    of: int


def subtask_of(context: RuntimeContext) -> Subtask:
    """Which it is. In thread mode PyFlink's own getters ask what Java's context has no longer in Flink 2."""
    of_java = getattr(context, "_runtime_context", None)
    if of_java is None:
        return Subtask(
            context.get_index_of_this_subtask(), context.get_number_of_parallel_subtasks()
        )
    info = of_java.getTaskInfo()
    return Subtask(info.getIndexOfThisSubtask(), info.getNumberOfParallelSubtasks())


class NotThreadMode(RuntimeError):
    """The engine fell back silently to process mode, which is ten times slower."""


def require_thread_mode(context: RuntimeContext) -> None:
    """Raises NotThreadMode unless Python runs inside the TaskManager's JVM.

    PyFlink falls back to process mode silently where it cannot run embedded.
    """
    if ".embedded." not in type(context).__module__:
        raise NotThreadMode(
            "this job wants python.execution-mode: thread, the engine runs it in process mode. "
            "Set it in the cluster's configuration, or job.require_thread_mode: false to accept "
            "about a tenth of the speed"
        )
