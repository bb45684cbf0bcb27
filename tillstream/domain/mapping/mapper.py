"""A mapping that is ready to use: bytes in, transactions of contract v2 out, each with its own bytes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from tillstream.domain.mapping import trees
from tillstream.domain.mapping.paths import Path, Scope, Visit, text_of
from tillstream.domain.mapping.spec import (
    MappingProblem,
    MappingSpec,
    PartSpec,
    Value,
    ValueSpec,
    When,
)
from tillstream.domain.mapping.values import Read, Record, Where, reader, wrong
from tillstream.domain.receipt.amounts import exponent
from tillstream.domain.receipt.contract import RetailTransaction
from tillstream.domain.receipt.front_door import StorePlace
from tillstream.domain.receipt.parse import convert
from tillstream.domain.transaction import InvalidTransaction

# Fields that a mapping may set, and how each is read. ``signed``: money that the record's sign turns.
RECEIPT = {
    "transaction_id": "text", "kind": "text", "store": "text", "till": "text", "ended_at": "time",
    "currency": "text", "total": "signed", "rounding": "signed", "began_at": "time",
    "business_day": "day", "sequence": "whole", "cashier": "text", "channel": "text",
    "offline": "flag", "training": "flag", "voids": "text",
}  # fmt: skip
LINE = {
    "number": "whole", "kind": "text", "amount": "signed", "quantity": "decimal", "unit": "text",
    "scheme": "text", "code": "text", "category": "text", "list_price": "price", "price": "price",
    "override": "text", "agency": "text", "lot": "text", "expires": "day", "voided": "flag",
    "correction": "flag",
    "back.receipt": "text", "back.reason": "text", "back.fate": "text",
}  # fmt: skip
DISCOUNT = {"amount": "signed", "kind": "text", "promotion": "text", "line": "whole"}
TAX = {
    "code": "text",
    "amount": "signed",
    "rate": "decimal",
    "taxable": "signed",
    "included": "flag",
}
TENDER = {
    "kind": "text", "amount": "signed", "card_token": "text", "cashback": "money",
    "foreign_currency": "text", "foreign_amount": "money", "declined": "flag",
}  # fmt: skip
LOYALTY = {"customer": "text", "asked": "whole", "granted": "whole"}

_encode = msgspec.json.Encoder(decimal_format="number").encode

Stores = Callable[[str], StorePlace | None]
Holds = Callable[[Scope], bool]


class Mapped(NamedTuple):
    """What became of one record of a document: a receipt, skipped (why), or a problem. raw: the record's own
    bytes if the document holds several; unread: places in it that the mapping looks at nowhere."""

    receipt: RetailTransaction | None
    raw: bytes
    skipped: str | None = None
    problem: InvalidTransaction | None = None
    unread: tuple[str, ...] = ()


class _Fields:
    """Some fields and how each is found."""

    def __init__(
        self, said: Mapping[str, Value], kinds: Mapping[str, str], where: Where, spec: MappingSpec
    ) -> None:
        if strange := [name for name in said if name not in kinds]:
            known = ", ".join(sorted(kinds))
            raise MappingProblem((*where, strange[0]), f"is no field here; there are {known}")
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
    try:
        return read(scope, record, at)
    except InvalidTransaction:
        raise
    except ValueError as error:
        raise wrong(where, error) from None


class _Part:
    """Lines, discounts, taxes or tenders of one kind of element."""

    def __init__(
        self, said: PartSpec, kinds: Mapping[str, str], where: Where, spec: MappingSpec
    ) -> None:
        self._each = _path(said.each, (*where, "each"))
        self._when = holds(said.when, (*where, "when"))
        self._fields = _Fields(said.set, kinds, (*where, "set"), spec)
        self._own: dict[str, list[_Part]] = {}
        for name, inner in (("discounts", DISCOUNT), ("taxes", TAX)):
            parts: Sequence[PartSpec] = getattr(said, name)
            if parts and kinds is not LINE:
                raise MappingProblem((*where, name), "is for lines only")
            self._own[name] = [
                _Part(part, inner, (*where, name, n), spec) for n, part in enumerate(parts)
            ]

    def read(self, scope: Scope, record: Record, where: str) -> Iterator[dict[str, Any]]:
        for at, element in enumerate(self._each.all(scope), start=1):
            inner = scope.at(element)
            if not self._when(inner):
                continue
            place = f"{where}[{at - 1}]"
            found = self._fields.read(inner, record, at, place)
            for name, parts in self._own.items():
                own = [f for part in parts for f in part.read(inner, record, f"{place}.{name}")]
                if own:
                    found[name] = own
            yield found


class Mapper:
    """A mapping to use. Raises MappingProblem where ``spec`` cannot be used."""

    def __init__(self, spec: MappingSpec) -> None:
        self.spec = spec
        self.name = f"{spec.mapping}/{spec.version}"
        self._records = _path(spec.records, ("records",)) if spec.records else None
        self._is_record = holds(spec.record, ("record",))
        if not spec.record:
            raise MappingProblem(("record",), "must name something by which a record is known")
        self._skips = [
            (holds(skip.when, ("skip", n, "when")), skip.reason) for n, skip in enumerate(spec.skip)
        ]
        self._sign = reader("whole", spec.sign, ("sign",), spec)
        self._header = _Fields(spec.receipt, RECEIPT, ("receipt",), spec)
        self._loyalty = _Fields(spec.loyalty or {}, LOYALTY, ("loyalty",), spec)
        self._parts = {
            name: [_Part(said, kinds, (name, n), spec) for n, said in enumerate(getattr(spec, name))]
            for name, kinds in (
                ("lines", LINE), ("discounts", DISCOUNT), ("taxes", TAX), ("tenders", TENDER),
            )
        }  # fmt: skip
        self._patterns = [
            trees.Pattern(p.name, _pattern(p.pattern, ("patterns", n, "pattern")), p.of, p.until)
            for n, p in enumerate(spec.patterns)
        ]
        if spec.form == "text" and not self._patterns:
            raise MappingProblem(("patterns",), "must say what the lines of a text are")
        self._zones(spec)

    def documents(self, raw: bytes) -> list[tuple[Any, list[Any]]]:
        """Each document in ``raw`` with its records; [] if nothing in one is a record of this mapping. Raises
        InvalidTransaction for bytes that are not of its form."""
        spec = self.spec
        if spec.form == "json" or raw[:1] == b"{":  # a record by itself, as `_bytes` writes it
            trees_ = [trees.json_tree(raw)]
        elif spec.form == "xml":
            trees_ = [trees.xml_tree(raw)]
        elif spec.form == "csv":
            trees_ = list(trees.csv_groups(raw, spec.delimiter, spec.encoding, spec.group_by))
        else:
            trees_ = [trees.text_tree(raw, spec.encoding, self._patterns)]
        found = []
        for tree in trees_:
            records = self._records.all(Scope(tree, tree, tree)) if self._records else []
            records = records or (tree if isinstance(tree, list) else [tree])
            if not any(self._is_record(Scope(record, record, tree)) for record in records):
                return []
            found.append((tree, records))
        return found

    def transactions(
        self,
        raw: bytes,
        stores: Stores,
        context: Mapping[str, str] | None = None,
        traced: bool = False,
    ) -> Iterator[Mapped]:
        """What each record in ``raw`` becomes. ``stores`` finds a store by any id the grocer's table knows;
        ``context`` is said besides the bytes: fields of the receipt, for where the mapping finds none;
        ``traced`` also tells what was not read."""
        documents = self.documents(raw)
        single = sum(len(records) for _, records in documents) == 1
        for document, records in documents:
            for node in records:
                own = raw if single else _bytes(node)
                seen: set[tuple[int, str]] = set()
                visit: Visit | None = (
                    (lambda at, name: seen.add((id(at), name))) if traced else None  # noqa: B023
                )
                scope = Scope(node, node, document, visit)
                yield self._mapped(scope, own, stores, context or {}, seen if traced else None)

    def _mapped(
        self,
        scope: Scope,
        raw: bytes,
        stores: Stores,
        context: Mapping[str, str],
        seen: set[tuple[int, str]] | None,
    ) -> Mapped:
        if reason := self._skipped(scope.record, scope.document):
            return Mapped(None, raw, skipped=reason)
        try:
            if not self._is_record(scope):
                raise InvalidTransaction(
                    "unknown_record", f"$ is no record as {self.name} has them"
                )
            receipt = convert(self._document(scope, Record(raw), stores, context))
        except InvalidTransaction as problem:
            return Mapped(None, raw, problem=problem)
        return Mapped(receipt, raw, unread=_unread(scope.record, seen) if seen is not None else ())

    def _document(
        self, scope: Scope, record: Record, stores: Stores, context: Mapping[str, str]
    ) -> dict[str, Any]:
        header = self._header
        store = header.get("store", scope, record) or context.get("store")
        record = record._replace(place=stores(store) if store else None)
        if store and record.place is None:
            raise InvalidTransaction(
                "unknown_store",
                "$.store is not in the table of stores (reference.stores, column ids)",
            )
        currency = header.get("currency", scope, record) or context.get("currency")
        try:
            decimals = exponent(currency or "")
        except LookupError:
            raise InvalidTransaction(
                "unknown_currency", "$.currency is not one of ISO 4217"
            ) from None
        record = record._replace(exponent=decimals)
        sign = one(self._sign, scope, record, 1, "$.sign")
        record = record._replace(sign=-1 if sign is not None and sign < 0 else 1)
        found = self._said(context, record) | header.read(scope, record, 1, "$")
        for name, parts in self._parts.items():
            whole = [f for part in parts for f in part.read(scope, record, f"$.{name}")]
            if whole:
                found[name] = whole
        for at, line in enumerate(found.get("lines", ()), start=1):
            line.setdefault("number", at)
        loyalty = self._loyalty.read(scope, record, 1, "$.loyalty")
        if "customer" in loyalty:
            found["loyalty"] = loyalty
        return {"schema": 2, "kind": "retail"} | found

    def _said(self, context: Mapping[str, str], record: Record) -> dict[str, Any]:
        """Fields of the context as a document's."""
        found = {}
        for name, text in context.items():
            read = reader(RECEIPT[name], ValueSpec(const=text), (name,), self.spec)
            found[name] = one(read, Scope(None, None, None), record, 1, f"$.{name}")
        return found

    def _skipped(self, node: Any, document: Any) -> str | None:
        scope = Scope(node, node, document)
        return next((reason for when, reason in self._skips if when(scope)), None)

    def _zones(self, spec: MappingSpec) -> None:
        for name, value in spec.receipt.items():
            if isinstance(value, ValueSpec) and value.zone != "store":
                try:
                    ZoneInfo(value.zone)
                except (LookupError, ValueError, OSError):
                    raise MappingProblem(
                        ("receipt", name, "zone"), "is no IANA time zone"
                    ) from None


def holds(when: When, where: Where) -> Holds:
    """Whether all of it is so of an element. A test is ``present``, ``absent``, ``negative``, a text, a list
    of texts, ``{matches: regular expression}`` or ``{not: test}``."""
    tests = [(_path(path, where), _test(test, (*where, path))) for path, test in when.items()]
    return lambda scope: all(test(_leaves(path.all(scope))) for path, test in tests)


def _leaves(found: list[Any]) -> list[Any]:
    return [one for one in found if isinstance(one, dict) or text_of(one)]


def _test(said: Any, where: Where) -> Callable[[list[Any]], bool]:
    if said == "present":
        return bool
    if said == "absent":
        return lambda found: not found
    if said == "negative":
        return lambda found: any((text_of(one) or "").startswith("-") for one in found)
    if isinstance(said, dict):
        if len(said) != 1:
            raise MappingProblem(where, "must say either matches or not")
        if "not" in said:
            inner = _test(said["not"], where)
            return lambda found: not inner(found)
        pattern = _pattern(str(said["matches"]), where)
        return lambda found: any(pattern.search(text_of(one) or "") for one in found)
    wanted = {text_of(one) for one in (said if isinstance(said, tuple | list) else [said])}
    return lambda found: any(text_of(one) in wanted for one in found)


def _path(text: str, where: Where) -> Path:
    try:
        return Path(text)
    except ValueError as error:
        raise MappingProblem(where, str(error)) from None


def _pattern(text: str, where: Where) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise MappingProblem(where, f"is no regular expression: {error}") from None


def _unread(record: Any, seen: set[tuple[int, str]]) -> tuple[str, ...]:
    """Places of leaves that no path led to, in whatever element of a list."""
    leaves: dict[str, bool] = {}

    def walk(node: Any, at: str) -> None:
        if isinstance(node, list):
            for element in node:
                walk(element, at)
        elif isinstance(node, dict):
            for name, child in node.items():
                place = f"{at}.{name}" if at else name
                if text_of(child):
                    leaves[place] = leaves.get(place, False) or (id(node), name) in seen
                walk(child, place)

    walk(record, "")
    return tuple(sorted(place for place, read in leaves.items() if not read))


def _bytes(node: Any) -> bytes:
    """A record by itself, as JSON: the same mapping reads it, whatever the form that it came in."""
    return _encode(node)
