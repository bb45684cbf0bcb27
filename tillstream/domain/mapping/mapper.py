"""A mapping that is ready to use: bytes in, transactions of contract v2 out, each with its own bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from tillstream.domain.mapping import rows, trees
from tillstream.domain.mapping.conditions import Holds, holds, known_by, path, why_not
from tillstream.domain.mapping.faults import has_lists, tells_trouble, without_fault
from tillstream.domain.mapping.fields import (
    DISCOUNT,
    LINE,
    LOYALTY,
    RECEIPT,
    TAX,
    TENDER,
    Fields,
    Part,
    one,
    share_taxes,
)
from tillstream.domain.mapping.inside import Inside
from tillstream.domain.mapping.looked_at import LookedAt
from tillstream.domain.mapping.own import alone, same, written
from tillstream.domain.mapping.paths import Scope
from tillstream.domain.mapping.spec import (
    MappingProblem,
    MappingSpec,
    PatternSpec,
    Value,
    ValueSpec,
    Where,
)
from tillstream.domain.mapping.values import Read, Record, numbers_of, reader
from tillstream.domain.receipt.amounts import exponent
from tillstream.domain.receipt.contract import RetailTransaction
from tillstream.domain.receipt.front_door import StorePlace
from tillstream.domain.receipt.parse import convert
from tillstream.domain.transaction import InvalidTransaction

LONGEST_RECEIPT = timedelta(hours=6)  # between the rows of one
Stores = Callable[[str], StorePlace | None]


class Mapped(NamedTuple):
    """What became of one record of a document: a receipt, skipped (why), or a problem. draft: the fields as
    far as they were read; unread: see looked_at. own: the record's bytes, see `raw`."""

    receipt: RetailTransaction | None
    own: Callable[[], bytes]
    skipped: str | None = None
    problem: InvalidTransaction | None = None
    draft: Mapping[str, Any] = MappingProxyType({})
    unread: Mapping[str, int] = MappingProxyType({})

    def raw(self) -> bytes:
        """The bytes that came if the record was alone, else the line it was, or JSON of what came with this
        record alone: the mapping makes the same of it, if it is a record of the mapping."""
        return self.own()


class Document(NamedTuple):
    """tree: see trees; records: in it."""

    tree: Any
    records: list[Any]


class Mapper:
    """A mapping to use. Raises MappingProblem where ``spec`` cannot be used."""

    def __init__(self, spec: MappingSpec) -> None:
        self.spec = spec
        self.name = f"{spec.mapping}/{spec.version}"
        said = (spec.records,) if isinstance(spec.records, str) else spec.records
        self._records = [path(text, ("records",)) for text in said]
        self._numbers = numbers_of(spec)
        self._is_record = known_by(spec.record, ("record",), self._numbers)
        if not spec.record:
            raise MappingProblem(("record",), "must name something by which a record is known")
        self._skips = [
            (holds(skip.when, ("skip", n, "when"), self._numbers), skip.reason)
            for n, skip in enumerate(spec.skip)
        ]
        self._inside = [Inside(said, ("inside", n)) for n, said in enumerate(spec.inside)]
        self._sign = reader("whole", spec.sign, ("sign",), spec)
        self._said: dict[str, Read] = {
            name: reader(kind, ValueSpec(path=name), (name,), spec)
            for name, kind in RECEIPT.items()
        }
        named = spec.receipt.get("transaction_id")
        self._digests = isinstance(named, ValueSpec) and "digest" in str(msgspec.to_builtins(named))
        header = dict(spec.receipt)
        self._computed = _taken_out(header, "total", "computed") is not None
        self._remainder = _taken_out(header, "rounding", "remainder")
        self._header = Fields(header, RECEIPT, ("receipt",), spec)
        self._loyalty = Fields(spec.loyalty or {}, LOYALTY, ("loyalty",), spec)
        self._parts = {
            name: [Part(said, kinds, (name, n), spec) for n, said in enumerate(getattr(spec, name))]
            for name, kinds in (
                ("lines", LINE), ("discounts", DISCOUNT), ("taxes", TAX), ("tenders", TENDER),
            )
        }  # fmt: skip
        self._patterns = [
            _pattern(said, ("patterns", n, "pattern")) for n, said in enumerate(spec.patterns)
        ]
        self._starts = None if spec.starts is None else trees.compiled(spec.starts, ("starts",))
        if spec.form == "text" and not self._patterns:
            raise MappingProblem(("patterns",), "must say what the lines of a text are")
        names = {pattern.name for pattern in spec.patterns}
        for n, pattern in enumerate(spec.patterns):
            for word in ("of", "after", "until"):
                if getattr(pattern, word) not in (None, *names):
                    raise MappingProblem(("patterns", n, word), "is no name of a pattern")
        for word, form in (("header", "csv"), ("starts", "text")):
            if getattr(spec, word) and spec.form != form:
                raise MappingProblem((word,), f"is for {form} only")
        if isinstance(spec.header, tuple) and not set(spec.group_by) <= set(spec.header):
            raise MappingProblem(("group_by",), "names a column that header does not have")
        self._encoding = spec.encoding or "utf-8"
        try:
            "".encode(self._encoding)
        except (LookupError, UnicodeError, ValueError):
            raise MappingProblem(("encoding",), "is no encoding of texts") from None

    @property
    def checks_total(self) -> bool:
        """Whether the total is one that the sender states."""
        return not self._computed

    def documents(self, raw: bytes) -> list[Document]:
        """Each document in ``raw`` with its records; [] if nothing in it is a record of this mapping. Raises
        InvalidTransaction for bytes that are not of its form."""
        found = [Document(tree, self._in(tree)) for tree in self._opened(raw)]
        known = any(
            self._is_record(Scope(record, record, document.tree))
            for document in found
            for record in document.records
        )
        if self.spec.form == "csv" and raw[:1] == b"{":  # a group that came back
            if not all(rows.has_columns(tree, self.spec.group_by) for tree, _ in found):
                return []
            known = known or any(rows.is_spoilt(document.tree) for document in found)
        if known and self.spec.form == "json" and len(found) > 1:  # an empty page among others
            found = [
                one
                for one in found
                if one.records[0] is not one.tree or not self._has_none(one.tree)
            ]
        return found if known else []

    def why_unknown(self, raw: bytes) -> str:
        """What keeps the first record of ``raw`` from being one of this mapping."""
        for tree in self._opened(raw):
            for record in self._in(tree):
                scope = Scope(record, record, tree)
                return why_not(self.spec.record, scope, self._numbers) or "nothing"
        return "there is no record"

    def _opened(self, raw: bytes) -> list[Any]:
        """Its trees, with what is in a field as a document of its own."""
        found = self._trees(raw)
        for inside in self._inside:
            found = [inside.opened(tree) for tree in found]
        return found

    def is_empty(self, raw: bytes) -> bool:
        """Whether ``raw`` is a document of this mapping's without a record, such as the page of a day without
        sales: there is an empty list where the records would be, no other list has anything in it, and
        nothing in it speaks of an error."""
        try:
            found = self._trees(raw)
        except InvalidTransaction:
            return False
        if self.spec.form == "csv":  # the columns it is grouped by are there
            return (
                not found and bool(self.spec.group_by) and not isinstance(self.spec.header, tuple)
            )
        if self.spec.form not in ("json", "xml"):
            return False
        return bool(found) and all(map(self._has_none, found))  # an empty array is no page

    def _has_none(self, tree: Any) -> bool:
        if not self._records or tells_trouble(tree):
            return False
        for at in self._records:
            passed: list[Any] = []
            visit = lambda node, name, to=passed: to.append(node[name])  # noqa: E731
            if at.all(Scope(tree, tree, tree, visit)) or not passed:
                continue
            if self.spec.form == "xml":
                root = passed[0]
                if root == "" or (isinstance(root, dict) and all(k[:1] == "@" for k in root)):
                    return True
            elif passed[-1] == [] and not has_lists(tree):
                return True
        return False

    def _trees(self, raw: bytes) -> list[Any]:
        spec = self.spec
        if spec.form == "json":
            return trees.json_trees(raw, self._encoding)
        if raw[:1] == b"{":  # a record by itself, see `Mapped.raw`
            found = trees.json_trees(raw)
            if spec.form == "csv":
                return [one for tree in found for one in rows.regrouped(tree, spec.group_by)]
            return found
        if spec.form == "xml":
            return [trees.xml_tree(raw, spec.encoding)]
        if spec.form == "csv":
            how = spec.delimiter, self._encoding, spec.group_by, spec.header
            return list(rows.csv_groups(raw, *how))
        return list(trees.text_trees(raw, self._encoding, self._patterns, self._starts))

    def _in(self, tree: Any) -> list[Any]:
        return [one for at in self._records for one in at.all(Scope(tree, tree, tree))] or [tree]

    def transactions(
        self,
        raw: bytes,
        stores: Stores,
        context: Mapping[str, str] | None = None,
        traced: bool = False,
        documents: list[Document] | None = None,
    ) -> Iterator[Mapped]:
        """What each record in ``raw`` becomes. ``stores`` finds a store by any id the grocer's table knows;
        ``context`` is said besides the bytes: fields of the receipt, for where the mapping finds none;
        ``traced`` also tells what was not read; ``documents``: those of `documents`, if they are read."""
        if documents is None:
            documents = self.documents(raw)
        single = sum(len(document.records) for document in documents) == 1
        for tree, records in documents:
            for node in records:
                own = same(raw) if single else alone(tree, node, self._encoding)
                yield self._mapped(node, tree, own, stores, context or {}, traced)

    def _mapped(
        self,
        node: Any,
        tree: Any,
        own: Callable[[], bytes],
        stores: Stores,
        context: Mapping[str, str],
        traced: bool,
    ) -> Mapped:
        looked_at = LookedAt() if traced else None
        scope = looked_at.scope(node, tree) if looked_at else Scope(node, node, tree)
        draft: dict[str, Any] = {}
        try:
            # Or what is missing in it would make a `skip` hold. A text's fault is of its whole receipt.
            without_fault(tree if self.spec.form == "text" else node, self._encoding)
            for when, reason in self._skips:
                if one(_applies(when), scope, Record(b""), 1, "$"):
                    return Mapped(None, own, skipped=reason)
            if not self._is_record(scope):
                said = why_not(self.spec.record, scope, self._numbers)
                raise InvalidTransaction("unknown_record", f"$ is no record of {self.name}: {said}")
            self._fill(draft, scope, stores, context)
            receipt, problem = convert(draft), None
        except InvalidTransaction as error:
            receipt, problem = None, error
        read = "lines" in draft  # else little of it was looked at
        unread = looked_at.unread(node) if looked_at and read else {}
        return Mapped(receipt, own, None, problem, draft, unread)

    def _fill(
        self,
        draft: dict[str, Any],
        scope: Scope,
        stores: Stores,
        context: Mapping[str, str],
    ) -> None:
        """The fields, as far as they can be read. Raises InvalidTransaction."""
        draft |= {"schema": 2, "kind": "retail"}
        header = self._header
        # What it says, not its bytes: line ends and neighbours make no other receipt, another till does.
        record = Record(written([scope.record, sorted(context.items())]) if self._digests else b"")
        store = header.get("store", scope, record) or context.get("store")
        record = record._replace(place=stores(store) if store else None)
        if identity := header.get("transaction_id", scope, record):
            draft["transaction_id"] = identity
        if store and record.place is None:
            draft["store"] = store
            message = "$.store is not in the table of stores (reference.stores, its column ids too)"
            raise InvalidTransaction("unknown_store", message)
        currency = header.get("currency", scope, record) or context.get("currency")
        try:
            record = record._replace(exponent=exponent(currency or ""))
        except LookupError:
            message = "$.currency is not one of ISO 4217"
            raise InvalidTransaction("unknown_currency", message) from None
        sign = one(self._sign, scope, record, 1, "$.sign")
        if sign not in (None, 1, -1):
            raise InvalidTransaction("wrong_type", "$.sign is neither 1 nor -1")
        record = record._replace(sign=sign or 1)
        draft |= self._context(context, record) | header.read(scope, record, 1, "$")
        began, ended = draft.get("began_at"), draft.get("ended_at")
        if (
            began and ended and ended < began
        ):  # in the hour that comes twice when clocks are set back
            later = header.get("ended_at", scope, record._replace(later=True))
            draft["ended_at"] = later if later and began <= later else ended
        if self.spec.form == "csv":
            self._of_one_receipt(scope.record, record)
        if record.place is not None:
            draft["store"] = str(record.place.number)
        for name, parts in self._parts.items():
            whole = [f for part in parts for f in part.read(scope, record, f"$.{name}")]
            if whole:
                draft[name] = whole
        for at, line in enumerate(draft.get("lines", ()), start=1):
            line.setdefault("number", at)
        share_taxes(draft)
        loyalty = self._loyalty.read(scope, record, 1, "$.loyalty")
        if "customer" in loyalty:
            draft["loyalty"] = loyalty
        if self._computed:
            draft["total"] = made_of(draft)
        if self._remainder and isinstance(draft.get("total"), int):
            missing = draft["total"] - made_of(draft)
            if abs(missing) <= self._remainder:
                draft["rounding"] = missing

    def _of_one_receipt(self, node: Any, record: Record) -> None:
        """Raises InvalidTransaction if rows that were put together have several ids or stores, or times that
        are far apart: numbers begin anew each day, and in each shop."""
        together = node.get("rows") if isinstance(node, dict) else None
        if not isinstance(together, list) or len(together) < 2:
            return
        said: dict[str, set[Any]] = {"transaction_id": set(), "store": set(), "ended_at": set()}
        read: set[str] = set()  # columns; a row in which they are as in the first says the same
        for at, row in enumerate(together):
            if at and rows.alike(row, together[0], read):
                continue
            itself = node | {"rows": [row]}
            scope = Scope(itself, itself, itself, None if at else lambda _, name: read.add(name))
            for name, values in said.items():
                with suppress(InvalidTransaction):  # only the first row needs to have it
                    values.add(self._header.get(name, scope, record))
        ids, stores, times = (values - {None} for values in said.values())
        several = [len(ids) > 1 and not self._digests, len(stores) > 1]
        if any(several) or (times and max(times) - min(times) > LONGEST_RECEIPT):
            what = "transaction_id" if several[0] else "store" if several[1] else "day"
            message = f"$.rows are of more than one {what}: group_by does not tell receipts apart"
            raise InvalidTransaction("several_receipts", message)

    def _context(self, context: Mapping[str, str], record: Record) -> dict[str, Any]:
        """Fields of the context as a document's."""
        scope = Scope(context, context, context)
        return {name: one(self._said[name], scope, record, 1, f"$.{name}") for name in context}


def made_of(draft: Mapping[str, Any]) -> int:
    """What the lines and the rest make: the total if nothing is missing."""
    lines = [line for line in draft.get("lines", ()) if not line.get("voided")]
    taxes = list(draft.get("taxes", ()))
    listed = {(tax.get("code"), tax.get("included", True)) for tax in taxes}
    by_line = (tax for line in lines for tax in line.get("taxes", ()))
    taxes += [t for t in by_line if (t.get("code"), t.get("included", True)) not in listed]
    added = (tax for tax in taxes if not tax.get("included", True))
    off = sum(discount.get("amount", 0) for discount in draft.get("discounts", ()))
    of_lines = sum(line.get("amount", 0) for line in lines)
    whole = of_lines - off + sum(tax.get("amount", 0) for tax in added) + draft.get("rounding", 0)
    return int(whole)


def _applies(when: Holds) -> Read:
    return lambda scope, record, at: when(scope)


def _taken_out(header: dict[str, Value], name: str, word: str) -> Any:
    """What ``word`` says of a field that is made at the end, which is no longer in ``header`` then."""
    said = header.get(name)
    if isinstance(said, ValueSpec) and (found := getattr(said, word)) is not None:
        if said != ValueSpec(**{word: found}):
            raise MappingProblem(("receipt", name), f"`{word}` stands alone")
        del header[name]
        return found
    return None


def _pattern(said: PatternSpec, where: Where) -> trees.Pattern:
    matches = trees.compiled(said.pattern, where)
    fixed = trees.fixed(matches)
    return trees.Pattern(said.name, matches, said.of, said.after, said.until, fixed)
