"""All stateful jobs at once: intake, and behind it loyalty, fraud, inventory, shortage and archive.

``python benchmarks/together.py`` starts a stack with a TaskManager of one slot for each job, submits all
jobs on empty topics, fills that of the tills while they are held back (where there are cgroups v1), and
watches each job from the moment all have begun and warmed up until it has read nine tenths. Intake writes
what it makes to Kafka, where the others read it; what these make is dropped in the JVM. The rate of the
whole is that of the job that is done last. Each job has a TaskManager of its own, so its CPU a transaction
is known too; their sum, in which intake is once, says what any sharing of the cores can reach.

With --jobs that leave out intake the others read a topic that is filled as it would have.

The traffic is that of an outage: all stores, --event-rate a second of event time. (With the stores as
empty as a few customers' visits leave them, each transaction would begin a new day in its store.)
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import psutil

from benchmarks import output
from benchmarks.cpu import Meter
from benchmarks.cpu import clocks as read_clocks
from benchmarks.rig import CHECKED, RAW, STAGE, Counted, Rig, held, mid_run, names, on_stack
from tillstream.catalog import DOOR
from tillstream.sim.simulator import Simulator

TOPIC = "together"
CUSTOMERS = 1_000_000  # so that few come twice within the minutes that the traffic is of


def measure(bench: Rig, args: argparse.Namespace) -> dict[str, Any]:
    jobs: list[str] = args.jobs
    start_ms = int((time.time() - args.count / args.event_rate) * 1000)
    counted = Counted(
        Simulator(
            "normal", 1, count=args.count, customers=CUSTOMERS, rate=args.event_rate,
            start_ms=start_ms,
        )
    )  # fmt: skip
    made = list(counted)
    bench.conf(names(TOPIC))
    each = {job: counted.put.read_by(job)[1] for job in jobs}
    clocks = {job: bench.clocks() for job in jobs}
    ids = {
        job: bench.submit(
            job, 1, names(TOPIC), clocks=clocks[job], sinks="events" if job == DOOR else "none"
        )
        for job in jobs
    }
    # Else the quick jobs would have read most of it before it is there and all are warm.
    with held(bench.processes("taskmanager"), 0.1):
        bench.fill(TOPIC, made, (RAW if DOOR in jobs else CHECKED,))
    seen: dict[str, list[Any]] = {job: [] for job in jobs}
    meters: dict[str, Meter] = {}
    began, open_jobs = 0.0, set(jobs)
    deadline = time.monotonic() + args.limit
    while open_jobs and time.monotonic() < deadline:
        done = {job: bench.done(ids[job], STAGE[job]) * each[job] for job in jobs}
        now = time.perf_counter()
        if not began and min(done.values()) > 0:
            began = now
        if began and now - began > args.warm:
            meters = meters or {
                job: Meter(home(bench, clocks[job]), [], clocks[job]) for job in jobs
            }
            for job in sorted(open_jobs):
                seen[job].append((now, done[job], meters[job].read()))
                if done[job] > args.count * 0.9:
                    open_jobs.remove(job)
        time.sleep(0.5)
    for job_id in ids.values():
        bench.jobs.flink.cancel(job_id)
    if open_jobs:
        raise SystemExit(f"{', '.join(open_jobs)}: not done in {args.limit:.0f} s; more --limit?")
    if short := [job for job in jobs if len(seen[job]) < 3]:
        raise SystemExit(f"{', '.join(short)}: done before the others were warm; more --count?")
    rows = {job: mid_run(seen[job], 1.0) for job in jobs}
    last = max(jobs, key=lambda job: seen[job][-1][0])
    return {
        **output.about(),
        "count": args.count,
        "event_rate": args.event_rate,
        "last": last,
        "rate": rows[last]["rate"],
        "rows": rows,
        "cpu_us": sum(sum(row["cpu_us"].values()) for row in rows.values()),
    }


def home(bench: Rig, clocks: Path) -> list[psutil.Process]:
    """The TaskManagers in which the job runs that writes ``clocks``."""
    threads = {thread for thread, _ in read_clocks(clocks)}
    managers = bench.processes("taskmanager")
    return [p for p in managers if threads & {t.id for t in p.threads()}]


def show(figures: dict[str, Any]) -> None:
    rows = [
        (job, f"{row['rate']:,.0f}", f"{sum(cpu.values()):.1f}", f"{cpu['python']:.1f}")
        for job, row in figures["rows"].items()
        for cpu in [row["cpu_us"]]
    ]
    output.table(
        f"at once, {figures['machine']}", ("", "tx/s", "us of CPU a tx", "in Python"), rows
    )
    cost = figures["cpu_us"]
    output.tell(
        f"the whole: {figures['rate']:,.0f} tx/s, {figures['last']} last; {cost:,.0f} us of CPU a "
        f"transaction, so {1e6 / cost:,.0f} tx/s a core at most"
    )


def main() -> None:
    parser = output.arguments(__doc__)
    parser.add_argument("--jobs", default=",".join(STAGE), help="of " + ", ".join(STAGE))
    parser.add_argument("--count", type=int, default=600_000, help="transactions in the topic")
    parser.add_argument(
        "--event-rate", type=float, default=1_000, help="tx/s of event time, over all stores"
    )
    parser.add_argument("--warm", type=float, default=8, help="seconds after all have begun")
    parser.add_argument("--limit", type=float, default=600, help="seconds for all of it")
    args = parser.parse_args()
    args.jobs = args.jobs.split(",")
    if unknown := set(args.jobs) - set(STAGE):
        parser.error(f"no {', '.join(sorted(unknown))}; there are {', '.join(STAGE)}")
    on_stack(args, measure, show, taskmanagers=len(args.jobs))


if __name__ == "__main__":
    main()
