"""A promotion passed on to those who act on it: each revision once, in order, to four readers."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from tillstream.domain.content import of_promotion
from tillstream.domain.promotions.promotion import Announcement


class Known(msgspec.Struct, array_like=True, gc=False):
    """What is kept of a promotion: the newest revision passed on, and a fingerprint of it (`domain.content`;
    empty where a release noted it that kept none: such a one takes whatever comes for a repeat)."""

    revision: int = 0
    fingerprint: bytes = b""


class NotPassed(NamedTuple):
    """A revision that came after a later one, or with other content than before: not passed on, and not
    lost."""

    reason: str
    message: str


Copies = dict[str, dict[str, Any]]


def pass_on(
    known: Known | None, announced: Announcement, arrived_ms: int, origin: str
) -> tuple[Known | None, Copies | NotPassed]:
    """What is known after ``announced``, and a copy for each reader.

    The same revision again gives (None, {}). ``missing`` in a copy: revisions that were skipped; they
    can no longer matter, for a revision replaces those before it whole.
    """
    known, said = known or Known(), of_promotion(announced)
    last = known.revision
    if announced.revision == last:
        if known.fingerprint in (said, b""):
            return None, {}
        why = f"revision {last} came before with other content: what is new needs a later revision"
        return None, NotPassed("id_conflict", why)
    if announced.revision < last:
        why = f"revision {announced.revision} came after revision {last}"
        return None, NotPassed("outdated", why)
    whole = msgspec.to_builtins(announced)
    whole = {name: value for name, value in whole.items() if value is not None}
    head = {name: whole[name] for name in ("promotion_id", "revision", "status")}
    when = {"start_ms": announced.start_ms, "end_ms": announced.end_ms}
    where = {name: whole[name] for name in ("products", "stores") if name in whole}
    missing = announced.revision - last - 1
    pricing = {**head, **where, **when}
    if announced.price_cents is not None:
        pricing["price_cents"] = announced.price_cents
    return Known(announced.revision, said), {
        "inventory": whole,
        "marketing": {**head, **when, "accepted_ms": arrived_ms, "missing": missing},
        "pricing": pricing,
        "analytics": {**whole, "arrived_ms": arrived_ms, "origin": origin, "missing": missing},
    }
