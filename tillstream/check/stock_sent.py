"""What was sent about stock, as sent.jsonl says: a plain reading, with no part of the job."""

from __future__ import annotations

import base64
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from tillstream.check.sent import NoTruth, shape

Key = tuple[int, str]
AWAY = {"sale", "write_off", "transfer_out"}


class Move(NamedTuple):
    """A line that moves stock by ``pieces``, or for a count, finds so many."""

    line: str
    kind: str
    pieces: int
    at_ms: int


@dataclass
class StockTruth:
    """Lines by (store, product), each line once; what must be a dead letter."""

    lines: dict[Key, dict[str, Move]] = field(default_factory=dict)
    malformed: Counter[bytes] = field(default_factory=Counter)
    sent: int = 0


def read_stock_truth(directory: Path) -> StockTruth:
    path = directory / "sent.jsonl"
    if not path.exists():
        raise NoTruth(f"no {path}: send with `tillstream sim --movements 0.05 --truth {directory}`")
    truth = StockTruth()
    with path.open("rb") as file:
        for row in file:
            entry = orjson.loads(row)
            truth.sent += 1
            if entry["class"] == "malformed":
                truth.malformed[shape(base64.b64decode(entry["raw"]))] += 1
                continue
            record = entry["record"]
            tills = "stream" not in entry
            document = record["transaction_id"] if tills else f"M:{record['document_id']}"
            for n, line in enumerate(record["lines"], start=1):
                _add(truth, record, f"{document}/{n}", line)
    return truth


def _add(truth: StockTruth, record: dict[str, Any], name: str, line: dict[str, Any]) -> None:
    kind, pieces = record["kind"], line["quantity"]
    move = Move(name, kind, -pieces if kind in AWAY else pieces, record["event_time_ms"])
    truth.lines.setdefault((record["store"], line["product"]), {})[name] = move


def level(moves: list[Move]) -> int:
    """The latest count and everything after it, whatever order it came in."""
    counts = [move for move in moves if move.kind in ("count", "correction")]
    last = max(counts, key=lambda move: (move.at_ms, move.line), default=None)
    since = last.at_ms if last else -1
    found = last.pieces if last else 0
    moved = [move for move in moves if move.kind not in ("count", "correction", "plan")]
    return found + sum(move.pieces for move in moved if move.at_ms > since)
