"""Fields that a mapping may set, how those of one element are read, and tax of lines that say only its code,
such as the letter beside a price."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from decimal import ROUND_HALF_UP, Decimal, DecimalException
from typing import Any

from tillstream.domain.mapping.conditions import holds, path
from tillstream.domain.mapping.paths import Scope
from tillstream.domain.mapping.spec import MappingProblem, MappingSpec, PartSpec, Value, Where
from tillstream.domain.mapping.values import Read, Record, numbers_of, reader, wrong
from tillstream.domain.receipt.amounts import NotExact, exponent, minor_units
from tillstream.domain.receipt.front_door import shared
from tillstream.domain.transaction import InvalidTransaction

# Field -> how it is read. ``signed``: money that the record's sign turns.
RECEIPT = {
    "transaction_id": "id", "kind": "text", "store": "text", "till": "id", "ended_at": "time",
    "currency": "text", "total": "signed", "rounding": "signed", "began_at": "time",
    "business_day": "day", "sequence": "whole", "cashier": "id", "approved_by": "id",
    "channel": "text", "offline": "flag", "training": "flag", "voids": "id", "fiscal_id": "text",
}  # fmt: skip
# ``gross``: in place of ``amount``, before the line's own discounts.
LINE = {
    "number": "whole", "kind": "text", "amount": "signed", "gross": "signed", "quantity": "decimal",
    "unit": "text", "scheme": "text", "code": "printed", "description": "printed", "category": "slug",
    "list_price": "price", "price": "price", "override": "slug", "agency": "text", "lot": "printed",
    "expires": "day", "voided": "flag", "correction": "flag", "parent": "whole",
    "back.receipt": "id", "back.reason": "slug", "back.fate": "text",
}  # fmt: skip
DISCOUNT = {"amount": "signed", "kind": "text", "promotion": "id", "line": "whole"}
TAX = {
    "code": "text",
    "amount": "signed",
    "rate": "decimal",
    "taxable": "signed",
    "included": "flag",
}
TENDER = {
    "kind": "text", "amount": "signed", "card_token": "text", "cashback": "money",
    "foreign_currency": "text", "foreign_amount": "decimal", "declined": "flag",
}  # fmt: skip
SHARE = None  # the amount of a tax that is to be its line's share
LOYALTY = {"customer": "id", "asked": "whole", "granted": "whole", "earned": "whole"}


class Fields:
    """Some fields and how each is found."""

    def __init__(
        self, said: Mapping[str, Value], kinds: Mapping[str, str], where: Where, spec: MappingSpec
    ) -> None:
        if strange := [name for name in said if name not in kinds]:
            known = ", ".join(sorted(kinds))
            raise MappingProblem((*where, strange[0]), f"is no field here; there are {known}")
        if "gross" in said and "amount" in said:
            raise MappingProblem((*where, "gross"), "stands in place of amount")
        self._reads: dict[str, Read] = {
            name: reader(kinds[name], value, (*where, name), spec) for name, value in said.items()
        }

    def read(self, scope: Scope, record: Record, at: int, where: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, read in self._reads.items():
            value = one(read, scope, record, at, f"{where}.{name}")
            if value is None:
                continue
            outer, _, inner = name.partition(".")
            if inner:
                found.setdefault(outer, {})[inner] = value
            else:
                found[name] = value
        return found

    def get(self, name: str, scope: Scope, record: Record) -> Any:
        read = self._reads.get(name)
        return one(read, scope, record, 1, f"$.{name}") if read else None


def one(read: Read, scope: Scope, record: Record, at: int, where: str) -> Any:
    """Raises InvalidTransaction that names ``where`` the value was to go, never the value."""
    try:
        return read(scope, record, at)
    except InvalidTransaction:
        raise
    except ValueError as error:
        raise wrong(where, error) from None


class Part:
    """Lines, discounts, taxes or tenders of one kind of element."""

    def __init__(
        self, said: PartSpec, kinds: Mapping[str, str], where: Where, spec: MappingSpec
    ) -> None:
        self._shares = kinds is TAX and "amount" not in said.set
        self._each = path(said.each, (*where, "each"))
        self._when = holds(said.when, (*where, "when"), numbers_of(spec))
        self._fields = Fields(said.set, kinds, (*where, "set"), spec)
        self._own: dict[str, list[Part]] = {}
        for name, inner in (("discounts", DISCOUNT), ("taxes", TAX)):
            parts: Sequence[PartSpec] = getattr(said, name)
            if parts and kinds is not LINE:
                raise MappingProblem((*where, name), "is for lines only")
            self._own[name] = [
                Part(part, inner, (*where, name, n), spec) for n, part in enumerate(parts)
            ]

    def read(self, scope: Scope, record: Record, where: str) -> Iterator[dict[str, Any]]:
        """What is made of each element that this part is for."""
        for at, element in enumerate(self._each.all(scope), start=1):
            inner = scope.at(element)
            if scope.offer:
                scope.offer(self._each.text, element)
            place = f"{where}[{at - 1}]"
            try:
                if not self._when(inner):
                    continue
            except ValueError as error:
                raise wrong(place, error) from None
            yield self._element(inner, record, at, place)
            if scope.take:
                scope.take(element)

    def _element(self, scope: Scope, record: Record, at: int, where: str) -> dict[str, Any]:
        found = self._fields.read(scope, record, at, where)
        for name, parts in self._own.items():
            own = [
                one | {"amount": SHARE} if part._shares else one
                for part in parts
                for one in part.read(scope, record, f"{where}.{name}")
            ]
            if own:
                found[name] = own
        if "foreign_amount" in found:
            found["foreign_amount"] = _foreign(found, record, f"{where}.foreign_amount")
        if "gross" in found:
            found["amount"] = found.pop("gross") - sum(
                off.get("amount", 0) for off in found.get("discounts", ())
            )
        return found


def _foreign(found: dict[str, Any], record: Record, where: str) -> int:
    """In minor units of its own currency. Raises InvalidTransaction."""
    try:
        decimals = exponent(found.get("foreign_currency", ""))
        return record.sign * minor_units(found["foreign_amount"], decimals)
    except LookupError:
        raise InvalidTransaction(
            "unknown_currency", f"{where} is of no currency of ISO 4217"
        ) from None
    except NotExact as error:
        raise wrong(where, error) from None


def share_taxes(draft: dict[str, Any]) -> None:
    """Gives taxes of lines whose ``amount`` is SHARE what the receipt says of their code, less what other
    lines say of it: by its rate, and the rest by the lines' amounts, none of it to products that were taken
    back. A code that the receipt does not list
    is left out, for nobody knows how much it is."""
    lines = [line for line in draft.get("lines", ()) if line.get("taxes")]
    counted = [(line, tax) for line in lines if not line.get("voided") for tax in line["taxes"]]
    for code in dict.fromkeys(tax.get("code") for _, tax in counted if _waits(tax)):
        listed = [tax for tax in draft.get("taxes", ()) if tax.get("code") == code]
        if not listed:
            continue
        of_code = [(line, tax) for line, tax in counted if tax.get("code") == code]
        waiting = [(line, tax) for line, tax in of_code if _waits(tax)]
        whole = sum(tax.get("amount", 0) for tax in listed)
        whole -= sum(tax.get("amount", 0) for _, tax in of_code if not _waits(tax))
        parts = _parts(whole, [_amount(draft, line) for line, _ in waiting], listed,
                       [line.get("code") for line, _ in waiting])  # fmt: skip
        for (_, tax), part in zip(waiting, parts, strict=True):
            tax["amount"] = part
            tax.setdefault("included", listed[0].get("included", True))
    for line in lines:
        line["taxes"] = [tax for tax in line["taxes"] if not _waits(tax)]


def _waits(tax: Mapping[str, Any]) -> bool:
    return tax.get("amount", 0) is SHARE


def _parts(
    whole: int,
    amounts: Sequence[int],
    listed: Sequence[Mapping[str, Any]],
    products: Sequence[str | None],
) -> list[int]:
    rates = {tax.get("rate") for tax in listed}
    rate = rates.pop() if len(rates) == 1 else None
    of_rate = [0] * len(amounts)
    if rate is not None:
        base = 100 + rate if listed[0].get("included", True) else Decimal(100)
        with suppress(DecimalException):  # of a rate that no country has
            of_rate = [int((a * rate / base).quantize(Decimal(1), ROUND_HALF_UP)) for a in amounts]
    left: Counter[str | None] = Counter()
    for amount, product in zip(amounts, products, strict=True):
        left[product] += amount
    kept = [a if left[product] else 0 for a, product in zip(amounts, products, strict=True)]
    rest = shared(whole - sum(of_rate), kept if any(kept) else amounts)
    return [one + more for one, more in zip(of_rate, rest, strict=True)]


def _amount(draft: Mapping[str, Any], line: Mapping[str, Any]) -> int:
    of_line = (d for d in draft.get("discounts", ()) if d.get("line") == line.get("number"))
    return int(line.get("amount", 0)) - sum(discount.get("amount", 0) for discount in of_line)
