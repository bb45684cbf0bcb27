"""The base of every Python stage: settings, state's bytes, and what becomes of a rule that raises.

A stage says what a record does to its key's state. How the engine calls it is the business of the two
classes below this one: `BatchedStage`, once for many records, and `SingleStage`, once for each.

A rule that raises would stop the job, and again after each restart. So whatever it was called for, a
record, a timer or a record of the broadcast input, becomes a dead letter, the state stays as it was and
the job goes on. `InvalidTransaction` says that the record does not match its contract, and any number of
those may come. What is not a rule's fault still ends the job: too little memory, a state that cannot be
read, the engine's own errors, and more than MOST_FAILED rules of ours that raised.
"""

from __future__ import annotations

import gc
import hashlib
import logging
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple, Protocol

from pyflink.datastream import RuntimeContext

from tillstream.conf import Conf
from tillstream.domain.dead_letter import dead_letter
from tillstream.domain.envelope import Envelope, unseal
from tillstream.domain.receipt.reading import NOT_CANONICAL
from tillstream.domain.transaction import SCHEMA_VERSION, InvalidTransaction
from tillstream.state_schemas.keyed.versioned import Codec
from tillstream.udfs.engine import require_thread_mode

MAIN = ""  # the main output, where side outputs have names
DEAD_LETTERS = "dead-letters"
# So many calls of a subtask may fail from one start to the next: more, and it is not the records.
MOST_FAILED = 100

_log = logging.getLogger(__name__)


class TooManyFailed(RuntimeError):
    """The rules fail on record after record: the release is wrong, not the records."""


class StageSettings(NamedTuple):
    """job: named in dead letters. thread_mode: whether process mode is refused. write_versions: conf's,
    state's name -> the version to write. clock_ahead_ms: how far a record's time may be ahead of its
    arrival."""

    job: str
    thread_mode: bool = True
    write_versions: Mapping[str, int] = {}
    clock_ahead_ms: int = 300_000

    @classmethod
    def of(cls, job: str, conf: Conf) -> StageSettings:
        return cls(
            job,
            conf.job.require_thread_mode,
            conf.state.write_versions,
            conf.source.clock_ahead_ms,
        )


class Out(Protocol):
    """Where a stage puts what it makes."""

    def emit(self, value: Any, side: str = MAIN) -> None: ...

    def clear(self) -> None: ...


class Stage:
    """sides: names of the side outputs. codec: of the keyed state, None where none is kept."""

    sides: ClassVar[tuple[str, ...]] = (DEAD_LETTERS,)
    codec: Codec[Any] | None = None

    def __init__(self, settings: StageSettings) -> None:
        self.settings = settings

    def start(self, runtime_context: RuntimeContext) -> None:
        """Called once before any record."""

    def record(self, state: Any, value: bytes, out: Any) -> Any:
        """Handles one record; ``state``, of the record's key, is None for a new one. Returns the
        state if it changed, also in place, else None. Raises InvalidTransaction for a record that does
        not match its contract; where many may come, `refuse` is quicker."""
        raise NotImplementedError

    def sent(self, value: bytes) -> Envelope:
        """What a dead letter of ``value`` holds: the record as its source sent it, or the `part` of
        one that came."""
        return unseal(value)

    def reader(self) -> Callable[[bytes], Any]:
        """What decodes a key's state: the codec, unless other bytes than its own may be there too."""
        assert self.codec is not None, "a stage without a state has none to decode"
        return self.codec.decode

    def abandon(self) -> None:
        """Forgets what was kept beside the states: those of a batch are not written after all."""

    # -- for the stages ----------------------------------------------------------------------------

    def refuse(self, envelope: Envelope, step: str, reason: str, message: str, out: Out) -> None:
        """A record that cannot be used, as a dead letter. step: ``validate`` or ``apply``."""
        if reason == NOT_CANONICAL:  # somebody else's, so none of its fields has passed a contract
            envelope = Envelope(envelope.origin, envelope.arrived_ms, envelope.raw)
        out.emit(self._letter(envelope, step, reason, message), DEAD_LETTERS)

    def part(self, raw: bytes, arrived_ms: int = 0, typed: bool = False) -> Envelope:
        """Of what no longer knows its place in a stream: a line of a document, a sale between two
        stages. A hash of its bytes is its origin, so failing twice is one dead letter."""
        name = hashlib.sha256(raw).hexdigest()[:24]
        return Envelope(f"{self.settings.job}:{name}", arrived_ms, raw, typed)

    # -- for the two ways to be called -------------------------------------------------------------

    def open(self, runtime_context: RuntimeContext) -> None:
        if self.settings.thread_mode:
            require_thread_mode(runtime_context)
            _collect_seldom()
        if self.codec is not None:
            self._decode = self.reader()
            self._encode = self.codec.writer(self.settings.write_versions)
        self._failures = 0
        self.start(runtime_context)

    def _safely(
        self, rule: Callable[[], Any], source: Callable[[], Envelope], out: Out
    ) -> bytes | None:
        """The state that ``rule`` returns, encoded. Should it raise, ``out`` has a dead letter of
        ``source`` in place of what it made. Raises TooManyFailed after too many."""
        try:
            state = rule()
            return None if state is None else self._encode(state)
        except MemoryError:  # says nothing of the record
            raise
        except Exception as error:
            self.abandon()
            envelope = source()
            out.clear()
            if isinstance(error, InvalidTransaction):
                self.refuse(envelope, "validate", error.reason, error.message, out)
                return None
            problem = _problem(error)
            self._failures += 1
            _log.error("%s goes to the dead letters: %s", envelope.origin, problem)
            if self._failures > MOST_FAILED:
                raise TooManyFailed(
                    f"{type(self).__name__} failed on {self._failures} records since it started, last "
                    f"with {problem}: stop the job with a savepoint, restore it with the release before"
                ) from error
            self.refuse(envelope, "apply", "rule_failed", problem, out)
            return None

    def _source(self, value: bytes, read: Callable[[bytes], Envelope] | None = None) -> Envelope:
        """What ``read``, or else ``sent``, makes of ``value``; its bytes as they are where that fails."""
        try:
            return (read or self.sent)(value)
        except MemoryError:
            raise
        except Exception:
            return self.part(value)

    def _letter(self, envelope: Envelope, step: str, reason: str, message: str) -> bytes:
        now_ms = time.time_ns() // 1_000_000
        job = self.settings.job
        return dead_letter(envelope, job, step, reason, message, SCHEMA_VERSION, now_ms)


def _collect_seldom() -> None:
    """States and records hold no cycles: looking for some at Python's own pace takes a fifth of the
    time of the fraud job's rules. What is loaded by now is not looked at again."""
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


def _problem(error: Exception) -> str:
    """What was raised and where; its message may quote what must not be written down."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {last.filename.rpartition('/')[2]}:{last.lineno} {last.name}"
