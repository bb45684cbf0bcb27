"""What a case, its hold and the profile say after any two things that may happen to the same sale."""

from __future__ import annotations

from itertools import groupby, product

import pytest

from tests.support.fraud_chain import LABELS, Chain, label_of
from tests.support.fraud_chain import sale as document
from tests.support.sales import refund, void
from tests.udfs.test_fraud_functions import NIGHT, regular, stolen_card
from tests.udfs.test_fraud_replies import CUSTOMER, MINUTE, reply
from tillstream.conf import load
from tillstream.domain.fraud.counters import id_hash
from tillstream.fraud.texts import asking
from tillstream.state_schemas.keyed import fraud_counters, fraud_profile

EVENTS = ("released", "confirmed", "yes", "fraud", "honest", "void", "return", "copy")
# By a person, by the customer, by a bank. case -> event -> the case then, and the order that goes out. What
# is not named changes nothing.
OF_HELD = {
    "open": {
        "released": ("released", "release"), "confirmed": ("confirmed", "decline"),
        "yes": ("released", "release"), "fraud": ("confirmed", "decline"),
        "honest": ("released", "release"),
    },
    "released": {"confirmed": ("confirmed", "decline"), "fraud": ("confirmed", None),
                 "released": ("released", "release")},
    "confirmed": {"released": ("released", "release"), "honest": ("released", None),
                  "confirmed": ("confirmed", "decline")},
}  # fmt: skip
OF_REVIEWED = {
    "open": {"released": ("released", None), "confirmed": ("confirmed", None),
             "fraud": ("confirmed", None)},
    "released": {"confirmed": ("confirmed", None), "fraud": ("confirmed", None)},
    "confirmed": {"released": ("released", None), "honest": ("released", None)},
}  # fmt: skip
UNDONE = {"void": "voided", "return": "returned"}


class Story:
    """One chain, set back to the moment after the sale was judged."""

    def __init__(self, held: bool) -> None:
        self.held, self.chain = held, Chain()
        answers = {"fraud": {"answers": {"release_cents": 500_000}}}
        self.chain.judge.function.asking = asking(load("local", answers))
        regular(self.chain)
        self.sold = stolen_card() if held else reviewed()
        self.chain.send(self.sold)
        (case,) = self.chain.out["cases"]
        assert case["outcome"] == ("hold" if held else "review")
        stages = (self.chain.till, self.chain.card, self.chain.judge)
        self.kept = [(s, dict(s.state), list(s.main), {k: list(v) for k, v in s.side.items()})
                     for s in stages]  # fmt: skip

    def begins(self) -> None:
        for stage, state, main, side in self.kept:
            stage.state, stage.main = dict(state), list(main)
            stage.side.clear()
            stage.side.update({name: list(values) for name, values in side.items()})

    def happens(self, event: str, at_ms: int) -> None:
        chain, sold = self.chain, self.sold
        source = "hold" if self.held else "review"
        if event in ("released", "confirmed"):
            chain.send(label_of(sold, event == "confirmed", at_ms, source=source), at_ms, LABELS)
        elif event in ("fraud", "honest"):
            verdict = label_of(sold, event == "fraud", at_ms, source="chargeback")
            chain.send(verdict, at_ms, LABELS)
        elif event == "yes":
            seen = len(chain.judge.side["labels"])
            chain.reply(reply(at_ms=at_ms, transaction_id=sold["transaction_id"]), at_ms)
            for label in chain.judge.side["labels"][seen:]:
                chain.send(label, at_ms, LABELS)
        elif event == "copy":
            self.forgets_the_last_sales()
            chain.send(sold)
        else:
            made = void if event == "void" else refund
            again = {name: value for name, value in sold.items() if name not in ("kind", "schema")}
            chain.send(made(**again | {
                "transaction_id": f"{event}-{at_ms}", "of": sold["transaction_id"],
                "event_time_ms": at_ms}))  # fmt: skip

    def forgets_the_last_sales(self) -> None:
        """A copy that comes after many others is judged again."""
        state = self.chain.judge.state
        profile = fraud_profile.decode(state[CUSTOMER])
        profile.recent = []
        state[CUSTOMER] = fraud_profile.encode(profile)

    def case(self) -> dict:
        """As the table has it: the newest version of each group of fields."""
        found: dict = {"status": (0, ""), "undone": (0, None), "ordered": (0, None)}
        for written in self.chain.out["cases"]:
            for name in found.keys() & written.keys():
                found[name] = max(found[name], (written["version"], written[name]))
        return {name: value for name, (_, value) in found.items()}

    def orders(self) -> list[str]:
        """Each id once, as the payment system takes them; to be told the same again changes nothing there."""
        ids = dict.fromkeys(hold["hold_id"] for hold in self.chain.out["holds"])
        return [action for action, _ in groupby(one.split(":")[1] for one in ids)]


def reviewed() -> dict:
    """R2,500 with another card in another town, by day."""
    return document(500, NIGHT - 10 * 60 * MINUTE, cents=250_000, store=156, till=2,
                    region="kwazulu-natal", card_token="tok_z9y8x7w6v5u4t3s2")  # fmt: skip


@pytest.mark.parametrize("held", [True, False], ids=["held", "reviewed"])
def test_case_hold_profile_till_and_card_agree_after_any_two_events(held):
    story, table = Story(held), OF_HELD if held else OF_REVIEWED
    wrong = []
    for pair in product(EVENTS, repeat=2):
        story.begins()
        status, orders, undone = "open", ["hold"] if held else [], None
        for n, event in enumerate(pair, 1):
            story.happens(event, NIGHT + n * 5 * MINUTE)
            status, order = table[status].get(event, (status, None))
            undone = UNDONE.get(event, undone)
            if order and order not in orders:
                orders.append(order)
        expected = (status, undone, orders, status == "confirmed", held and status == "open")
        profile = fraud_profile.decode(story.chain.judge.state[CUSTOMER])
        number = id_hash(story.sold["transaction_id"])
        marks = {
            number in fraud_counters.decode(stage.state[key]).labelled
            for stage, key in ((story.chain.till, "156:2"), (story.chain.card, story.sold["card_token"]))
        } | {bool(profile.frauds)}  # fmt: skip
        (marked,) = marks if len(marks) == 1 else ("they differ",)
        waits = any(one.transaction == number for one in profile.held)
        case = story.case()
        if case["ordered"] != (story.orders()[-1] if story.orders()[1:] else None):
            wrong.append(f"{pair}: the case says {case['ordered']}, of {story.orders()}")
        said = (case["status"], case["undone"], story.orders(), marked, waits)
        if said != expected:
            wrong.append(f"{' then '.join(pair)}: {said}, not {expected}")
        if story.chain.out["dead-letters"]:
            wrong.append(f"{pair}: dead letter")
    assert not wrong, "\n".join(wrong)


def test_a_void_of_a_sale_that_was_no_case_writes_none():
    chain = Chain()
    regular(chain)
    chain.send(void("v1", "0023-04-2025-000019", event_time_ms=NIGHT, store=23, till=4,
                    customer_id=CUSTOMER))  # fmt: skip
    assert not chain.out["cases"]
