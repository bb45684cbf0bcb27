"""What was sent about stock, as sent.jsonl says: a plain reading, with no part of the job."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from tillstream.check import receipts
from tillstream.check.sent import SentFile

Key = tuple[int, str]
AWAY = {"sale", "write_off", "transfer_out"}


class Move(NamedTuple):
    """A line that moves stock by ``pieces``, or for a count, finds so many. undoes: the line that a void of
    contract v1 undoes."""

    line: str
    kind: str
    pieces: int
    at_ms: int
    undoes: str = ""


@dataclass
class StockTruth(SentFile):
    """Lines by (store, product), each line once. no_stock: categories of what has none. scales: forms of
    codes with a price or weight in them. bundles: by code, how much of which products is in one. carried: by
    reference and product of a transfer, [sent, received]."""

    lines: dict[Key, dict[str, Move]] = field(default_factory=dict)
    no_stock: frozenset[str] = frozenset()
    scales: tuple[str, ...] = ()
    bundles: dict[str, dict[str, int]] = field(default_factory=dict)
    carried: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    _known: dict[str, Any] = field(default_factory=dict)

    def _add(self, entry: dict[str, Any]) -> None:
        record = entry["record"]
        if record.get("schema") == 2 and "stream" not in entry:
            self._add_receipt(record)
            return
        if "lines" not in record:  # of points, not of stock
            return
        kind, at_ms = record["kind"], record["event_time_ms"]
        tills = "stream" not in entry
        document = record["transaction_id"] if tills else f"M:{record['document_id']}"
        if tills and self._known.setdefault(document, record["lines"]) != record["lines"]:
            return  # of two sales under one id the front door takes the first
        for n, line in enumerate(record["lines"], start=1):
            pieces = -line["quantity"] if kind in AWAY else line["quantity"]
            undoes = f"{record['refers_to']}/{n}" if tills and kind == "void" else ""
            move = Move(f"{document}/{n}", kind, pieces, at_ms, undoes)
            if tills and line.get("category") in self.no_stock:
                continue
            if tills and self._took_apart(record["store"], line["product"], move):
                continue
            shelf = self.lines.setdefault((record["store"], line["product"]), {})
            if move.line not in shelf and kind.startswith("transfer"):
                both = self.carried.setdefault((record["reference"], line["product"]), [0, 0])
                both[kind == "transfer_in"] += line["quantity"]
            shelf.setdefault(move.line, move)

    def _add_receipt(self, record: dict[str, Any]) -> None:
        receipt = receipts.read(record, self.scales)
        if receipt is None or self._known.setdefault(receipt.id, receipt) != receipt:
            return
        for line in receipt.lines:
            on_shelf = line.kind == "sale" or (line.kind == "return" and line.fate == "shelf")
            if not on_shelf or not line.product or line.category in self.no_stock or line.gone:
                continue
            kind = "void" if receipt.void else "sale" if line.kind == "sale" else "refund"
            move = Move(f"{receipt.id}/{line.n}", kind, -line.units, receipt.at_ms)
            if not self._took_apart(receipt.store, line.product, move):
                shelf = self.lines.setdefault((receipt.store, line.product), {})
                shelf.setdefault(move.line, move)

    def _took_apart(self, store: int, product: str, whole: Move) -> bool:
        """Whether it was a bundle, whose products move in its place."""
        for part, units in self.bundles.get(product, {}).items():
            undoes = whole.undoes and f"{whole.undoes}/{part}"
            name, pieces = f"{whole.line}/{part}", units * whole.pieces
            move = Move(name, whole.kind, pieces, whole.at_ms, undoes)
            self.lines.setdefault((store, part), {}).setdefault(name, move)
        return product in self.bundles


def read_bundles(path: Path) -> dict[str, dict[str, int]]:
    """The table, which the job has found right: pieces, or thousandths of what is weighed or measured."""
    found: dict[str, dict[str, int]] = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            units = Decimal(row["quantity"]) * (1 if row["unit"] == "each" else 1000)
            found.setdefault(_code(row["bundle"]), {})[_code(row["product"])] = int(units)
    return found


def _code(text: str) -> str:
    scheme, dash, rest = text.partition("-")
    return receipts.shelf(scheme, rest)[0] if dash else receipts.shelf("gtin", text)[0]


def read_stock_truth(
    directory: Path,
    no_stock: Iterable[str] = (),
    scales: Iterable[str] = (),
    bundles: dict[str, dict[str, int]] | None = None,
) -> StockTruth:
    """Raises NoTruth."""
    truth = StockTruth(no_stock=frozenset(no_stock), scales=tuple(scales), bundles=bundles or {})
    truth.read(directory, "tillstream sim --movements 0.05")
    for moves in truth.lines.values():
        for name, move in moves.items():
            if move.undoes in moves and _brings(moves, move.undoes):
                moves[name] = move._replace(pieces=-move.pieces)
    return truth


def _brings(moves: dict[str, Move], name: str) -> bool:
    """Whether a line adds to its shelf: a refund does, and a void of what does not."""
    steps, turned = 0, False
    while moves[name].undoes in moves and steps < len(moves):
        name, turned, steps = moves[name].undoes, not turned, steps + 1
    return (moves[name].kind != "sale") is not turned


def level(moves: list[Move]) -> int:
    """The latest count and everything after it, whatever order it came in."""
    counts = [move for move in moves if move.kind in ("count", "correction")]
    last = max(counts, key=lambda move: (move.at_ms, move.line), default=None)
    since = last.at_ms if last else -1
    found = last.pieces if last else 0
    moved = [move for move in moves if move.kind not in ("count", "correction", "plan")]
    return found + sum(move.pieces for move in moved if move.at_ms > since)
