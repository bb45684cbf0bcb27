"""An analyst's question is answered in two seconds, of which starting takes little."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from tests.support.fraud_shop import HOUR, MIDNIGHT, OTHER, Shop, sale
from tests.support.imports import imported
from tests.support.sales import canonical, checked, line
from tests.support.sales import sale as v1_sale
from tillstream.cli import main
from tillstream.conf import load
from tillstream.domain.fraud.control import Order
from tillstream.domain.receipt.canonical import Item, Paid
from tillstream.fraud import explain, rule_sets
from tillstream.fraud.explain import Explanation, basket
from tillstream.fraud.rules_file import packaged_rules
from tillstream.fraud.topics import Message

HEAVY = {"pyflink", "pyarrow", "numpy", "pandas", "lightgbm", "apache_beam"}


def test_explain_starts_without_the_engine_and_other_heavy_libraries():
    program = (
        "from tillstream.cli import main; "
        "assert main.get_command(None, 'explain'); import tillstream.fraud.explain"
    )
    assert not HEAVY & imported(program)


def test_the_rules_that_judged_are_found_on_the_topic_whatever_else_is_there(
    monkeypatch: pytest.MonkeyPatch,
):
    rules = msgspec.Raw(packaged_rules().raw)
    version = packaged_rules().rules.version
    orders = [
        msgspec.json.encode(Order("live", version, 1, "tester", rules)),
        b"\xff",
        msgspec.json.encode(Order("shadow-off", version, 2, "tester")),
        msgspec.json.encode(Order("live", version, 3, "tester", msgspec.Raw(b"{}"))),
    ]
    topic = [Message(f"kafka:r/0/{n}", n, order) for n, order in enumerate(orders)]
    monkeypatch.setattr(rule_sets, "read_all", lambda conf, name: topic)
    found = rule_sets.of_version(load("local"), version)
    assert found == packaged_rules().rules.data
    assert rule_sets.of_version(load("local"), "never-pushed") is None


def told(monkeypatch: pytest.MonkeyPatch, transaction: dict[str, Any], *options: str) -> str:
    """What the command says of a sale that is held, which came in as ``transaction``."""
    shop = Shop()
    shop.has_a_customer()
    decision = shop.takes(sale(99, MIDNIGHT + 2 * HOUR, 300_000, 156, card_token=OTHER))
    found = Explanation(transaction, decision, None, [], [], None)
    monkeypatch.setattr(explain, "explain", lambda conf, _: found)
    done = CliRunner().invoke(main, ["explain", decision.transaction_id, *options])
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split())


LINES = [line("6001000000066", 2, 1_000, "bakery"), line("6001000000073", 1, 500, "dairy")]


@pytest.mark.parametrize("form", ["0.1.0", "now"])
def test_what_came_in_is_told_the_same_whichever_release_judged_it(form, monkeypatch):
    document = v1_sale(lines=LINES)
    kept = document if form == "0.1.0" else json.loads(canonical(document))
    said = told(monkeypatch, kept)
    assert "by cash at store 156, till 4" in said
    assert "basket: 2 x bakery, 1 x dairy" in said
    assert json.loads(told(monkeypatch, kept, "--json"))["transaction"] == kept


def test_a_receipt_of_all_kinds_of_lines_reads_well(monkeypatch):
    lines = (
        Item("sale", "plu-4011", 900, 900, thousandths=532, unit="kg"),
        Item("return", "06001000000066", -900, -900, thousandths=-2000),
        Item("gift_card", "", 50_000, 50_000, category="gift-cards"),
        Item("fee", "", 10, 10),
        *[Item("sale", "sku-7", 1, 1, category="toys")] * 9,
    )
    receipt = msgspec.structs.replace(
        checked(v1_sale()), lines=lines, tenders=(Paid("social_grant", 1), Paid("cash", -1))
    )
    said = told(monkeypatch, msgspec.to_builtins(receipt))
    assert "by social grant at store" in said
    assert (
        "basket: 0.532 kg of plu-4011, return: -2 x 6001000000066, gift card: 1 x gift-cards, "
        "fee: 1 x something, 1 x toys"
    ) in said
    assert "1 x toys, and 3 more profile then" in said


def test_a_receipt_of_no_tenders_is_told_without_them(monkeypatch):
    receipt = msgspec.structs.replace(checked(v1_sale()), tenders=())
    assert " ZAR at store 156" in told(monkeypatch, msgspec.to_builtins(receipt))


def test_a_basket_that_was_cut_reads_as_the_others():
    lines = [{"kind": "sale", "paid": 1, "category": "toys"}, {"kind": "sale", "paid": 1}]
    cut = {
        "transaction_id": "R-1", "store": 1, "region": "r", "till": "T-7", "ended_ms": MIDNIGHT,
        "currency": "ZAR", "total": 2, "lines": lines, "cut_from_bytes": 400_000,
    }  # fmt: skip
    assert basket(cut) == ("", ["1 x toys", "1 x something"])
