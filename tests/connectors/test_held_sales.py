"""Revenue that fraud holds, on a mini cluster: each sale once, whatever is said again and in which order."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyflink.common import Row, Types
from pyflink.datastream import DataStream

from tests.support.collected import collected
from tests.support.contracts import accepted_by_code
from tests.support.engine import engine
from tests.support.sales import T0
from tillstream import catalog
from tillstream.conf import load
from tillstream.connectors import tracking
from tillstream.connectors.context import JobContext
from tillstream.connectors.gateway import ours
from tillstream.domain.envelope import seal
from tillstream.domain.fraud.actions import Hold
from tillstream.domain.loyalty.held import HoldOrder, parse_order
from tillstream.domain.transaction import InvalidTransaction
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


def rows_of(told: list[dict[str, Any] | bytes]) -> list[Row]:
    rows = []
    for n, one in enumerate(told):
        raw = one if isinstance(one, bytes) else json.dumps(one).encode()
        key = "~7" if isinstance(one, bytes) else one["transaction_id"]
        rows.append(Row(key, seal(f"kafka:holds/0/{n}", ARRIVED, raw)))
    return rows


def additions(told: list[dict[str, Any] | bytes]) -> list[dict[str, Any]]:
    rows, env = rows_of(told), engine()
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


ODD = st.sampled_from(
    [None, "", "rand", "ZAR", "é" * 64, "é" * 65, "a b", "C0000000001",
     0, -1, 1.5, 2**31, 2**53, T0, True, [], {}]
)  # fmt: skip


@pytest.mark.usefixtures("classes")
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.dictionaries(st.sampled_from([*HoldOrder.__struct_fields__, "till", "colour"]), ODD, max_size=2),
    st.sampled_from(["", *HoldOrder.__struct_fields__]),
)  # fmt: skip
def test_the_jvm_and_loyalty_take_the_same_for_a_word_of_fraud(changes, without):
    told = said("hold", "sale-1", 1, customer_id="C0000000001", region="gauteng") | changes
    told.pop(without, None)
    raw = json.dumps(told).encode()
    assert _accepted(raw) == accepted_by_code(parse_order, told), told


@pytest.mark.usefixtures("classes")
def test_the_jvm_takes_no_word_with_a_field_twice_or_with_more_behind_it():
    raw = json.dumps(said("hold", "sale-1", 1)).encode()
    assert _accepted(raw)
    for other in (raw + b"{}", raw[:-1] + b', "action": "decline"}', b"", b"[]", b"null", b"\xff"):
        assert not _accepted(other)


@pytest.mark.usefixtures("classes")
@pytest.mark.parametrize(
    "number",
    ["9" * 308, "9" * 309, "-" + "9" * 1_200, "1e308", "1e309", "0." + "9" * 900, "[" + "9" * 309 + "]",
     '{"a":-1e999}', "[1e308, 2]"],
    ids=lambda number: number[:6],
)  # fmt: skip
def test_a_number_beyond_all_numbers_is_no_json_to_both(number):
    """Else a hold would wait for its sale in the one, and not be refused by the other before that comes."""
    whole = json.dumps(said("hold", "sale-1", 1)).encode()
    raw = b'{"number":' + number.encode() + b"," + whole[1:]
    refused = ""
    try:
        parse_order(raw)
    except InvalidTransaction as error:
        refused = error.reason
    assert refused in ("", "not_json")
    assert _accepted(raw) == (not refused)


def test_a_word_that_loyalty_refuses_adds_no_revenue():
    assert additions([said("hold", "sale-1", 1, currency="rand")]) == []


def test_a_held_sale_is_remembered_until_its_verdict_however_long_that_takes():
    """Everything else is forgotten after a millisecond here, which some thousand records take."""
    many = [said("release", f"other-{n}", 1) for n in range(3_000)]
    rows = rows_of([said("hold", "sale-1", 1), *many, said("decline", "sale-1", 1, 5)])
    stream = engine().from_collection(rows, ROW)
    made = DataStream(ours().HeldSales.additions(stream._j_data_stream, 1, 300_000))
    assert sums([json.loads(one) for one in collected(made)]) == {1: LOST}


def _accepted(raw: bytes) -> bool:
    return bool(ours().HoldOrder.matches(seal("kafka:holds/0/1", T0, raw)))
