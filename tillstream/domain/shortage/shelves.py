"""The watched shelves of a store, as they are kept, and the rules they are judged by."""

from __future__ import annotations

from collections.abc import MutableMapping

import msgspec

from tillstream.domain.demand.model import Demand, DemandRules
from tillstream.domain.local_time import UTC
from tillstream.domain.promotions.promotion import Promotion
from tillstream.domain.shortage.line import MINUTE_MS, OK
from tillstream.domain.shortage.silence import Appeal, SilenceRules

NEVER = 2**62


class ShortageRules(msgspec.Struct, frozen=True, gc=False):
    """lead_minutes: how long help takes; lead_minutes_by_store where it is otherwise.
    renew_minutes: an open shortage is reported again when its time has moved by so much.
    blind_alpha: how improbable a store's silence must be before it counts as offline."""

    demand: DemandRules = DemandRules()
    silence: SilenceRules = SilenceRules()
    lead_minutes: int = 90
    lead_minutes_by_store: dict[int, int] = {}
    open_at: float = 0.3
    close_at: float = 0.1
    renew_minutes: int = 10
    in_order_ms: int = 2 * MINUTE_MS
    stale_ms: int = 30 * MINUTE_MS
    max_shelves: int = 32
    forget_days: int = 28
    blind_alpha: float = 1e-6

    def at(self, zone: str) -> ShortageRules:
        """The same by the clocks of ``zone``."""
        return msgspec.structs.replace(self, demand=self.demand.at(zone))

    def lead_ms(self, store: int) -> int:
        return self.lead_minutes_by_store.get(store, self.lead_minutes) * MINUTE_MS


class Shelf(msgspec.Struct, array_like=True, gc=False):
    """One watched product. stock: None until the ledger has told one; stock_version: of that level.
    told_ms: the run-out that was told last."""

    demand: Demand
    appeal: Appeal
    sold_ms: int = 0
    stock: int | None = None
    stock_version: int = -1
    stock_ms: int = 0
    status: str = OK
    since_ms: int = 0
    episode_day: int = 0
    episode: int = 0
    told_ms: int = 0


class StoreWatch(msgspec.Struct, array_like=True, gc=False):
    """One store. newest_ms: its own clock, the latest event time in order; looked_ms: when all its
    shelves were looked at. offline_ms: since when its tills are not heard, 0 if they are. wake_ms: of
    the timer that asks, 0 if there is none. traffic: its baskets, learnt like a product.
    uplifts_until_ms: when a promotion begins or ends next. version: counts the lines told, of all
    shelves, so that one that is forgotten and comes back goes on. ring: the last transactions' marks.
    zone: by whose clocks it was learnt."""

    region: str = ""
    newest_ms: int = 0
    looked_ms: int = 0
    offline_ms: int = 0
    wake_ms: int = 0
    version: int = 0
    traffic: Demand = msgspec.field(default_factory=Demand)
    promotions: dict[str, list[Promotion]] = {}
    uplifts_until_ms: int = NEVER
    ring: bytes = b""
    zone: str = UTC
    shelves: MutableMapping[str, Shelf] = msgspec.field(default_factory=dict)
