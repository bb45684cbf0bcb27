"""Files that real tills wrote, kept outside of this repository: each comes through its mapping with the
totals that the file itself has, told here by other code."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest

from tests.support import ROOT
from tillstream.domain.mapping.mapper import Mapped
from tillstream.domain.receipt.amounts import exponent
from tillstream.domain.receipt.contract import RetailTransaction
from tillstream.domain.receipt.front_door import StorePlace, of_contract
from tillstream.domain.receipt.parse import parse
from tillstream.domain.receipt.product import canonical
from tillstream.intake.mappings import load

TILLS = Path(os.environ.get("TILLSTREAM_DATA") or ROOT.parent / "shared" / "data") / "tills"
pytestmark = pytest.mark.skipif(not TILLS.is_dir(), reason=f"no files of tills in {TILLS}")
NAIROBI = StorePlace(1, "Africa/Nairobi", "KES", "KE", "nairobi")
PLACES = {
    "9": StorePlace(9, "America/Los_Angeles", "USD", "US", "washington"),
    "12": StorePlace(12, "Europe/Berlin", "EUR", "DE", "nrw"),
    "37S0": StorePlace(37, "Asia/Vladivostok", "RUB", "RU", "khabarovsk"),
    "747": StorePlace(747, "Europe/London", "GBP", "GB", "london"),
}


def place_of(store: str) -> StorePlace | None:
    return NAIROBI if "-" in store else PLACES.get(store)


def mapped(name: str, file: Path, **context: str) -> list[Mapped]:
    found = list(load(name).transactions(file.read_bytes(), place_of, context))
    assert found
    return found


def receipts(found: list[Mapped]) -> list[RetailTransaction]:
    good = [one.receipt for one in found if one.receipt]
    for one in good:  # as a sender of contract v2 would write it
        assert parse(msgspec.json.Encoder(decimal_format="number").encode(one)) == one
    return good


def files(pattern: str) -> list[Any]:
    return [pytest.param(path, id=path.stem) for path in sorted(TILLS.glob(pattern))] or [None]


def major(minor: int, currency: str) -> Decimal:
    return Decimal(minor).scaleb(-exponent(currency))


# ---- a US grocer's POSLog


def amount(node: ElementTree.Element, path: str) -> Decimal:
    found = node.find("/".join("{*}" + step for step in path.split("/")))
    assert found is not None
    return Decimal(found.text or "")


def poslog() -> tuple[list[RetailTransaction], list[ElementTree.Element], list[Mapped]]:
    (path,) = TILLS.glob("ncr_acs_poslog*.xml")
    found = mapped("ncr-poslog", path)
    root = ElementTree.parse(path).getroot()
    sales = [node for node in root if node.find("{*}RetailTransaction") is not None]
    return receipts(found), sales, found


def test_each_sale_of_a_poslog_has_the_totals_that_it_says():
    made, sales, found = poslog()
    assert len(made) == len(sales) == 42
    assert Counter(one.skipped for one in found if one.skipped) == {"control": 9}
    for receipt, sale in zip(made, sales, strict=True):
        totals = {
            t.get("TotalType"): Decimal(t.text or "") for t in sale.iter() if t.get("TotalType")
        }
        assert major(receipt.total, "USD") == totals["TransactionGrandAmount"]
        assert major(sum(t.amount for t in receipt.taxes), "USD") == totals["TransactionTaxAmount"]
        positive = [line.amount for line in receipt.lines if line.amount > 0]
        added = sum(tax.amount for tax in receipt.taxes)
        assert major(sum(positive) + added, "USD") == totals["acs:GrossPositive"]


def test_taxes_of_a_poslog_add_up_by_code():
    made, sales, _ = poslog()
    taxes = [tax for receipt in made for tax in receipt.taxes]
    assert {(tax.code, tax.rate) for tax in taxes} == {(tax.code, None) for tax in taxes}
    said = [
        amount(node, "TaxableAmount") for sale in sales for node in sale.iter()
        if node.tag.endswith("}Tax") and node.find("{*}TaxableAmount") is not None
    ]  # fmt: skip
    assert major(sum(tax.taxable or 0 for tax in taxes), "USD") == sum(said)


def test_weights_corrections_and_bottles_of_a_poslog():
    made, sales, _ = poslog()
    lines = [line for receipt in made for line in receipt.lines]
    assert sum(line.unit == "lb" for line in lines) == 168
    assert [str(line.quantity) for line in lines if line.correction] == ["1", "1.47", "1", "7.21"]
    assert [line.amount for line in lines if line.kind == "bottle_return"] == [-200]
    cashback = sum(tender.cashback for receipt in made for tender in receipt.tenders)
    told = [amount(node, "Cashback") for sale in sales for node in sale.iter() if node.tag.endswith("}Tender")
            and node.find("{*}Cashback") is not None]  # fmt: skip
    assert major(cashback, "USD") == sum(told) == 80


def test_produce_of_a_poslog_is_known_by_its_plu():
    made, _, _ = poslog()
    codes = Counter(canonical(line.scheme, line.code).code for r in made for line in r.lines)
    assert codes["plu-94011"] == 9  # organic bananas
    assert codes["00209110000003"] == 10  # of scales, without price


# ---- Loyverse


def told_by_loyverse(path: Path) -> Iterator[dict[str, Any]]:
    document = msgspec.json.Decoder(float_hook=Decimal).decode(path.read_bytes())
    yield from document.get("receipts", [document])


@pytest.mark.parametrize("path", files("loyverse_*.json"))
def test_each_receipt_of_loyverse_has_the_totals_that_it_says(path):
    told = list(told_by_loyverse(path))
    found = mapped("loyverse", path)
    assert len(found) == len(told)
    for one, said in zip(found, told, strict=True):
        way = -1 if said["receipt_type"] == "REFUND" else 1
        lines = sum(line["total_money"] for line in said["line_items"])
        paid = sum(payment["money_amount"] for payment in said["payments"])
        if not lines == paid == said["total_money"]:
            assert one.problem
            assert one.problem.reason in ("lines_total", "tenders_total")
            continue
        receipt = one.receipt
        assert receipt, one.problem
        assert major(receipt.total, "KES") == way * said["total_money"]
        assert major(sum(tax.amount for tax in receipt.taxes), "KES") == way * said["total_tax"]
        assert {line.kind for line in receipt.lines} == {"return" if way < 0 else "sale"}
        assert len(receipt.tenders) == len(said["payments"])


def test_what_does_not_add_up_at_loyverse_is_no_receipt():
    (path,) = TILLS.glob("loyverse_*_lines_do_not_add_up.json")
    assert [one.problem.reason for one in mapped("loyverse", path) if one.problem] == [
        "lines_total"
    ] * 2


def test_a_refund_at_loyverse_names_its_sale_and_is_in_the_shops_time():
    (path,) = TILLS.glob("loyverse_webhook_receipts_ke_1.json")
    made = receipts(mapped("loyverse", path))
    back = next(one for one in made if one.total < 0)
    (sale,) = [
        one for one in made if one.lines[0].kind == "sale" and one.transaction_id.endswith("1748")
    ]
    assert back.lines[0].back
    assert back.lines[0].back.receipt == sale.transaction_id
    assert (back.lines[0].unit, str(back.lines[0].quantity)) == ("kg", "0.25")
    assert back.ended_at.isoformat().endswith("+03:00")


def test_a_receipt_that_is_cancelled_at_loyverse_undoes_the_one_that_came_before(tmp_path):
    (path,) = TILLS.glob("loyverse_webhook_receipts_ke_1.json")
    document = msgspec.json.decode(path.read_bytes())
    document["receipts"] = [document["receipts"][0] | {"cancelled_at": "2024-01-06T11:00:00.000Z"}]
    cancelled = tmp_path / "cancelled.json"
    cancelled.write_bytes(msgspec.json.encode(document))
    (sale,) = receipts(mapped("loyverse", path))[:1]
    (void,) = receipts(mapped("loyverse", cancelled))
    assert (void.kind, void.voids, void.total) == ("void", sale.transaction_id, sale.total)
    assert void.transaction_id != sale.transaction_id
    assert of_contract(void, NAIROBI, "x").total == -of_contract(sale, NAIROBI, "x").total


def test_the_same_numbers_sent_later_with_another_time_are_the_same_ids():
    """So that they are told as a conflict, not booked again."""
    before, later = (receipts(mapped("loyverse", TILLS / f"loyverse_webhook_receipts_ke_{name}.json"))
                     for name in ("2", "3_same_receipts_later"))  # fmt: skip
    assert {one.transaction_id for one in before} < {one.transaction_id for one in later}


# ---- SAP, fiscal registers, texts


def test_a_sale_of_sap_has_the_sums_that_it_says():
    (path,) = TILLS.glob("sap_posdm*.json")
    one, again = receipts(mapped("sap-posdm", path))
    assert (
        one.transaction_id == again.transaction_id
    )  # the same sale twice: a conflict if it differs
    assert (one.total, one.currency, len(one.lines)) == (11_612, "GBP", 21)
    assert sum(off.amount for line in one.lines for off in line.discounts) == 2_153  # GRMINUS
    assert one.ended_at.isoformat() == "2019-07-25T12:23:46+01:00"


def test_a_fiscal_receipt_keeps_its_weights_and_no_persons_name():
    (path,) = TILLS.glob("ru_fns*.json")
    (one,) = mapped("ru-fns", path)
    receipt = one.receipt
    assert receipt, one.problem
    assert (receipt.total, receipt.currency) == (128_521, "RUB")
    assert [str(line.quantity) for line in receipt.lines] == [
        "2.474",
        "7.445",
        "7.445",
        "8.210",
        "1.018",
        "0.748",
    ]
    assert {line.unit for line in receipt.lines} == {"kg"}
    assert [(tax.code, tax.amount) for tax in receipt.taxes] == [("nds10", 11_684)]
    assert receipt.cashier is None
    assert receipt.ended_at.isoformat() == "2024-09-17T18:01:00+10:00"


@pytest.mark.parametrize("path", files("rewe_ebon_text_*.txt"))
def test_a_receipt_as_text_has_the_total_that_is_printed(path):
    said = {"store": "12", "till": "3", "ended_at": "2026-11-01T10:00:00+01:00"}
    (one,) = mapped("rewe-ebon", path, **said)
    printed = re.search(r"SUMME EUR ([\d.,]+)", path.read_text())
    assert printed
    assert one.receipt, one.problem
    assert major(one.receipt.total, "EUR") == Decimal(printed[1].replace(".", "").replace(",", "."))


def test_weights_pieces_deposits_and_bottles_of_a_text():
    said = {"store": "12", "till": "3", "ended_at": "2026-11-01T10:00:00+01:00"}
    (three,) = receipts(mapped("rewe-ebon", TILLS / "rewe_ebon_text_3.txt", **said))
    (five,) = receipts(mapped("rewe-ebon", TILLS / "rewe_ebon_text_5.txt", **said))
    weighed = {line.code: str(line.quantity) for line in three.lines if line.unit == "kg"}
    assert weighed == {"BANANE CHIQUITA": "1.050", "TOMATE FLEISCH": "0.272"}
    assert sum(line.amount for line in three.lines if line.kind == "deposit") == 100
    assert [(off.kind, off.amount) for off in three.discounts] == [("staff", 82), ("staff", 506)]
    assert [
        (line.amount, line.quantity) for line in five.lines if line.kind == "bottle_return"
    ] == [(-30, 2)]
