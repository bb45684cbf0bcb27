"""What every function asks of the engine."""

from __future__ import annotations

import hashlib
import time

from pyflink.common import Types
from pyflink.datastream import OutputTag, RuntimeContext

from tillstream.domain.dead_letter import dead_letter
from tillstream.domain.envelope import Envelope
from tillstream.domain.transaction import SCHEMA_VERSION

# Records cross between the JVM and Python as bytes: the one type that needs no conversion.
BYTES = Types.PRIMITIVE_ARRAY(Types.BYTE())
# Keyed state is bytes of our own codec. As an array of bytes PyFlink's thread mode fails on a key that
# has none yet; its pickle of plain bytes adds a frame of some 15 bytes and no class names.
STATE_BYTES = Types.PICKLED_BYTE_ARRAY()
DEAD_LETTERS = OutputTag("dead-letters", BYTES)
NOTICES = OutputTag("notices", BYTES)


class NotThreadMode(RuntimeError):
    """The engine fell back to process mode, which is ten times slower, without a word."""


def require_thread_mode(context: RuntimeContext) -> None:
    """Raises NotThreadMode unless Python runs inside the TaskManager's JVM.

    PyFlink falls back to process mode in silence where it cannot run embedded.
    """
    if ".embedded." not in type(context).__module__:
        raise NotThreadMode(
            "this job wants python.execution-mode: thread, the engine runs it in process mode. "
            "Set it in the cluster's configuration, or job.require_thread_mode: false to accept "
            "about a tenth of the speed"
        )


def refuse(
    envelope: Envelope, job: str, stage: str, reason: str, message: str
) -> tuple[OutputTag, bytes]:
    """A dead letter for the side output."""
    now_ms = time.time_ns() // 1_000_000
    return DEAD_LETTERS, dead_letter(envelope, job, stage, reason, message, SCHEMA_VERSION, now_ms)


def failed(envelope: Envelope, job: str, problem: str) -> bytes:
    """The dead letter of a record on which a rule raised, which it should not."""
    return refuse(envelope, job, "apply", "rule_failed", problem)[1]


def failed_part(raw: bytes, job: str, problem: str, arrived_ms: int = 0) -> bytes:
    """The same of what no longer knows its place in the stream: a line of a document, a sale between
    two stages. A hash of its bytes is its origin, so failing twice is one dead letter."""
    name = hashlib.sha256(raw).hexdigest()[:24]
    return failed(Envelope(f"{job}:{name}", arrived_ms, raw), job, problem)
