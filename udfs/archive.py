"""The archive's stage: unseal, parse, drop what was archived already, emit the transaction.

It alone sees each transaction by its id, whoever bought and wherever, so it tells of two sales of one id.
"""

from __future__ import annotations

from tillstream.conf import Conf
from tillstream.domain.arrival import parse_sale
from tillstream.domain.content import fingerprint
from tillstream.domain.envelope import Envelope, unseal
from tillstream.domain.transaction import InvalidTransaction
from tillstream.state_schemas.keyed import archived_mark
from tillstream.udfs.batched import BatchedStage, Outputs
from tillstream.udfs.stage import StageSettings


class ArchiveOnce(BatchedStage):
    """Keyed by transaction id. In: enveloped transactions. Out: the transaction as JSON bytes with
    ``arrived_ms`` and ``origin`` added; to the side: dead letters as JSON bytes.
    A mark is forgotten after a while, so is what it knows."""

    codec = archived_mark.CODEC

    def record(
        self, state: archived_mark.Mark | None, value: bytes, out: Outputs
    ) -> archived_mark.Mark | None:
        envelope = unseal(value)
        try:
            sale = parse_sale(envelope, self.settings.clock_ahead_ms)
        except InvalidTransaction as error:
            self.refuse(envelope, "validate", error.reason, error.message, out)
            return None
        content = fingerprint(sale)
        if state is None:
            out.emit(with_origin(envelope))
            return archived_mark.Mark(content)
        if state.fingerprint not in (content, b""):
            message = "another transaction with this transaction_id came before it"
            self.refuse(envelope, "apply", "id_conflict", message, out)
        return None


def with_origin(envelope: Envelope) -> bytes:
    """The transaction's own JSON with two fields put in front; the rest stays byte for byte."""
    head = f'{{"arrived_ms":{envelope.arrived_ms},"origin":"{envelope.origin}",'
    return head.encode() + envelope.raw.lstrip()[1:]


def archive_once(conf: Conf) -> ArchiveOnce:
    """The function as conf has it."""
    return ArchiveOnce(StageSettings.of("archive", conf))
