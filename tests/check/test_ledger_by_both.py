"""The loyalty job's rule and the check's own give the same entries, whatever comes in whatever currency."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.domain.loyalty.test_held import said
from tests.support.sales import T0, line, parts_of, sale
from tillstream.check.held import must_follow, words_of
from tillstream.check.rules import ALL, FRAUD, Sent, replay
from tillstream.domain.loyalty.adjustments import Adjustment, adjust
from tillstream.domain.loyalty.ledger import LoyaltyRules, Refused, Terms, apply
from tillstream.domain.loyalty.orders import on_order

TERMS = {"ZAR": (1000, 10), "AOA": (50_000, 500), "UGX": (200, 2)}
EARN_NOTHING = frozenset({"tobacco"})
RULES = LoyaltyRules({code: Terms(*of) for code, of in TERMS.items()}, earn_nothing=EARN_NOTHING)
IDS = [f"sale-{n:04d}" for n in range(6)]


@st.composite
def histories(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Sales, refunds and voids of a few ids, some twice, each id in a currency of its own; some of the goods
    earn nothing."""
    currencies = {name: draw(st.sampled_from([*TERMS, "XOF"])) for name in IDS}
    made = []
    for name in draw(st.lists(st.sampled_from(IDS), min_size=1, max_size=16)):
        kind = draw(st.sampled_from(["sale", "sale", "refund", "void"]))
        other = draw(st.sampled_from([one for one in IDS if one != name]))
        undone = f"back-{other}-{draw(st.sampled_from(['refund', 'void']))}"
        of = undone if kind == "void" and draw(st.booleans()) else other
        made.append(
            sale(
                name if kind == "sale" else f"back-{name}-{kind}",
                T0,
                kind=kind,
                lines=[
                    line("2000000000015", 1, draw(st.integers(0, 2_000_000)), "bakery"),
                    line("2000000000022", 1, draw(st.sampled_from([0, 4_000, 700_000])), "tobacco"),
                ],
                currency=currencies[name if kind == "sale" else other],
                refers_to=None if kind == "sale" else of,
                points_to_redeem=draw(st.integers(0, 60)) or None if kind == "sale" else None,
            )
        )
    return made


def sent_as(one: dict[str, Any]) -> Sent:
    return Sent(
        one["transaction_id"], one["kind"], one["total_cents"], one.get("points_to_redeem", 0),
        one.get("refers_to"), one["currency"], one["lines"][1]["unit_price_cents"],
    )  # fmt: skip


@settings(deadline=None)
@given(histories())
def test_both_give_the_same_entries(history):
    account, entries = None, []
    for record in history:
        for one in parts_of(record, EARN_NOTHING):
            after, made = apply(account, one, RULES, arrived_ms=T0)
            assert not isinstance(made, Refused)
            account = after or account
            entries += made
    sent = [
        sent_as(one)
        for one in history
    ]  # fmt: skip
    steps = replay(sent, TERMS)
    found = [
        (e.entry_id, e.kind, e.outcome, e.earned, e.redeemed, e.delta, e.balance) for e in entries
    ]
    assert found == [tuple(step) for step in steps]


CHANGES = st.tuples(
    st.sampled_from(["goodwill", "expiry", "transfer", "all", "sale"]),
    st.integers(1, 200),
    st.booleans(),
)


@settings(deadline=None)
@given(st.lists(CHANGES, max_size=12))
def test_both_give_the_same_entries_of_what_no_till_did(changes):
    account, entries, sent = None, [], []
    for n, (kind, points, minus) in enumerate(changes):
        if kind == "sale":
            document = sale(f"sale-{n:04d}", T0, 20_000, points_to_redeem=points)
            after, made = apply(account, *parts_of(document), RULES, arrived_ms=T0)
            sent.append(Sent(document["transaction_id"], "sale", 20_000, points, None))
        else:
            points *= -1 if minus and kind == "goodwill" else 1
            out = kind in ("transfer", "all")
            change = Adjustment(
                schema=1, adjustment_id=f"desk-{n}", kind="transfer" if out else kind,
                customer_id="C0000000001", reason="other", by="x", event_time_ms=T0,
                points=None if kind == "all" else points, to="C0000000002" if out else None,
            )  # fmt: skip
            after, made, _ = adjust(account, change, RULES, T0)
            told = ALL if kind == "all" else points
            sent.append(Sent(f"desk-{n}", "transfer_out" if out else kind, 0, told, None))
        account = after or account
        entries += made
    found = [
        (e.entry_id, e.kind, e.outcome, e.earned, e.redeemed, e.delta, e.balance) for e in entries
    ]
    assert found == [tuple(step) for step in replay(sent, TERMS)]


SAID = st.tuples(
    st.sampled_from(IDS), st.sampled_from(["hold", "release", "decline"]), st.integers(1, 3),
    st.integers(0, 16),
)  # fmt: skip


@settings(deadline=None)
@given(histories(), st.lists(SAID, max_size=8))
def test_both_give_the_same_entries_of_what_fraud_holds(history, told):
    """A word of fraud comes anywhere among the records, also before its sale and again."""
    account, entries, orders = None, [], []
    for n, record in enumerate([*history, None]):
        for sale_id, action, minutes, at in told:
            if at == n or (record is None and at > n):
                orders.append(said(action, sale_id, minutes))
                after, made = on_order(account, orders[-1], RULES)
                account = after or account
                entries += made
        for one in parts_of(record, EARN_NOTHING) if record else ():
            after, made = apply(account, one, RULES, arrived_ms=T0)
            account = after or account
            entries += made
    found = [
        (e.entry_id, e.kind, e.outcome, e.earned, e.redeemed, e.delta, e.balance) for e in entries
    ]
    sent = {one.entry_id: one for one in map(sent_as, reversed(history))}
    words = words_of(vars_of(one) for one in orders).get("C0000000001", {})
    sales = {name for name, one in sent.items() if one.kind == "sale"}
    ledger = {entry[0] for entry in found}
    must = {one.entry_id: one for one in must_follow(words, sales, ledger)}
    assert must.keys() == {name for name, kind, *_ in found if kind in FRAUD}
    both = sent | must
    ordered = [both[entry[0]] for entry in found if entry[0] in both]
    assert found == [tuple(step) for step in replay(ordered, TERMS)]


def vars_of(order: Any) -> dict[str, Any]:
    return {name: getattr(order, name) for name in order.__struct_fields__}
