"""The archive's stage: the front door's transactions, each once, as it wrote them."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from tillstream.conf import Conf
from tillstream.domain.envelope import Envelope
from tillstream.domain.receipt.canonical import Receipt
from tillstream.domain.receipt.reading import opened, reader
from tillstream.domain.transaction import InvalidTransaction
from tillstream.state_schemas.keyed import archived_mark
from tillstream.udfs.batched import BatchedStage, Outputs
from tillstream.udfs.stage import DEAD_LETTERS, StageSettings

SKIPPED = "skipped"
# All of it: a field that fits no column would stop the sink, and the job with it.
read = reader(Receipt)
_encode = msgspec.json.Encoder().encode


class ArchiveOnce(BatchedStage):
    """Keyed by transaction id. In: enveloped transactions of the front door. Out: each as JSON bytes,
    with ``place`` and ``taken_ms`` put in front; to the sides, as JSON bytes: dead letters, and what
    else was read and is not kept (state_schemas/tables/archive_skipped.py).
    A mark is forgotten after a while, so is what it knows."""

    sides: ClassVar[tuple[str, ...]] = (DEAD_LETTERS, SKIPPED)
    codec = archived_mark.CODEC

    def record(
        self, state: archived_mark.Mark | None, value: bytes, out: Outputs
    ) -> archived_mark.Mark | None:
        envelope = opened(value)
        if not envelope.raw and "-" in envelope.origin.rpartition("/")[2]:
            out.emit(skipped(envelope, "no record"), SKIPPED)
            return None
        try:
            receipt = read(envelope.raw)
        except InvalidTransaction as error:
            self.refuse(envelope, "validate", error.reason, error.message, out)
            return None
        if state is not None:
            # Whatever it says: which of two contents counts was the front door's choice.
            out.emit(skipped(envelope, "repeated"), SKIPPED)
            return None
        out.emit(with_place(envelope, receipt))
        return archived_mark.Mark(b"")

    def sent(self, value: bytes) -> Envelope:
        return opened(value)


def with_place(envelope: Envelope, receipt: Receipt) -> bytes:
    """The transaction's own JSON with two fields put in front. What the front door wrote stays byte for
    byte, what it does not write is left out."""
    head = f'{{"place":"{envelope.origin}","taken_ms":{envelope.arrived_ms},'
    return head.encode() + _encode(receipt)[1:]


def skipped(envelope: Envelope, why: str) -> bytes:
    """That it was read, and why it is not in the archive."""
    return _encode({"arrived_ms": envelope.arrived_ms, "origin": envelope.origin, "why": why})


def archive_once(conf: Conf) -> ArchiveOnce:
    """The function as conf has it."""
    return ArchiveOnce(StageSettings.of("archive", conf))
