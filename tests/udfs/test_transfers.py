"""Transfers, from their documents to what is told where both ends differ."""

from __future__ import annotations

import pytest

from tests.support.batched_harness import BatchedHarness
from tests.support.harness import KeyedHarness
from tests.udfs.test_inventory_functions import HOUR_MS, KINDS, MILK, SETTINGS, T0, movement, sealed
from tillstream.domain import notice
from tillstream.domain.stock.transfers import Transfer, TransferRules
from tillstream.state_schemas.keyed import stock_transfer
from tillstream.udfs.inventory import StockDocuments
from tillstream.udfs.stock_reports import TransferEnds


@pytest.fixture
def documents() -> KeyedHarness:
    return KeyedHarness(StockDocuments(SETTINGS, KINDS, (45, 46, 47)))


class Road:
    """Documents of transfers on their way to the stage that compares them."""

    def __init__(self, documents: KeyedHarness, now_ms: int = T0) -> None:
        self.documents = documents
        self.ends = BatchedHarness(TransferEnds(SETTINGS, TransferRules(48, 6)), now_ms=now_ms)

    def comes(
        self,
        kind: str,
        store: int,
        quantity: int,
        reference: str = "T-1",
        at_ms: int = T0,
        n: int = 1,
    ) -> None:
        number = f"{store:04d}-{kind.replace('_', '-')}-{reference}-{n}"
        lines = [
            {"product": MILK, "quantity": quantity},
            {"product": "plu-4011", "quantity": 6_000},
        ]
        made = movement(
            kind=kind, store=store, document_id=number, reference=reference, lines=lines,
            event_time_ms=at_ms,
        )  # fmt: skip
        before = len(self.documents.side["transfers"])
        self.documents.process(number, sealed(made, arrived_ms=at_ms))
        for end in self.documents.side["transfers"][before:]:
            key, _, body = end.partition(b"\n")
            self.ends.process((key.decode(), body))

    def told(self, at_ms: int) -> list[notice.Notice]:
        made = self.ends.advance_to(at_ms)
        return [notice.parse(one.partition(b"\n")[2]) for one in made]


def test_50_sent_and_30_received_is_told_to_both_stores_and_the_supply_team(documents):
    road = Road(documents)
    road.comes("transfer_out", 45, 50)
    road.comes("transfer_in", 46, 30, at_ms=T0 + 3 * HOUR_MS)
    assert road.told(T0 + 48 * HOUR_MS - 1) == []
    told = road.told(T0 + 48 * HOUR_MS)
    assert [one.recipient for one in told] == ["store:45", "store:46", "team:supply"]
    assert {one.notice_id.partition(":")[0] for one in told} == {"transfer_differs"}
    for one in told:
        assert one.params == {
            "reference": "T-1", "product": MILK, "sent": 50, "received": 30, "missing": 20,
            "products_that_differ": 1, "sender": 45, "receiver": 46,
        }  # fmt: skip
    assert road.told(T0 + 500 * HOUR_MS) == []


def test_50_and_50_say_nothing_whichever_end_comes_first_and_leave_nothing(documents):
    road = Road(documents)
    road.comes("transfer_in", 46, 50)
    road.comes("transfer_out", 45, 50)
    road.comes("transfer_out", 45, 50)  # the same document again
    assert stock_transfer.decode(road.ends.state["T-1"]) == stock_transfer.decode(
        stock_transfer.encode(Transfer())
    )
    assert road.told(T0 + 500 * HOUR_MS) == []
    assert road.ends.timers == set()


def test_an_end_that_never_comes_is_told_and_one_that_comes_later_ends_it(documents):
    road = Road(documents)
    road.comes("transfer_out", 45, 50)
    told = road.told(T0 + 48 * HOUR_MS)
    assert {(one.recipient, one.params["product"], one.params["missing"]) for one in told} == {
        (to, product, missing)
        for to in ("store:45", "team:supply")
        for product, missing in ((MILK, 50), ("plu-4011", 6_000))
    }
    assert "receiver" not in told[0].params
    road.comes("transfer_in", 46, 30, at_ms=T0 + 50 * HOUR_MS)
    road.comes("transfer_in", 46, 20, at_ms=T0 + 51 * HOUR_MS, n=2)
    told = road.told(T0 + 54 * HOUR_MS)
    assert {one.params["product"] for one in told} == {"plu-4011"}  # 6,000 sent, twice received


def test_a_job_that_was_away_for_three_days_reads_the_other_end_before_it_tells(documents):
    road = Road(documents)
    road.comes("transfer_out", 45, 50)
    assert road.told(T0 + 72 * HOUR_MS) == []  # the timer, long overdue
    road.comes("transfer_in", 46, 50, at_ms=T0 + 20 * HOUR_MS)
    assert road.told(T0 + 500 * HOUR_MS) == []


def test_a_replay_waits_for_the_other_end_although_the_wait_is_long_over(documents):
    road = Road(documents, now_ms=T0 + 240 * HOUR_MS)
    road.comes("transfer_out", 45, 50)
    assert road.told(T0 + 245 * HOUR_MS) == []
    road.comes("transfer_in", 46, 30, at_ms=T0 + HOUR_MS)
    told = road.told(T0 + 246 * HOUR_MS)
    assert [one.params["missing"] for one in told] == [20, 20, 20]
    assert told[0].notice_id == f"transfer_differs:store:45:T-1-{MILK}-50-30"


def test_a_reference_used_again_is_not_compared_by_the_first_one_s_timer(documents):
    road = Road(documents)
    road.comes("transfer_out", 45, 50)
    road.comes("transfer_in", 46, 50)
    road.ends.now_ms = T0 + 40 * HOUR_MS
    road.comes("transfer_out", 45, 8, at_ms=T0 + 40 * HOUR_MS, n=2)
    assert road.told(T0 + 48 * HOUR_MS) == []
    road.comes("transfer_in", 46, 8, at_ms=T0 + 49 * HOUR_MS, n=2)
    assert road.told(T0 + 500 * HOUR_MS) == []
