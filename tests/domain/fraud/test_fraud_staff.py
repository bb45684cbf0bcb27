"""What cashiers do with money and loyalty numbers: what is a case for people, and what is an ordinary day."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise, product
from random import Random

import msgspec
import pytest
from msgspec.structs import replace

from tests.support.fraud_shop import DAY, HOUR, MIDNIGHT, PLACES
from tests.support.sales import checked, refund, sale, void
from tillstream.conf import load
from tillstream.domain.fraud.sale import made_of
from tillstream.domain.notice import parse
from tillstream.domain.rates import ONE_CURRENCY
from tillstream.domain.receipt.canonical import Item, Paid
from tillstream.domain.staff import (
    Act,
    Book,
    act_of,
    cashier_key,
    observe_act,
    rows_of,
    usual_day,
)
from tillstream.domain.staff_case import StoreBook, weigh_finding
from tillstream.reference import packaged_rates
from tillstream.sim.simulator import Simulator
from tillstream.udfs.fraud.staff import limits_of

LIMITS = limits_of(load("local"))
MINUTE = 60_000
MORNING = MIDNIGHT + 9 * HOUR


class Staff:
    """Both stages over dicts. ``cases``: the newest of each id; ``notices``: all."""

    def __init__(self) -> None:
        self.books: dict[str, Book] = {}
        self.stores: dict[int, StoreBook] = {}
        self.cases: dict[str, dict] = {}
        self.notices: list[dict] = []
        self.written: list[dict] = []

    def sees(self, receipt, rates=ONE_CURRENCY) -> None:
        act = act_of(made_of(receipt), msgspec.json.encode(receipt), rates)
        if act is not None:
            self.takes(act)

    def takes(self, act: Act) -> None:
        key = cashier_key(act)
        self.books[key], found = observe_act(self.books.get(key), act, LIMITS, PLACES)
        for finding in found:
            book, case, told = weigh_finding(self.stores.get(act.store), finding, LIMITS, 90)
            self.stores[act.store] = book
            if case is not None:
                self.written.append(json.loads(msgspec.json.encode(case)))
                self.cases.setdefault(case.case_id, {}).update(self.written[-1])
            if told is not None:
                self.notices.append(msgspec.to_builtins(told))


def given_back(n: int, at_ms: int, cents: int, cashier: str = "C-17", **other):
    document = refund(f"r{n}", f"s{n}", event_time_ms=at_ms, store=23, till=4, cents=cents, **other)
    return replace(checked(document), cashier=cashier)


def basket(n: int, at_ms: int, customer: str | None, cashier: str = "C-17", cents: int = 30_000):
    document = sale(f"b{n}", at_ms, cents, store=23, till=4, customer_id=customer)
    return replace(checked(document), cashier=cashier)


def test_200_returns_of_2000_rand_by_one_cashier_in_100_minutes_are_one_case_for_people():
    staff = Staff()
    for n in range(200):
        staff.sees(given_back(n, MORNING + n * MINUTE // 2, 200_000, customer_id=None))
    (case,) = staff.cases.values()
    assert case["case_id"] == "returns:23:2025-11-08:C-17"
    assert (case["kind"], case["code"], case["day"]) == ("staff", "returns", "2025-11-08")
    assert (case["status"], case["open"], case["cashier"]) == ("open", "open", "C-17")
    figures = json.loads(case["figures"])
    assert figures["hour_count"] >= 100
    assert figures["day_cents"] >= 200 * 200_000 // 2
    (told,) = staff.notices
    assert (told["kind"], told["recipient"]) == ("alert", "team:loss-prevention")
    assert told["template"] == "staff-returns"
    assert told["params"]["hour_count"] == 12
    assert "C-17" not in json.dumps(told["params"])


def test_of_an_offline_till_without_cashiers_the_till_is_named():
    staff = Staff()
    for n in range(30):
        staff.sees(given_back(n, MORNING + n * MINUTE, 200_000, cashier=""))
    (case,) = staff.cases.values()
    assert case["case_id"].endswith(":till-4")


def test_a_returns_desk_is_measured_by_its_own_days():
    staff = Staff()
    number = 0
    for day in range(10):
        for n in range(40):
            number += 1
            staff.sees(given_back(number, MORNING + day * DAY + n * 12 * MINUTE, 40_000, "desk"))
        if not day:
            assert len(staff.cases) == 1  # nobody knew yet
    assert len(staff.cases) <= 3
    before = len(staff.cases)
    for n in range(130):
        number += 1
        staff.sees(given_back(number, MORNING + 10 * DAY + n * 3 * MINUTE, 40_000, "desk"))
    assert len(staff.cases) == before + 1
    figures = json.loads(list(staff.cases.values())[-1]["figures"])
    assert figures["own_usual_day_cents"] == 40 * 40_000


def test_what_is_usual_in_the_store_is_no_case_for_who_is_new_there():
    staff = Staff()
    number = 0
    for day in range(6):
        for cashier in ("A", "B", "C"):
            for n in range(35):
                number += 1
                at = MORNING + day * DAY + n * 14 * MINUTE
                staff.sees(given_back(number, at, 50_000, cashier))
    known = len(staff.cases)
    for n in range(40):
        number += 1
        staff.sees(given_back(number, MORNING + 6 * DAY + n * 12 * MINUTE, 50_000, "new"))
    assert len(staff.cases) == known


def test_a_cashier_s_own_number_on_thirty_strangers_baskets_is_a_case_with_the_number():
    staff = Staff()
    for n in range(120):
        customer = "C0000000777" if n % 4 == 0 else f"C{n:010d}"
        staff.sees(basket(n, MORNING + n * 4 * MINUTE, customer))
    (case,) = staff.cases.values()
    figures = json.loads(case["figures"])
    assert case["code"] == "loyalty"
    assert figures["customer_id"] == "C0000000777"
    assert figures["baskets"] >= 10
    assert 20 <= figures["percent"] <= 25
    assert "C0000000777" not in json.dumps(staff.notices)


def test_who_comes_twice_a_day_and_a_family_s_number_are_no_case():
    staff = Staff()
    for n in range(200):
        staff.sees(basket(n, MORNING + n * 2 * MINUTE, f"C{n % 60:010d}"))
    assert not staff.cases


def test_a_count_of_baskets_is_never_too_high_and_state_stays_small():
    staff, random, truth = Staff(), Random(4), Counter()
    for n in range(1_000):
        customer = f"C{random.randrange(400):010d}"
        truth[customer] += 1
        staff.sees(basket(n, MORNING + n * 20_000, customer))
    (book,) = staff.books.values()
    assert len(book.numbers) <= 48
    assert max(book.numbers[1::2]) <= max(truth.values())
    assert len(msgspec.msgpack.encode(book)) < 3_000


def test_voids_and_overrides_are_counted_too():
    staff = Staff()
    for n in range(20):
        undone = void(f"v{n}", f"s{n}", event_time_ms=MORNING + n * MINUTE, cents=60_000, store=23)
        staff.sees(replace(checked(undone), cashier="C-1"))
    for n in range(40):
        item = Item("sale", "2000000000015", 10_000, 10_000, list_price=20_000, reason="damaged")
        sold = replace(basket(1_000 + n, MORNING + n * MINUTE, None, "C-2", 10_000), lines=(item,))
        staff.sees(replace(sold, tenders=(Paid("cash", 10_000),)))
    assert {case["code"]: case["cashier"] for case in staff.cases.values()} == {
        "voids": "C-1", "overrides": "C-2"}  # fmt: skip
    figures = json.loads(
        next(c["figures"] for c in staff.cases.values() if c["code"] == "overrides")
    )
    assert figures["day_cents"] == figures["day_count"] * 10_000


def test_a_discount_that_the_till_knows_of_is_no_override():
    item = Item("sale", "2000000000015", 10_000, 10_000, list_price=20_000, off=10_000, reason="x")
    receipt = replace(basket(1, MORNING, None), lines=(item,))
    act = act_of(made_of(receipt), msgspec.json.encode(receipt), ONE_CURRENCY)
    assert act.amounts[4:6] == (1, 0)


def test_money_is_counted_in_the_grocer_s_currency_and_a_repeat_once():
    rates, staff = packaged_rates(), Staff()
    back = replace(given_back(1, MORNING, 10_000_000), currency="AOA", store=23)
    act = act_of(made_of(back), msgspec.json.encode(back), rates)
    assert act.amounts[1] == rates.convert(10_000_000, "AOA", "ZAR", MORNING)
    for _ in range(30):
        staff.sees(given_back(1, MORNING, 200_000))
    assert not staff.cases
    (book,) = staff.books.values()
    assert book.days[1:3] == [1, 200_000]


def test_an_ordinary_sale_does_not_go_there_at_all():
    for receipt in (basket(1, MORNING, "C1", cashier=""), basket(2, MORNING, None)):
        assert act_of(made_of(receipt), msgspec.json.encode(receipt), ONE_CURRENCY) is None
    online = replace(given_back(3, MORNING, 200_000), channel="online")
    assert act_of(made_of(online), msgspec.json.encode(online), ONE_CURRENCY) is None


def test_a_late_act_of_yesterday_opens_no_day_again():
    staff = Staff()
    for at in (MORNING, MORNING + DAY, MORNING + HOUR):
        staff.sees(given_back(at, at, 1_000))
    (book,) = staff.books.values()
    assert [book.days[at : at + 3] for at in range(0, len(book.days), 7)] == [
        [MIDNIGHT // DAY + 1, 2, 2_000], [MIDNIGHT // DAY + 2, 1, 1_000]]  # fmt: skip


@pytest.mark.parametrize("cashiers", [False, True])
def test_the_simulator_s_ordinary_days_are_nobody_s_case(cashiers):
    """A day of 40 stores, by tills or by twelve cashiers a store."""
    staff, rates, seen = Staff(), packaged_rates(), 0
    traffic = Simulator(
        "normal", seed=5, count=20_000, customers=4_000, stores=40, rate=20_000 / 86_400,
        start_ms=MORNING,
    )  # fmt: skip
    for sent in traffic:
        receipt = checked(json.loads(sent.raw))
        if cashiers:
            receipt = replace(receipt, cashier=f"C-{receipt.till}")
        staff.sees(receipt, rates)
        seen += 1
    assert seen == 20_000
    assert sum(book.days[1] for book in staff.books.values()) > 200
    assert not staff.cases


def test_an_act_without_a_store_in_the_table_goes_by_utc():
    act = Act("r1", 9_999, "4", "C-1", MORNING, "ZAR", (1, 100, 0, 0, 0, 0))
    book, _ = observe_act(None, act, LIMITS, PLACES)
    assert book.day == MORNING // DAY


def test_what_the_store_s_usual_holds_back_is_told_as_soon_as_it_is_far_above_it_too():
    """The thirtieth makes R19,500; three times the store's usual is R30,000; in the end it is R35,750."""
    staff = Staff()
    staff.stores[23] = a_store_with_a_usual_day_of(1_000_000)
    for n in range(55):
        staff.sees(given_back(n, MORNING + n * 10 * MINUTE, 65_000))
    (case,) = staff.cases.values()
    assert json.loads(case["figures"])["day_cents"] >= 3_000_000
    assert len(staff.notices) == 1


def a_store_with_a_usual_day_of(cents: int) -> StoreBook:
    usual = [0] * (7 * 8)
    usual[2::7] = [cents] * 8
    return StoreBook(usual, {})


def test_a_case_is_told_as_it_crosses_the_store_s_limit_however_little_it_goes_beyond():
    """Three times the store's usual is R30,000: the 46th makes R29,900, the 47th and last R30,550."""
    staff = Staff()
    staff.stores[23] = a_store_with_a_usual_day_of(1_000_000)
    for n in range(46):
        staff.sees(given_back(n, MORNING + n * 10 * MINUTE, 65_000))
    assert not staff.cases
    staff.sees(given_back(46, MORNING + 46 * 10 * MINUTE, 65_000))
    (case,), (told,) = staff.cases.values(), staff.notices
    assert json.loads(case["figures"])["day_cents"] == told["params"]["day_cents"] == 3_055_000
    assert told["params"]["store_usual_day_cents"] == 1_000_000


@pytest.mark.parametrize("limit", range(1_600_000, 4_000_000, 130_000))
def test_wherever_the_store_s_limit_is_a_case_is_told_once_as_it_crosses(limit):
    staff, told_at = Staff(), []
    staff.stores[23] = a_store_with_a_usual_day_of(limit // 3)
    for n in range(70):
        staff.sees(given_back(n, MORNING + n * 10 * MINUTE, 65_000))
        told_at += [65_000 * (n + 1)] * (len(staff.notices) - len(told_at))
    (crossed,) = told_at
    assert crossed - 65_000 < limit // 3 * 3 <= crossed or crossed == 30 * 65_000


def test_of_an_evening_that_the_store_held_back_the_morning_goes_on():
    """R19,500 in the evening is no case where R30,000 are needed; with R11,050 more next morning it is."""
    staff = Staff()
    staff.stores[23] = a_store_with_a_usual_day_of(1_000_000)
    for n in range(47):
        at_ms = MORNING + 10 * HOUR + n * 5 * MINUTE if n < 30 else MORNING + DAY + n * MINUTE
        staff.sees(given_back(n, at_ms, 65_000))
    (case,) = staff.cases.values()
    assert case["case_id"] == "returns:23:2025-11-09:C-17"
    figures = json.loads(case["figures"])
    assert (figures["day_count"], figures["day_cents"]) == (47, 3_055_000)
    assert len(staff.notices) == 1


def test_a_case_is_written_again_when_its_sum_has_grown_by_a_quarter_and_not_with_each_return():
    staff, written = Staff(), []
    for n in range(60):
        staff.sees(given_back(n, MORNING + n * MINUTE, 65_000))
        sums = [json.loads(case["figures"])["day_cents"] for case in staff.cases.values()]
        written += [one for one in sums if one not in written]
    assert written[0] == 12 * 65_000
    assert all(4 * after >= 5 * before for before, after in pairwise(written))
    assert len(staff.notices) == 1


def test_an_evening_s_returns_are_no_second_case_next_morning_but_the_morning_s_own_are():
    staff = Staff()
    for n in range(30):
        staff.sees(given_back(n, MORNING + 11 * HOUR + n * MINUTE, 200_000))
    assert len(staff.cases) == 1
    for n in range(100, 103):
        staff.sees(given_back(n, MORNING + DAY + n * MINUTE, 20_000))
    assert len(staff.cases) == 1
    for n in range(200, 230):
        staff.sees(given_back(n, MORNING + DAY + 3 * HOUR + n * MINUTE, 200_000))
    assert len(staff.cases) == len(staff.notices) == 2


def test_nothing_of_an_alert_names_the_cashier():
    staff = Staff()
    for cashier in ("C-17", "C-18"):
        for n in range(30):
            staff.sees(given_back(f"{cashier}{n}", MORNING + n * MINUTE, 200_000, cashier))
    first, second = staff.notices
    assert "C-1" not in json.dumps(staff.notices)
    assert first["cause"] != second["cause"]
    assert first["cause"].startswith("returns:23:2025-11-08:")
    for told in staff.notices:
        parse(json.dumps(told).encode())


def a_desk_of_four(with_refunds_to_other_cards: bool) -> Staff:
    """Eight days of R20,000 each on six tills; six refunds of R500 a day in the store go to other cards."""
    staff = Staff()
    for number, (day, cashier, n) in enumerate(product(range(8), range(4), range(40))):
        who, till, at_ms = (
            f"C-{cashier}",
            str((cashier + n) % 6),
            MORNING + day * DAY + n * 12 * MINUTE,
        )
        staff.takes(Act(f"r{number}", 23, till, who, at_ms, "ZAR", (1, 50_000, 0, 0, 0, 0)))
        if with_refunds_to_other_cards and (n == 0 or (cashier < 2 and n == 4)):
            to_card = Act(
                f"r{number}", 23, till, who, at_ms, "ZAR", to_card=50_000, card=f"tok_x{number}"
            )
            staff.takes(to_card)
            staff.takes(replace(to_card, cashier="", by=who))
    return staff


def test_a_refund_to_another_card_makes_no_day_of_nothing_that_pulls_down_the_store_s_usual_one():
    plain, mixed = a_desk_of_four(False), a_desk_of_four(True)
    for staff in (plain, mixed):
        assert usual_day(rows_of(staff.stores[23].days), 0, 8) == 2_000_000
        for n in range(45):
            at_ms = MORNING + 8 * DAY + n * 10 * MINUTE
            staff.takes(Act(f"n{n}", 23, "9", "C-NEW", at_ms, "ZAR", (1, 50_000, 0, 0, 0, 0)))
        assert not [case for case in staff.cases if case.endswith("C-NEW")]
    assert mixed.cases.keys() == plain.cases.keys()


def test_what_is_written_of_a_told_case_later_does_not_open_it_again():
    """A person may have closed it: only figures are written when the sum has grown by a quarter."""
    staff = Staff()
    for n in range(30):
        staff.sees(given_back(n, MORNING + n * MINUTE, 65_000))
    written = [case for case in staff.written if "figures" in case]
    assert len(written) > 2
    assert [case.get("status") for case in written] == ["open"] + [None] * (len(written) - 1)
    assert ["open" in case for case in written] == [True] + [False] * (len(written) - 1)
