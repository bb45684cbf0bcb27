"""Revenue that fraud holds, on a mini cluster: each sale once, whatever is said again and in which order."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from typing import Any

import msgspec
from pyflink.common import Row, Types

from tests.support.collected import collected
from tests.support.engine import engine
from tests.support.sales import T0
from tillstream import catalog
from tillstream.conf import load
from tillstream.connectors import tracking
from tillstream.connectors.context import JobContext
from tillstream.domain.envelope import seal
from tillstream.domain.fraud.actions import Hold
from tillstream.udfs.engine import BYTES

ROW = Types.ROW_NAMED(["key", "value"], [Types.STRING(), BYTES])
HOUR = T0 - T0 % 3_600_000
ARRIVED = T0 + 600_000


def said(action: str, of: str, store: int, minutes: int = 0, **changes: Any) -> dict[str, Any]:
    """What the fraud job writes of a sale of R100, so many minutes after it."""
    made = Hold(f"{of}:{action}", of, action, store, 3, "default-3", T0, T0 + minutes * 60_000)  # type: ignore[arg-type]
    if action == "hold":
        made = msgspec.structs.replace(made, total_cents=10_000, currency="ZAR")
    return msgspec.to_builtins(made) | changes


def additions(told: list[dict[str, Any] | bytes]) -> list[dict[str, Any]]:
    rows = []
    for n, one in enumerate(told):
        raw = one if isinstance(one, bytes) else json.dumps(one).encode()
        key = "~7" if isinstance(one, bytes) else one["transaction_id"]
        rows.append(Row(key, seal(f"kafka:holds/0/{n}", ARRIVED, raw)))
    env = engine()
    context = JobContext(env, load("local", {}), catalog.job("sales"))
    return [
        json.loads(one) for one in collected(tracking.held(context, env.from_collection(rows, ROW)))
    ]


def sums(made: list[dict[str, Any]]) -> dict[int, tuple[int, ...]]:
    """By store: held, held_cents, lost, lost_cents."""
    found: dict[int, Counter[str]] = {}
    for one in made:
        found.setdefault(one["store"], Counter()).update(
            {name: one[name] for name in ("held", "held_cents", "lost", "lost_cents")}
        )
    return {store: tuple(of.values()) for store, of in found.items()}


HELD, FREE, LOST = (1, 10_000, 0, 0), (0, 0, 0, 0), (0, 0, 1, 10_000)


def test_a_hold_is_held_revenue_a_release_none_and_fraud_is_lost_in_the_hour_of_the_sale():
    cases: list[tuple[list[tuple[str, int]], tuple[int, ...] | None]] = [
        ([("hold", 0)], HELD),
        ([("hold", 0), ("hold", 0)], HELD),
        ([("hold", 0), ("release", 1)], FREE),
        ([("hold", 0), ("decline", 1)], LOST),
        ([("hold", 0), ("decline", 1), ("decline", 1), ("hold", 0)], LOST),
        ([("hold", 0), ("decline", 1), ("release", 2)], FREE),
        ([("release", 1)], None),  # its hold is not there
        *((list(order), LOST) for order in itertools.permutations(
            [("hold", 0), ("release", 1), ("decline", 2)])),
        *((list(order), LOST) for order in itertools.permutations(
            [("hold", 0), ("release", 1), ("decline", 1)])),
        *((list(order), FREE) for order in itertools.permutations(
            [("hold", 0), ("decline", 1), ("release", 2)])),
    ]  # fmt: skip
    told, wanted = [], {}
    for store, (words, must) in enumerate(cases, start=100):
        told += [said(action, f"sale-{store}", store, minutes) for action, minutes in words]
        wanted[store] = must
    nothing = [
        said("hold", "sale-1", 1, total_cents=None, currency=None),  # of a release before
        said("hold", "sale-2", 2, ordered_at_ms=ARRIVED + 301_000),  # no verdict could overrule it
        said("keep", "sale-3", 3),
        said("hold", "sale-4", 4, total_cents="10"),
        b"not json",
    ]
    made = additions([*nothing, *told])
    found = sums(made)
    # Where a release came first, its hold adds nothing at all.
    assert {store: found.get(store, FREE) for store in found.keys() | wanted.keys()} == {
        store: must or FREE for store, must in wanted.items()
    }
    first = next(one for one in made if one["store"] == 100)
    assert first == {
        "store_hour": f"100/{HOUR}/ZAR", "store": 100, "window_start_ms": HOUR, "window_ms": 3_600_000,
        "currency": "ZAR", "held": 1, "held_cents": 10_000, "lost": 0, "lost_cents": 0,
    }  # fmt: skip
