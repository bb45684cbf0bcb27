"""What a Python thread can do with no engine at all: confluent-kafka, orjson, one dict of sums."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import orjson

from benchmarks.latency import reader

CENTS_A_POINT = 1000


def add(sums: dict[str, int], records: Iterable[bytes]) -> None:
    """The loyalty sum: a point for each whole R10, by customer; what is no such sale is passed over."""
    for raw in records:
        try:
            sale = orjson.loads(raw)
            customer = sale["customer_id"]
            sums[customer] = sums.get(customer, 0) + sale["total_cents"] // CENTS_A_POINT
        except (ValueError, KeyError, TypeError):
            continue


def add_us(raw: list[bytes]) -> float:
    """Microseconds of CPU that ``add`` takes for each of ``raw``: how fast this machine is now."""
    sums: dict[str, int] = {}
    began = time.thread_time()
    add(sums, raw)
    return (time.thread_time() - began) / len(raw) * 1e6


def consume(bootstrap: str, topic: str, count: int) -> dict[str, Any]:
    """``count`` transactions of ``topic``; the first tenth is not counted."""
    large = {"queued.max.messages.kbytes": 262_144, "fetch.message.max.bytes": 4_194_304}
    consumer = reader(bootstrap, topic, large)
    sums: dict[str, int] = {}
    seen = skipped = 0
    began = cpu = 0.0
    while seen < count:
        batch = consumer.consume(5_000, timeout=5)
        if not batch:
            break
        add(sums, (message.value() for message in batch if message.error() is None))
        seen += len(batch)
        if not began and seen >= count / 10:
            began, cpu, skipped = time.perf_counter(), time.process_time(), seen
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    consumer.close()
    counted = seen - skipped
    return {"rate": counted / took, "per_cpu_second": counted / cpu, "records": counted}
