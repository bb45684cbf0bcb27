"""What is on a line: codes of products in one form each, so that one product is one shelf.

======== ============================= ==================================================
scheme   what the till says            canonical
======== ============================= ==================================================
gtin     GTIN-8, -12, -13, -14         14 digits
plu      4 or 5 digits of a produce    ``plu-4011``
barcode  as it was scanned             gtin, or the item in a price- or weight-embedded one
sku      the grocer's own code         ``sku-`` and the code
name     only a name is known          ``name-`` and the name
======== ============================= ==================================================

A GTIN whose check digit is wrong is no GTIN but somebody's own code: it becomes a sku, and no basket is
refused for it. So is one of any other length. In a name, and in an own code that has blanks or signs as prose
has, what `personal_data` finds is masked.
A UPC-E cannot be told from a GTIN-8: a till has to send the UPC-A that it stands for.
Check digit: GS1 General Specifications, section 7.9.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple
from unicodedata import normalize

from tillstream.domain.personal.personal_data import masked

GTIN = re.compile(r"[0-9]{14}")
_LENGTHS = (8, 12, 13, 14)
_PLU = re.compile(r"[0-9]{1,5}")
_V1 = re.compile(r"[0-9]{8,14}")  # a product of contract v1
_CODE = re.compile(r"[0-9A-Za-z._/:#~-]*")


class Embedded(NamedTuple):
    """How a country's scales print a price or weight into a code.

    form: one letter a digit, of EAN-13 (a UPC-A with a 0 before it): digits stand for themselves, ``I``
    item, ``P`` price in minor units, ``W`` weight, ``V`` a digit that checks those, ``.`` anything that
    belongs to neither, ``C`` check digit. thousandths: one unit of ``W`` in thousandths of a kilogram.
    """

    form: str
    thousandths: int = 1

    def matches(self, code: str) -> bool:
        return all(f == d or not f.isdigit() for f, d in zip(self.form, code, strict=True))


# GB: GS1 UK, "How to barcode variable measure items": 20 and 28, five digits of prefix, two of item.
# US, CA: GS1 US, UPC-A of number system 2 in stores: five digits of item, a digit that checks the price.
# Elsewhere each grocer's scales have their own ways.
BY_COUNTRY: Mapping[str, tuple[Embedded, ...]] = {
    "GB": (Embedded("20IIIIIVPPPPC"), Embedded("28IIIIIVPPPPC")),
    "US": (Embedded("02IIIIIVPPPPC"),),
    "CA": (Embedded("02IIIIIVPPPPC"),),
}


class Product(NamedTuple):
    """code: canonical, "" if nothing is known. price (minor units) and weight (thousandths of a kilogram):
    from the barcode itself, None if they are not in it."""

    code: str
    price: int | None = None
    weight: int | None = None


@lru_cache(maxsize=100_000)
def printed(code: str) -> str:
    """A canonical product as people and other systems know it, and as stock and sales keep it: a GTIN in the
    shortest of its lengths, as it is on the pack. Digits that tills send and that are no GTIN stay as they
    are. Two products are never one by this. Products.java is the same."""
    if GTIN.fullmatch(code):
        own = len(code.lstrip("0"))
        return code[-next(length for length in _LENGTHS if own <= length) :]
    digits = code.removeprefix("sku-")
    if digits != code and _V1.fullmatch(digits) and not _is_gtin(digits):
        return digits
    return code


def same(code: str) -> str:
    """The same of a product as a document or a table names it: digits of any of a GTIN's lengths, or a PLU.
    What is neither stays as it is."""
    if _V1.fullmatch(code):
        return printed(canonical("gtin", code).code) or code
    digits = code.removeprefix("plu-")
    return canonical("plu", digits).code if digits != code and _PLU.fullmatch(digits) else code


def _is_gtin(digits: str) -> bool:
    return len(digits) in _LENGTHS and check_digit(digits[:-1]) == digits[-1]


def check_digit(digits: str) -> str:
    """Of the digits of a GTIN without its last."""
    weighted = sum(int(d) * (3 if n % 2 == 0 else 1) for n, d in enumerate(reversed(digits)))
    return str(-weighted % 10)


def canonical(scheme: str, code: str, embedded: Sequence[Embedded] = ()) -> Product:
    """One form for one product. ``embedded`` are the rules of the store's country."""
    return _canonical(scheme, code, tuple(embedded))


@lru_cache(maxsize=100_000)  # a grocer sells some tens of thousands, again and again
def _canonical(scheme: str, code: str, embedded: tuple[Embedded, ...]) -> Product:
    code = normalize("NFC", code).strip()
    if not code:
        return Product("")
    if scheme in ("gtin", "barcode"):
        return _scanned(code, embedded if scheme == "barcode" else ())
    if scheme == "plu" and _PLU.fullmatch(code):
        return Product(f"plu-{code.lstrip('0') or '0'}")
    if scheme == "name":
        return Product(f"name-{'-'.join(masked(code).casefold().split())}")
    return _own(code)


def _own(code: str) -> Product:
    return Product(f"sku-{code if _CODE.fullmatch(code) else masked(code)}")


def _scanned(code: str, embedded: Sequence[Embedded]) -> Product:
    if not (code.isascii() and code.isdigit()):
        return _own(code)
    if len(code) in (4, 5):  # keyed in: what is scanned is longer
        return Product(f"plu-{code.lstrip('0') or '0'}")
    if not _is_gtin(code):
        return _own(code)
    long = code.zfill(14)
    if long[0] == "0":
        for rule in embedded:
            if rule.matches(long[1:]):
                return _taken_apart(long[1:], rule)
    own = long.lstrip("0")
    if not own:
        return Product("")
    if len(own) <= 6:  # what tills make of a PLU: its check digit after it, zeros before
        return Product(f"plu-{own[:-1] or '0'}")
    return Product(long)


def _taken_apart(code: str, rule: Embedded) -> Product:
    """The item's code is the one with zeros for what differs from piece to piece."""
    item = "".join("0" if f in "PWV" else d for f, d in zip(rule.form, code, strict=True))[:-1]
    found = {
        letter: "".join(d for f, d in zip(rule.form, code, strict=True) if f == letter)
        for letter in "PW"
    }
    price = int(found["P"]) if found["P"] else None
    weight = int(found["W"]) * rule.thousandths if found["W"] else None
    return Product((item + check_digit(item)).zfill(14), price, weight)
