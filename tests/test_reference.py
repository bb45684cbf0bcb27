"""A grocer's own tables: whatever is wrong with one is one line with file and line number."""

from __future__ import annotations

from pathlib import Path

import pytest

from tillstream.conf import Conf, ConfError, load
from tillstream.domain.receipt.product import canonical, printed
from tillstream.domain.stock.baskets import Part
from tillstream.reference import bundles, clocks, places, price_list, region_zones, zones

READERS = {
    clocks: ("stores", "store,lat,lon,zone\n", "7,-17.8,31.0,Africa/Harare\n"),
    places: ("stores", "store,name,country,lat,lon\n", "7,Harare,ZW,-17.8,31.0\n"),
    zones: ("stores", "store,zone\n", "7,Africa/Harare\n"),
    region_zones: ("stores", "region,zone\n", "harare,Africa/Harare\n"),
    price_list: (
        "products",
        "product,name,category,unit_price_cents\n",
        "60012345,Bread,bakery,1499\n",
    ),
    bundles: ("bundles", "bundle,product,quantity,unit\n", "60012346,60012345,6,each\n"),
}


def using(folder: Path, table: str, content: bytes | str) -> Conf:
    """The local settings with this as a table."""
    file = folder / f"{table}.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load("local", {"reference": {table: str(file)}})


@pytest.mark.parametrize("read", READERS)
def test_a_table_may_begin_with_a_byte_order_mark(tmp_path, read):
    table, header, row = READERS[read]
    plain = read(using(tmp_path, table, header + row))
    assert read(using(tmp_path, table, (header + row).encode("utf-8-sig"))) == plain


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (lambda header, row: "", "line 1: needs the columns"),
        (lambda header, row: row, "line 1: needs the columns"),
        (lambda header, row: header, "line 2: there are no rows after the header"),
        (
            lambda header, row: header + row + "\n60012346\n",
            "line 4: [a-z_]+ (is missing|must be .*)",
        ),
        (lambda header, row: header + row + row[:-3] + "x\n", "line 3: [a-z_]+ must be .*, not '"),
        (lambda header, row: header.encode() + b"\xe9", "line 2: is not UTF-8"),
        (lambda header, row: header + "9" * 200_000 + row, "line 2: is not CSV"),
    ],
)
def test_a_broken_table_is_one_line_that_names_file_and_line(tmp_path, read, broken, said):
    table, header, row = READERS[read]
    with pytest.raises(ConfError, match=rf"^reference.{table}: .*{table}.csv, {said}"):
        read(using(tmp_path, table, broken(header, row)))


@pytest.mark.parametrize(
    ("lat", "lon"), [("nan", "31"), ("-17.8", "inf"), ("91", "0"), ("0", "-181")]
)
@pytest.mark.parametrize("read", [clocks, places])
def test_a_store_is_somewhere_on_earth(tmp_path, read, lat, lon):
    table, header, row = READERS[read]
    moved = row.replace("-17.8", lat).replace("31.0", lon)
    with pytest.raises(ConfError, match=r"stores.csv, line 2: (lat|lon) must be degrees from"):
        read(using(tmp_path, table, header + moved))


def test_a_store_has_a_time_zone_that_there_is(tmp_path):
    for zone in ("", "Africa/Nowhere", "../x"):
        with pytest.raises(ConfError, match=r"line 2: zone must be an IANA time zone"):
            clocks(using(tmp_path, "stores", f"store,lat,lon,zone\n7,0,0,{zone}\n"))


def test_a_region_goes_by_the_clock_of_most_of_its_stores(tmp_path):
    table = "store,region,zone\n1,west,Africa/Luanda\n2,west,Africa/Harare\n3,west,Africa/Luanda\n"
    found = using(tmp_path, "stores", table)
    assert region_zones(found) == {"west": "Africa/Luanda"}
    assert zones(found) == {1: "Africa/Luanda", 2: "Africa/Harare", 3: "Africa/Luanda"}


@pytest.mark.parametrize("read", [clocks, places, zones, price_list])
def test_what_a_table_is_of_is_there_once(tmp_path, read):
    table, header, row = READERS[read]
    with pytest.raises(ConfError, match=r"line 3: [a-z]+ [0-9]+ is there twice"):
        read(using(tmp_path, table, header + row + row))


@pytest.mark.parametrize("number", ["-1", "0", "4_5", "99999999999999999999", " 7", "٧"])
def test_a_store_has_a_number(tmp_path, number):
    with pytest.raises(ConfError, match="line 2: store must be a number from 1 to 9999"):
        zones(using(tmp_path, "stores", f"store,zone\n{number},Africa/Harare\n"))


@pytest.mark.parametrize(
    "row", ["2.00E+12,5", "2000000000411 ,5", ",5", "60012345,-5", "60012345,1.5"]
)
def test_a_product_is_digits_and_a_price_is_whole_cents(tmp_path, row):
    with pytest.raises(ConfError, match=r"line 2: (product|unit_price_cents) must be"):
        price_list(using(tmp_path, "products", f"product,unit_price_cents\n{row}\n"))


def test_a_quote_that_is_not_closed_swallows_no_row(tmp_path):
    content = 'store,zone,note\n45,Africa/Harare,"open\n46,Africa/Harare,closed\n'
    with pytest.raises(ConfError, match="is not CSV"):
        zones(using(tmp_path, "stores", content))


def test_a_zone_that_depends_on_the_machine_is_none(tmp_path):
    with pytest.raises(ConfError, match="must be an IANA time zone"):
        zones(using(tmp_path, "stores", "store,zone\n45,localtime\n"))


def test_the_price_list_is_by_products_as_shelves_know_them(tmp_path):
    table = "product,unit_price_cents\n06001240100035,1499\nplu-04011,2999\n60012345,5\n"
    assert price_list(using(tmp_path, "products", table)) == {
        "6001240100035": 1499, "plu-4011": 2999, "60012345": 5
    }  # fmt: skip
    twice = "product,unit_price_cents\n06001240100035,1499\n6001240100035,1499\n"
    with pytest.raises(ConfError, match="line 3: product 6001240100035 is there twice"):
        price_list(using(tmp_path, "products", twice))


EGGS, BREAD, PACK = "6001240100011", "6001240100035", "6001240200018"


def bundled(folder: Path, *rows: str) -> dict[str, tuple[Part, ...]]:
    table = "bundle,product,quantity,unit\n" + "".join(f"{row}\n" for row in rows)
    return bundles(using(folder, "bundles", table))


def test_a_bundle_holds_whole_pieces_and_exact_weights_by_codes_as_shelves_know_them(tmp_path):
    rows = [f"0{PACK},0{EGGS},6,each", f"{PACK},{BREAD},1,each", "sku-box/7,plu-04011,0.750,kg",
            f"sku-12345670,{EGGS},12,each", f"plu-99,{BREAD},2.0,each"]  # fmt: skip
    assert bundled(tmp_path, *rows) == {
        PACK: (Part(EGGS, 6, "each"), Part(BREAD, 1, "each")),
        "sku-box/7": (Part("plu-4011", 750, "kg"),),
        "sku-12345670": (Part(EGGS, 12, "each"),),
        "plu-99": (Part(BREAD, 2, "each"),),
    }


@pytest.mark.parametrize("digits", ["05100900202519", "00000000000018"])  # wrong check digits
@pytest.mark.parametrize("scheme", ["", "sku-"])
def test_a_bundle_of_fourteen_digits_that_are_no_gtin_is_known_as_its_till_lines_are(
    tmp_path, digits, scheme
):
    (bundle,) = bundled(tmp_path, f"{scheme}{digits},{EGGS},6,each")
    assert bundle == digits == printed(canonical("gtin", digits).code)


def test_without_a_table_nothing_is_a_bundle():
    assert bundles(load("local", {"reference": {"bundles": None}})) == {}


def test_the_packaged_bundles_hold_what_the_simulator_sells():
    conf = load("local")
    assert {part.product for parts in bundles(conf).values() for part in parts} <= set(
        price_list(conf)
    )


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([f"{PACK},{EGGS},1.5,each"], "line 2: quantity must be a whole number of pieces"),
        ([f"{PACK},{EGGS},0,each"], "line 2: quantity must be a number above 0"),
        ([f"{PACK},{EGGS},-1,each"], "line 2: quantity must be a number above 0"),
        ([f"{PACK},{EGGS},0.0001,kg"], "line 2: quantity must be a number above 0"),
        ([f"{PACK},{EGGS},1,box"], "line 2: unit must be each, kg, lb, l or m"),
        ([f"{PACK},sku-7,1,each"], "line 2: product must be"),
        ([f"eggs,{EGGS},1,each"], "line 2: bundle must be"),
        (
            [f"{PACK},{EGGS},1,each", f"{PACK},0{EGGS},1,each"],
            "line 3: .* is there twice in bundle",
        ),
        ([f"{PACK},{EGGS},1,each", f"sku-1,{PACK},2,each"], "line 3: .* is a bundle itself"),
        ([f"{PACK},{PACK},1,each"], "line 2: .* is a bundle itself"),
        ([f"{PACK},{10**7 + n},1,each" for n in range(101)], "line 102: .* more than 100"),
    ],
)
def test_a_bundle_that_cannot_be_names_its_line(tmp_path, rows, said):
    with pytest.raises(ConfError, match=rf"^reference.bundles: .*bundles.csv, {said}"):
        bundled(tmp_path, *rows)
