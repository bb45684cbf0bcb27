"""How long the state of a million customers takes to save and to restore, and how large it is.

``python benchmarks/state_restore.py`` starts a stack of its own with two TaskManagers, gives every
customer some sales through Kafka and the loyalty job (its entries dropped in the JVM: no emulator is
measured), and then, for each state backend,

- checkpoint: from trigger to completion of a full one under no load, as Flink reports it;
- savepoint: stop with a canonical savepoint, by the clock;
- restore: from that savepoint, a fresh cluster: from the job's creation on the JobManager until every
  task runs, which is after its state is read, by polling; and from the submitting command's start;
- bytes a key and the number of keys, from the savepoint itself, which must be all customers.

The savepoint is made with the first backend and restored by each, as canonical ones allow.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import output
from benchmarks.in_python import sale
from benchmarks.rig import CHECKED, Rig, names, rig
from tillstream.clients.flink import FlinkRest
from tillstream.cluster import state_report

TOPIC = "restore"
T0 = 1_764_000_000_000
DAY_MS = 86_400_000
BREAD = {"product": "6001234567890", "quantity": 2, "unit_price_cents": 5_000, "category": "bakery"}


def sales(customers: int, visits: int) -> Iterator[tuple[str, bytes]]:
    """Every customer's first visit, then, a week later, every customer's second, ..."""
    for visit in range(visits):
        for customer in range(customers):
            store, at_ms = customer % 2900 + 1, T0 + visit * 7 * DAY_MS
            number, who = f"{store:04d}-03-2025112{visit}-{customer:07d}", f"C{customer:010d}"
            yield who, sale(number, store, at_ms, [BREAD], customer_id=who)


class Watch(threading.Thread):
    """When the newest job was created and when all its tasks ran, in seconds of this machine's clock."""

    def __init__(self, flink: FlinkRest) -> None:
        super().__init__(daemon=True)
        self.flink, self.known = flink, {job["jid"] for job in flink.jobs()}
        self.created = self.running = 0.0
        self.start()

    def run(self) -> None:
        while not self.running:
            for job in self.flink.jobs():
                if job["jid"] not in self.known:
                    seen = self.flink.job(job["jid"])
                    self.created = seen["timestamps"]["INITIALIZING"] / 1000
                    tasks = [vertex["status"] for vertex in seen["vertices"]]
                    if tasks and set(tasks) == {"RUNNING"}:
                        self.running = time.time()
            time.sleep(0.1)


def submit(bench: Rig, savepoint: str | None) -> tuple[str, float, float]:
    """(job id, seconds to restore, seconds with the client)."""
    watch, began = Watch(bench.jobs.flink), time.time()
    job = bench.submit(
        "loyalty", 2, names(TOPIC), mode="thread", savepoint=savepoint, timeout_s=240
    )
    watch.join(60)
    return job, watch.running - watch.created, watch.running - began


def checkpoint(bench: Rig, job: str) -> dict[str, float]:
    """One that is taken now: seconds and bytes."""
    bench.jobs.checkpoint(job)
    last = bench.jobs.checkpoints(job).last
    assert last is not None
    return {"seconds": last.duration_ms / 1000, "bytes": last.state_bytes}


def measure(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    savepoint = ""
    total = args.customers * args.visits
    for backend in args.backends:
        with rig(folder, state_backend=backend) as bench:
            bench.conf(names(TOPIC))
            row = rows.setdefault(backend, {})
            if not savepoint:
                bench.fill(TOPIC, sales(args.customers, args.visits), (CHECKED,))
                job, _, _ = submit(bench, None)
                row["fill_rate"] = total / bench.wait_read(job, "", total)
                output.say(f"filled at {row['fill_rate']:,.0f} records a second")
                row["checkpoint"] = checkpoint(bench, job)
                began = time.monotonic()
                made = bench.jobs.stop(job).location
                row["savepoint_seconds"] = time.monotonic() - began
                savepoint = str(Path(made.removeprefix("file:")).rename(folder / "savepoint"))
                (size,) = [s for s in state_report.report(savepoint).states if s.keys]
                assert size.keys == args.customers, f"{size.keys} keys"
                row["bytes_a_key"], row["value_p50"] = size.bytes_a_key, size.value_p50
            job, row["restore_seconds"], row["submit_seconds"] = submit(bench, savepoint)
            row["restored_checkpoint"] = checkpoint(bench, job)
            row["memory"] = sum(p.memory_info().rss for p in bench.processes("taskmanager"))
            output.say(f"{backend}: {row}")
    return {**output.about(), "customers": args.customers, "visits": args.visits, "rows": rows}


def show(figures: dict[str, Any]) -> None:
    title = f"{figures['customers']:,} customers, {figures['visits']} sales each"
    columns = ("backend", "restore s", "with the client s", "checkpoint s", "checkpoint MB",
               "savepoint s", "bytes a key", "TaskManagers MB")  # fmt: skip
    rows = [
        (
            backend, f"{row['restore_seconds']:.1f}", f"{row['submit_seconds']:.1f}",
            f"{row['restored_checkpoint']['seconds']:.1f}",
            f"{row['restored_checkpoint']['bytes'] / 1e6:.0f}",
            f"{row['savepoint_seconds']:.1f}" if "savepoint_seconds" in row else "",
            f"{row['bytes_a_key']:.0f}" if "bytes_a_key" in row else "",
            f"{row['memory'] / 1e6:.0f}",
        )
        for backend, row in figures["rows"].items()
    ]  # fmt: skip
    output.table(f"{title}, {figures['machine']}", columns, rows)


def main() -> None:
    parser = output.arguments(__doc__, disk=False)
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--visits", type=int, default=3, help="sales a customer; 5 at most")
    parser.add_argument("--backends", nargs="+", default=["hashmap", "rocksdb"])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tillstream-restore-") as folder:
        figures = measure(args, Path(folder))
    show(figures)
    output.write(args.json, figures)


if __name__ == "__main__":
    main()
