"""Tables that jobs are given at their start: where stores and distribution centres are."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Set
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from tillstream.conf import PACKAGE, PACKAGED, Conf, ConfError
from tillstream.domain.fraud.places import Place as ClockPlace
from tillstream.domain.rates import Rate, Rates
from tillstream.domain.receipt.front_door import KnownStores, StorePlace
from tillstream.domain.receipt.product import printed, same
from tillstream.domain.stock.baskets import Part
from tillstream.domain.stock.network import Neighbours, Place, neighbours

PACKAGES_OWN = PACKAGE / "sim" / "data"  # invented, for the local stack


class Column(NamedTuple):
    """How a value is read, and what it is called."""

    read: Callable[[str], Any]
    what: str

    def of(self, text: str | None, where: str) -> Any:
        """The value. Raises ConfError; ``text`` is None where the row is too short."""
        if text is None:
            raise ConfError(f"{where} is missing")
        try:
            return self.read(text)
        except (ValueError, LookupError, OSError):
            raise ConfError(f"{where} must be {self.what}, not {text!r}") from None


def _degrees(most: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        if not -most <= (found := float(text)) <= most:
            raise ValueError
        return found

    return read


def _of_form(pattern: str, read: Callable[[str], Any]) -> Callable[[str], Any]:
    def checked(text: str) -> Any:
        if not re.fullmatch(pattern, text):
            raise ValueError
        return read(text)

    return checked


def _known_as(code: str) -> str:
    """A product as shelves know it. Twice ``printed`` would take 14 digits that are no GTIN for one."""
    return printed(code) if code.startswith("sku-") else same(code)


def _above_0(text: str) -> Fraction:
    if not (found := Fraction(text)):
        raise ValueError
    return found


def _zone(text: str) -> str:
    if text == "localtime":  # the machine's
        raise ValueError
    return sys.intern(ZoneInfo(text).key)


TEXT = Column(str, "text")
NUMBER = Column(_of_form("[1-9][0-9]{0,3}", int), "a number from 1 to 9999")
PRODUCT = Column(
    _of_form("[0-9]{8,14}|plu-[0-9]{1,5}", same), "8 to 14 digits, or plu- and up to 5"
)
BUNDLE = Column(
    _of_form("[0-9]{8,14}|plu-[0-9]{1,5}|sku-[!-~]{1,64}", _known_as),
    "8 to 14 digits, plu- and up to 5, or sku- and the grocer's own code",
)
MOST_PARTS = 100  # of a bundle: a receipt has up to 1,000 lines
CENTS = Column(_of_form("0|[1-9][0-9]{0,11}", int), "cents, a whole number from 0")
TOLD = ("currency", "name", "region", "country")  # of a store, if the table has them
KEYS = {"store", "centre", "product"}
DATE = Column(date.fromisoformat, "a date, 2026-01-31")
PER_BASE = Column(_of_form("[0-9]{1,9}(?:[.][0-9]{1,12})?", _above_0), "a number above 0")
PER_BUNDLE = Column(
    _of_form("[0-9]{1,6}(?:[.][0-9]{1,3})?", _above_0),
    "a number above 0, with up to three decimals",
)
UNIT = Column(_of_form("each|kg|lb|l|m", str), "each, kg, lb, l or m")
CURRENCY = Column(_of_form("[A-Z]{3}", str), "a currency, three letters")
LATITUDE = Column(_degrees(90), "degrees from -90 to 90")
LONGITUDE = Column(_degrees(180), "degrees from -180 to 180")
ZONE = Column(_zone, "an IANA time zone")


def places(conf: Conf) -> tuple[list[Place], list[Place]]:
    """(stores, distribution centres). Raises ConfError that names the file and what is wrong."""
    return (
        _read(_file(conf, "stores"), "store"),
        _read(_file(conf, "centres"), "centre"),
    )


def network(conf: Conf) -> dict[int, Neighbours]:
    """For each store the centres to ask and the stores nearby."""
    stores, centres = places(conf)
    settings = conf.inventory
    return neighbours(
        stores, centres, settings.nearby_km, settings.nearby_stores, settings.centres_asked
    )


def clocks(conf: Conf) -> dict[int, ClockPlace]:
    """Where each store is and what its clock shows. Raises ConfError that names the file."""
    return _clocks(_file(conf, "stores"))


def packaged_clocks() -> dict[int, ClockPlace]:
    """The same of the invented stores that come with the package."""
    return _clocks(("reference.stores", PACKAGES_OWN / "stores.csv"))


def rates(conf: Conf) -> Rates:
    """What currencies are worth, by date; without a table only amounts of one currency can be compared.
    Raises ConfError that names the file."""
    own = conf.fraud.currency
    return Rates(own) if conf.reference.rates is None else _rates(_file(conf, "rates"), own)


def packaged_rates(own: str = "ZAR") -> Rates:
    """The real rates of some days that come with the package, for the local stack."""
    return _rates(("reference.rates", PACKAGES_OWN / "rates.csv"), own)


def zones(conf: Conf) -> dict[int, str]:
    """By whose clocks each store goes: IANA zones. Raises ConfError that names the file."""
    rows = _rows(_file(conf, "stores"), {"store": NUMBER, "zone": ZONE})
    return {row["store"]: row["zone"] for row in rows}


def known_stores(conf: Conf) -> KnownStores:
    """Each store by its number, and by the other ids in the column ``ids``, if there is one: separated by
    blanks, or by semicolons where there are any, as tills and vendors call it. What becomes of others,
    ``intake.unknown_stores`` says. Raises ConfError that names the file."""
    file = _file(conf, "stores")
    columns = {
        "store": NUMBER, "zone": ZONE, "currency": TEXT, "country": TEXT, "region": TEXT, "ids": TEXT,
    }  # fmt: skip
    found: dict[str, StorePlace] = {}
    for row in _rows(file, columns, optional={"ids"}):
        place = StorePlace(
            row["store"], *(row[c] for c in ("zone", "currency", "country", "region"))
        )
        for name in (str(row["store"]), *_ids(row.get("ids", ""))):
            if found.setdefault(name, place) is not place:
                raise ConfError(f"{file[0]}: {file[1]}: two stores have the id {name}")
    return KnownStores(found, conf.intake.unknown_stores == "accept")


def _ids(cell: str) -> list[str]:
    """An id may have blanks in it, such as a shop's name, if a semicolon is behind each."""
    return [one.strip() for one in cell.split(";") if one.strip()] if ";" in cell else cell.split()


def region_zones(conf: Conf) -> dict[str, str]:
    """The zone that most stores of each region have. Raises ConfError that names the file."""
    rows = _rows(_file(conf, "stores"), {"region": TEXT, "zone": ZONE})
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        counted[row["region"]][row["zone"]] += 1
    return {region: zones.most_common(1)[0][0] for region, zones in counted.items()}


def price_list(conf: Conf) -> dict[str, int]:
    """Product, as shelves know it, to its list price in minor units. Raises ConfError that names the file."""
    columns = {"product": PRODUCT, "unit_price_cents": CENTS}
    rows = _rows(_file(conf, "products"), columns)
    return {row["product"]: row["unit_price_cents"] for row in rows}


def bundles(conf: Conf) -> dict[str, tuple[Part, ...]]:
    """What is sold under one code and holds other products; without a table nothing is. Raises ConfError that
    names the file and the line: parts are named, whole where they are pieces, each once in a bundle, and no
    bundle is a part of one."""
    if conf.reference.bundles is None:
        return {}
    file = _file(conf, "bundles")
    columns = {"bundle": BUNDLE, "product": PRODUCT, "quantity": PER_BUNDLE, "unit": UNIT}
    found: dict[str, dict[str, Part]] = {}
    lines: dict[str, str] = {}  # where each part was named
    for at, row in _numbered_rows(file, columns):
        parts = found.setdefault(row["bundle"], {})
        product, unit = row["product"], row["unit"]
        units = row["quantity"] * (1 if unit == "each" else 1000)
        if units.denominator != 1:
            least = "a whole number of pieces" if unit == "each" else f"thousandths of a {unit}"
            raise ConfError(f"{at}: quantity must be {least}")
        if product in parts:
            raise ConfError(f"{at}: product {product} is there twice in bundle {row['bundle']}")
        if len(parts) == MOST_PARTS:
            raise ConfError(f"{at}: bundle {row['bundle']} has more than {MOST_PARTS} products")
        parts[product] = Part(product, int(units), unit)
        lines.setdefault(product, at)
    for product in found.keys() & lines.keys():
        raise ConfError(f"{lines[product]}: product {product} is a bundle itself: name its parts")
    return {bundle: tuple(parts.values()) for bundle, parts in found.items()}


def _file(conf: Conf, name: str) -> tuple[str, Path]:
    """Setting and path of a table. Raises ConfError where it is not set."""
    said = getattr(conf.reference, name)
    if said is None:
        raise ConfError(
            f"reference.{name} is not set: name the CSV of your {name} (conf/base.yaml lists its columns)"
        )
    return f"reference.{name}", PACKAGES_OWN / f"{name}.csv" if said == PACKAGED else Path(said)


def _read(file: tuple[str, Path], number: str) -> list[Place]:
    columns = {number: NUMBER, "name": TEXT, "country": TEXT, "lat": LATITUDE, "lon": LONGITUDE}
    return [Place(*row.values()) for row in _rows(file, columns)]


def _rates(file: tuple[str, Path], own: str) -> Rates:
    columns = {"date": DATE, "currency": CURRENCY, "per_base": PER_BASE}
    epoch = date(1970, 1, 1)
    return Rates(
        own,
        (
            Rate((row["date"] - epoch).days, row["currency"], row["per_base"])
            for row in _rows(file, columns)
        ),
    )


def _clocks(file: tuple[str, Path]) -> dict[int, ClockPlace]:
    columns = {"store": NUMBER, "lat": LATITUDE, "lon": LONGITUDE, "zone": ZONE} | dict.fromkeys(
        TOLD, TEXT
    )
    return {
        row["store"]: ClockPlace(
            row["lat"], row["lon"], row["zone"], *(row.get(name, "") for name in TOLD)
        )
        for row in _rows(file, columns, optional=set(TOLD))
    }


def _rows(
    file: tuple[str, Path], columns: dict[str, Column], optional: Set[str] = frozenset()
) -> Iterator[dict[str, Any]]:
    """The rows of a CSV, of each only ``columns``; what a KEYS column holds is there once. Raises ConfError
    that names file and line."""
    seen: set[Any] = set()
    for at, row in _numbered_rows(file, columns, optional):
        for name in KEYS & row.keys():
            if row[name] in seen:
                raise ConfError(f"{at}: {name} {row[name]} is there twice")
            seen.add(row[name])
        yield row


def _numbered_rows(
    file: tuple[str, Path], columns: dict[str, Column], optional: Set[str] = frozenset()
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The same rows, each with its file and line, whatever is there twice."""
    setting, path = file
    where = f"{setting}: {path}"
    lines = csv.DictReader(io.StringIO(_text(path, where)), strict=True)
    row = None
    try:
        absent = {name for name in columns if name not in (lines.fieldnames or ())}
        columns = {
            name: column for name, column in columns.items() if name not in absent & optional
        }
        if missing := [name for name in columns if name in absent]:
            raise ConfError(
                f"{where}, line 1: needs the columns {', '.join(columns)}; "
                f"there is no {', '.join(missing)}"
            )
        for row in lines:
            at = f"{where}, line {lines.line_num}"
            read = {name: column.of(row[name], f"{at}: {name}") for name, column in columns.items()}
            yield at, read
    except csv.Error:
        raise ConfError(f"{where}, line {lines.reader.line_num}: is not CSV") from None
    if row is None:
        raise ConfError(f"{where}, line 2: there are no rows after the header")


def _text(path: Path, where: str) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfError(f"{where} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfError(f"{where}, line {line}: is not UTF-8") from None
