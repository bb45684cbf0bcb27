"""The promotions job's stage: unseal, parse, pass each revision on once."""

from __future__ import annotations

import msgspec

from tillstream.domain.arrival import refuse_ahead
from tillstream.domain.envelope import unseal
from tillstream.domain.promotions.copies import Known, NotPassed, pass_on
from tillstream.domain.promotions.promotion import parse
from tillstream.state_schemas.keyed import promotion_known
from tillstream.udfs.single import Emitted, SingleStage


class PassOn(SingleStage):
    """Keyed by promotion. In: enveloped announcements. Out: copies for each reader as
    ``<reader>|<promotion_id>\\n<json>``; to the side: dead letters as JSON bytes."""

    codec = promotion_known.CODEC
    kept = "promotion"

    def record(self, state: Known | None, value: bytes, out: Emitted) -> Known | None:
        envelope = unseal(value)
        announced = parse(envelope.raw)
        ahead_ms = self.settings.clock_ahead_ms
        refuse_ahead(announced.announced_ms, "announced_ms", envelope, ahead_ms)
        after, copies = pass_on(state, announced, envelope.arrived_ms, envelope.origin)
        if isinstance(copies, NotPassed):
            self.refuse(envelope, "apply", copies.reason, copies.message, out)
            return None
        for reader, copy in copies:
            out.emit(f"{reader}|{announced.promotion_id}\n".encode() + msgspec.json.encode(copy))
        return after
