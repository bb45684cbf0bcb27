"""Speed of the inventory job, in one run on one machine.

``python benchmarks/inventory_speed.py`` starts a stack of its own, fills Kafka topics with transactions
of three lines, and measures

- every line moving stock, with all the rules, on one TaskManager of one slot and on two: entries and
  actions are made and dropped in the JVM, so that no stand-in is measured;
- the same where one product (bread) is in every basket and one store has 100 times the others' traffic;
- the job with all its real sinks, where the stand-in for DynamoDB sets the pace;
- bytes of state for each product and store: of the checkpoint, and of the codec by number of lines.

Rates are taken in mid-run, warm-up and drain excluded; CPU is the TaskManagers' in the same interval.
The stack's data lies in memory (/dev/shm) unless --disk says otherwise. Results: a table, and JSON with
--json FILE.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import orjson
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.loyalty import _cpu
from state_schemas import stock as codec
from tillstream import conf as settings
from tillstream.domain.inventory import NOBODY, InventoryRules, on_line
from tillstream.domain.stock import HOUR_MS, Line
from tillstream.local.resources import create_resources
from tillstream.local.stack import Stack
from tillstream.ops.jobs import Jobs
from tillstream.sim.senders import KafkaSender
from tillstream.sim.world import load_products, load_stores

say = Console(stderr=True).print
VARIANT = Path(__file__).parent / "jobs" / "inventory_variant.py"
LINES = 3
LEDGER = "stock by store and product"
EVENT_RATE = 300  # transactions a second of event time: 1,000 busy stores


def overrides(topic: str) -> dict[str, Any]:
    """Names of their own for one measurement."""
    names = settings.load("local").kafka.topics
    return {
        "source": {"kind": "kafka", "kafka": {"topic": topic}},
        "kafka": {"topics": {name: f"{topic}-{used}" for name, used in names.items()}},
        "dynamodb": {"tables": {"stock": f"{topic}-stock"}},
        "s3": {"prefixes": {"stock_ledger": f"{topic}/stock", "dead_letters": f"{topic}/dead"}},
    }


def transactions(count: int, stores: int, hot: bool) -> Any:
    """(key, bytes) of sales of three lines; ``hot``: bread first, store 1 with 100 times the traffic."""
    rng = Random(7)
    places, products = load_stores()[:stores], load_products()
    start_ms = (int(time.time()) - 86_400) * 1000
    share = 100 / (100 + stores - 1) if hot else 0.0
    for n in range(count):
        place = places[0] if rng.random() < share else places[rng.randrange(stores)]
        chosen = [products[rng.randrange(len(products))] for _ in range(LINES)]
        if hot:
            chosen[0] = products[0]
        lines = [
            {"product": p.gtin, "quantity": 1 + (rng.random() < 0.3),
             "unit_price_cents": p.unit_price_cents, "category": p.category}
            for p in chosen
        ]  # fmt: skip
        sale = {
            "schema": 1,
            "transaction_id": f"{place.number:04d}-{rng.randrange(1, 13):02d}-bench-{n:08d}",
            "store": place.number,
            "region": place.region,
            "till": 3,
            "payment_method": "cash",
            "event_time_ms": start_ms + n * 1000 // EVENT_RATE,
            "currency": place.currency,
            "lines": lines,
            "total_cents": sum(line["quantity"] * line["unit_price_cents"] for line in lines),
            "kind": "sale",
        }
        yield sale["transaction_id"], orjson.dumps(sale)


class Bench:
    """One stack, one filled topic after another."""

    def __init__(self, stack: Stack):
        self.stack = stack
        self.jobs = Jobs(stack)
        self.keys: dict[str, int] = {}

    def fill(self, topic: str, count: int, stores: int, hot: bool) -> None:
        conf = settings.load("local", overrides(topic))
        create_resources(conf)
        began, keys = time.perf_counter(), set()
        sender = KafkaSender(conf, self.stack.layout.data / f"{topic}.spool")
        for key, raw in transactions(count, stores, hot):
            sender.send(key, raw)
            sale = orjson.loads(raw)
            keys.update((sale["store"], line["product"]) for line in sale["lines"])
        sender.close()
        self.keys[topic] = len(keys)
        rate = count / (time.perf_counter() - began)
        say(f"{topic}: {count:,} transactions put at {rate:,.0f} a second, {len(keys):,} shelves")

    def job(
        self, topic: str, sinks: str, parallelism: int, count: int, limit_s: float = 120
    ) -> dict[str, Any]:
        """Rate of transactions in mid-run."""
        os.environ["TILLSTREAM_BENCH"] = json.dumps({"sinks": sinks})
        job_id = self.jobs.submit(
            "inventory-variant", parallelism, overrides(topic), job_file=VARIANT, timeout_s=150
        )
        managers = [
            psutil.Process(p["pid"])
            for name, p in self.stack.layout.read()["processes"].items()
            if name.startswith("taskmanager")
        ]
        try:
            row = self._watch(job_id, count * LINES, managers, limit_s)
            row["state_bytes"] = self._state_bytes(job_id) / self.keys[topic]
            return row
        finally:
            self.jobs.flink.cancel(job_id)

    def _watch(
        self, job_id: str, total: int, managers: list[psutil.Process], limit_s: float
    ) -> dict[str, Any]:
        """From a fifth of the lines (or 10 s after the first) to nine tenths, or the limit."""
        samples: list[tuple[float, int, float]] = []
        first = 0.0
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            vertices = self.jobs.flink.job(job_id)["vertices"]
            done = next(
                v["metrics"]["read-records"] for v in vertices if v["name"].startswith(LEDGER)
            )
            now = time.perf_counter()
            if done:
                first = first or now
                if done > total * 0.9 and len(samples) > 1:
                    break
                if done > total * 0.2 or now - first > 10:
                    samples.append((now, done, _cpu(managers)))
            time.sleep(0.5)
        (t0, n0, c0), (t1, n1, c1) = samples[0], samples[-1]
        return {
            "rate": (n1 - n0) / LINES / (t1 - t0),
            "per_cpu_second": (n1 - n0) / LINES / (c1 - c0),
            "transactions": (n1 - n0) / LINES,
            "seconds": t1 - t0,
        }

    def _state_bytes(self, job_id: str) -> float:
        """Bytes of the newest whole checkpoint once every line is in it."""
        time.sleep(12)
        rest = self.jobs.flink
        latest = rest.checkpoints(job_id)["latest"]["completed"]
        return float(latest["state_size"]) if latest else 0.0


def codec_bytes() -> dict[str, int]:
    """Bytes of one state by how many lines the horizon holds."""
    out = {}
    for lines in (0, 10, 50, 200, 1000):
        stock, rules = None, InventoryRules()
        start = 1_764_000_000_000
        gap = 72 * HOUR_MS // max(lines, 1)
        for n in range(-1, lines):
            kind, quantity = ("count", 500) if n < 0 else ("sale", -1)
            line = Line(kind, f"x{n}/1", 45, "2000000000411", quantity, start + n * gap)
            stock, _, _ = on_line(stock, line, NOBODY, rules)
        out[str(lines)] = len(codec.encode(stock))
    return out


def measure(bench: Bench, args: argparse.Namespace) -> dict[str, Any]:
    bench.fill("spread", args.count, args.stores, hot=False)
    bench.fill("hot", args.count, 2_900, hot=True)
    rows = {
        "1 TaskManager": bench.job("spread", "none", 1, args.count),
        "2 TaskManagers": bench.job("spread", "none", 2, args.count),
        "hot bread and store, 1 TaskManager": bench.job("hot", "none", 1, args.count),
        "hot bread and store, 2 TaskManagers": bench.job("hot", "none", 2, args.count),
        "all sinks, 1 TaskManager": bench.job("spread", "all", 1, args.count, limit_s=60),
    }
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "count": args.count,
        "rows": rows,
        "codec_bytes_by_lines": codec_bytes(),
    }


def show(figures: dict[str, Any]) -> None:
    table = Table(
        title=f"inventory, {figures['count']:,} transactions of {LINES} lines, {figures['machine']}"
    )
    for column in ("", "tx/s", "tx per CPU second", "checkpoint bytes a shelf"):
        table.add_column(column, justify="left" if not column else "right")
    for name, row in figures["rows"].items():
        table.add_row(
            name,
            f"{row['rate']:,.0f}",
            f"{row['per_cpu_second']:,.0f}",
            f"{row['state_bytes']:,.0f}",
        )
    console = Console()
    console.print(table)
    sizes = ", ".join(f"{n} lines {size} B" for n, size in figures["codec_bytes_by_lines"].items())
    console.print(f"state of a shelf by lines in 72 h: {sizes}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=400_000, help="transactions in each topic")
    parser.add_argument("--stores", type=int, default=300, help="stores of the even traffic")
    parser.add_argument("--disk", action="store_true", help="keep the stack's data on disk")
    parser.add_argument("--json", type=Path, help="write the figures here")
    args = parser.parse_args()
    memory = Path("/dev/shm")
    parent = memory if memory.is_dir() and not args.disk else None
    with tempfile.TemporaryDirectory(prefix="tillstream-bench-", dir=parent) as home:
        os.environ["TILLSTREAM_HOME"] = home
        stack = Stack(home)
        try:
            stack.up(taskmanagers=2, progress=say)
            figures = measure(Bench(stack), args)
        finally:
            stack.down(purge=True)
    show(figures)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
