"""Speed and latency of the loyalty job, beside a bare Python consumer, in one run on one machine.

``python benchmarks/loyalty.py`` starts a stack of its own, fills a Kafka topic, and measures

- a bare consumer: confluent-kafka, orjson, one dict of sums; one thread, no state to restore;
- the job on one TaskManager and on two; the same rules and state with one call of Python a record, in
  thread mode and in PyFlink's default process mode: ledger entries are made and dropped in the JVM, so
  that no emulator is measured;
- the job with all its real sinks, where the stand-in for DynamoDB sets the pace;
- latency at a steady rate: from the moment a transaction is put to Kafka until a reader sees it in
  the hot item, by polling the item.

Rates are taken between two moments in mid-run, warm-up and drain excluded. CPU is the TaskManagers'
(user + system) in the same interval. The stack's data lies in memory (/dev/shm) unless --disk says
otherwise: what is measured is the job, not this machine's disk. Results: a table, and JSON with
--json FILE.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import orjson
import psutil
from confluent_kafka import Consumer, TopicPartition
from rich.console import Console
from rich.table import Table

from tillstream import conf as settings
from tillstream.connectors import clients
from tillstream.local.resources import create_resources
from tillstream.local.stack import Stack
from tillstream.ops.jobs import Jobs
from tillstream.sim.senders import KafkaSender
from tillstream.sim.simulator import Simulator

say = Console(stderr=True).print
ONE = "the job, 1 TaskManager"
VARIANT = Path(__file__).parent / "jobs" / "loyalty_variant.py"


def overrides(topic: str) -> dict[str, Any]:
    """Names of their own for one measurement."""
    return {
        "source": {"kind": "kafka", "kafka": {"topic": topic}},
        "kafka": {"topics": {"loyalty_events": f"{topic}-out", "dead_letters": f"{topic}-dead"}},
        "dynamodb": {"tables": {"balances": f"{topic}-balances"}},
        "s3": {
            "prefixes": {"ledger": topic, "archive": f"{topic}-a", "dead_letters": f"{topic}-d"}
        },
    }


class Bench:
    """One stack, one filled topic after another."""

    def __init__(self, stack: Stack):
        self.stack = stack
        self.jobs = Jobs(stack)

    def conf(self, topic: str) -> settings.Conf:
        conf = settings.load("local", overrides(topic))
        create_resources(conf)
        return conf

    def fill(self, topic: str, count: int, customers: int) -> None:
        """``count`` simulated transactions into ``topic``."""
        conf = self.conf(topic)
        began = time.perf_counter()
        sender = KafkaSender(conf, self.stack.layout.data / f"{topic}.spool")
        for sent in Simulator("normal", seed=1, count=count, customers=customers, rate=1_000):
            sender.send(sent.key, sent.raw)
        sender.close()
        rate = count / (time.perf_counter() - began)
        say(f"{topic}: {count:,} transactions put at {rate:,.0f} a second")

    def bare(self, topic: str, count: int) -> dict[str, float]:
        """What a Python thread can do with no engine at all."""
        conf = self.conf(topic)
        consumer = Consumer(
            {
                "bootstrap.servers": conf.source.kafka.bootstrap or "",
                "group.id": "bare",
                "queued.max.messages.kbytes": 262_144,
                "fetch.message.max.bytes": 4_194_304,
            }
        )
        parts = consumer.list_topics(topic, 10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, p, 0) for p in parts])
        sums: dict[str, int] = {}
        seen = 0
        consumer.consume(1, timeout=10)
        began, cpu = time.perf_counter(), time.process_time()
        while seen < count - 1:
            batch = consumer.consume(5_000, timeout=5)
            if not batch:
                break
            for message in batch:
                seen += 1
                try:
                    sale = orjson.loads(message.value())
                    customer = sale["customer_id"]
                    sums[customer] = sums.get(customer, 0) + sale["total_cents"] // 1000
                except (ValueError, KeyError, TypeError):
                    continue
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
        consumer.close()
        return {"rate": seen / took, "per_cpu_second": seen / cpu, "records": seen}

    def job(
        self, topic: str, mode: str, sinks: str, parallelism: int, limit_s: float = 240
    ) -> dict[str, float]:
        """Rate of the keyed function in mid-run."""
        self.conf(topic)
        os.environ["TILLSTREAM_BENCH"] = json.dumps({"mode": mode, "sinks": sinks})
        changed = overrides(topic) | {"job": {"require_thread_mode": mode != "process"}}
        job_id = self.jobs.submit(
            "loyalty-variant", parallelism, changed, job_file=VARIANT, timeout_s=120
        )
        total = self._total(topic)
        managers = [
            psutil.Process(p["pid"])
            for name, p in self.stack.layout.read()["processes"].items()
            if name.startswith("taskmanager")
        ]
        try:
            return self._watch(job_id, total, managers, limit_s)
        finally:
            self.jobs.flink.cancel(job_id)

    def _watch(
        self, job_id: str, total: int, managers: list[psutil.Process], limit_s: float
    ) -> dict[str, float]:
        """From a fifth of the records (or 10 s after the first) to nine tenths (or the limit)."""
        samples: list[tuple[float, int, float]] = []
        first = 0.0
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            vertices = self.jobs.flink.job(job_id)["vertices"]
            done = vertices[-1]["metrics"]["read-records"]
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
            "rate": (n1 - n0) / (t1 - t0),
            "per_cpu_second": (n1 - n0) / (c1 - c0),
            "records": n1 - n0,
            "seconds": t1 - t0,
        }

    def _total(self, topic: str) -> int:
        conf = self.conf(topic)
        consumer = Consumer({"bootstrap.servers": conf.kafka.bootstrap or "", "group.id": "total"})
        parts = consumer.list_topics(topic, 10).topics[topic].partitions
        ends = [
            consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10)[1] for p in parts
        ]
        consumer.close()
        return sum(ends)

    def latency(self, topic: str, rate: int, seconds: int) -> dict[str, float]:
        """Milliseconds from put to hot item at a steady ``rate``, a dozen transactions a second."""
        conf = self.conf(topic)
        job_id = self.jobs.submit("loyalty", 1, overrides(topic))
        probe = _Probe(conf)
        sender = KafkaSender(conf, self.stack.layout.data / f"{topic}.spool")
        began = time.perf_counter()
        for n, sent in enumerate(
            Simulator("normal", seed=2, count=rate * seconds, customers=rate * seconds, rate=rate)
        ):
            ahead = began + n / rate - time.perf_counter()
            if ahead > 0.001:
                time.sleep(ahead)
            sender.send(sent.key, sent.raw)
            warm = n > rate * 10
            if warm and n % (rate // 12) == 0 and sent.record and "customer_id" in sent.record:
                probe.watch(sent.record["customer_id"], sent.record["transaction_id"])
        sender.close()
        found = sorted(probe.results())
        self.jobs.flink.cancel(job_id)
        cuts = statistics.quantiles(found, n=100)
        return {
            "p50_ms": cuts[49],
            "p99_ms": cuts[98],
            "max_ms": found[-1],
            "samples": len(found),
            "lost": probe.lost,
        }


class _Probe:
    """Polls hot items until they show a transaction."""

    def __init__(self, conf: settings.Conf):
        self._client = clients.dynamodb(conf, pool=64)
        self._table = conf.dynamodb.tables["balances"]
        self._threads: list[threading.Thread] = []
        self._found: list[float] = []
        self.lost = 0

    def watch(self, customer: str, transaction: str) -> None:
        thread = threading.Thread(target=self._poll, args=(customer, transaction), daemon=True)
        thread.start()
        self._threads.append(thread)

    def _poll(self, customer: str, transaction: str) -> None:
        began = time.perf_counter()
        while time.perf_counter() - began < 20:
            item = self._client.get_item(
                TableName=self._table, Key={"customer_id": {"S": customer}}, ConsistentRead=True
            ).get("Item")
            if item and item["last_transaction_id"]["S"] == transaction:
                self._found.append((time.perf_counter() - began) * 1000)
                return
            time.sleep(0.01)
        self.lost += 1

    def results(self) -> list[float]:
        for thread in self._threads:
            thread.join(30)
        return self._found


def _cpu(processes: list[psutil.Process]) -> float:
    """CPU seconds so far, children (process mode's Python workers) included."""
    total = 0.0
    for process in processes:
        for one in [process, *process.children(recursive=True)]:
            try:
                times = one.cpu_times()
                total += times.user + times.system
            except psutil.NoSuchProcess:
                continue
    return total


def _memory() -> Path | None:
    shm = Path("/dev/shm")
    return shm if shm.is_dir() else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1_000_000, help="transactions in the topic")
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--all-sinks-count", type=int, default=100_000)
    parser.add_argument("--latency-seconds", type=int, default=70)
    parser.add_argument("--disk", type=Path, default=_memory(), help="where the stack's data lies")
    parser.add_argument("--json", type=Path, help="write the figures here")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tillstream-bench-", dir=args.disk) as home:
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


def measure(bench: Bench, args: argparse.Namespace) -> dict[str, Any]:
    bench.fill("bench", args.count, args.customers)
    bench.fill("bench-all", args.all_sinks_count, args.customers)
    rows: dict[str, Any] = {}
    rows["bare Python consumer"] = bench.bare("bench", args.count)
    rows[ONE] = bench.job("bench", "batched", "none", 1)
    rows["the job, 2 TaskManagers"] = bench.job("bench", "batched", "none", 2)
    rows["one call a record, thread mode"] = bench.job("bench", "thread", "none", 1)
    rows["one call a record, process mode"] = bench.job("bench", "process", "none", 1, limit_s=70)
    rows["the job, all sinks, 1 TaskManager"] = bench.job("bench-all", "batched", "all", 1)
    for name, row in rows.items():
        say(f"{name}: {row['rate']:,.0f} tx/s")
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "count": args.count,
        "disk": str(args.disk),
        "rows": rows,
        "latency": bench.latency("bench-latency", 1_000, args.latency_seconds),
    }


def show(figures: dict[str, Any]) -> None:
    rows = figures["rows"]
    one = rows[ONE]["rate"]
    table = Table(title=f"loyalty, {figures['count']:,} transactions, {figures['machine']}")
    for column in ("", "tx/s", "tx per CPU second", "of the job on one TaskManager"):
        table.add_column(column, justify="left" if not column else "right")
    for name, row in rows.items():
        table.add_row(
            name,
            f"{row['rate']:,.0f}",
            f"{row['per_cpu_second']:,.0f}",
            f"{row['rate'] / one:.2f}x",
        )
    console = Console()
    console.print(table)
    latency = figures["latency"]
    console.print(
        f"put to hot item at 1,000 tx/s: p50 {latency['p50_ms']:.0f} ms, "
        f"p99 {latency['p99_ms']:.0f} ms, {latency['samples']} samples, {latency['lost']} lost"
    )


if __name__ == "__main__":
    main()
