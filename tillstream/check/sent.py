"""What was sent, as sent.jsonl says: a plain reading, with no part of the job."""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

import orjson

from tillstream.check import households, receipts
from tillstream.check.by_hand.voids import Voids
from tillstream.check.rules import ALL, Sent
from tillstream.errors import Problem

ADJUSTMENTS, HOUSEHOLDS = "loyalty-adjustments", "households"


class NoTruth(Problem):
    """The truth directory cannot be used; the message says how to make one."""


@dataclass
class SentFile:
    """``malformed``: what must be a dead letter, as ``shape`` shows it; ``reasons``: of those of which the
    simulator says why. ``sent``: records counted. ``uncounted``: voids without effect, by id, and why."""

    malformed: Counter[bytes] = field(default_factory=Counter)
    reasons: dict[bytes, set[str]] = field(default_factory=dict)
    sent: int = 0
    uncounted: dict[str, str] = field(default_factory=dict)
    _voids: Voids = field(default_factory=Voids)

    def read(self, directory: Path, command: str) -> Self:
        """Takes in the lines that ``command`` left in ``directory``. Raises NoTruth."""
        path = directory / "sent.jsonl"
        if not path.exists():
            raise NoTruth(f"no {path}: send with `{command} --truth {directory}` first")
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    self._take(orjson.loads(line))
                except (orjson.JSONDecodeError, KeyError, TypeError) as error:
                    raise NoTruth(
                        f"{path} line {number} is not one of the simulator's: {error}"
                    ) from None
        return self

    def _take(self, entry: dict[str, Any]) -> None:
        self.sent += 1
        if entry["class"] == "malformed":
            blotted = shape(base64.b64decode(entry["raw"]))
            self.malformed[blotted] += 1
            if "reason" in entry:
                self.reasons.setdefault(blotted, set()).add(entry["reason"])
        elif "stream" not in entry and (why := self._voids.why_not(entry["record"])):
            self.uncounted[entry["record"]["transaction_id"]] = why
        else:
            self._add(entry)

    def _add(self, entry: dict[str, Any]) -> None:
        raise NotImplementedError


class Whose(NamedTuple):
    """What a sent transaction does to points, in parts, and its customer, if it has one."""

    customer: str | None
    parts: list[Sent]


class Brought(NamedTuple):
    """A refund or void, who brought it, and the receipts that it takes something back of."""

    customer: str | None
    sent: Sent
    originals: tuple[str, ...]


class Fact(NamedTuple):
    """What stays of a transaction in whatever form: what the customer pays, or is given back."""

    total: int
    currency: str
    lines: int


@dataclass
class Truth(SentFile):
    """``customers``: each one's transactions in send order, duplicates included. ``conflicts``: what was
    sent under an id that had come with other content, all of it by id: whose it is, by what ``content``
    shows of it, in send order. ``earn_nothing``: categories of goods that earn no point. ``facts``: of
    each id, of all that came under it. ``training``: ids of which nothing may come. ``undoing``: refunds
    and voids by id, as they came first. ``adjusted``: what no till did, by customer. ``joined``: events of
    households. ``when``: of each id when it was, as it says, and its place among what was sent."""

    customers: dict[str, list[Sent]] = field(default_factory=dict)
    valid_ids: set[str] = field(default_factory=set)
    conflicts: dict[str, dict[bytes, Whose]] = field(default_factory=dict)
    earn_nothing: frozenset[str] = frozenset()
    facts: dict[str, set[Fact]] = field(default_factory=dict)
    training: set[str] = field(default_factory=set)
    undoing: dict[str, Brought] = field(default_factory=dict)
    adjusted: dict[str, list[Sent]] = field(default_factory=dict)
    joined: list[households.Event] = field(default_factory=list)
    when: dict[str, tuple[int, int]] = field(default_factory=dict)
    _first: dict[str, tuple[bytes, Whose]] = field(default_factory=dict)

    def _take(self, entry: dict[str, Any]) -> None:
        if entry.get("stream", ADJUSTMENTS) in (ADJUSTMENTS, HOUSEHOLDS):  # a till's has none
            super()._take(entry)

    def _adjusted(self, record: dict[str, Any]) -> None:
        kind, customer, to = record["kind"], record["customer_id"], record.get("to")
        points = record.get("points", ALL)
        self.when.setdefault(record["adjustment_id"], (record["event_time_ms"], self.sent))
        one = Sent(record["adjustment_id"], "transfer_out" if to else kind, 0, points, None)
        self.adjusted.setdefault(customer, []).append(one)
        if to:
            self.adjusted.setdefault(to, []).append(one._replace(kind="transfer_in"))

    def _add(self, entry: dict[str, Any]) -> None:
        record = entry["record"]
        if entry.get("stream") == HOUSEHOLDS:
            self.joined.append(households.event(record, self.sent))
            return
        if "stream" in entry:
            self._adjusted(record)
            return
        identity = record["transaction_id"]
        if record.get("schema") == 2:
            receipt = receipts.read(record)
            if receipt is None:
                self.training.add(identity)
                return
            at_ms = receipt.at_ms
            fact = Fact(receipt.total, receipt.currency, len(receipt.lines))
            whose = Whose(receipt.customer, receipts.postings(receipt, self.earn_nothing))
            named = [line.of for line in receipt.lines if line.of]
        else:
            at_ms = record.get("event_time_ms", 0)
            fact, whose = self._of_v1(record)
            named = []
        self.valid_ids.add(identity)
        self.when.setdefault(identity, (at_ms, self.sent))
        self.facts.setdefault(identity, set()).add(fact)
        said = content(record)
        first, of_first = self._first.setdefault(identity, (said, whose))
        if first != said:
            self.conflicts.setdefault(identity, {first: of_first}).setdefault(said, whose)
        for part in whose.parts:
            if part.kind != "sale":
                own = [part.refers_to or "", *(named if part.kind == "void" else ())]
                brought = Brought(whose.customer, part, tuple(dict.fromkeys(own)))
                self.undoing.setdefault(part.id, brought)
        if whose.customer is not None:
            self.customers.setdefault(whose.customer, []).extend(whose.parts)

    def _of_v1(self, record: dict[str, Any]) -> tuple[Fact, Whose]:
        way = 1 if record["kind"] == "sale" else -1
        fact = Fact(way * record["total_cents"], record["currency"], len(record.get("lines", ())))
        sent = Sent(
            record["transaction_id"],
            record["kind"],
            record["total_cents"],
            record.get("points_to_redeem", 0),
            record.get("refers_to"),
            record["currency"],
            sum(
                line["quantity"] * line["unit_price_cents"]
                for line in record.get("lines", ())
                if line["category"] in self.earn_nothing
            ),
        )
        return fact, Whose(record.get("customer_id"), [sent])

    def counted(self, refused: Mapping[str, Collection[bytes]]) -> dict[str, list[Sent]]:
        """``customers`` with one content of each id, the front door's choice: the first sent of those that
        are not ``refused`` (contents by id). Whose id another's took keeps a list without it."""
        out = dict(self.customers)
        for identity, contents in self.conflicts.items():
            left = [said for said in contents if said not in refused.get(identity, ())]
            taken = contents[left[0] if left else next(iter(contents))]
            for customer in {one.customer for one in contents.values()} - {None}:
                assert customer is not None
                out[customer] = [
                    sent
                    for sent in out[customer]
                    if sent.id.partition("#")[0] != identity
                    or any(sent is part for part in taken.parts)
                ]
        return out

    def claims(self, customers: Mapping[str, list[Sent]]) -> dict[str, list[Sent]]:
        """What others, or nobody known, brought back of what each of these accounts bought. By owner."""
        owners: dict[str, str] = {}
        for account, sent in customers.items():
            elsewhere = {one.refers_to for one in sent if one.id.endswith(":elsewhere")}
            owners |= {one.id: account for one in sent if one.id not in elsewhere}
        out: dict[str, list[Sent]] = {}
        for brought in self.undoing.values():
            of = {owners.get(original) for original in brought.originals}
            for owner in of - {None, owners.get(brought.sent.id, brought.customer)}:
                assert owner is not None
                out.setdefault(owner, []).append(brought.sent._replace(claimed=True))
        return out


def shape(raw: bytes) -> bytes:
    """``raw`` with digits blotted out, for a dead letter's card numbers are masked and ours not."""
    return re.sub(rb"[0-9*]", b"#", raw)


def content(record: dict[str, Any]) -> bytes:
    """The same for two records of one sale: order of fields and points that are not redeemed say nothing."""
    said = {
        name: value for name, value in record.items() if (name, value) != ("points_to_redeem", 0)
    }
    return orjson.dumps(said, option=orjson.OPT_SORT_KEYS)


def read_truth(directory: Path, earn_nothing: Iterable[str] = ()) -> Truth:
    """Raises NoTruth."""
    return Truth(earn_nothing=frozenset(earn_nothing)).read(directory, "tillstream sim")
