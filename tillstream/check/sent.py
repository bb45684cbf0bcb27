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

from tillstream.check.rules import ALL, Sent
from tillstream.errors import Problem

ADJUSTMENTS = "loyalty-adjustments"


class NoTruth(Problem):
    """The truth directory cannot be used; the message says how to make one."""


@dataclass
class SentFile:
    """``malformed``: what must be a dead letter, as ``shape`` shows it. ``sent``: records counted."""

    malformed: Counter[bytes] = field(default_factory=Counter)
    sent: int = 0

    def read(self, directory: Path, command: str) -> Self:
        """Takes in the lines that ``command`` left in ``directory``. Raises NoTruth."""
        path = directory / "sent.jsonl"
        if not path.exists():
            raise NoTruth(f"no {path}: send with `{command} --truth {directory}` first")
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    self._take(orjson.loads(line))
                except (orjson.JSONDecodeError, KeyError) as error:
                    raise NoTruth(
                        f"{path} line {number} is not one of the simulator's: {error}"
                    ) from None
        return self

    def _take(self, entry: dict[str, Any]) -> None:
        self.sent += 1
        if entry["class"] == "malformed":
            self.malformed[shape(base64.b64decode(entry["raw"]))] += 1
        else:
            self._add(entry)

    def _add(self, entry: dict[str, Any]) -> None:
        raise NotImplementedError


class Whose(NamedTuple):
    """A sent transaction and its customer, if it has one."""

    customer: str | None
    sent: Sent


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
    each id, of all that came under it. ``undoing``: refunds and voids by id, as they came first.
    ``adjusted``: what no till did, by customer."""

    customers: dict[str, list[Sent]] = field(default_factory=dict)
    valid_ids: set[str] = field(default_factory=set)
    conflicts: dict[str, dict[bytes, Whose]] = field(default_factory=dict)
    earn_nothing: frozenset[str] = frozenset()
    facts: dict[str, set[Fact]] = field(default_factory=dict)
    undoing: dict[str, Whose] = field(default_factory=dict)
    adjusted: dict[str, list[Sent]] = field(default_factory=dict)
    _first: dict[str, tuple[bytes, Whose]] = field(default_factory=dict)

    def _take(self, entry: dict[str, Any]) -> None:
        if entry.get("stream", ADJUSTMENTS) == ADJUSTMENTS:  # a till's has none
            super()._take(entry)

    def _adjusted(self, record: dict[str, Any]) -> None:
        kind, customer, to = record["kind"], record["customer_id"], record.get("to")
        points = record.get("points", ALL)
        one = Sent(record["adjustment_id"], "transfer_out" if to else kind, 0, points, None)
        self.adjusted.setdefault(customer, []).append(one)
        if to:
            self.adjusted.setdefault(to, []).append(one._replace(kind="transfer_in"))

    def _add(self, entry: dict[str, Any]) -> None:
        record = entry["record"]
        if "stream" in entry:
            self._adjusted(record)
            return
        identity = record["transaction_id"]
        self.valid_ids.add(identity)
        way = 1 if record["kind"] == "sale" else -1
        fact = Fact(way * record["total_cents"], record["currency"], len(record.get("lines", ())))
        self.facts.setdefault(identity, set()).add(fact)
        customer = record.get("customer_id")
        sent = Sent(
            identity,
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
        said, whose = content(record), Whose(customer, sent)
        first, of_first = self._first.setdefault(identity, (said, whose))
        if first != said:
            self.conflicts.setdefault(identity, {first: of_first}).setdefault(said, whose)
        if sent.kind != "sale":
            self.undoing.setdefault(identity, whose)
        if customer is not None:
            self.customers.setdefault(customer, []).append(sent)

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
                    sent for sent in out[customer] if sent.id != identity or sent is taken.sent
                ]
        return out

    def claims(self, customers: Mapping[str, list[Sent]]) -> dict[str, list[Sent]]:
        """What others, or nobody known, brought back of what each of these bought. By owner."""
        owners = {one.id: customer for customer, sent in customers.items() for one in sent}
        out: dict[str, list[Sent]] = {}
        for brought in self.undoing.values():
            owner = owners.get(brought.sent.refers_to or "")
            if owner is not None and owner != brought.customer:
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
