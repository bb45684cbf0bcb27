"""Amounts of several currencies: what a sale is worth, not what number it has."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.support.fraud_chain import Chain
from tests.support.fraud_chain import sale as document
from tests.support.fraud_shop import DAY, HOUR, MIDNIGHT, PLACES, RULES, Shop, sale
from tillstream.domain.rates import ONE_CURRENCY, Rate, Rates
from tillstream.reference import packaged_rates
from tillstream.state_schemas.keyed import fraud_profile
from tillstream.state_schemas.keyed.fraud_profile.samples import V1

RATES, AGAIN = packaged_rates(), packaged_rates()
LUANDA = next(store for store, place in sorted(PLACES.items()) if place.currency == "AOA")
EVENING = MIDNIGHT + 19 * HOUR


def in_kwanza(n: int, at_ms: int, kwanza_cents: int, **other):
    return replace(sale(n, at_ms, kwanza_cents, LUANDA, **other), currency="AOA")


def test_a_regular_who_spends_577_rand_in_luanda_is_not_held():
    shop = Shop()
    shop.has_a_customer()
    kwanza = RATES.convert(57_700, "ZAR", "AOA", EVENING)
    assert 3_000_000 < kwanza < 3_100_000  # 30,400.00 kwanza
    decision = shop.takes(in_kwanza(99, EVENING, kwanza))
    assert decision.outcome == "pass", decision.reasons
    assert decision.signals["amount.ratio"] == pytest.approx(577 / 395, rel=0.1)
    assert decision.signals["amount.cents"] == pytest.approx(57_700, abs=1)
    assert decision.signals["customer.cents_24h"] == pytest.approx(57_700, abs=1)
    assert decision.signals["card.cents_24h"] == decision.signals["terminal.cents_24h"]
    assert 1 < decision.signals["card.ratio"] < 2
    assert decision.total_cents == kwanza
    assert decision.currency == "AOA"


def test_ten_times_the_usual_is_so_in_any_currency():
    shop = Shop()
    shop.has_a_customer()
    decision = shop.takes(in_kwanza(99, EVENING, RATES.convert(400_000, "ZAR", "AOA", EVENING)))
    assert 8 < decision.signals["amount.ratio"] < 12


def test_windows_add_up_what_is_of_one_currency():
    shop = Shop()
    shop.takes(sale(1, EVENING, 10_000))
    decision = shop.takes(
        in_kwanza(2, EVENING + HOUR, RATES.convert(20_000, "ZAR", "AOA", EVENING))
    )
    for who in ("customer", "card"):
        assert decision.signals[f"{who}.cents_24h"] == pytest.approx(30_000, abs=2)


def test_gift_cards_are_worth_what_they_are_worth_at_home():
    shop = Shop()
    shop.has_a_customer()
    cents = RATES.convert(50_000, "ZAR", "AOA", EVENING)
    decision = shop.takes(in_kwanza(99, EVENING, cents, category="gift-cards"))
    assert decision.signals["product.gift_cents"] == pytest.approx(50_000, abs=1)


def test_home_is_the_currency_of_most_sales_and_moves_with_who_moves():
    shop = Shop()
    shop.has_a_customer()
    profile = shop.job.profiles["C0000012345"]
    assert (profile.home, profile.home_lead) == ("ZAR", 25)
    cents = RATES.convert(40_000, "ZAR", "AOA", EVENING)
    for n in range(25):
        shop.takes(in_kwanza(100 + n, EVENING + n * DAY, cents))
    assert (profile.home, profile.home_lead) == ("ZAR", 0)
    decision = shop.takes(in_kwanza(130, EVENING + 25 * DAY, cents))
    assert (profile.home, profile.home_lead) == ("AOA", 1)
    after = shop.takes(in_kwanza(131, EVENING + 26 * DAY, cents))
    for one in (decision, after):
        assert one.signals["amount.ratio"] == pytest.approx(1, rel=0.15)
    assert after.profile["currency"] == "AOA"


def test_what_nobody_knows_the_worth_of_is_not_judged_by_amount_and_the_explanation_says_so():
    shop = Shop()
    shop.has_a_customer()
    decision = shop.takes(replace(sale(99, EVENING, 900_000_000), currency="XAF"))
    assert decision.outcome == "pass"
    missing = {"amount.cents", "amount.ratio", "amount.z", "card.ratio", "card.z"}
    assert not decision.signals.keys() & missing
    assert decision.signals["customer.cents_24h"] == 0
    assert decision.notes == ("no_rate:XAF",)
    level = shop.job.profiles["C0000012345"].level
    assert shop.takes(sale(100, EVENING + DAY, 42_000)).signals["amount.ratio"] < 2
    assert shop.job.profiles["C0000012345"].level == pytest.approx(level, abs=0.1)


def test_a_stranger_in_luanda_is_judged_by_what_sales_come_to_there():
    decision = Shop().takes(in_kwanza(1, EVENING, RATES.convert(30_000, "ZAR", "AOA", EVENING)))
    assert decision.signals["amount.ratio"] == pytest.approx(1, rel=0.001)


def test_a_profile_of_before_is_at_home_where_it_has_most_sales():
    shop = Shop()
    old = fraud_profile.decode(
        b"\1" + fraud_profile.CODEC._encoder.encode(V1["watched-with-a-held-sale"])
    )
    assert old.home == ""
    old.stores = [LUANDA, 30, 23, 2]
    shop.job.profiles["C0000012345"] = old
    shop.takes(sale(99, EVENING + 400 * DAY, 42_000))
    assert old.home == "AOA"


def test_the_job_converts_as_the_pure_rules_do():
    chain = Chain(audit_passes=True)
    kwanza = RATES.convert(57_700, "ZAR", "AOA", EVENING)
    chain.send(document(1, EVENING, kwanza, store=LUANDA, currency="AOA"))
    (kept,) = chain.out["audit"]
    signals = Chain.signals(kept)
    assert signals["terminal.cents_1h"] == signals["card.cents_1h"] == signals["amount.cents"]
    assert abs(signals["amount.cents"] - 57_700) <= 1


def days(*rates: tuple[int, str, str]) -> Rates:
    return Rates("ZAR", [Rate(day, currency, Fraction(rate)) for day, currency, rate in rates])


def test_the_latest_rate_on_or_before_the_day_counts():
    rates = days((10, "ZAR", "20"), (20, "ZAR", "10"), (10, "USD", "1.25"))
    assert rates.convert(100, "USD", "ZAR", 9 * DAY) is None
    assert rates.convert(100, "USD", "ZAR", 10 * DAY) == 1_600
    assert rates.convert(100, "USD", "ZAR", 20 * DAY - 1) == 1_600
    assert rates.convert(100, "USD", "ZAR", 20 * DAY) == 800
    assert rates.convert(100, "EUR", "ZAR", 20 * DAY) is None
    assert rates.convert(100, "EUR", "EUR", 0) == 100


def test_currencies_without_cents_are_converted_by_their_own_smallest_unit():
    rates = days((0, "UGX", "4000"), (0, "ZAR", "20"))
    assert rates.convert(4_000, "UGX", "ZAR", DAY) == 2_000  # 4,000 shillings are R20.00
    assert rates.convert(2_000, "ZAR", "UGX", DAY) == 4_000


@settings(deadline=None)
@given(st.integers(0, 10**12), st.sampled_from(["AOA", "KES", "NAD", "ZMW", "UGX"]))
def test_there_and_back_is_the_same_to_a_unit_of_the_coarser_and_the_same_every_time(
    cents, currency
):
    there = RATES.convert(cents, currency, "ZAR", EVENING)
    back = RATES.convert(there, "ZAR", currency, EVENING)
    worth = max(RATES.convert(10_000, "ZAR", currency, EVENING) / 10_000, 1)
    assert abs(back - cents) <= worth
    assert there == AGAIN.convert(cents, currency, "ZAR", EVENING)


def test_data_of_one_currency_needs_no_rates():
    assert ONE_CURRENCY.convert(5, "EUR", "", 0) == 5
    assert RULES.rates.own == "ZAR"


def test_a_profile_of_before_of_unknown_stores_is_at_home_where_it_shops_now_and_may_move():
    """500 sales at stores that are in no table."""
    old = V1["watched-with-a-held-sale"]
    shop = Shop()
    profile = fraud_profile.decode(b"\1" + fraud_profile.CODEC._encoder.encode(old))
    profile.stores, profile.sales = [9_998, 30], 500
    shop.job.profiles["C0000012345"] = profile
    decision = shop.takes(in_kwanza(99, EVENING + 400 * DAY, 3_000_000))
    assert decision.profile["currency"] == "AOA"
    assert (profile.home, profile.home_lead) == ("AOA", RULES.data.profile.memory_sales)
