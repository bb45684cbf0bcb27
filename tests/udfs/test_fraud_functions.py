"""The fraud job's functions: what is held and why, what follows, what a verdict and a push do."""

from __future__ import annotations

import json
from random import Random

import msgspec
import pytest
from msgspec.structs import replace

from tests.support.fraud_chain import DAY_MS, T0, Chain, label_of, sale
from tests.support.fraud_shop import RULES
from tests.support.sales import canonical, checked
from tillstream.domain.envelope import seal
from tillstream.domain.fraud.decision import Label
from tillstream.domain.fraud.sale import made_of
from tillstream.domain.transaction import REASONS
from tillstream.fraud.pure_job import PureJob
from tillstream.fraud.rules_file import packaged_rules
from tillstream.sim.fuzz import fuzzed
from tillstream.sim.simulator import Simulator
from tillstream.udfs.fraud import KeptRulesUnusable

HOUR_MS = 3_600_000
NIGHT = T0 + 20 * DAY_MS + 8 * HOUR_MS  # 02:00 in South Africa


def regular(chain: Chain, customer: str = "C0000012345", visits: int = 20, **changes) -> None:
    """``visits`` evenings of R300 to R500 at store 23."""
    for n in range(visits):
        at = T0 + n * DAY_MS + n % 5 * 20 * 60_000
        cents = 30_000 + n * 7 % 20 * 1_000
        chain.send(sale(n, at, cents=cents, customer_id=customer, **changes))


def stolen_card() -> dict:
    """Ten times the usual, at night, at the other end of the country, with another card."""
    return sale(500, NIGHT, cents=400_000, store=156, till=2, region="kwazulu-natal",
                card_token="tok_z9y8x7w6v5u4t3s2")  # fmt: skip


@pytest.fixture
def chain() -> Chain:
    made = Chain()
    regular(made)
    return made


def test_a_regular_customer_is_never_disturbed(chain):
    assert not any(chain.out.values())


def test_a_stolen_card_is_held_and_everyone_is_told(chain):
    chain.send(stolen_card())
    (hold,) = chain.out["holds"]
    assert (hold["action"], hold["transaction_id"]) == ("hold", "0023-04-2025-000500")
    assert hold["hold_id"] == "0023-04-2025-000500:hold"
    sms, alert = chain.out["notices"]
    assert (sms["kind"], sms["recipient"]) == ("sms", "customer:C0000012345")
    assert (alert["kind"], alert["recipient"]) == ("alert", "team:fraud")
    (case,) = chain.out["cases"]
    assert (case["status"], case["open"], case["version"]) == ("open", "open", 1)
    (kept,) = chain.out["audit"]
    assert kept == chain.out["explanations"][0]
    decision = json.loads(kept["decision"])
    assert decision["rules_version"] == packaged_rules().rules.version
    assert {"new_card", "amount_far_above_usual"} <= {r["code"] for r in decision["reasons"]}
    assert json.loads(kept["transaction"])["store"] == 156


def test_a_very_long_basket_is_explained_within_what_an_item_may_hold(chain):
    document = stolen_card()
    receipt = checked(document, arrived_ms=NIGHT + 50)
    (one,) = receipt.lines
    last = replace(one, promotions=tuple(f"promotion-{n:050d}" for n in range(7_000)))
    lines = (*[replace(one, amount=0, paid=0)] * 999, last)
    long = msgspec.json.encode(replace(receipt, lines=lines))
    assert len(long) > 400 * 1024
    chain.send(long, NIGHT + 50)
    (told,), (audited,) = chain.out["explanations"], chain.out["audit"]
    assert len(json.dumps(told)) < 200_000
    short = json.loads(told["transaction"])
    assert short.pop("cut_from_bytes") == len(long)
    whole = json.loads(long)
    assert len(short["lines"]) == 1_000
    for name in short.keys() - {"lines", "tenders"}:
        assert short[name] == whole[name]
    assert short["lines"][-1].keys() <= {"kind", "paid", "thousandths", "category"}
    assert short["lines"][-1]["paid"] == 400_000
    assert audited == told | {"transaction": long.decode()}


def test_a_till_that_has_a_name_is_held_explained_and_labelled(chain):
    receipt = replace(checked(stolen_card(), arrived_ms=NIGHT + 50), till="T-7")
    key = "156:T-7"
    sent = seal("kafka:transactions/0/9", NIGHT + 50, msgspec.json.encode(receipt))
    chain._through([(key, sent)])
    (kept,), (hold,), (case,) = (chain.out[name] for name in ("audit", "holds", "cases"))
    assert (kept["till"], kept["till_name"]) == (None, "T-7")
    assert (hold["till"], case["till"]) == ("T-7", "T-7")
    verdict = label_of(stolen_card(), True, till="T-7", source="hold")
    sent = seal("kafka:fraud-labels/0/9", NIGHT + 60, json.dumps(verdict).encode())
    chain._through([(key, sent)])
    assert [h["action"] for h in chain.out["holds"]] == ["hold", "decline"]
    assert chain.out["holds"][1]["till"] == "T-7"
    assert not chain.out["dead-letters"]


def test_a_till_that_has_a_number_is_called_by_it_everywhere(chain):
    chain.send(stolen_card())
    chain.label(label_of(stolen_card(), True, till="2", source="hold"))
    (kept,), holds, cases = (chain.out[name] for name in ("audit", "holds", "cases"))
    assert (kept["till"], kept["till_name"], json.loads(kept["decision"])["till"]) == (2, "2", 2)
    assert [hold["till"] for hold in holds] == [2, 2]
    assert cases[0]["till"] == 2


def test_nobody_s_sales_are_judged_by_till_whatever_its_name():
    chain = Chain(audit_passes=True)
    for n, (till, key) in enumerate((("4", "~0023-04"), ("T-7", "~0023/T-7"))):
        receipt = replace(checked(sale(n)), customer="", tenders=(), till=till, arrived_ms=T0 + 50)
        record = seal(f"kafka:transactions/0/{n}", T0, msgspec.json.encode(receipt))
        assert chain.till.process(("k", record))[-1].startswith(key.encode() + b"\n")
    assert not chain.out["dead-letters"]


def test_times_are_those_of_the_raw_record(chain):
    """The front door was down for a day: the broker had the sale before."""
    late = seal("kafka:transactions/0/9", NIGHT + DAY_MS,
                canonical(stolen_card(), arrived_ms=NIGHT + 50))  # fmt: skip
    chain._through([("156:2", late)])
    (kept,) = chain.out["audit"]
    assert kept["judged_at_ms"] == kept["version"] == NIGHT + 50


def test_gift_cards_at_night_by_one_who_never_bought_any_are_held():
    chain = Chain()
    regular(chain, "C0000000789")
    chain.send(sale(501, NIGHT, customer_id="C0000000789", cents=500_000, pieces=10,
                    category="gift-cards", payment_method="mobile", card_token=None))  # fmt: skip
    assert [hold["action"] for hold in chain.out["holds"]] == ["hold"]


def test_a_repeated_transaction_is_judged_once(chain):
    chain.send(stolen_card())
    before = chain.out
    chain.send(stolen_card())
    assert chain.out == before


def nobodys(n: int, at_ms: int = T0) -> tuple[str, bytes]:
    receipt = replace(checked(sale(n)), customer="", tenders=(), arrived_ms=T0 + 50)
    return "23:4", seal(f"kafka:transactions/0/{n}", at_ms, msgspec.json.encode(receipt))


def test_a_repeated_sale_of_nobody_is_judged_once():
    chain = Chain(audit_passes=True)
    chain._through([nobodys(1), nobodys(2), nobodys(1), nobodys(2)])
    assert len(chain.out["audit"]) == 2
    chain._through([nobodys(n) for n in range(3, 3 + 63)] + [nobodys(2), nobodys(3)])
    assert len(chain.out["audit"]) == 2 + 63


def test_a_sale_that_no_later_stage_could_take_is_judged_when_redriven(monkeypatch):
    """The till has counted it; that alone must not keep it from the judge."""
    for record in (nobodys(1), ("156:2", seal("kafka:transactions/0/9", NIGHT,
                                             canonical(stolen_card(), arrived_ms=NIGHT)))):  # fmt: skip
        chain = Chain(audit_passes=True)
        with monkeypatch.context() as patch:
            patch.setattr("tillstream.udfs.fraud.judge_both", lambda *_: 1 / 0)
            chain._through([record])
        assert [letter["stage"] for letter in chain.out["dead-letters"]] == ["apply"]
        assert not chain.out["audit"]
        chain._through([record])
        assert len(chain.out["audit"]) == 1


def test_after_a_hold_the_account_is_watched_and_then_no_more(chain):
    chain.send(stolen_card())
    chain = _all_told(chain)
    chain.send(sale(600, NIGHT + 20 * HOUR_MS))
    chain.send(sale(601, NIGHT + 40 * DAY_MS))
    watched = {d["transaction_id"][-3:]: d["watched"] for d in chain.out["audit"]}
    assert (watched["600"], watched["601"]) == (True, False)


def test_a_release_ends_the_hold_the_watch_and_the_case(chain):
    chain.send(stolen_card())
    chain.label(label_of(stolen_card(), False, source="hold"))
    assert [h["action"] for h in chain.out["holds"]] == ["hold", "release"]
    closed = chain.out["cases"][-1]
    assert (closed["status"], closed["open"]) == ("released", None)
    assert closed["version"] > 1
    chain = _all_told(chain)
    chain.send(sale(600, NIGHT + 20 * HOUR_MS))
    assert not chain.out["audit"][-1]["watched"]


def test_a_confirmed_fraud_declines_the_hold_and_marks_card_and_till(chain):
    chain.send(stolen_card())
    chain.label(label_of(stolen_card(), True, source="hold"))
    assert [h["action"] for h in chain.out["holds"]] == ["hold", "decline"]
    chain = _all_told(chain)
    chain.send(sale(700, NIGHT + DAY_MS, store=156, till=2, card_token="tok_z9y8x7w6v5u4t3s2"))
    signals = json.loads(chain.out["audit"][-1]["decision"])["signals"]
    assert signals["subject.frauds"] == 1
    assert signals["terminal.frauds_early"] == 1
    assert signals["card.frauds_early"] == 1


def test_a_label_for_an_unknown_transaction_changes_nothing_that_is_kept(chain):
    kept = dict(chain.judge.state), dict(chain.till.state), dict(chain.card.state)
    stranger = sale(
        900, customer_id="C0000000001", store=99, card_token=None, payment_method="cash"
    )
    chain.label(label_of(stranger, False, source="chargeback"))
    assert (chain.judge.state, chain.till.state, chain.card.state) == kept
    assert not any(chain.out.values())


@pytest.mark.parametrize("raw", [b"", b"\xff", b"[]", b"{}", b'{"transaction_id":7}', b"[" * 9999])
def test_a_poisoned_label_is_a_dead_letter(raw):
    chain = Chain()
    chain.send(raw, topic="fraud-labels")
    (letter,) = chain.out["dead-letters"]
    assert letter["stage"] == "validate"
    assert letter["reason"] in REASONS


@pytest.mark.parametrize(
    "changes",
    [
        {"transaction_id": ""},
        {"transaction_id": "x" * 3000},
        {"transaction_id": "0023 04 20251124"},
        {"labelled_ms": 9_999_999_999_999_999_999},
        {"labelled_ms": 10**30},
        {"labelled_ms": 1_764_000_000_000_000},
        {"card_token": "tok_a1b2c3d4e5f6g7h8\n"},
        {"card_token": ""},
        {"customer_id": "C0000000789\nC0000000790"},
        {"store": 0},
        {"till": 2**31},
        {"source": "charge\nback"},
    ],
    ids=str,
)
def test_a_label_that_the_next_stages_could_not_use_changes_nothing(chain, changes):
    chain.send(stolen_card())
    kept = dict(chain.judge.state), dict(chain.till.state), dict(chain.card.state)
    before = {name: len(values) for name, values in chain.out.items()}
    chain.label(label_of(stolen_card(), True) | changes)
    assert (chain.judge.state, chain.till.state, chain.card.state) == kept
    after = {name: len(values) for name, values in chain.out.items()}
    assert after == before | {"dead-letters": before["dead-letters"] + 1}


def test_what_is_no_canonical_transaction_is_a_dead_letter():
    chain = Chain()
    for raw in (b"{", b"", b"[]", json.dumps(sale(1)).encode()):
        chain.send(raw)
    letters = chain.out["dead-letters"]
    assert [letter["reason"] for letter in letters] == ["not_canonical"] * 4
    assert [letter["origin"] for letter in letters] == [
        f"kafka:transactions/0/{n}" for n in range(1, 5)
    ]
    assert not chain.till.state


@pytest.mark.parametrize("seed", range(3))
def test_whatever_else_is_in_the_topic_no_rule_fails(seed):
    chain, rng = Chain(audit_passes=True), Random(seed)
    good = canonical(sale(1))
    chain.send_all([fuzzed(good, rng) for _ in range(300)])
    reasons = {letter["reason"] for letter in chain.out["dead-letters"]}
    assert reasons == {"not_canonical"}


def test_a_pushed_rule_set_is_in_force_with_the_next_transaction(chain):
    strict = json.loads(packaged_rules().raw) | {"version": "strict", "review_at": 0}
    strict["watch"] = {"hours": 1, "review_at": 0, "hold_at": 60}
    chain.order("live", json.dumps(strict).encode())
    (answer,) = chain.out["rule-answers"]
    assert (answer["accepted"], answer["version"]) == (True, "strict")
    chain.send(sale(800, T0 + 21 * DAY_MS))
    assert chain.out["audit"][-1]["rules_version"] == "strict"


def test_a_bad_rule_set_is_refused_with_its_reason_and_the_old_stays(chain):
    bad = json.loads(packaged_rules().raw) | {"version": "bad", "hold_at": 1}
    chain.order("live", json.dumps(bad).encode())
    chain.raw_order(b"\xff\xfe")
    first, second = chain.out["rule-answers"]
    assert not first["accepted"]
    assert "hold_at" in first["problem"]
    assert "not an order" in second["problem"]
    assert [letter["reason"] for letter in chain.out["dead-letters"]] == ["bad_order"] * 2
    chain.send(stolen_card())
    assert chain.out["audit"][0]["rules_version"] == packaged_rules().rules.version
    assert chain.judge.kept == {}


def test_a_shadow_set_only_records_what_it_would_have_done(chain):
    strict = json.loads(packaged_rules().raw) | {
        "version": "shadow-1",
        "review_at": 0,
        "hold_at": 0,
    }
    strict["watch"] = {"hours": 1, "review_at": 0, "hold_at": 0}
    chain.order("shadow", json.dumps(strict).encode())
    chain.send(sale(800, T0 + 21 * DAY_MS))
    (record,) = chain.out["audit"]
    assert (record["mode"], record["outcome"]) == ("shadow", "hold")
    assert not any(chain.out[name] for name in ("holds", "notices", "cases"))
    chain.order("shadow-off", None)
    chain.send(sale(801, T0 + 22 * DAY_MS))
    assert len(chain.out["audit"]) == 1


def test_a_restored_job_judges_with_the_rules_it_had():
    first = Chain()
    strict = json.loads(packaged_rules().raw) | {"version": "strict", "review_at": 0}
    strict["watch"] = {"hours": 1, "review_at": 0, "hold_at": 60}
    first.order("live", json.dumps(strict).encode())
    again = Chain(kept=first.judge.kept)
    assert not again.out["rule-answers"]
    again.send(sale(1))
    assert again.out["audit"][0]["rules_version"] == "strict"


def test_rules_in_a_savepoint_that_no_longer_fit_stop_the_job():
    with pytest.raises(KeptRulesUnusable, match="Restore with the release that wrote it"):
        Chain(kept={"live": seal("kafka:fraud-rules/0/1", T0, b'{"mode":"live"}')})


def test_ten_thousand_cards_and_a_busy_till_stay_within_bounds():
    chain = Chain()
    tokens = (f"tok_{n:016x}".replace("0", "z") for n in range(10_000))
    chain.send_all([sale(n, T0 + n * 1_000, card_token=token) for n, token in enumerate(tokens)])
    (profile,) = chain.judge.state.values()
    (till,) = chain.till.state.values()
    assert len(profile) < 4_000
    assert len(till) < 2_000
    assert max(map(len, chain.card.state.values())) < 400


def test_the_stages_judge_as_the_pure_job_does():
    chain, pure = Chain(audit_passes=True), PureJob(RULES)
    expected = {}
    for n, sent in enumerate(Simulator("normal", seed=3, count=800, customers=60, rate=0.01)):
        document = json.loads(sent.raw)
        arrived = document["event_time_ms"] + 50
        chain.send(document, arrived)
        decision = pure.sale(made_of(checked(document)), arrived)
        if decision is not None:
            expected[decision.transaction_id] = json.loads(msgspec.json.encode(decision))
        if n % 5 == 0 and document["kind"] == "sale":
            verdict = label_of(document, n % 10 == 0, source="chargeback")
            chain.label(verdict)
            pure.verdict(msgspec.convert(verdict, Label))
    told = {row["transaction_id"]: json.loads(row["decision"]) for row in chain.out["audit"]}
    assert told == expected
    assert any(d["signals"].get("subject.frauds") for d in told.values())


def _all_told(chain: Chain) -> Chain:
    """The same chain from here on with every decision recorded."""
    chain.judge.function.audit_passes = True
    return chain
