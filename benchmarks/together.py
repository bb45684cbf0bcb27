"""All stateful jobs at once on one stream: loyalty, fraud, inventory, shortage and archive.

``python benchmarks/together.py`` starts a stack with a TaskManager of one slot for each job, submits all
jobs on an empty topic, each with its outputs dropped in the JVM, fills it within seconds, and takes each
job's rate in the same window: from the moment all have begun and warmed up, until the first has
read nine tenths or --window is over. The rate of the whole is that of the slowest job: a replay is over
when the last one is.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rich.console import Console
from rich.table import Table

from benchmarks.fraud_speed import simulated
from benchmarks.rig import STAGE, Rig, about, memory, mid_run, names, rig, write

TOPIC = "together"


def measure(bench: Rig, jobs: list[str], args: argparse.Namespace) -> dict[str, Any]:
    lines, made = 0, []
    for sent in simulated(args.count, max(args.count // 6, 1), 1):
        lines += len(sent.record["lines"]) if sent.record else 0
        made.append((sent.key, sent.raw))
    bench.conf(names(TOPIC))
    each = {job: args.count / lines if job == "inventory" else 1.0 for job in jobs}
    clocks = {job: bench.clocks() for job in jobs}
    ids = {job: bench.submit(job, 1, names(TOPIC), clocks=clocks[job]) for job in jobs}
    bench.fill(TOPIC, made)
    meters = {job: bench.meter(clocks[job]) for job in jobs}
    seen: dict[str, list[Any]] = {job: [] for job in jobs}
    began = 0.0
    deadline = time.monotonic() + args.limit
    while time.monotonic() < deadline:
        done = {job: bench.done(ids[job], STAGE[job]) * each[job] for job in jobs}
        now = time.perf_counter()
        if not began and min(done.values()) > 0:
            began = now
        if began and now - began > args.warm:
            for job in jobs:
                seen[job].append((now, done[job], meters[job].read()))
            over = max(done.values()) > args.count * 0.9 or now - began > args.warm + args.window
            if over and len(seen[jobs[0]]) > 1:
                break
        time.sleep(0.5)
    for job_id in ids.values():
        bench.jobs.flink.cancel(job_id)
    if len(seen[jobs[0]]) < 2:
        raise SystemExit("a job had read all before the others were warm: more --count")
    rows = {job: mid_run(seen[job], 1.0) for job in jobs}
    whole = rows[jobs[0]]
    return {
        **about(),
        "count": args.count,
        "rate": min(row["rate"] for row in rows.values()),
        "seconds": whole["seconds"],
        "rates": {job: row["rate"] for job, row in rows.items()},
        "python_us": {job: row["cpu_us"].get("python") for job, row in rows.items()},
        "cores": _cores(seen[jobs[0]]),
    }


def _cores(seen: list[Any]) -> dict[str, float]:
    """Cores busy in all TaskManagers and in the broker."""
    (t0, _, before), (t1, _, after) = seen[0], seen[-1]
    used = after - before
    return {"taskmanagers": used.total / (t1 - t0), "broker": used.broker / (t1 - t0)}


def show(figures: dict[str, Any]) -> None:
    table = Table("", "tx/s", "us in Python", title=f"all at once, {figures['machine']}")
    for job, rate in figures["rates"].items():
        spent = figures["python_us"][job]
        table.add_row(job, f"{rate:,.0f}", f"{spent:.1f}" if spent is not None else "")
    Console().print(table)
    cores = figures["cores"]
    Console().print(
        f"the whole: {figures['rate']:,.0f} tx/s; cores busy: {cores['taskmanagers']:.2f} in "
        f"TaskManagers, {cores['broker']:.2f} in the broker"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", default=",".join(STAGE), help="of " + ", ".join(STAGE))
    parser.add_argument("--count", type=int, default=600_000, help="transactions in the topic")
    parser.add_argument("--warm", type=float, default=8, help="seconds after all have begun")
    parser.add_argument("--window", type=float, default=40, help="seconds that are counted")
    parser.add_argument("--limit", type=float, default=240)
    parser.add_argument("--disk", type=Path, default=memory(), help="where the stack's data lies")
    parser.add_argument("--json", type=Path, help="write the figures here")
    args = parser.parse_args()
    jobs = args.jobs.split(",")
    if unknown := set(jobs) - set(STAGE):
        parser.error(f"no {', '.join(sorted(unknown))}; there are {', '.join(STAGE)}")
    with rig(args.disk, taskmanagers=len(jobs)) as bench:
        figures = measure(bench, jobs, args)
    show(figures)
    write(args.json, figures)


if __name__ == "__main__":
    main()
