"""Speed and latency of the loyalty job, beside a bare Python consumer, in one run on one machine.

``python benchmarks/loyalty.py`` starts a stack of its own, fills a Kafka topic, and measures

- a bare consumer: confluent-kafka, orjson, one dict of sums; one thread, no state to restore;
- the job on one TaskManager and on two; the same rules and state with one call of Python a record, in
  thread mode and in PyFlink's default process mode: ledger entries are made and dropped in the JVM, so
  that no emulator is measured;
- the job with all its real sinks, where the stand-in for DynamoDB sets the pace;
- latency at steady rates: from the moment a transaction is put to Kafka until a reader sees its event
  on Kafka, which is the job alone, and until one sees it in the hot item, by polling the item. What
  the stand-in for DynamoDB takes is measured too, for it sets the pace of the second.

Rates are taken between two moments in mid-run, warm-up and drain excluded. CPU is the TaskManagers'
(user + system) in the same interval. The stack's data lies in memory (/dev/shm) unless --disk says
otherwise: what is measured is the job, not this machine's disk. Results: a table, and JSON with
--json FILE.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import queue
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
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
HALF = "the job, {} TaskManager(s) held to half a core each"
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
        self,
        topic: str,
        mode: str,
        sinks: str,
        parallelism: int,
        limit_s: float = 240,
        share: float = 0,
    ) -> dict[str, float]:
        """Rate of the keyed function in mid-run; ``share``: cores that a TaskManager may use."""
        self.conf(topic)
        os.environ["TILLSTREAM_BENCH"] = json.dumps({"mode": mode, "sinks": sinks})
        changed = overrides(topic) | {"job": {"require_thread_mode": mode != "process"}}
        job_id = self.jobs.submit(
            "loyalty-variant", parallelism, changed, job_file=VARIANT, timeout_s=120
        )
        total = self._total(topic)
        try:
            with held(self.managers(), share) if share else contextlib.nullcontext():
                return self._watch(job_id, total, self.managers(), limit_s)
        finally:
            self.jobs.flink.cancel(job_id)

    def managers(self) -> list[psutil.Process]:
        """The TaskManagers' processes."""
        running = self.stack.layout.read()["processes"]
        return [psutil.Process(p["pid"]) for n, p in running.items() if n.startswith("taskmanager")]

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
        events = _Events(conf)
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
                transaction = sent.record["transaction_id"]
                events.put[transaction] = time.perf_counter()
                probe.watch(sent.record["customer_id"], transaction)
        sender.close()
        hot = probe.results()
        self.jobs.flink.cancel(job_id)
        return {
            "rate": rate,
            "samples": len(events.put),
            **_percentiles("event", events.results()),
            **_percentiles("hot_item", hot),
            "hot_item_not_within_20_s": probe.lost,
        }

    def stand_in(self, seconds: float = 8) -> float:
        """Conditional puts a second that the stand-in for DynamoDB takes from 8 threads."""
        conf = self.conf("bench-stand-in")
        client, table = clients.dynamodb(conf, pool=8), conf.dynamodb.tables["balances"]
        until, puts = time.monotonic() + seconds, [0] * 8

        def write(thread: int) -> None:
            while time.monotonic() < until:
                client.put_item(
                    TableName=table,
                    Item={"customer_id": {"S": f"{thread}-{puts[thread]}"}, "version": {"N": "1"}},
                    ConditionExpression="attribute_not_exists(version) OR version <= :v",
                    ExpressionAttributeValues={":v": {"N": "1"}},
                )
                puts[thread] += 1

        threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(puts) / seconds


def _percentiles(name: str, found: list[float]) -> dict[str, float]:
    if len(found) < 2:
        return {}
    cuts = statistics.quantiles(found, n=100)
    return {f"{name}_p50_ms": cuts[49], f"{name}_p99_ms": cuts[98], f"{name}_max_ms": max(found)}


class _Events:
    """Reads the loyalty events; ``put``: when the awaited transactions were put."""

    def __init__(self, conf: settings.Conf):
        self._consumer = Consumer(
            {
                "bootstrap.servers": conf.kafka.bootstrap or "",
                "group.id": "latency",
                "fetch.wait.max.ms": 5,
            }
        )
        topic = conf.kafka.topics["loyalty_events"]
        parts = self._consumer.list_topics(topic, 10).topics[topic].partitions
        self._consumer.assign([TopicPartition(topic, p, 0) for p in parts])
        self.put: dict[str, float] = {}
        self._seen: dict[str, float] = {}
        self._over = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while not self._over:
            for message in self._consumer.consume(500, timeout=0.02):
                now = time.perf_counter()
                transaction = orjson.loads(message.value())["transaction_id"]
                if transaction in self.put:
                    self._seen.setdefault(transaction, now)
        self._consumer.close()

    def results(self) -> list[float]:
        """Milliseconds from put to event, of those that came."""
        self._over = True
        self._thread.join(10)
        return [(seen - self.put[t]) * 1000 for t, seen in self._seen.items()]


class _Probe:
    """Looks at hot items until they show a transaction: all that are awaited at once, 50 times a
    second, so that looking costs the machine the same whatever the latency is."""

    PAUSE_S = 0.02
    PATIENCE_S = 20.0

    def __init__(self, conf: settings.Conf):
        self._client = clients.dynamodb(conf)
        self._table = conf.dynamodb.tables["balances"]
        self._awaited: dict[str, tuple[str, float]] = {}
        self._new: queue.SimpleQueue[tuple[str, str, float]] = queue.SimpleQueue()
        self._found: list[float] = []
        self._over = False
        self.lost = 0
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def watch(self, customer: str, transaction: str) -> None:
        self._new.put((customer, transaction, time.perf_counter()))

    def _look(self) -> None:
        while not (self._over and self._new.empty() and not self._awaited):
            while not self._new.empty():
                customer, transaction, since = self._new.get()
                self._awaited[customer] = (transaction, since)
            for item in self._items(list(self._awaited)[:100]):
                transaction, since = self._awaited[item["customer_id"]["S"]]
                if item["last_transaction_id"]["S"] == transaction:
                    self._found.append((time.perf_counter() - since) * 1000)
                    del self._awaited[item["customer_id"]["S"]]
            for customer, (_, since) in list(self._awaited.items()):
                if time.perf_counter() - since > self.PATIENCE_S:
                    del self._awaited[customer]
                    self.lost += 1
            time.sleep(self.PAUSE_S)

    def _items(self, customers: list[str]) -> list[dict[str, Any]]:
        if not customers:
            return []
        keys = [{"customer_id": {"S": customer}} for customer in customers]
        asked = {self._table: {"Keys": keys, "ConsistentRead": True}}
        return self._client.batch_get_item(RequestItems=asked)["Responses"][self._table]

    def results(self) -> list[float]:
        self._over = True
        self._thread.join(60)
        return self._found


@contextlib.contextmanager
def held(processes: list[psutil.Process], cores: float) -> Iterator[None]:
    """Each of ``processes`` gets at most so much of the machine (cgroups v1; raises OSError without).

    On a machine of two cores one TaskManager takes more than one of them, so two cannot show what
    they would do on machines of their own; two that are held to half a core each can.
    """
    folders = [Path(f"/sys/fs/cgroup/cpu/tillstream-bench-{p.pid}") for p in processes]
    try:
        for folder, process in zip(folders, processes, strict=True):
            folder.mkdir()
            (folder / "cpu.cfs_period_us").write_text("20000")
            (folder / "cpu.cfs_quota_us").write_text(str(int(cores * 20_000)))
            (folder / "cgroup.procs").write_text(str(process.pid))
        yield
    finally:
        for folder, process in zip(folders, processes, strict=True):
            with contextlib.suppress(OSError):
                Path("/sys/fs/cgroup/cpu/cgroup.procs").write_text(str(process.pid))
                folder.rmdir()


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
    parser.add_argument("--only", choices=["rates", "latency"], help="leave the other out")
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
    figures: dict[str, Any] = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "count": args.count,
        "disk": str(args.disk),
    }
    if args.only != "latency":
        figures["rows"] = rates(bench, args)
    if args.only != "rates":
        figures["stand_in_puts_per_s"] = bench.stand_in()
        figures["latency"] = [
            bench.latency(f"bench-latency-{rate}", rate, args.latency_seconds)
            for rate in (1_000, 300)
        ]
    return figures


def rates(bench: Bench, args: argparse.Namespace) -> dict[str, dict[str, float]]:
    bench.fill("bench", args.count, args.customers)
    bench.fill("bench-all", args.all_sinks_count, args.customers)
    rows: dict[str, Any] = {}
    rows["bare Python consumer"] = bench.bare("bench", args.count)
    rows[ONE] = bench.job("bench", "batched", "none", 1)
    rows["the job, 2 TaskManagers"] = bench.job("bench", "batched", "none", 2)
    try:
        for count in (1, 2):
            rows[HALF.format(count)] = bench.job("bench", "batched", "none", count, 60, 0.5)
    except OSError as error:
        say(f"TaskManagers cannot be held to a share of the machine here ({error}): left out")
    rows["one call a record, thread mode"] = bench.job("bench", "thread", "none", 1)
    rows["one call a record, process mode"] = bench.job("bench", "process", "none", 1, limit_s=70)
    rows["the job, all sinks, 1 TaskManager"] = bench.job("bench-all", "batched", "all", 1)
    for name, row in rows.items():
        say(f"{name}: {row['rate']:,.0f} tx/s")
    return rows


def show(figures: dict[str, Any]) -> None:
    console = Console()
    if rows := figures.get("rows"):
        title = f"loyalty, {figures['count']:,} transactions, {figures['machine']}"
        table = Table(title=title, min_width=100)
        for column in ("", "tx/s", "tx per CPU second", "of the job on one TaskManager"):
            table.add_column(column, justify="left" if not column else "right")
        for name, row in rows.items():
            rate, per_cpu = row["rate"], row["per_cpu_second"]
            share = f"{rate / rows[ONE]['rate']:.2f}x"
            table.add_row(name, f"{rate:,.0f}", f"{per_cpu:,.0f}", share)
        console.print(table)
        if HALF.format(2) in rows:
            scaling = rows[HALF.format(2)]["rate"] / rows[HALF.format(1)]["rate"]
            console.print(f"two TaskManagers held to half a core each: {scaling:.2f}x one")
    for row in figures.get("latency", []):
        parts = [
            f"{name} p50 {row[f'{key}_p50_ms']:,.0f} ms, p99 {row[f'{key}_p99_ms']:,.0f} ms"
            for key, name in (("event", "to event"), ("hot_item", "to hot item"))
            if f"{key}_p50_ms" in row
        ]
        late = row["hot_item_not_within_20_s"]
        console.print(f"{row['rate']:,} tx/s: {'; '.join(parts)}; {late} items not within 20 s")
    if puts := figures.get("stand_in_puts_per_s"):
        console.print(f"the stand-in for DynamoDB takes {puts:,.0f} conditional puts a second")


if __name__ == "__main__":
    main()
