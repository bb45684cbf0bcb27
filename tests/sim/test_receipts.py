"""Receipts of contract v2: each adds up, everything that happens at tills happens, v1's bytes stay."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from hashlib import blake2b
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner

from tillstream import conf as settings
from tillstream import reference
from tillstream.domain.receipt import parse as contract
from tillstream.domain.receipt.contract import RetailTransaction
from tillstream.domain.receipt.front_door import KnownStores, of_contract
from tillstream.domain.receipt.product import check_digit
from tillstream.domain.transaction import InvalidTransaction, parse
from tillstream.sim.commands import sim
from tillstream.sim.receipts.lines import label
from tillstream.sim.receipts.malformed import KINDS
from tillstream.sim.receipts.tenders import rounding
from tillstream.sim.receipts.ways import UnknownCountry, ways_of
from tillstream.sim.simulator import Faults, Sent, Simulator, truth_line
from tillstream.sim.world import Store, load_profile, load_stores, profile_names

START = 1_795_500_000_000
FAULTS = Faults(duplicates=0.02, malformed=0.03, late=0.05, out_of_order=0.04, fuzzed=0.02)
UGANDA = Store(1, "kampala", "UG", "UGX", "Africa/Kampala")
KENYA = Store(2, "nairobi", "KE", "KES", "Africa/Nairobi")
# Of what a release before contract v2 made of these profiles and seed 7: traffic, truth, damage.
BEFORE = {
    "normal": "a76be97ba4ac65d67502d9cb4d66eb42",
    "black-friday": "2d82487cc5870b22c20ce640279fef59",
    "quiet-night": "d4b4c8b667fc03f4e50cee2dbbc780e2",
    "payday": "d55b0b0237d3d1ff5f15de11a4ab32fa",
}


def simulate(count: int = 3_000, seed: int = 7, **how: Any) -> list[Sent]:
    how = {"faults": FAULTS, "start_ms": START, "customers": 500, "contract": "v2"} | how
    return list(Simulator(how.pop("profile", "normal"), seed, count=count, **how))


def read(raw: bytes, stores: Any) -> None:
    """As the front door does."""
    if contract.is_v2(raw):
        stores.of(contract.parse(raw).store)
    else:
        parse(raw)


def good(sent: list[Sent]) -> list[dict[str, Any]]:
    """Documents that are no repeats."""
    return [one.record for one in sent if one.record and one.klass != "duplicate"]


@pytest.fixture(scope="module")
def documents() -> list[dict[str, Any]]:
    return good(simulate(12_000))


@pytest.fixture(scope="module")
def stores() -> Any:
    return reference.known_stores(settings.load("local"))


def test_what_a_seed_draws_for_contract_v1_stays_byte_for_byte() -> None:
    assert BEFORE.keys() == set(profile_names())
    for profile, digest in BEFORE.items():
        made = blake2b(digest_size=16)
        for n, one in enumerate(simulate(4_000, profile=profile, contract="v1")):
            made.update(truth_line(n, one))
            made.update((one.damage or "").encode())
        assert made.hexdigest() == digest, profile


@pytest.mark.parametrize("profile", profile_names())
@pytest.mark.parametrize("seed", [1, 2])
def test_every_receipt_passes_the_contract_and_its_lines_make_its_total(profile, seed, stores):
    for one in simulate(1_000, seed, profile=profile):
        if one.record is None:
            continue
        receipt = contract.parse(one.raw)
        made = of_contract(receipt, stores.of(receipt.store), "pos/2")
        assert sum(line.paid for line in made.lines) == made.total
        assert one.key == made.customer or one.key == made.transaction_id


def test_countries_of_other_tables_are_sold_in_by_their_own_ways():
    currencies = set()
    for one in simulate(2_000, of_stores=[UGANDA, KENYA], faults=Faults(duplicates=0.01)):
        receipt = contract.parse(one.raw)
        currencies.add(receipt.currency)
        if receipt.currency == "UGX" and any(t.kind == "cash" for t in receipt.tenders):
            cash = [t for t in receipt.tenders if t.kind in ("cash", "change") and not t.declined]
            assert sum(t.amount for t in cash) % 50 == 0 or len(receipt.tenders) > len(cash)
    assert currencies == {"UGX", "KES"}
    with pytest.raises(UnknownCountry, match=r"countries\.yaml"):
        ways_of("AQ")


def test_the_same_seed_sends_the_same_receipts_and_another_seed_others():
    first = [one.raw for one in simulate(500)]
    assert first == [one.raw for one in simulate(500)]
    assert first != [one.raw for one in simulate(500, seed=8)]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_malformed_is_refused_for_the_reason_that_the_truth_names(kind, stores, documents):
    reason, how = KINDS[kind]
    rng = Random(3)
    for record in documents[:150]:
        raw = how(record, rng)
        with pytest.raises(InvalidTransaction) as refused:
            read(raw, stores)
        assert refused.value.reason == reason


def test_the_truth_has_the_reason_of_each_malformed_receipt_and_of_none_that_is_good():
    sent = simulate(4_000, faults=Faults(malformed=0.2, fuzzed=0.05))
    assert {one.damage for one in sent if one.klass == "malformed"} == {*KINDS, "fuzzed"}
    for n, one in enumerate(sent):
        line = json.loads(truth_line(n, one))
        told = KINDS[one.damage][0] if one.damage in KINDS else None
        assert line.get("reason") == told


def test_a_fuzzed_receipt_is_one_object_that_is_no_transaction():
    fuzzed = [one for one in simulate(3_000, faults=Faults(fuzzed=0.2)) if one.damage == "fuzzed"]
    assert len(fuzzed) > 400
    for one in fuzzed:
        assert isinstance(json.loads(one.raw), dict)
        with pytest.raises(InvalidTransaction):
            read(one.raw, KnownStores({}))


def test_mixed_traffic_has_stores_of_one_contract_each_from_the_first_on():
    by_store = defaultdict(set)
    for record in good(simulate(3_000, contract="mixed", stores=6, voids=0.05, refunds=0.1)):
        if record["schema"] == 1 or not record.get("voids"):
            by_store[int(record["store"])].add(record["schema"])
    assert by_store == {1: {2}, 2: {1}, 3: {2}, 4: {1}, 5: {2}, 6: {1}}


def test_every_kind_of_line_tender_and_channel_comes(documents):
    lines = [line for one in documents for line in one["lines"]]
    assert {line["kind"] for line in lines} == {
        "sale", "return", "deposit", "bottle_return", "fee", "gift_card", "agency", "coupon",
    }  # fmt: skip
    assert {line["agency"] for line in lines if "agency" in line} == {
        "airtime", "electricity", "lottery", "bill_payment",
    }  # fmt: skip
    assert {line["scheme"] for line in lines if "scheme" in line} == {
        "gtin", "plu", "barcode", "sku",
    }  # fmt: skip
    fates = {line["back"]["fate"] for line in lines if "back" in line}
    assert fates == {"shelf", "waste", "supplier"}
    tenders = [tender for one in documents for tender in one.get("tenders", ())]
    assert {tender["kind"] for tender in tenders} == {
        "card", "cash", "mobile", "gift_card", "eft", "voucher", "points", "social_grant", "change",
    }  # fmt: skip
    for flag in ("declined", "cashback", "foreign_currency"):
        assert any(flag in tender for tender in tenders), flag
    for flag in ("voided", "correction", "discounts", "override", "taxes", "parent"):
        assert any(flag in line for line in lines), flag
    for flag in ("offline", "training", "discounts", "rounding", "approved_by", "fiscal_id"):
        assert any(flag in one for one in documents), flag
    assert {one.get("channel", "till") for one in documents} == {
        "till", "self_checkout", "online", "click_and_collect", "delivery",
    }  # fmt: skip
    assert len({one["currency"] for one in documents}) >= 5


def test_returns_are_by_receipt_and_without_by_other_cards_and_none_and_in_exchange(documents):
    by_id = {one["transaction_id"]: one for one in documents}
    seen = Counter()
    for one in documents:
        back = [line for line in one["lines"] if line["kind"] == "return"]
        if not back or one["kind"] == "void":
            continue
        seen["exchange"] += any(line["kind"] == "sale" for line in one["lines"])
        of = {line.get("back", {}).get("receipt") for line in back}
        seen["receiptless"] += of == {None}
        for sale in filter(None, map(by_id.get, of - {None})):
            mine, theirs = (x.get("loyalty", {}).get("customer") for x in (one, sale))
            seen["own card"] += mine is not None and mine == theirs
            seen["other card"] += mine is not None and mine != theirs
            seen["no card"] += mine is None and theirs is not None
            seen["elsewhere"] += one["store"] != sale["store"]
            paid = sum(line["amount"] for line in sale["lines"] if not line.get("voided"))
            assert -sum(line["amount"] for line in back) <= paid + 20_000 * 50
    assert min(seen.values()) > 5, seen
    assert len(seen) == 6


def test_a_void_repeats_its_receipt_and_sales_returns_and_exchanges_are_voided(documents):
    by_id = {one["transaction_id"]: one for one in documents}
    voided = set()
    for one in documents:
        if one["kind"] != "void" or one["voids"] not in by_id:
            continue
        undone = by_id[one["voids"]]
        assert (one["lines"], one["total"]) == (undone["lines"], undone["total"])
        assert one["ended_at"] > undone["ended_at"]
        assert "training" not in undone
        kinds = {line["kind"] for line in undone["lines"]} & {"sale", "return"}
        voided.add(frozenset(kinds))
    assert {frozenset({"sale"}), frozenset({"return"})} <= voided


def test_a_till_counts_its_receipts_without_a_gap(documents):
    seen = defaultdict(list)
    for sent in simulate(5_000, faults=Faults(), stores=3):
        assert sent.record
        if "sequence" in sent.record:
            seen[sent.record["store"], sent.record["till"]].append(sent.record["sequence"])
    assert len(seen) > 30
    assert all(found == list(range(1, len(found) + 1)) for found in seen.values())


def test_times_have_the_stores_offset_and_the_small_hours_are_of_the_day_before(stores):
    by_day = Counter()
    for one in simulate(2_000, faults=Faults(), rate=0.02):
        assert one.record
        receipt: RetailTransaction = contract.parse(one.raw)
        place = stores.of(receipt.store)
        there = receipt.ended_at.astimezone(ZoneInfo(place.zone))
        assert receipt.ended_at.utcoffset() == there.utcoffset()
        if receipt.business_day:
            days = (receipt.ended_at.date() - receipt.business_day).days
            by_day[days, receipt.ended_at.hour < 4] += 1
    assert set(by_day) == {(1, True), (0, False)}


def test_no_reversal_of_a_reversal_is_of_a_clock_that_is_ahead():
    """All within seconds, so that what was just reversed is reversed again."""
    traffic = Simulator(seed=5, count=4_000, start_ms=START, rate=1_000, contract="v2",
                        faults=Faults(out_of_order=0.2), refunds=0.4, voids=0.1)  # fmt: skip
    for n, one in enumerate(traffic):
        assert one.record
        assert contract.parse(one.raw).ended_at.timestamp() * 1000 < START + n + 240_000


def test_the_command_says_in_the_truth_what_it_sent(tmp_path):
    done = CliRunner().invoke(sim, ["--to", "file", "--truth", str(tmp_path), "--contract", "mixed",
                                    "--seed", "3", "--count", "300", "--stores", "2"])  # fmt: skip
    assert done.exit_code == 0, done.output
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["contract"] == "mixed"
    lines = [json.loads(line) for line in (tmp_path / "sent.jsonl").open()]
    assert summary["v2"] == sum(line["record"]["schema"] == 2 for line in lines) > 50


def test_what_a_scale_prints_is_an_ean_with_its_price():
    assert label("2100042", 1234) == "210004201234" + check_digit("210004201234")
    assert label("2100042", 100_000)[7:12] == "00000"  # the till knows what it costs


def test_cash_is_rounded_as_in_the_country():
    south_africa, namibia, uganda = ways_of("ZA"), ways_of("NA"), ways_of("UG")
    assert [rounding(due, south_africa) for due in (1467, 1460, -1467)] == [-7, 0, 7]
    assert [rounding(due, namibia) for due in (1467, 1464)] == [3, -4]
    assert [rounding(due, uganda) for due in (15_020, 15_030)] == [-20, 20]


def test_tax_is_that_of_the_country_and_basics_have_none():
    south_africa, malawi = ways_of("ZA"), ways_of("MW")
    assert south_africa.included("S", 11_500) == 1_500
    assert south_africa.included("S", -11_500) == -1_500
    assert south_africa.included("Z", 11_500) == 0
    assert malawi.included("A", 11_650) == 1_650
    assert south_africa.tax_of("groceries", "Maize meal 3") == "Z"
    assert south_africa.tax_of("fruit-and-veg", "Bananas 1") == "Z"
    assert south_africa.tax_of("snacks", "Crisps 1") == "S"


def test_every_country_of_the_packaged_stores_has_its_ways():
    for country in {store.country for store in load_stores()}:
        assert ways_of(country).taxes
    for profile in profile_names():
        assert 0 < load_profile(profile).v2.stores <= 1
