"""Revenue and tax that the check recomputes, on receipts worked by hand."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from tests.domain.receipt.test_contract import VALID
from tests.support.sales import PRODUCT, line, refund, sale, void
from tillstream.check.sales import SalesTruth, Shelf, TaxOf, read_sales_truth
from tillstream.check.stock_sent import read_stock_truth

BREAD = "6001240100035"


def example(name: str, **changes: Any) -> dict[str, Any]:
    path = next(path for path in VALID if path.stem == name)
    return json.loads(path.read_bytes()) | changes


def voided(document: dict[str, Any], name: str) -> dict[str, Any]:
    return document | {
        "transaction_id": name,
        "kind": "void",
        "voids": document["transaction_id"],
    }


@pytest.fixture
def truth_of(tmp_path: Path):
    def written(*records: dict[str, Any]) -> SalesTruth:
        lines = (json.dumps({"class": "ok", "record": record}) for record in records)
        (tmp_path / "sent.jsonl").write_text("\n".join(lines))
        return read_sales_truth(tmp_path, ["gift-cards"])

    return written


def test_tax_is_by_store_day_currency_code_and_rate(truth_of):
    taxed = example("vat_included_and_zero_rated", transaction_id="a")
    truth = truth_of(taxed, taxed, taxed | {"transaction_id": "b"})
    standard = TaxOf(147, "2026-11-29", "ZAR", "S", "15", False)
    assert truth.taxes == {
        standard: [2, 3_000, 20_000, 0],
        standard._replace(code="Z", rate="0"): [2, 0, 4_000, 0],
    }


def test_a_void_takes_its_tax_and_revenue_back(truth_of):
    taxed = example("vat_included_and_zero_rated", transaction_id="a")
    truth = truth_of(taxed, voided(taxed, "b"))
    assert list(truth.taxes.values()) == [[2, 0, 0, 0]] * 2
    (sums,) = truth.sold.values()
    assert sums == [4, 2, 2, 13_500, 13_500]


def test_tax_on_top_is_revenue_as_the_front_door_has_it(truth_of):
    truth = truth_of(example("sales_tax_on_top"))
    assert truth.sold == {Shelf(f"147/{BREAD}", "USD", "each"): [1, 1, 0, 1_020, 0]}
    of = TaxOf(147, "2026-11-29", "USD", "1", "10.151", True)
    assert truth.taxes == {of: [1, 94, 926, 0]}


def test_weighed_goods_are_in_grams_and_rounding_is_in_the_money(truth_of):
    truth = truth_of(
        example("apples_of_734_grams"), example("cash_rounded_to_10_cents", transaction_id="r")
    )
    assert truth.sold == {
        Shelf("147/plu-4011", "ZAR", "kg"): [1, 734, 0, 1_467, 0],
        Shelf(f"147/{BREAD}", "ZAR", "each"): [1, 1, 0, 1_460, 0],
    }


def test_what_is_no_goods_is_no_revenue_in_either_contract(truth_of):
    v1 = sale(
        "v1-0001",
        lines=[line("2000000004969", 1, 5_000, "gift-cards"), line(BREAD, 2, 700, "bakery")],
    )
    back = refund("v1-0002", "v1-0001", lines=[line(BREAD, 1, 700, "bakery")])
    truth = truth_of(
        example("airtime_and_a_gift_card"),
        example("deposit_and_empty_bottles", transaction_id="d"),
        v1,
        back,
    )
    assert truth.sold == {
        Shelf(f"147/{BREAD}", "ZAR", "each"): [1, 1, 0, 1_999, 0],
        Shelf(f"45/{BREAD}", "ZAR", "each"): [2, 2, 1, 1_400, 700],
    }
    assert not truth.taxes


@pytest.mark.parametrize("order", permutations(range(3)), ids=str)
def test_a_void_of_a_refund_of_contract_v1_leaves_the_goods_sold(truth_of, order):
    sent = sale("s1"), refund("r1", "s1"), void("v1", "r1")
    truth = truth_of(*(sent[n] for n in order))
    assert truth.sold == {Shelf(f"45/{PRODUCT}", "ZAR", "each"): [3, 2, 1, 2_000, 1_000]}


def test_a_void_of_a_sale_of_contract_v1_takes_it_back(truth_of):
    truth = truth_of(sale("s1"), void("v1", "s1"))
    assert truth.sold == {Shelf(f"45/{PRODUCT}", "ZAR", "each"): [2, 1, 1, 1_000, 1_000]}


def test_a_training_till_sells_nothing_and_moves_nothing(truth_of, tmp_path):
    truth = truth_of(example("three_for_20_rand", training=True))
    assert not truth.sold
    assert not read_stock_truth(tmp_path).lines


def test_goods_that_go_to_waste_move_no_stock_and_lines_keep_their_places(truth_of, tmp_path):
    struck_out = example("a_struck_out_line_and_a_corrected_one", transaction_id="s")
    truth_of(example("exchange_of_a_kettle"), struck_out)
    moves = read_stock_truth(tmp_path).lines[147, BREAD]
    assert {
        name.rpartition("/")[2]: move.pieces for name, move in moves.items() if name[0] == "s"
    } == {"1": -1}
    # The kettle that came back goes to the supplier: only the other one moves.
    assert [move.pieces for name, move in moves.items() if name[0] != "s"] == [-1]


@pytest.mark.parametrize("contract", [1, 2])
def test_of_several_voids_of_a_sale_one_takes_it_back_and_none_takes_back_a_void(
    truth_of, contract
):
    if contract == 1:
        sold = sale("sale-0001")
        some = [
            void(f"void-000{n}", of) for n, of in enumerate(["sale-0001", "void-0000", "void-0001"])
        ]
        last = void("void-0003", "sale-0001")
    else:
        sold = example("apples_of_734_grams", transaction_id="sale-0001")
        some = [voided(sold, "void-0000")]
        some += [voided(some[-1], "void-0001")]
        some += [voided(some[-1], "void-0002")]
        last = voided(sold, "void-0003")
    truth = truth_of(sold, *some, last, last)
    ((_, units, back, paid, paid_back),) = truth.sold.values()
    assert (units, paid) == (back, paid_back)
    assert truth.uncounted == {
        "void-0001": "not_a_sale", "void-0002": "not_a_sale", "void-0003": "voided_already",
    }  # fmt: skip


def test_voids_of_one_another_count_once(truth_of):
    truth = truth_of(void("void-000x", "void-000y"), void("void-000y", "void-000x"))
    assert truth.uncounted == {"void-000y": "voided_already"}
