"""The archive's stage: unseal, parse, drop what was archived already, emit the transaction.

It alone sees each transaction by its id, whoever bought and wherever, so it tells of two sales of one id.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from tillstream.conf import Conf
from tillstream.domain import content
from tillstream.domain.arrival import parse_sale
from tillstream.domain.envelope import Envelope, unseal
from tillstream.domain.transaction import InvalidTransaction
from tillstream.state_schemas.keyed import archived_mark
from tillstream.udfs.batched import BatchedStage, Outputs
from tillstream.udfs.stage import DEAD_LETTERS, StageSettings

SKIPPED = "skipped"
_encode = msgspec.json.Encoder().encode


class ArchiveOnce(BatchedStage):
    """Keyed by transaction id. In: enveloped transactions. Out: the transaction as JSON bytes with
    ``arrived_ms`` and ``origin`` added; to the sides, as JSON bytes: dead letters, and what else was
    read and is not kept (state_schemas/tables/archive_skipped.py).
    A mark is forgotten after a while, so is what it knows."""

    sides: ClassVar[tuple[str, ...]] = (DEAD_LETTERS, SKIPPED)
    codec = archived_mark.CODEC

    def record(
        self, state: archived_mark.Mark | None, value: bytes, out: Outputs
    ) -> archived_mark.Mark | None:
        envelope = unseal(value)
        if not envelope.raw and "-" in envelope.origin.rpartition("/")[2]:
            out.emit(skipped(envelope, "no record"), SKIPPED)
            return None
        try:
            sale = parse_sale(envelope, self.settings.clock_ahead_ms)
        except InvalidTransaction as error:
            self.refuse(envelope, "validate", error.reason, error.message, out)
            return None
        said = content.of_sale(sale)
        if state is None:
            out.emit(with_origin(envelope))
            return archived_mark.Mark(said)
        if state.fingerprint in (said, b""):
            out.emit(skipped(envelope, "repeated"), SKIPPED)
        else:
            message = "another transaction with this transaction_id came before it"
            self.refuse(envelope, "apply", "id_conflict", message, out)
        return None


def with_origin(envelope: Envelope) -> bytes:
    """The transaction's own JSON with two fields put in front; the rest stays byte for byte."""
    head = f'{{"arrived_ms":{envelope.arrived_ms},"origin":"{envelope.origin}",'
    return head.encode() + envelope.raw.lstrip()[1:]


def skipped(envelope: Envelope, why: str) -> bytes:
    """That it was read, and why it is not in the archive."""
    return _encode({"arrived_ms": envelope.arrived_ms, "origin": envelope.origin, "why": why})


def archive_once(conf: Conf) -> ArchiveOnce:
    """The function as conf has it."""
    return ArchiveOnce(StageSettings.of("archive", conf))
