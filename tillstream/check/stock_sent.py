"""What was sent about stock, as sent.jsonl says: a plain reading, with no part of the job."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tillstream.check import receipts
from tillstream.check.sent import SentFile

Key = tuple[int, str]
AWAY = {"sale", "write_off", "transfer_out"}


class Move(NamedTuple):
    """A line that moves stock by ``pieces``, or for a count, finds so many."""

    line: str
    kind: str
    pieces: int
    at_ms: int


@dataclass
class StockTruth(SentFile):
    """Lines by (store, product), each line once. no_stock: categories of what has none. scales: forms of
    codes with a price or weight in them. carried: by reference and product of a transfer, [sent,
    received]."""

    lines: dict[Key, dict[str, Move]] = field(default_factory=dict)
    no_stock: frozenset[str] = frozenset()
    scales: tuple[str, ...] = ()
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
            move = Move(f"{document}/{n}", kind, pieces, at_ms)
            if tills and line.get("category") in self.no_stock:
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
            self.lines.setdefault((receipt.store, line.product), {}).setdefault(move.line, move)


def read_stock_truth(
    directory: Path, no_stock: Iterable[str] = (), scales: Iterable[str] = ()
) -> StockTruth:
    """Raises NoTruth."""
    truth = StockTruth(no_stock=frozenset(no_stock), scales=tuple(scales))
    return truth.read(directory, "tillstream sim --movements 0.05")


def level(moves: list[Move]) -> int:
    """The latest count and everything after it, whatever order it came in."""
    counts = [move for move in moves if move.kind in ("count", "correction")]
    last = max(counts, key=lambda move: (move.at_ms, move.line), default=None)
    since = last.at_ms if last else -1
    found = last.pieces if last else 0
    moved = [move for move in moves if move.kind not in ("count", "correction", "plan")]
    return found + sum(move.pieces for move in moved if move.at_ms > since)
