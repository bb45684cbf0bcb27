"""Savepoints of released jobs, the traffic they were made with, and what must come out of them.

``<release>/<job>/`` is a savepoint in the canonical format, taken after the traffic's first part.
``traffic.tsv.gz`` has three parts; each repeats some records of the parts before it, so that a job
which lost its state counts them twice. ``make.py`` makes both.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.shop import Shop
from tillstream import conf as settings
from tillstream.check import rules
from tillstream.local.stack import Stack
from tillstream.sim.senders import KafkaSender

HERE = Path(__file__).parent
TRAFFIC = HERE / "traffic.tsv.gz"
PARTS = ("before", "after", "later")
NAME = "history"  # of topics and folders: a savepoint's source positions name the topic
A_CENTURY = 24 * 365 * 100  # in hours: the archive's marks are to be alive whenever this runs

Balances = dict[str, tuple[int, int]]


class Record(NamedTuple):
    """One transaction as sent. ``part``: of PARTS; ``key``: its customer or till."""

    part: str
    key: str
    raw: bytes


def releases() -> list[tuple[str, str]]:
    """(release, job) of every savepoint that is kept."""
    return sorted(
        (path.parent.parent.name, path.parent.name) for path in HERE.glob("*/*/_metadata")
    )


def savepoint(release: str, job: str) -> Path:
    return HERE / release / job


def traffic(*parts: str) -> list[Record]:
    """Records of these parts, in send order."""
    lines = gzip.decompress(TRAFFIC.read_bytes()).splitlines()
    records = (Record(part.decode(), key.decode(), raw) for part, key, raw in map(_split, lines))
    return [record for record in records if record.part in parts]


def _split(line: bytes) -> list[bytes]:
    return line.split(b"\t", 2)


def shop(stack: Stack, folder: Path, outputs: str) -> Shop:
    """The history's topic; tables and folders named after ``outputs``, apart from other tests'."""
    # Release 0.1.0 knew one pair of terms, whatever the currency and the goods: these go on with it.
    codes = settings.load("local").loyalty.terms
    of_all = {code: {"per_point": 1000, "point_value": 10} for code in codes}
    return Shop(
        stack, NAME, folder, "kafka",
        loyalty={"terms": of_all, "earn_nothing": []},
        intake={"kinds": dict.fromkeys(settings.load("local").intake.kinds)},  # none
        archive={"dedupe_hours": A_CENTURY},
        dynamodb={"tables": {"balances": f"balances-{outputs}"}},
        s3={"prefixes": {name: f"{outputs}/{name}" for name in ("ledger", "receipts", "dead_letters")}},
    )  # fmt: skip


def send(to: Shop, *parts: str) -> None:
    """Puts these parts to the history's topic."""
    sender = KafkaSender(to.conf(), to.truth.parent / "history.spool")
    for record in traffic(*parts):
        sender.send(record.key, record.raw)
    assert sender.close() == 0


def balances(*parts: str) -> Balances:
    """(balance, version) by customer after these parts, by the independent check's rules."""
    sent: dict[str, list[rules.Sent]] = {}
    for record in _records(traffic(*parts)):
        if customer := record.get("customer_id"):
            sent.setdefault(customer, []).append(
                rules.Sent(
                    record["transaction_id"], record["kind"], record["total_cents"],
                    record.get("points_to_redeem", 0), record.get("refers_to"),
                )
            )  # fmt: skip
    steps = {customer: rules.replay(them) for customer, them in sent.items()}
    return {customer: (done[-1].balance, len(done)) for customer, done in steps.items()}


def ids(*parts: str) -> set[str]:
    """Transaction ids of these parts."""
    return {record["transaction_id"] for record in _records(traffic(*parts))}


def changed(*parts: str) -> Balances:
    """(balance, version) of those whom the last of these parts changes: repeats change nothing."""
    before = balances(*parts[:-1])
    return {who: now for who, now in balances(*parts).items() if before.get(who) != now}


def _records(sent: Iterable[Record]) -> Iterable[dict[str, Any]]:
    return (json.loads(record.raw) for record in sent)
