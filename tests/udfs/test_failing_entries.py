"""Whatever a stage is called for, a rule that raises costs that call alone: of every stage, for records,
timers and the broadcast input, in the harness; and all of these at once on a real mini cluster."""

from __future__ import annotations

import base64
import importlib
import json
import pkgutil
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec
import pytest
from pyflink.common import Row, Types
from pyflink.datastream import DataStream

from tests.support import ROOT
from tests.support.batched_harness import BatchedHarness
from tests.support.collected import collected
from tests.support.engine import engine
from tests.support.failing import letters, raising, says
from tests.support.fraud_chain import T0, TRANSACTIONS, Chain, as_read, label_of, sale
from tests.support.harness import KeyedHarness
from tests.support.sales import canonical
from tests.support.sales import sale as till_sale
from tests.udfs import test_inventory_functions as stock
from tests.udfs import test_shortage_functions as shelves
from tillstream import udfs
from tillstream.connectors import batched, sources
from tillstream.domain.envelope import seal, unseal
from tillstream.domain.promotions.overlaps import Offer
from tillstream.domain.shortage.regional import RegionalRules
from tillstream.domain.stock import order_wake
from tillstream.domain.stock.inventory import InventoryRules
from tillstream.fraud.rules_file import packaged_rules
from tillstream.udfs import fraud, inventory, promotions, shortage
from tillstream.udfs.batched import BatchedStage
from tillstream.udfs.engine import BYTES
from tillstream.udfs.fraud import counters as fraud_counters
from tillstream.udfs.range_orders import RangeOrders
from tillstream.udfs.single import SingleStage
from tillstream.udfs.stage import DEAD_LETTERS, MAIN, Stage, StageSettings, TooManyFailed

ROWS = Types.ROW_NAMED(["key", "value"], [Types.STRING(), BYTES])
ANNOUNCED = json.loads(
    (ROOT / "state_schemas/events/promotion/examples/valid/everywhere.json").read_bytes()
)
KEY = "45/2000000000411"


def announced(revision: int) -> bytes:
    document = ANNOUNCED | {"promotion_id": "promo-0001", "revision": revision}
    return seal(f"kafka:promos/0/{revision}", stock.T0, json.dumps(document).encode())


def watch() -> BatchedHarness:
    return BatchedHarness(shelves.watch_function(), now_ms=1_000_000)


def ledger() -> BatchedHarness:
    stage = inventory.StockLedger(stock.SETTINGS, InventoryRules(), stock.NEAR, {})
    return BatchedHarness(stage, now_ms=stock.T0)


def by_store() -> KeyedHarness:
    return KeyedHarness(shortage.PromotionsByStore(shelves.SETTINGS, (45,)))


def documents() -> KeyedHarness:
    return KeyedHarness(inventory.StockDocuments(stock.SETTINGS, stock.KINDS, (45,)))


def pass_on() -> KeyedHarness:
    return KeyedHarness(promotions.PassOn(StageSettings("promotions")))


def overlaps() -> KeyedHarness:
    return KeyedHarness(promotions.PriceOverlaps(StageSettings("promotions")))


def price_of_milk(n: int) -> bytes:
    offer = Offer(f"offer-{n}", 1, 0, 1_000, 100 + n)
    return msgspec.json.encode(promotions.Change("2000000000411", offer, 0))


def region() -> KeyedHarness:
    return KeyedHarness(shortage.RegionWatch(shelves.SETTINGS, RegionalRules(), {}))


def store_s_part(revision: int) -> bytes:
    return bytes(by_store().process("promo-0001", announced(revision))[0][1])


def ledger_lines(revision: int) -> bytes:
    return bytes(documents().process("promo-0001", announced(revision))[0][1])


def request(name: str) -> bytes:
    asked = {"type": "request", "request_id": name, "ask": "order", "to": 45, "asked_by": 46,
             "product": stock.MILK, "order_id": name, "quantity": 1, "event_time_ms": stock.T0,
             "emergency": False}  # fmt: skip
    return b"D" + json.dumps(asked).encode()


def untaken(number: int) -> bytes:
    raw = canonical(till_sale(f"0045-03-20251124-{number:06d}", stock.T0))
    return b"T" + seal(f"kafka:tills/0/{number}", stock.T0, raw)


def shelf_line(number: int) -> bytes:
    if not shelf_line.__dict__:
        found = watch()
        found.process(*shelves.history())
        shelf_line.__dict__["made"] = found.main[0]
    return json.dumps(json.loads(shelf_line.__dict__["made"]) | {"version": number}).encode()


def movement(number: int) -> bytes:
    raw = stock.movement(document_id=f"count-0045-{number}")
    return seal(f"kafka:moves/0/{number}", stock.T0, raw)


class Case(NamedTuple):
    """rule: what fails, in ``module``; record: the n-th, of which the second fails; raw: its bytes as the
    dead letter has them, and origin: what it begins with; before: records that come first."""

    make: Callable[[], Any]
    module: Any
    rule: str
    record: Callable[[int], bytes]
    raw: Callable[[bytes], bytes]
    origin: str
    key: str = KEY
    before: Callable[[], list[bytes]] = list


def whole(value: bytes) -> bytes:
    return unseal(value).raw


def untagged(value: bytes) -> bytes:
    return value[1:]


CASES = {
    "stock line": Case(
        ledger, inventory, "on_line", lambda n: stock.line("sale", f"t-{n}/1", -1, stock.T0 + n)[1],
        untagged, "inventory:",
    ),
    "stock request": Case(
        ledger, inventory, "on_request", lambda n: request(f"45-1-00000{n}"), untagged, "inventory:",
        before=lambda: [stock.line("count", "M:c/1", 10)[1]],
    ),
    "stock promotion": Case(
        ledger, inventory, "on_promotion", ledger_lines, untagged, "inventory:",
        before=lambda: [stock.line("count", "M:c/1", 10)[1]],
    ),
    "untaken transaction": Case(
        ledger, inventory.baskets, "uncounted", untaken, lambda v: whole(v[1:]), "kafka:tills/0/2",
    ),
    "stock document": Case(
        documents, inventory, "of_movement", movement, whole, "kafka:moves/0/2"
    ),
    "promotion passed on": Case(
        pass_on, promotions, "pass_on", announced, whole, "kafka:promos/0/2"
    ),
    "prices of a product": Case(
        overlaps, promotions, "take", price_of_milk, lambda v: v, "promotions:", "2000000000411"
    ),
    "promotion by store": Case(
        by_store, shortage.promotion, "parse", announced, whole, "kafka:promos/0/2",
    ),
    "basket": Case(
        watch, shortage, "apply_basket", lambda n: shelves.receipt(n, shelves.DAY0 + n, bread=1),
        whole, "kafka:transactions/0/2", "45",
    ),
    "stock level": Case(
        watch, shortage, "apply_level", lambda n: shelves.level(n, 10 - n, shelves.DAY0 + n), whole,
        "kafka:stock-changes/1/2", "45", lambda: [shelves.receipt(9, shelves.DAY0, bread=1)],
    ),
    "store's promotion": Case(
        watch, shortage, "apply_promotion", store_s_part, whole, "shortage:", "45",
        lambda: [shelves.receipt(9, shelves.DAY0, bread=1)],
    ),
    "region": Case(
        region, shortage, "apply_line", shelf_line, lambda v: v, "shortage:", "gauteng/1"
    ),
}  # fmt: skip


def outputs(harness: Any) -> tuple[list[Any], dict[str, list[Any]]]:
    return harness.main, {name: made for name, made in harness.side.items() if name != DEAD_LETTERS}


@pytest.mark.parametrize("name", CASES)
def test_a_record_costs_itself_alone(name, monkeypatch):
    case = CASES[name]
    records = [case.record(n) for n in (1, 2, 3)]
    failing, alone = case.make(), case.make()
    for harness in (failing, alone):
        for value in case.before():
            harness.process(
                *[(case.key, value)] if harness_is_batched(harness) else [case.key, value]
            )
    calls = iter(range(1, 99))
    with monkeypatch.context() as patch:
        if harness_is_batched(failing):
            # Once at once, then one by one: the second call for the second record.
            bad = {2, 4}
            raising(patch, case.module, case.rule, lambda *_: next(calls) in bad)
            failing.process(*((case.key, value) for value in records))
        else:
            raising(patch, case.module, case.rule, lambda *_: next(calls) == 2)
            for value in records:
                failing.process(case.key, value)
    for value in (records[0], records[2]):
        alone.process(*[(case.key, value)] if harness_is_batched(alone) else [case.key, value])
    told = [letter for letter in letters(failing) if letter["reason"] == "rule_failed"]
    (letter,) = told
    says(letter, case.raw(records[1]))
    assert letter["origin"].startswith(case.origin)
    assert letter["job"] == failing_stage(failing).settings.job
    assert failing.state == alone.state
    assert outputs(failing) == outputs(alone)


def harness_is_batched(harness: Any) -> bool:
    return isinstance(harness, BatchedHarness)


def failing_stage(harness: Any) -> Stage:
    return harness.function if harness_is_batched(harness) else harness._function


@pytest.mark.parametrize("stage", ["till", "card", "judge"])
@pytest.mark.parametrize("kind", ["sale", "label"])
def test_each_stage_of_the_fraud_job_goes_on(stage, kind, monkeypatch):
    module = fraud if stage == "judge" else fraud_counters
    rule = {"sale": "judge_both", "label": "apply_label"} if stage == "judge" else {
        "sale": "observe_card" if stage == "card" else "observe", "label": "label"}  # fmt: skip
    chain = Chain(audit_passes=True)
    sold = sale(1)
    chain.send(sold)
    before = {name: dict(getattr(chain, name).state) for name in ("till", "card", "judge")}
    harness = getattr(chain, stage)
    process = harness.process

    def failing(*records):
        with monkeypatch.context() as patch:
            raising(patch, module, rule[kind])
            return process(*records)

    harness.process = failing
    second = sale(2, T0 + 60_000)
    document = second if kind == "sale" else label_of(sold, True)
    topic = TRANSACTIONS if kind == "sale" else "fraud-labels"
    chain.send(document, topic=topic)
    (letter,) = letters(harness)
    assert (letter["reason"], letter["job"]) == ("rule_failed", "fraud")
    assert letter["message"].startswith("KeyError in failing.py:")
    assert letter["origin"].startswith("kafka:" if stage == "till" else "fraud:")
    sent = as_read(topic, document, document["event_time_ms"] + 50)
    assert json.loads(base64.b64decode(letter["raw_b64"])) == json.loads(sent)
    assert harness.state == before[stage]
    assert len(chain.out["audit"]) == 1
    harness.process = process
    chain.send(sale(3, T0 + 120_000))
    assert len(chain.out["audit"]) == 2


def test_a_sale_at_the_card_s_stage_keeps_its_bytes_whether_counted_or_not(monkeypatch):
    for changes in ({}, {"card_token": None, "payment_method": "cash"}):
        chain = Chain()
        with monkeypatch.context() as patch:
            raising(patch, fraud_counters, "sale_to_judge")
            chain.send(sale(1, **changes))
        (letter,) = letters(chain.card)
        says(letter, as_read(TRANSACTIONS, sale(1, **changes), T0 + 50))
        assert chain.card.state == {}


# -- timers ----------------------------------------------------------------------------------------


def test_a_shelf_s_timer_names_its_key_and_time(monkeypatch):
    harness = ledger()
    harness.process(*(stock.line(*found) for found in (
        ("plan", "M:plan/1", 200), ("count", "M:count/1", 60), ("sale", "t/1", -60, stock.T0 + 1),
    )))  # fmt: skip
    asked = harness.side["actions"][0].partition(b"\n")[2]
    harness.process((f"9003/{stock.MILK}", b"D" + asked))
    refusal = next(sent for sent in harness.side["actions"] if b"-refused\n" in sent)
    harness.process((KEY, b"D" + refusal.partition(b"\n")[2]))
    (due_ms, key), _ = sorted(harness.timers)  # the other is of the order
    kept, told = dict(harness.state), len(harness.side["actions"])
    with monkeypatch.context() as patch:
        raising(patch, order_wake, "on_wake")
        harness.advance_to(due_ms)
    (letter,) = letters(harness)
    says(letter, msgspec.json.encode({"stage": "StockLedger", "key": key, "timer_ms": due_ms}))
    assert letter["origin"] == f"inventory:timer/StockLedger/{key}/{due_ms}"
    assert (harness.state, len(harness.side["actions"])) == (kept, told)
    harness.advance_to(due_ms + 1_000)
    assert all(at_ms > due_ms for at_ms, _ in harness.timers)  # the order's goes on
    assert len(harness.side["actions"]) == told


def test_a_store_s_timer_that_fails_is_set_again_by_its_next_basket(monkeypatch):
    harness = watch()
    harness.process(*shelves.history()[:-250])
    ((due_ms, _),) = harness.timers
    kept = dict(harness.state)
    newest = shelves.store_watch.decode(kept["45"]).newest_ms
    harness.function.heard_ms = harness.now_ms + shelves.ASK_MS  # as if others were heard
    with monkeypatch.context() as patch:
        raising(patch, shortage, "missed")
        assert harness.advance_to(due_ms) == []
    (letter,) = letters(harness)
    assert letter["origin"] == f"shortage:timer/ShelfWatch/45/{due_ms}"
    assert letter["reason"] == "rule_failed"
    assert (harness.state, harness.timers) == (kept, set())
    harness.now_ms = due_ms + shelves.ASK_MS + 1
    harness.process(("45", shelves.receipt(999_999, newest + 1, bread=1)))
    assert {key for _, key in harness.timers} == {"45"}


# -- the broadcast input ---------------------------------------------------------------------------


def strict() -> bytes:
    rules = json.loads(packaged_rules().raw) | {"version": "strict", "review_at": 0}
    rules["watch"] = {"hours": 1, "review_at": 0, "hold_at": 60}
    return json.dumps(rules).encode()


@pytest.mark.parametrize("rule", ["apply_order", "Answer"])
def test_an_order_that_makes_a_rule_fail_changes_nothing(rule, monkeypatch):
    chain = Chain()
    before = chain.judge.function.now
    with monkeypatch.context() as patch:
        raising(patch, fraud, rule)
        chain.order("live", strict())
    (letter,) = letters(chain.judge)
    assert (letter["reason"], letter["origin"]) == ("rule_failed", "kafka:fraud-rules/0/1")
    assert json.loads(base64.b64decode(letter["raw_b64"]))["version"] == "strict"
    assert chain.judge.function.now is before
    assert chain.judge.kept == {}
    assert chain.out["rule-answers"] == []
    chain.order("live", strict())
    assert chain.judge.function.now.live.version == "strict"


def test_an_order_of_a_savepoint_that_makes_a_rule_fail_stops_the_job(monkeypatch):
    first = Chain()
    first.order("live", strict())
    raising(monkeypatch, fraud, "apply_order")
    with pytest.raises(KeyError):
        Chain(kept=first.judge.kept)


# -- what is not the rule's fault, and what holds for all ------------------------------------------


def test_bytes_that_nobody_can_read_are_a_dead_letter_as_they_are():
    for harness, key in (
        (ledger(), KEY),
        (watch(), "45"),
        (Chain().card, "t"),
        (Chain().judge, "t"),
    ):
        assert harness.process((key, b"\x00 no record")) == []
        (letter,) = letters(harness)
        assert base64.b64decode(letter["raw_b64"]) == b"\x00 no record"
        assert harness.state == {}


@pytest.mark.parametrize("wrong", [MemoryError, ConnectionError])
def test_too_little_memory_and_the_engine_s_own_errors_end_the_job(wrong, monkeypatch):
    def fails(*_):
        raise wrong

    harness = pass_on()
    if wrong is MemoryError:
        monkeypatch.setattr(promotions, "pass_on", fails)
    else:
        monkeypatch.setattr(harness._function._state, "value", fails)
        monkeypatch.setattr(harness._function._state, "update", fails)
    with pytest.raises(wrong):
        harness.process("promo-0001", announced(1))
    assert letters(harness) == []


def test_a_single_stage_that_fails_on_everything_stops(monkeypatch):
    monkeypatch.setattr("tillstream.udfs.stage.MOST_FAILED", 3)
    raising(monkeypatch, promotions, "pass_on")
    harness = pass_on()
    for revision in (1, 2, 3):
        harness.process("promo-0001", announced(revision))
    with pytest.raises(TooManyFailed, match="PassOn failed on 4 records"):
        harness.process("promo-0001", announced(4))


def test_every_stage_has_dead_letters_and_names_no_output_twice():
    for found in pkgutil.iter_modules(udfs.__path__, "tillstream.udfs."):
        importlib.import_module(found.name)
    stages = {
        made for base in (BatchedStage, RangeOrders, SingleStage) for made in base.__subclasses__()
    } - {RangeOrders}
    ours = {made for made in stages if made.__module__.startswith("tillstream.udfs.")}
    assert len(ours) == 19
    for made in ours:
        assert DEAD_LETTERS in made.sides, made
        assert len({MAIN, *made.sides}) == 1 + len(made.sides), made


# -- on the engine ---------------------------------------------------------------------------------


def test_records_timers_and_broadcast_on_the_engine_too():
    class Number:
        decode = staticmethod(int)

        def writer(self, versions: Mapping[str, int]) -> Callable[[int], bytes]:
            return lambda number: b"%d" % number

    class Broken(BatchedStage):
        codec: Any = Number()

        def record(self, state, value, out):
            out.wake(out.now_ms + 100)
            count = (state or 0) + 1
            if value.endswith(b"bad"):
                raise KeyError("13")
            out.emit(b"batched %d" % count)
            return count

        def due(self, state, key, at_ms, out):
            out.emit(b"never told")
            raise KeyError("14")

        def control(self, value, restored, out):
            out.emit(b"never told")
            raise KeyError("15")

    class BrokenToo(SingleStage):
        codec: Any = Number()
        kept = "count"

        def record(self, state, value, out):
            count = (state or 0) + 1
            out.emit(b"never told" if value.endswith(b"bad") else b"single %d" % count)
            if value.endswith(b"bad"):
                raise KeyError("16")
            return count

    def slow(row: Row) -> Row:
        if bytes(row[1]).endswith(b"late"):
            time.sleep(4)  # so that timers fire before
        return row

    env = engine()
    values = ["good", "bad", "good", "late"]
    rows = env.from_collection(
        [Row("k", seal(f"kafka:t/0/{n}", T0, v.encode())) for n, v in enumerate(values)], ROWS
    )
    orders = env.from_collection([Row("", seal("kafka:orders/0/1", T0, b"order"))], ROWS)
    settings = StageSettings("probe")
    made = batched.process(
        None, sources.keyed(rows.map(slow, ROWS)), DataStream(orders._j_data_stream), Broken(settings),
        state="count", uid="batched", name="batched",
    )  # fmt: skip
    single = sources.keyed(rows).process(BrokenToo(settings), BYTES).uid("single")
    refused = [batched.side(stream, "dead-letters") for stream in (made, single)]
    # PyFlink looks for side outputs ahead of operators, before the collecting end is there.
    made = made.union(single, *refused).map(lambda value: value, BYTES)
    found = collected(made)
    told = [json.loads(value) for value in found if value.startswith(b"{")]
    assert sorted(value for value in found if not value.startswith(b"{")) == [
        b"batched 1", b"batched 2", b"batched 3", b"single 1", b"single 2", b"single 3",
    ]  # fmt: skip
    timers = [one for one in told if one["origin"].startswith("probe:timer/Broken/k/")]
    others = sorted(one["origin"] for one in told if one not in timers)
    assert others == ["kafka:orders/0/1", "kafka:t/0/1", "kafka:t/0/1"]
    assert timers
    assert {one["reason"] for one in told} == {"rule_failed"}
