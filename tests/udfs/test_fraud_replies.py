"""The customer of a held sale is asked in their language, and their answer does what it may and no more."""

from __future__ import annotations

import json

import pytest

from tests.support.fraud_chain import LABELS, Chain, label_of, sale
from tests.support.sales import refund
from tests.udfs.test_fraud_functions import NIGHT, regular, stolen_card
from tillstream.catalog import tables
from tillstream.conf import ConfError, load
from tillstream.domain.fraud.asking import language_of, parse_reply
from tillstream.domain.fraud.places import Place
from tillstream.domain.notice import parse as parse_notice
from tillstream.domain.transaction import InvalidTransaction
from tillstream.fraud.texts import PACKAGED, asking, read_texts

MINUTE = 60_000
CUSTOMER = "C0000012345"


def held(release_cents: int = 500_000) -> Chain:
    """A sale of R4,000."""
    chain = Chain()
    answers = {"release_cents": release_cents}
    chain.judge.function.asking = asking(load("local", {"fraud": {"answers": answers}}))
    regular(chain)
    chain.send(stolen_card())
    assert [hold["action"] for hold in chain.out["holds"]] == ["hold"]
    return chain


def reply(answer: str = "yes", at_ms: int = NIGHT + 5 * MINUTE, **changes) -> dict:
    return {
        "transaction_id": stolen_card()["transaction_id"],
        "customer_id": CUSTOMER,
        "answer": answer,
        "answered_ms": at_ms,
    } | changes


def labels(chain: Chain) -> list[dict]:
    return [json.loads(value) for value in chain.judge.side["labels"]]


def answered(chain: Chain, document: dict, at_ms: int | None = None) -> list[dict]:
    """The labels that follow, which the job reads again."""
    at_ms = at_ms or document["answered_ms"]
    chain.reply(document, at_ms)
    for label in labels(chain):
        chain.send(label, at_ms, LABELS)
    return labels(chain)


def others_buy(chain: Chain, at_ms: int) -> None:
    """So the job has read on since."""
    chain.send(
        sale(at_ms % 10**9, at_ms, customer_id="C0000077777", card_token="tok_m1n2o3p4q5r6s7t8")
    )


def why(chain: Chain) -> list[tuple[str, str]]:
    found = [n for n in chain.out["notices"] if n["template"].startswith("fraud-answer")]
    return [(n["recipient"], n["params"]["why"]) for n in found]


def test_the_sms_of_a_hold_has_a_text_with_amount_store_and_time_and_nothing_of_the_person():
    sms = next(n for n in held().out["notices"] if n["kind"] == "sms")
    assert sms["params"]["language"] == "af"  # at home at store 23, in the Western Cape
    text = sms["params"]["text"]
    assert "4000.00 ZAR" in text
    assert "02:00" in text
    assert not any(secret in text for secret in (CUSTOMER, "tok_", stolen_card()["transaction_id"]))
    parse_notice(json.dumps(sms).encode())


def test_every_language_is_a_text_that_a_notice_may_have():
    texts = read_texts(PACKAGED)
    assert {"en", "af", "zu", "pt", "sw"} <= texts.keys()
    said = {
        Place(0, 0, "UTC", region="kwazulu-natal", country="ZA"): "zu",
        Place(0, 0, "UTC", region="gauteng", country="ZA"): "en",
        Place(0, 0, "UTC", region="angola", country="AO"): "pt",
        Place(0, 0, "UTC", region="coast", country="KE"): "sw",
        Place(0, 0, "UTC", region="lusaka", country="ZM"): "en",
    }
    asked = asking(load("local"))
    assert {place: language_of(place, asked) for place in said} == said
    assert language_of(None, asked) == "en"
    for text in texts.values():
        assert len(text.format(amount="12345.00 ZAR", store="Cape Town 299", time="02:00")) <= 160


def test_yes_releases_a_hold_within_the_limit_as_a_person_would():
    chain = held()
    (label,) = answered(chain, reply())
    assert (label["fraud"], label["source"], label["store"], label["till"]) == (
        False,
        "customer",
        156,
        2,
    )
    assert [hold["action"] for hold in chain.out["holds"]] == ["hold", "release"]
    *_, said, closed = chain.out["cases"]
    assert (said["customer_said"], said["version"]) == ("yes", NIGHT + 5 * MINUTE)
    assert (closed["status"], closed["verdict_source"]) == ("released", "customer")
    assert not why(chain)


def test_yes_to_more_than_the_limit_or_too_late_is_for_a_person():
    for limit, minutes, said in ((200_000, 5, "above_the_limit"), (500_000, 61, "too_late")):
        chain = held(limit)
        assert not answered(chain, reply(at_ms=NIGHT + minutes * MINUTE))
        assert why(chain) == [("team:fraud", said)]
        assert [hold["action"] for hold in chain.out["holds"]] == ["hold"]


def test_a_reply_that_says_it_was_early_is_as_late_as_it_came():
    chain = held()
    assert not answered(chain, reply(), NIGHT + 61 * MINUTE)
    assert why(chain) == [("team:fraud", "too_late")]


def test_no_tells_the_team_and_declines_nothing_unless_the_grocer_says_so():
    chain = held()
    assert not answered(chain, reply("no"))
    assert why(chain) == [("team:fraud", "denied")]
    assert [hold["action"] for hold in chain.out["holds"]] == ["hold"]
    assert chain.out["cases"][-1]["customer_said"] == "no"
    chain = held()
    conf = load("local", {"fraud": {"answers": {"decline_on_no": True}}})
    chain.judge.function.asking = asking(conf)
    (label,) = answered(chain, reply("no"))
    assert label["fraud"]
    assert label["card_token"] == stolen_card()["card_token"]
    assert [hold["action"] for hold in chain.out["holds"]] == ["hold", "decline"]


def test_only_their_own_hold_and_only_once():
    chain = held()
    assert not answered(chain, reply(customer_id="C0000000666"))
    assert not answered(chain, reply(transaction_id="0023-04-2025-000501"))
    assert not why(chain)
    others_buy(chain, NIGHT + 6 * MINUTE)
    chain.judge.advance_to(60 * MINUTE)  # until then it may be of a sale that is still to be read
    assert why(chain) == [("team:fraud", "not_held")] * 2
    answered(chain, reply())
    answered(chain, reply())
    assert [hold["action"] for hold in chain.out["holds"]] == ["hold", "release"]
    assert not chain.out["dead-letters"]


@pytest.mark.parametrize(
    "document",
    [
        b"{", b"[]", reply(answer="maybe"), reply(answered_ms="now"), reply(transaction_id="a b"),
        reply(customer_id="tok_z9y8x7w6v5u4t3s2"), reply(at_ms=NIGHT + 60 * MINUTE),
        {name: value for name, value in reply().items() if name != "answer"},
    ],
)  # fmt: skip
def test_a_bad_reply_is_a_dead_letter_that_can_be_redriven_and_changes_nothing(document):
    chain = held()
    before = dict(chain.judge.state)
    chain.reply(document, NIGHT + 5 * MINUTE)
    (letter,) = chain.out["dead-letters"]
    assert letter["origin"].startswith("kafka:fraud-replies/0/")
    assert chain.judge.state == before
    assert not labels(chain)


def test_a_card_that_is_a_subject_cannot_answer():
    with pytest.raises(InvalidTransaction):
        parse_reply(json.dumps(reply(customer_id="tok_z9y8x7w6v5u4t3s2")).encode())


@pytest.mark.parametrize(
    ("text", "said"),
    [("en: '{card}'", "may name amount, store, time"), ("en: '{amount.__class__}{0}'", "may name"),
     ("{", "YAML"), ("{}", "no text"), ("en: ''", "empty"),
     ("en: 'Was it you? {amount}. Call +27821234567'", "telephone"),
     ("en: 'Was it you? {amount}. no@example.com'", "could not be sent: looks like an address")],
)  # fmt: skip
def test_a_text_that_cannot_be_filled_is_found_before_the_job_starts(tmp_path, text, said):
    file = tmp_path / "texts.yaml"
    file.write_text(text)
    with pytest.raises(ConfError, match=said):
        asking(load("local", {"fraud": {"texts": str(file)}}))


def test_a_language_without_a_text_is_found_too():
    with pytest.raises(ConfError, match="no text in xh"):
        asking(load("local", {"fraud": {"languages": {"eastern-cape": "xh"}}}))


def state_of(chain: Chain) -> list:
    return [dict(stage.state) for stage in (chain.till, chain.card, chain.judge)]


def test_a_yes_that_is_read_after_a_person_s_confirm_takes_nothing_back():
    chain, at_ms = held(), NIGHT + 5 * MINUTE
    chain.reply(reply(), at_ms)
    (yes,) = labels(chain)
    chain.send(label_of(stolen_card(), True, at_ms + MINUTE), at_ms + MINUTE, LABELS)
    confirmed = state_of(chain)
    chain.send(yes, at_ms, LABELS)
    assert state_of(chain) == confirmed
    assert [hold["action"] for hold in chain.out["holds"]] == ["hold", "decline"]
    assert [case["status"] for case in chain.out["cases"] if "status" in case][-1] == "confirmed"
    # A person may still think again.
    chain.send(label_of(stolen_card(), False, at_ms + 2 * MINUTE), at_ms + 2 * MINUTE, LABELS)
    assert all(now != before for now, before in zip(state_of(chain), confirmed, strict=True))


@pytest.mark.parametrize("decline_on_no", [False, True])
def test_after_a_no_a_yes_releases_nothing(decline_on_no):
    chain = held()
    conf = load("local", {"fraud": {"answers": {"decline_on_no": decline_on_no}}})
    chain.judge.function.asking = asking(conf)
    chain.reply(reply("no"), NIGHT + 5 * MINUTE)
    before = len(labels(chain))
    assert before == decline_on_no
    chain.reply(reply("yes"), NIGHT + 6 * MINUTE)
    assert len(labels(chain)) == before
    assert why(chain)[-1] == ("team:fraud", "denied_before")
    # A person decides.
    chain.send(label_of(stolen_card(), False, NIGHT + 9 * MINUTE), NIGHT + 9 * MINUTE, LABELS)
    assert [hold["action"] for hold in chain.out["holds"]] == ["hold", "release"]


def test_a_no_after_a_yes_that_is_still_on_its_way_keeps_the_sale_held():
    chain = held(release_cents=500_000)
    chain.reply(reply("yes"), NIGHT + 5 * MINUTE)
    chain.reply(reply("no"), NIGHT + 5 * MINUTE + 100)
    (yes,) = labels(chain)
    chain.send(yes, NIGHT + 5 * MINUTE + 200, LABELS)
    assert [hold["action"] for hold in chain.out["holds"]] == ["hold"]
    assert why(chain) == [("team:fraud", "denied")]


def test_a_verdict_of_before_the_customer_s_answer_still_closes_the_case():
    """So what the customer said has a version of its own, and brings nothing that the case has."""
    chain = held()
    chain.reply(reply("no"), NIGHT + 5 * MINUTE)
    said = chain.out["cases"][-1]
    own = tables.FRAUD_CASES.versions["said_version"]
    assert set(said) == {"transaction_id", "version", *own}


def test_a_hold_at_a_store_above_9999_can_be_ended():
    chain = held()
    verdict = label_of(stolen_card(), False, NIGHT + MINUTE, store=12_345)
    chain.send(verdict, NIGHT + MINUTE, LABELS)
    assert not chain.out["dead-letters"]
    (*_, end) = chain.out["holds"]
    assert (end["action"], end["store"]) == ("release", 12_345)


def test_each_reason_why_an_answer_is_for_a_person_is_an_alert_of_its_own():
    """Yes above the limit; the team confirms; yes again. The notifier sends each id once."""
    chain = held(release_cents=1)
    chain.reply(reply(), NIGHT + 5 * MINUTE)
    chain.send(label_of(stolen_card(), True, NIGHT + 10 * MINUTE), NIGHT + 10 * MINUTE, LABELS)
    for _ in range(2):
        chain.reply(reply(), NIGHT + 20 * MINUTE)
    told = [n for n in chain.out["notices"] if n["template"] == "fraud-answer-yes"]
    assert [n["params"]["why"] for n in told] == [
        "above_the_limit", "confirmed_before", "confirmed_before"]  # fmt: skip
    assert len({n["notice_id"] for n in told}) == 2
    for one in told:
        parse_notice(json.dumps(one).encode())


def test_one_refund_to_another_card_is_not_looked_at_while_the_customer_is_watched_either():
    for cents in (300_000, 400_000, 600_000, 50_000_000):
        chain = held()
        before = len(chain.out["cases"])
        document = refund(
            "r1", "0023-04-2025-999999", event_time_ms=NIGHT + 60 * MINUTE, store=23, cents=cents,
            payment_method="card", card_token="tok_f7r6i5e4n3d2zzzz", customer_id=CUSTOMER,
        )  # fmt: skip
        chain.send(document)
        assert len(chain.out["cases"]) == before
        # The second is: R3,000 and more twice, while R2,000 thrice are needed of others.
        chain.send(document | {"transaction_id": "r2", "event_time_ms": NIGHT + 61 * MINUTE})
        (case,) = chain.out["cases"][before:]
        assert case["outcome"] == "review"
