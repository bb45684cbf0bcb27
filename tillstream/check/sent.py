"""What was sent, as sent.jsonl says: a plain reading, with no part of the job."""

from __future__ import annotations

import base64
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from tillstream.check.rules import Sent
from tillstream.errors import Problem


class NoTruth(Problem):
    """The truth directory cannot be used; the message says how to make one."""


@dataclass
class Truth:
    """``customers``: each one's transactions in send order, duplicates included."""

    customers: dict[str, list[Sent]] = field(default_factory=dict)
    valid_ids: set[str] = field(default_factory=set)
    malformed: Counter[bytes] = field(default_factory=Counter)
    sent: int = 0


def shape(raw: bytes) -> bytes:
    """``raw`` with digits blotted out, for a dead letter's card numbers are masked and ours not."""
    return re.sub(rb"[0-9*]", b"#", raw)


def read_truth(directory: Path) -> Truth:
    path = directory / "sent.jsonl"
    if not path.exists():
        raise NoTruth(f"no {path}: send with `tillstream sim --truth {directory}` first")
    truth = Truth()
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                entry = orjson.loads(line)
                if "stream" in entry:
                    continue  # not a till's
                truth.sent += 1
                if entry["class"] == "malformed":
                    truth.malformed[shape(base64.b64decode(entry["raw"]))] += 1
                    continue
                _add(truth, entry["record"])
            except (orjson.JSONDecodeError, KeyError) as error:
                raise NoTruth(
                    f"{path} line {number} is not one of the simulator's: {error}"
                ) from None
    return truth


def _add(truth: Truth, record: dict) -> None:
    identity = record["transaction_id"]
    truth.valid_ids.add(identity)
    customer = record.get("customer_id")
    if customer is not None:
        truth.customers.setdefault(customer, []).append(
            Sent(
                identity,
                record["kind"],
                record["total_cents"],
                record.get("points_to_redeem", 0),
                record.get("refers_to"),
            )
        )
