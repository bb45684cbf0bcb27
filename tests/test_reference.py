"""A grocer's own tables: whatever is wrong with one is one line with file and line number."""

from __future__ import annotations

from pathlib import Path

import pytest

from tillstream.conf import Conf, ConfError, load
from tillstream.reference import clocks, places, price_list, region_zones, zones

READERS = {
    clocks: ("stores", "store,lat,lon,zone\n", "7,-17.8,31.0,Africa/Harare\n"),
    places: ("stores", "store,name,country,lat,lon\n", "7,Harare,ZW,-17.8,31.0\n"),
    zones: ("stores", "store,zone\n", "7,Africa/Harare\n"),
    region_zones: ("stores", "region,zone\n", "harare,Africa/Harare\n"),
    price_list: ("products", "product,name,category,unit_price_cents\n", "P1,Bread,bakery,1499\n"),
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
        (lambda header, row: header + row + "\n7\n", "line 4: [a-z_]+ is missing"),
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
