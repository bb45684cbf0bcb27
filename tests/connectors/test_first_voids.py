"""The front door on a mini cluster: of all voids of a receipt the first counts, and no void is voided."""

from __future__ import annotations

import itertools
import json
from base64 import b64decode
from typing import Any, NamedTuple

import pytest
from pyflink.common import Row, Types

from tests.domain.receipt.test_contract import VALID
from tests.support.collected import collected
from tests.support.engine import engine
from tests.support.sales import sale
from tillstream import catalog
from tillstream.conf import load
from tillstream.connectors.context import JobContext
from tillstream.domain.envelope import seal
from tillstream.jobs import intake
from tillstream.udfs.engine import BYTES

ROW = Types.ROW_NAMED(["key", "value"], [Types.STRING(), BYTES])
ARRIVED = 4_000_000_000_000
APPLES = next(path for path in VALID if path.stem == "apples_of_734_grams").read_bytes()


class Made(NamedTuple):
    """What the front door made: ids on `transactions` with their totals, (id, reason) of dead letters, ids of
    what is kept as it came."""

    passed: dict[str, int]
    letters: list[tuple[str, str]]
    messages: dict[str, str]
    kept: list[str]
    goods: int  # thousandths on `transactions`


def made_of(records: list[dict[str, Any]]) -> Made:
    env = engine()
    context = JobContext(env, load("local"), catalog.job("intake"))
    rows = []
    for n, one in enumerate(records):
        raw = seal(f"kafka:tills/0/{n}", ARRIVED, json.dumps(one).encode())
        rows.append(Row(one["transaction_id"], raw))
    timed = env.from_collection(rows, ROW)
    streams = intake.build(timed, context)
    told = [
        stream.map(lambda value, mark=mark: mark + value, BYTES)
        for mark, stream in ((b"T", streams.transactions), (b"D", streams.dead_letters),
                             (b"R", streams.raw))
    ]  # fmt: skip
    made = Made({}, [], {}, [], 0)
    goods = 0
    for value in collected(told[0].union(*told[1:])):
        one = json.loads(value[1:])
        if value[:1] == b"T":
            assert one["transaction_id"] not in made.passed
            made.passed[one["transaction_id"]] = one["total"]
            goods += sum(line.get("thousandths", 1000) for line in one["lines"])
        elif value[:1] == b"D":
            identity = json.loads(b64decode(one["raw_b64"]))["transaction_id"]
            made.letters.append((identity, one["reason"]))
            made.messages[identity] = one["message"]
        else:
            made.kept.append(one["transaction_id"])
    return made._replace(goods=goods)


def order_of(order: tuple[str, ...], first: str, second: str) -> bool:
    return order.index(first) < order.index(second)


def void(identity: str, of: str, **changes: Any) -> dict[str, Any]:
    return sale(identity, kind="void", refers_to=of, **changes)


def of_v2(identity: str, voids: str | None = None) -> dict[str, Any]:
    document = json.loads(APPLES) | {"transaction_id": identity}
    return document | ({"kind": "void", "voids": voids} if voids else {})


SALE, VOID, AGAIN, UNDO, REDO = "sale-0001", "void-0001", "void-0002", "undo-0001", "redo-0001"


@pytest.mark.parametrize("contract", [1, 2])
def test_a_sale_is_voided_once_and_no_void_is_voided(contract):
    if contract == 1:
        records = [
            sale(SALE),
            void(VOID, SALE),
            void(UNDO, VOID),
            void(REDO, UNDO),
            void(AGAIN, SALE),
        ]
    else:
        records = [
            of_v2(SALE),
            of_v2(VOID, SALE),
            of_v2(UNDO, VOID),
            of_v2(REDO, UNDO),
            of_v2(AGAIN, SALE),
        ]
    made = made_of(records + records)  # the same again is a plain repeat
    assert set(made.passed) == {SALE, VOID}
    assert (sum(made.passed.values()), made.goods) == (0, 0)
    assert sorted(made.letters) == [
        (REDO, "not_a_sale"), (UNDO, "not_a_sale"), (AGAIN, "voided_already"),
    ]  # fmt: skip
    assert VOID in made.messages[AGAIN]
    assert VOID in made.messages[UNDO]
    assert sorted(made.kept) == [SALE, VOID]  # what is refused is with the dead letters alone


def test_in_whatever_order_they_come_goods_are_taken_back_once():
    orders = list(itertools.permutations([SALE, VOID, AGAIN, UNDO]))
    records: list[dict[str, Any]] = []
    for n, order in enumerate(orders):
        names = {name: f"{n:02d}-{name}" for name in order}
        of = {VOID: SALE, AGAIN: SALE, UNDO: VOID}
        records += [
            void(names[one], names[of[one]]) if one in of else sale(names[one]) for one in order
        ]
    made = made_of(records)
    for n in range(len(orders)):
        here = {name[3:]: total for name, total in made.passed.items() if name[:3] == f"{n:02d}-"}
        refused = {name[3:] for name, _ in made.letters if name[:3] == f"{n:02d}-"}
        assert SALE in here
        assert refused | set(here) == {SALE, VOID, AGAIN, UNDO}
        # The void of a void that nobody had seen yet counts, in place of that one. Where a third void counted
        # meanwhile nobody could know; the dead letter says so.
        early = order_of(orders[n], UNDO, VOID)
        assert VOID not in here or not early
        twice = early and order_of(orders[n], AGAIN, VOID)
        assert sum(here.values()) == (-here[SALE] if twice else 0), (orders[n], here)


def test_voids_of_one_another_take_back_no_more_than_one_receipt():
    made = made_of([void("void-000x", "void-000y"), void("void-000y", "void-000x")])
    assert set(made.passed) == {"void-000x"}
    assert made.letters == [("void-000y", "voided_already")]


def test_a_return_can_be_voided_and_a_void_without_a_receipt_counts():
    back = sale("back-0001", kind="refund", refers_to=SALE)
    made = made_of([sale(SALE), back, void(VOID, "back-0001")])
    assert set(made.passed) == {SALE, "back-0001", VOID}
    assert made.letters == []
