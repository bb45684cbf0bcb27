"""The archive function: unseal, parse, drop what was archived already, emit the transaction."""

from __future__ import annotations

from collections.abc import Mapping

from tillstream.conf import Conf
from tillstream.domain.envelope import Envelope, unseal
from tillstream.domain.transaction import InvalidTransaction, parse
from tillstream.state_schemas.keyed import archived_mark
from tillstream.udfs.batched import BatchedFunction, Outputs
from tillstream.udfs.engine import failed, refuse

DEAD_LETTERS = 1
SIDES = ["dead-letters"]


class ArchiveOnce(BatchedFunction):
    """Keyed by transaction id. In: enveloped transactions. Out: the transaction as JSON bytes with
    ``arrived_ms`` and ``origin`` added; to the side: dead letters as JSON bytes.
    ``write_versions`` is conf's. The engine forgets a mark after a while."""

    codec = archived_mark.CODEC

    def __init__(
        self,
        job: str = "archive",
        thread_mode: bool = True,
        write_versions: Mapping[str, int] | None = None,
    ):
        self.job = job
        self.thread_mode = thread_mode
        self.write_versions = write_versions or {}

    def record(
        self, state: archived_mark.Mark | None, value: bytes, out: Outputs
    ) -> archived_mark.Mark | None:
        envelope = unseal(value)
        try:
            parse(envelope.raw)
        except InvalidTransaction as error:
            letter = refuse(envelope, self.job, "validate", error.reason, error.message)[1]
            out.emit(letter, DEAD_LETTERS)
            return None
        if state is not None:
            return None
        out.emit(with_origin(envelope))
        return archived_mark.Mark()

    def failed(self, value: bytes, problem: str) -> tuple[int, bytes]:
        return DEAD_LETTERS, failed(unseal(value), self.job, problem)


def with_origin(envelope: Envelope) -> bytes:
    """The transaction's own JSON with two fields put in front; the rest stays byte for byte."""
    head = f'{{"arrived_ms":{envelope.arrived_ms},"origin":"{envelope.origin}",'
    return head.encode() + envelope.raw.lstrip()[1:]


def archive_once(conf: Conf) -> ArchiveOnce:
    """The function as conf has it."""
    return ArchiveOnce(
        thread_mode=conf.job.require_thread_mode, write_versions=conf.state.write_versions
    )
