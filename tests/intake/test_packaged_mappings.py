"""What the package's mappings make of receipts as their makers write them, in small."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
import yaml

from tests.support import ROOT
from tillstream.domain.mapping.mapper import Mapper
from tillstream.domain.mapping.spec import read
from tillstream.domain.receipt.contract import RetailTransaction
from tillstream.domain.receipt.front_door import StorePlace, of_contract
from tillstream.intake.commands import of_scales
from tillstream.intake.mappings import load

BERLIN = StorePlace(12, "Europe/Berlin", "EUR", "DE", "berlin")
MOSCOW = StorePlace(37, "Europe/Moscow", "RUB", "RU", "moscow")
SEATTLE = StorePlace(9, "America/Los_Angeles", "USD", "US", "washington")


def made(name: str, raw: bytes, place: StorePlace) -> RetailTransaction:
    (one,) = load(name).transactions(raw, lambda _: place)
    assert one.receipt, one.problem
    return one.receipt


def taxes(receipt: RetailTransaction, place: StorePlace) -> dict[str, int]:
    return {line.product: line.tax for line in of_contract(receipt, place, "x").lines}


# ---- REWE

EBON = """\
BROT                             2,00 B
{lines}
 --------------------------------------
 SUMME                    EUR   {total}
 ======================================
 Geg. BAR                 EUR   {total}
{taxes}
  28.11.2026     18:30     Bon-Nr.:2345
  Markt:12     Kasse:1   Bed.:121212
"""


def ebon(lines: str, total: str, taxes: str) -> RetailTransaction:
    return made("rewe-ebon", EBON.format(lines=lines, total=total, taxes=taxes).encode(), BERLIN)


@pytest.mark.parametrize("name", ["GUTSCHEINABC50             V300", "GESCHENKKARTE"])
def test_a_gift_card_that_is_sold_is_no_goods(name):
    receipt = ebon(f"{name}  50,00 C *", "52,00", "B=  7,0%   1,87   0,13   2,00")
    assert [line.kind for line in receipt.lines] == ["sale", "gift_card"]
    assert list(taxes(receipt, BERLIN).values()) == [13, 0]


def test_a_discount_of_a_thousand_is_a_discount():
    receipt = ebon("TV    1.100,00 A\nRABATT    -1.002,00 A", "100,00", "")
    assert [line.amount for line in receipt.lines] == [200, 110_000]
    assert [off.amount for off in receipt.discounts] == [100_200]


def test_each_line_of_an_ebon_bears_the_tax_of_its_letter():
    receipt = ebon("BIER     11,90 A\nPFAND     3,10 A *", "17,00",
                   "A= 19,0%  12,61   2,39  15,00\nB=  7,0%   1,87   0,13   2,00")  # fmt: skip
    assert list(taxes(receipt, BERLIN).values()) == [13, 190, 49]


# ---- Russian fiscal registers

FNS: dict[str, Any] = {
    "items": [{"nds": 2, "sum": 6300, "name": "A", "price": 6300, "quantity": 1, "ndsSum": 573},
              {"nds": 6, "sum": 1000, "name": "B", "price": 1000, "quantity": 1},
              {"nds": 1, "sum": 1200, "name": "C", "price": 1200, "quantity": 1}],
    "nds10": 573, "nds20": 200, "dateTime": "2026-11-28T18:30:00", "kktRegId": "0000000000000001",
    "totalSum": 8500, "fiscalSign": 1, "cashTotalSum": 8500, "operationType": 1,
    "fiscalDriveNumber": "9999000100000001", "fiscalDocumentNumber": 439,
}  # fmt: skip


@pytest.mark.parametrize("wrapped", [
    FNS, [FNS], {"code": 1, "data": {"json": FNS}}, {"document": {"receipt": FNS}},
    [{"_id": "x", "ticket": {"document": {"receipt": FNS}}}],
    FNS | {"dateTime": 1795890600},  # what the till's clock shows, counted
])  # fmt: skip
def test_a_fiscal_receipt_is_read_in_whatever_it_is_wrapped(wrapped):
    receipt = made("ru-fns", msgspec.json.encode(wrapped), MOSCOW)
    assert receipt.ended_at.isoformat() == "2026-11-28T18:30:00+03:00"
    assert list(taxes(receipt, MOSCOW).values()) == [573, 0, 200]


@pytest.mark.parametrize("changes", [
    {"nds18": 200, "nds20": None}, {},
    {"items": [item | {"ndsSum": 0, "nds": 99 if item["nds"] == 6 else item["nds"]}
               for item in FNS["items"]]},
])  # fmt: skip
def test_tax_of_an_older_year_or_of_a_code_to_come_refuses_no_basket(changes):
    assert sum(taxes(made("ru-fns", msgspec.json.encode(FNS | changes), MOSCOW), MOSCOW).values())


# ---- NCR


def test_each_line_of_a_poslog_bears_the_taxes_that_it_is_marked_with():
    def line(number: int, code: str, amount: str, marks: str) -> str:
        return f"""<LineItem><SequenceNumber>{number}</SequenceNumber><Sale ItemType="Stock">
            <POSIdentity POSIDType="GTIN"><POSItemID>{code}</POSItemID></POSIdentity>
            <ExtendedAmount>{amount}</ExtendedAmount><Quantity>1</Quantity>
            <acs:Itemizers {marks}>1</acs:Itemizers></Sale></LineItem>"""

    space = "http://www.ncr.com/rsd/acs/tlog/markup/poslog/2.1"
    raw = f"""<POSLog xmlns="http://www.nrf-arts.org/IXRetail/namespace/" xmlns:acs="{space}"><Transaction>
        <RetailStoreID>9</RetailStoreID><WorkstationID>1</WorkstationID><SequenceNumber>7</SequenceNumber>
        <BusinessDayDate>2026-11-28</BusinessDayDate><EndDateTime>2026-11-28T18:30:00</EndDateTime>
        <CurrencyCode>USD</CurrencyCode><RetailTransaction>
        <LineItem><SequenceNumber>1</SequenceNumber><Tax acs:TaxID="1"><TaxableAmount>10.00</TaxableAmount>
        <Amount>1.01</Amount><Percent>10.1</Percent></Tax></LineItem>
        {line(2, "00012345678905", "10.00", 'Tax1="true"')}{line(3, "00036000291452", "5.00", "")}
        <Total TotalType="TransactionGrandAmount">16.01</Total></RetailTransaction></Transaction></POSLog>"""
    receipt = made("ncr-poslog", raw.encode(), SEATTLE)
    assert list(taxes(receipt, SEATTLE).values()) == [101, 0]
    assert [line.paid for line in of_contract(receipt, SEATTLE, "x").lines] == [1101, 500]


# ---- codes of scales


def test_codes_of_scales_are_pointed_out_where_nobody_says_what_is_in_them():
    rows, said = examples()["corner-shop"]
    rows = rows.replace("Bread", "2825402020481").replace("Milk", "4056489061366")
    said = said.replace("scheme: {const: name}", "scheme: {const: barcode}")
    spec = read(yaml.safe_load(said))
    found = list(Mapper(spec).transactions(rows.encode(), lambda _: BERLIN))
    assert of_scales(found, lambda _: BERLIN, []) == 1
    assert of_scales(found, lambda _: SEATTLE, []) == 0
    assert of_scales(found, lambda _: BERLIN, ["28IIIIIWWWWWC"]) == 0


# ---- what the documentation shows


def examples() -> dict[str, tuple[str, str]]:
    """By the name of the mapping: rows, and the mapping."""
    blocks = re.findall(r"```(yaml)?\n(.*?)```", (ROOT / "docs" / "mappings.md").read_text(), re.S)
    pairs = [(blocks[n - 1][1], said) for n, (form, said) in enumerate(blocks) if form]
    return {said.split()[1]: (rows, said) for rows, said in pairs if said.startswith("mapping:")}


def test_the_examples_of_the_documentation_come_through():
    found = {}
    for name, (rows, said) in examples().items():
        mapped = list(
            Mapper(read(yaml.safe_load(said))).transactions(rows.encode(), lambda _: BERLIN)
        )
        assert [one.problem for one in mapped] == [None] * len(mapped)
        found[name] = mapped
    corner, (market, skipped) = found["corner-shop"][0], found["market"]
    assert (corner.receipt.total, market.receipt.total) == (3250, 625)
    assert skipped.skipped == "sign-on"
    assert taxes(market.receipt, BERLIN) == {"name-bread": 0, "name-beer": -75}
