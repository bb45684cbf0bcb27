"""A record's own time against the broker's: whatever is ahead of its arrival is not believed.

One till or hand scanner whose clock is a year ahead would close the horizon of its customer and of its
shelf, the windows of a card, and the hours of a store. Within the tolerance a time stands as it is, and
moves nothing but its own record: horizons and watermarks go by the earlier of event time and arrival.
"""

from __future__ import annotations

from tillstream.domain.envelope import Envelope
from tillstream.domain.transaction import InvalidTransaction


def refuse_ahead(at_ms: int, field: str, envelope: Envelope, clock_ahead_ms: int) -> None:
    """Raises InvalidTransaction where ``at_ms``, of ``field``, is more than ``clock_ahead_ms`` after the
    record arrived."""
    if at_ms > envelope.arrived_ms + clock_ahead_ms:
        raise InvalidTransaction("clock_ahead", f"{field} is ahead of the broker's clock")
