"""Speed of the fraud job with all its signals, in one run on one machine.

``python benchmarks/fraud_speed.py`` starts a stack of its own and measures

- throughput from Kafka on one TaskManager of one slot and on two, the default rules, every output made
  and dropped in the JVM; tx a second, and tx for each second of CPU that the TaskManagers take;
- the time from the moment a suspicious sale is put to Kafka until its alert can be read from the topic
  of notices, at a steady rate, the whole job with all its sinks on one TaskManager;
- bytes of state a customer, a card and a till, from the codecs.

Rates are taken in mid-run, warm-up and drain excluded. Results: a table, and JSON with --json FILE.
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

from benchmarks.loyalty import _cpu
from state_schemas import fraud_counters, fraud_profile
from tillstream import conf as settings
from tillstream.domain.fraud import observe
from tillstream.domain.transaction import InvalidTransaction, parse
from tillstream.fraud.pure_job import PureJob
from tillstream.fraud.rules_file import packaged_rules
from tillstream.local.resources import create_resources
from tillstream.local.stack import Stack
from tillstream.ops.jobs import Jobs
from tillstream.sim.senders import KafkaSender
from tillstream.sim.simulator import Simulator

say = Console(stderr=True).print
VARIANT = Path(__file__).parent / "jobs" / "fraud_variant.py"
VISITS_A_DAY = 1 / 8  # of a customer: 5 million transactions a day of 40 million customers


def overrides(topic: str) -> dict[str, Any]:
    """Names of their own for one measurement."""
    names = ("dead_letters", "fraud_labels", "fraud_rules", "fraud_answers", "holds", "notices")
    return {
        "source": {"kind": "kafka", "kafka": {"topic": topic}},
        "kafka": {"topics": {name: f"{topic}-{name}" for name in names}},
        "dynamodb": {
            "tables": {
                "fraud_cases": f"{topic}-cases",
                "fraud_explanations": f"{topic}-explanations",
            }
        },
        "s3": {"prefixes": {"fraud_audit": f"{topic}-audit", "dead_letters": f"{topic}-dead"}},
    }


def simulated(count: int, customers: int, seed: int) -> Simulator:
    """Traffic of ``customers`` who shop as often as a grocer's do, whatever the rate it is put at."""
    rate = customers * VISITS_A_DAY / 86_400
    start_ms = int((time.time() - count / rate) * 1000)  # so that the last is of now
    return Simulator(
        "normal", seed=seed, count=count, customers=customers, rate=rate, start_ms=start_ms
    )


class FraudBench:
    """One stack, one filled topic."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.jobs = Jobs(stack)

    def conf(self, topic: str) -> settings.Conf:
        conf = settings.load("local", overrides(topic))
        create_resources(conf)
        return conf

    def fill(self, topic: str, count: int, customers: int) -> None:
        """``count`` simulated transactions into ``topic``."""
        began = time.perf_counter()
        sender = KafkaSender(self.conf(topic), self.stack.layout.data / f"{topic}.spool")
        for sent in simulated(count, customers, 1):
            sender.send(sent.key, sent.raw)
        sender.close()
        say(f"{topic}: {count:,} put at {count / (time.perf_counter() - began):,.0f} a second")

    def throughput(self, topic: str, count: int, parallelism: int, limit_s: float) -> dict:
        """Rate of the last stage from a quarter of the records to nine tenths, or the limit."""
        self.conf(topic)
        job_id = self.jobs.submit(
            "fraud-variant", parallelism, overrides(topic), job_file=VARIANT, timeout_s=120
        )
        managers = [
            psutil.Process(process["pid"])
            for name, process in self.stack.layout.read()["processes"].items()
            if name.startswith("taskmanager")
        ]
        try:
            samples: list[tuple[float, int, float]] = []
            deadline = time.monotonic() + limit_s
            while time.monotonic() < deadline:
                vertices = self.jobs.flink.job(job_id)["vertices"]
                judge = next(v for v in vertices if "judge by subject" in v["name"])
                done = judge["metrics"]["read-records"]
                if done > count * 0.25:
                    samples.append((time.perf_counter(), done, _cpu(managers)))
                if done > count * 0.9:
                    break
                time.sleep(0.5)
            (t0, n0, c0), (t1, n1, c1) = samples[0], samples[-1]
            return {
                "rate": (n1 - n0) / (t1 - t0),
                "per_cpu_second": (n1 - n0) / (c1 - c0),
                "records": n1 - n0,
                "seconds": t1 - t0,
            }
        finally:
            self.jobs.flink.cancel(job_id)

    def latency(self, topic: str, rate: int, seconds: int, warm_s: int) -> dict[str, Any]:
        """Milliseconds from put to alert, at ``rate``, some ten suspicious sales a second."""
        conf = self.conf(topic)
        job_id = self.jobs.submit("fraud", 1, overrides(topic))
        alerts = Alerts(conf)
        sender = KafkaSender(conf, self.stack.layout.data / f"{topic}.spool")
        put: dict[str, int] = {}
        began = time.perf_counter()
        total = rate * (seconds + warm_s)
        for n, sent in enumerate(simulated(total, 4 * total, 2)):
            ahead = began + n / rate - time.perf_counter()
            if ahead > 0.001:
                time.sleep(ahead)
            raw, planted = sent.raw, None
            if n % max(rate // 10, 1) == 0:
                raw, planted = suspicious(sent.raw, n)
            if planted and n > rate * warm_s:
                put[planted] = time.time_ns()
            sender.send(sent.key, raw)
        sender.close()
        found = alerts.close(put, 20)
        self.jobs.flink.cancel(job_id)
        took = sorted((found[name] - put[name]) / 1e6 for name in put if name in found)
        cuts = statistics.quantiles(took, n=100)
        return {
            "rate": rate,
            "p50_ms": cuts[49],
            "p99_ms": cuts[98],
            "max_ms": took[-1],
            "samples": len(took),
            "lost": len(put) - len(took),
        }


def suspicious(raw: bytes, n: int) -> tuple[bytes, str | None]:
    """The same sale as one that the default rules hold: many gift cards, for much money."""
    try:
        document = orjson.loads(raw)
        if document["kind"] != "sale":
            return raw, None
    except (ValueError, KeyError, TypeError):
        return raw, None
    gift = {
        "product": "6009900000017",
        "quantity": 20,
        "unit_price_cents": 100_000,
        "category": "gift-cards",
    }
    document |= {"lines": [gift], "total_cents": 2_000_000, "transaction_id": f"planted-{n:08d}"}
    document.pop("points_to_redeem", None)
    return orjson.dumps(document), document["transaction_id"]


class Alerts(threading.Thread):
    """Reads the topic of notices and notes when each alert could be read (ns since epoch)."""

    def __init__(self, conf: settings.Conf) -> None:
        super().__init__(daemon=True)
        topic = conf.kafka.topics["notices"]
        self._consumer = Consumer(
            {
                "bootstrap.servers": conf.kafka.bootstrap or "",
                "group.id": "alerts",
                "fetch.wait.max.ms": 5,
            }
        )
        partitions = self._consumer.list_topics(topic, 10).topics[topic].partitions
        self._consumer.assign([TopicPartition(topic, p, 0) for p in partitions])
        self._seen: dict[str, int] = {}
        self._stop = threading.Event()
        self.start()

    def run(self) -> None:
        while not self._stop.is_set():
            for message in self._consumer.consume(100, 0.005):
                now = time.time_ns()
                if message.error() is None:
                    notice = orjson.loads(message.value())
                    if notice["kind"] == "alert":
                        self._seen.setdefault(notice["cause"], now)
        self._consumer.close()

    def close(self, wanted: dict[str, int], wait_s: float) -> dict[str, int]:
        deadline = time.monotonic() + wait_s
        while time.monotonic() < deadline and not wanted.keys() <= self._seen.keys():
            time.sleep(0.1)
        self._stop.set()
        self.join(10)
        return self._seen


def state_bytes(count: int, customers: int) -> dict[str, float]:
    """Mean bytes of a state after ``count`` transactions, and those of the largest."""
    job = PureJob(packaged_rules().rules)
    for sent in simulated(count, customers, 3):
        try:
            sale = parse(sent.raw)
        except InvalidTransaction:
            continue
        job.sale(sale, sale.event_time_ms)
    sizes = {
        "customer": [len(fraud_profile.encode(p)) for p in job.profiles.values()],
        "card": [len(fraud_counters.encode(c)) for c in job.cards.values()],
        "till": [len(fraud_counters.encode(c)) for c in job.tills.values()],
    }
    hot = None
    for n in range(1_000_000):
        hot, _ = observe(hot, n, 1_764_000_000_000 + n * 2_600, 40_000)
    assert hot is not None
    sizes["till after a million sales"] = [len(fraud_counters.encode(hot))]
    means = {name: statistics.mean(found) for name, found in sizes.items()}
    most = {f"largest {name}": max(found) for name, found in sizes.items() if len(found) > 1}
    return means | most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=600_000, help="transactions in the topic")
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--rate", type=int, default=1_000, help="of the latency measurement")
    parser.add_argument("--latency-seconds", type=int, default=40)
    parser.add_argument("--warm-seconds", type=int, default=20)
    parser.add_argument("--only", choices=["throughput", "latency", "state"])
    parser.add_argument("--json", type=Path, help="write the figures here")
    args = parser.parse_args()
    figures: dict[str, Any] = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "count": args.count,
    }
    if args.only in (None, "state"):
        figures["state_bytes"] = state_bytes(100_000, 5_000)
    if args.only != "state":
        with tempfile.TemporaryDirectory(prefix="tillstream-bench-") as home:
            os.environ["TILLSTREAM_HOME"] = home
            stack = Stack(home)
            try:
                stack.up(taskmanagers=2, progress=say)
                measure(FraudBench(stack), args, figures)
            finally:
                stack.down(purge=True)
    show(figures)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")


def measure(bench: FraudBench, args: argparse.Namespace, figures: dict[str, Any]) -> None:
    if args.only in (None, "throughput"):
        bench.fill("fraud-bench", args.count, args.customers)
        for parallelism in (1, 2):
            row = bench.throughput("fraud-bench", args.count, parallelism, 120)
            figures[f"{parallelism} TaskManager"] = row
            say(
                f"{parallelism}: {row['rate']:,.0f} tx/s, {row['per_cpu_second']:,.0f} a CPU second"
            )
    if args.only in (None, "latency"):
        figures["latency"] = bench.latency(
            "fraud-latency", args.rate, args.latency_seconds, args.warm_seconds
        )


def show(figures: dict[str, Any]) -> None:
    console = Console()
    table = Table("", "tx/s", "tx per CPU second", title=f"fraud, {figures['machine']}")
    for n in (1, 2):
        if row := figures.get(f"{n} TaskManager"):
            table.add_row(
                f"{n} TaskManager", f"{row['rate']:,.0f}", f"{row['per_cpu_second']:,.0f}"
            )
    console.print(table)
    if latency := figures.get("latency"):
        console.print(
            f"put to alert at {latency['rate']:,} tx/s: p50 {latency['p50_ms']:.0f} ms, p99 "
            f"{latency['p99_ms']:.0f} ms, max {latency['max_ms']:.0f} ms, {latency['samples']} "
            f"samples, {latency['lost']} lost"
        )
    if sizes := figures.get("state_bytes"):
        console.print("bytes of state: " + ", ".join(f"{k} {v:.0f}" for k, v in sizes.items()))


if __name__ == "__main__":
    main()
