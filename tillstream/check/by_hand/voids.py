"""Which voids count, for the check alone: the first of each receipt, and none of a void.

By the order of sending, in which one till's records come to the front door.
"""

from __future__ import annotations

from typing import Any

ALREADY, NO_SALE = "voided_already", "not_a_sale"


class Voids:
    """What was sent so far: ids of voids with why they do not count (None: they do), and for each voided
    receipt the void that stands."""

    def __init__(self) -> None:
        self._verdicts: dict[str, str | None] = {}
        self._standing: dict[str, str] = {}

    def why_not(self, record: dict[str, Any]) -> str | None:
        """Why a record of a till does not count, None if it does."""
        if record.get("kind") != "void" or record.get("training"):
            return None
        own, of = record["transaction_id"], record.get("voids") or record.get("refers_to")
        if own not in self._verdicts:
            self._verdicts[own] = self._first_time(own, of)
        return self._verdicts[own]

    def _first_time(self, own: str, of: str | None) -> str | None:
        if own in self._standing:  # undone before it came, and that has taken the goods back
            if of:
                self._standing.setdefault(of, self._standing[own])
            return ALREADY
        if of is None:
            return None
        if of == own or (of in self._verdicts and of not in self._standing):
            return NO_SALE
        if of in self._standing:
            return ALREADY
        self._standing[of] = own
        return None
