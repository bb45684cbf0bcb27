"""What the check reads of what was sent about stock."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.sales import line, refund, sale, void
from tillstream.check.stock import _about, _is_traded
from tillstream.check.stock_sent import level, read_bundles, read_stock_truth

BREAD, CARD = "2000000000015", "2000000004969"


def written(folder: Path, *records: dict) -> Path:
    lines = (json.dumps({"class": "ok", "record": record}) for record in records)
    (folder / "sent.jsonl").write_text("\n".join(lines))
    return folder


def test_what_has_no_stock_moves_none_and_the_lines_beside_it_keep_their_numbers(tmp_path):
    sold = sale(
        "sale-0001", lines=[line(CARD, 1, 5_000, "gift-cards"), line(BREAD, 2, 100, "bakery")]
    )
    truth = read_stock_truth(written(tmp_path, sold), ["gift-cards"])
    assert {key: set(moves) for key, moves in truth.lines.items()} == {(45, BREAD): {"sale-0001/2"}}


def test_of_two_sales_under_one_id_the_first_moves_stock(tmp_path):
    first = sale("sale-0001", product=BREAD)
    other = sale("sale-0001", lines=[line(CARD, 1, 5_000, "bakery"), line(BREAD, 9, 100, "bakery")])
    truth = read_stock_truth(written(tmp_path, first, other, first))
    assert {key: [m.pieces for m in moves.values()] for key, moves in truth.lines.items()} == {
        (45, BREAD): [-1]
    }


def test_a_void_of_a_return_takes_off_what_the_return_brought_wherever_it_stands(tmp_path):
    sold = sale("sale-0001", product=BREAD, pieces=3)
    back = refund("back-0001", "sale-0001", product=BREAD, pieces=2)
    undone = void("void-0001", "back-0001", product=BREAD, pieces=2)
    again = void("void-0002", "void-0001", product=BREAD, pieces=2)
    # A void of a void has no effect. One that comes first is taken for a sale's, and its own void has none.
    for sent, left in [((sold, back), -1), ((undone, sold, back), -3), ((sold, back, undone, undone), -3),
                       ((sold, back, undone, again), -3), ((again, undone, sold, back), 1),
                       ((sold, void("void-3", "sale-0001", product=BREAD, pieces=3)), 0)]:  # fmt: skip
        truth = read_stock_truth(written(tmp_path, *sent))
        assert level(list(truth.lines[45, BREAD].values())) == left


def test_a_bundle_moves_its_parts_and_a_void_of_its_return_takes_them_off_again(tmp_path):
    table = tmp_path / "bundles.csv"
    table.write_text(
        f"bundle,product,quantity,unit\n0{CARD},0{BREAD},2,each\n{CARD},plu-04011,0.5,kg\n"
    )
    bundles = read_bundles(table)
    assert bundles == {CARD: {BREAD: 2, "plu-4011": 500}}
    sold = sale("sale-0001", product=CARD, pieces=3)
    back = refund("back-0001", "sale-0001", product=CARD, pieces=1)
    undone = void("void-0001", "back-0001", product=CARD, pieces=1)
    sent = written(tmp_path, sold, undone, back, sale("sale-0002", product=BREAD))
    truth = read_stock_truth(sent, bundles=bundles)
    found = {key: level(list(moves.values())) for key, moves in truth.lines.items()}
    assert found == {(45, BREAD): -7, (45, "plu-4011"): -1500}
    assert f"sale-0001/1/{BREAD}" in truth.lines[45, BREAD]


def test_both_ends_of_a_transfer_are_added_up_each_document_once(tmp_path):
    def end(kind: str, store: int, pieces: int) -> dict:
        return {
            "schema": 1, "document_id": f"{kind}-{pieces}", "kind": kind, "store": store,
            "event_time_ms": 1, "reference": "T-1", "lines": [{"product": BREAD, "quantity": pieces}],
        }  # fmt: skip

    documents = [
        end("transfer_out", 45, 50),
        end("transfer_in", 46, 20),
        end("transfer_in", 46, 10),
    ]
    entries = [{"class": "ok", "stream": "movements", "record": one} for one in documents * 2]
    (tmp_path / "sent.jsonl").write_text("\n".join(map(json.dumps, entries)))
    assert read_stock_truth(tmp_path).carried == {("T-1", BREAD): [50, 30]}


def test_the_order_that_begins_last_says_whether_a_shelf_is_sold_from():
    def order(action: str, from_ms: int, **scope: object) -> dict:
        return {"action": action, "from_ms": from_ms} | scope

    orders = [
        order("delist", 10, product=BREAD),
        order("relist", 20, product=BREAD, store=45),
        order("close", 30, store=45),
        order("reopen", 40, store=45),
        order("delist", 50, product=BREAD, country="ZA"),
        order("delist", 5, product=CARD),
    ]
    about = _about(orders, 45, BREAD, "ZA")
    assert [_is_traded(about, at) for at in (9, 10, 20, 30, 40, 50)] == [
        True, False, True, False, True, False,
    ]  # fmt: skip
    assert _about(orders, 9003, BREAD, "") == []
