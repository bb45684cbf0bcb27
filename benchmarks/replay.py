"""An outage, and how fast it is caught up: the loyalty and archive jobs together, on one machine.

``python benchmarks/replay.py`` starts a stack of its own, runs intake and both jobs, takes savepoints, and
makes an outage of --minutes at --rate transactions a second: the two jobs are cancelled, and the topic
that they read is filled with what intake would have written meanwhile, with the times it would have come at.
Then ``tillstream replay`` takes both jobs back to their savepoints and on, while tills go on sending --rate
transactions a second through intake. It is caught up when both jobs are less than 10 s behind.

The stack's data lies in memory (/dev/shm) unless --disk says otherwise: what is measured is the jobs,
not this machine's disk. The figure is outage / catch-up, submission and restore included. CPU seconds
of each process say what the machine was busy with.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import psutil
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from benchmarks import front_door, output, profile_job
from benchmarks.cpu import kind, seconds, threads
from benchmarks.rig import CHECKED, Rig, on_stack, topic_of
from tillstream import catalog
from tillstream import conf as settings
from tillstream.clients.delivery import open_producer
from tillstream.cluster.savepoints import Savepoints
from tillstream.replay.replay import Replay
from tillstream.replay.watch import Watch
from tillstream.sim import runner
from tillstream.sim.senders import KafkaSender
from tillstream.sim.simulator import Simulator

JOBS = ("loyalty", "archive")
LIMIT_S = 400.0
CUSTOMERS = 20_000
TIMES = ("message.timestamp.type", "CreateTime")


@contextlib.contextmanager
def live(
    conf: settings.Conf, rate: int, seed: int, folder: Path
) -> Iterator[Future[runner.Outcome]]:
    """Tills that go on sending, until the block ends; then it is known how much."""
    sender = KafkaSender(conf, folder / f"spool-{seed}")
    traffic = Simulator("normal", seed, customers=CUSTOMERS, rate=rate)
    stop = threading.Event()
    with ThreadPoolExecutor() as pool:
        try:
            yield pool.submit(runner.run, traffic, sender, None, rate=rate, stop=stop)
        finally:
            stop.set()


def fill(conf: settings.Conf, count: int, rate: int) -> None:
    """``count`` transactions as intake writes them, the last of them now, each at the time it would have
    come: not that of the filling, which the broker would give it."""
    name = topic_of(conf, CHECKED)
    entry = ConfigEntry(*TIMES, incremental_operation=AlterConfigOpType.SET)
    topic = ConfigResource(ResourceType.TOPIC, name, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": conf.kafka.bootstrap or ""})
    admin.incremental_alter_configs([topic])[topic].result(20)
    producer = open_producer(
        {
            "bootstrap.servers": conf.kafka.bootstrap or "",
            "linger.ms": 20,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 200_000,
        }
    )
    start_ms = int(time.time() * 1000) - int(count / rate * 1000)
    traffic = Simulator(
        "normal", seed=2, count=count, customers=CUSTOMERS, rate=rate, start_ms=start_ms
    )
    for n, sent in enumerate(traffic):
        at_ms = start_ms + int(n / rate * 1000)
        key, raw = front_door.checked(sent.raw)
        while True:
            try:
                producer.produce(name, raw, key, timestamp=at_ms)
                break
            except BufferError:
                producer.poll(0.05)
        if n % 256 == 0:
            producer.poll(0)
    producer.flush(60)


def cpu_seconds(bench: Rig) -> Counter[str]:
    """User and system seconds so far of each process, and of each thread of the TaskManagers."""
    found: Counter[str] = Counter()
    for name in bench.stack.layout.read()["processes"]:
        for process in bench.processes(name):
            found[name] = seconds([process])
            if name.startswith("taskmanager"):
                for thread, used in threads(process.pid).values():
                    found[f"{name}: {kind(thread)}"] += used
    found["tills and watching"] = seconds([psutil.Process()])
    return found


def recorders(bench: Rig, folder: Path, do: str, *options: str) -> None:
    """Flight Recorder of each TaskManager: ``start`` or ``dump``, which also writes it as text."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, process in enumerate(bench.processes("taskmanager"), 1):
        file = (folder / f"taskmanager-{number}.jfr").resolve()
        if do == "dump":
            options = (f"filename={file}",)
        code, said = profile_job.recorder(process.pid, do, "replay", *options)
        if code:
            output.say(f"no recording: {said.strip()[-300:]}")
        elif do == "dump":
            text = "\n\n".join(profile_job.java_part(file))
            file.with_suffix(".txt").write_text(text + "\n")
            output.say(f"{file.with_suffix('.txt')} tells where Java's time went")


def hot_items(bench: Rig, job_id: str) -> Counter[str]:
    """What the hot items' sink tells of itself: held, waiting, written, coalesced, ..."""
    flink, found = bench.jobs.flink, Counter[str]()
    for vertex in flink.job(job_id)["vertices"]:
        names = [
            name
            for name in flink.metric_names(job_id, vertex["id"])
            if name.endswith((".held", ".waiting", ".written", ".coalesced"))
        ]
        if names:
            for row in flink.metric_rows(job_id, vertex["id"], names):
                found[row["id"].rpartition(".")[2]] += int(row["sum"])
    return found


def measure(bench: Rig, args: argparse.Namespace) -> dict[str, Any]:
    folder = bench.stack.layout.root
    changed = {"source": {"kind": "kafka"}, "transactions": {"require_append_time": False}}
    os.environ["TILLSTREAM_CONF"] = json.dumps(changed)
    conf = settings.load("local")
    jobs = bench.jobs
    for name in (catalog.DOOR, *JOBS):
        jobs.submit(name, 1)
    output.say(f"all jobs run; {args.rate:,} tx/s for {args.warm} s")
    savepoints = Savepoints(jobs, conf)
    with live(conf, args.rate, 1, folder) as warm:
        time.sleep(args.warm)
        taken = {name: savepoints.take(name) for name in JOBS}
    warm.result()  # raises what ended it early
    for name in JOBS:
        jobs.cancel(name)
    count = int(args.minutes * 60 * args.rate)
    began = time.perf_counter()
    fill(conf, count, args.rate)
    output.say(
        f"outage: {count:,} transactions came meanwhile, put in {time.perf_counter() - began:.0f} s"
    )

    caught: dict[str, float] = {}
    current: dict[str, float] = {}
    rates: dict[str, float] = {}

    def replay(name: str) -> None:
        one = Replay(jobs, conf.of(catalog.job(name)), lambda line: None)
        phase = one.begin(name, taken[name], {}, 1)
        watch = Watch(jobs, phase.job_id)
        running = time.perf_counter()
        while time.perf_counter() - began < LIMIT_S:
            seen = watch.look()
            now = time.perf_counter()
            if int(now) % 5 == 0:
                output.say(f"{name} {now - began:.0f} s: {seen.line()}")
            if one.is_there(phase, seen):
                caught[name] = now - began
                rates[name] = seen.read / (now - running)
                if name == "loyalty":
                    output.say(f"hot items: {dict(hot_items(bench, phase.job_id))}")
                    while hot_items(bench, phase.job_id)["held"]:
                        time.sleep(0.5)
                    current[name] = time.perf_counter() - began
                    output.say(f"hot items: {dict(hot_items(bench, phase.job_id))}")
                return
            time.sleep(1)

    with live(conf, args.rate, 3, folder) as sent:
        if args.profile:
            recorders(bench, args.profile, "start", "settings=profile")
        cpu, began = cpu_seconds(bench), time.perf_counter()
        with ThreadPoolExecutor() as pool:
            ends = [pool.submit(replay, name) for name in JOBS]
        took, used = time.perf_counter() - began, cpu_seconds(bench) - cpu
        if args.profile:
            recorders(bench, args.profile, "dump")
    for end in ends:
        end.result()
    return {
        **output.about(),
        "outage_minutes": args.minutes,
        "rate": args.rate,
        "customers": CUSTOMERS,
        "disk": str(args.disk),
        "task_heap": args.heap,
        "arrived_meanwhile": sent.result().sent,
        "caught_up_s": caught,
        "hot_items_current_s": current.get("loyalty"),
        "read_per_second": rates,
        "ratio": args.minutes * 60 / max(caught.values()) if len(caught) == len(JOBS) else 0.0,
        "cpu_share": {name: used[name] / took for name in used if ": " not in name},
        "thread_share": {
            name: share
            for name, spent in used.most_common()
            if ": " in name and (share := spent / took) > 0.005
        },
    }


def show(figures: dict[str, Any]) -> None:
    output.table(
        f"{figures['outage_minutes']:g} min outage, {figures['machine']}",
        ("job", "caught up after", "read a second"),
        [
            (name, f"{after:.0f} s", f"{figures['read_per_second'][name]:,.0f}")
            for name, after in figures["caught_up_s"].items()
        ],
    )
    busy = ", ".join(f"{name} {share:.2f}" for name, share in figures["cpu_share"].items())
    output.tell(f"cores busy: {busy}")
    if current := figures["hot_items_current_s"]:
        output.tell(f"the last held hot item was written {current:.0f} s after")
    output.tell(
        f"outage / catch-up: {figures['ratio']:.1f}x" if figures["ratio"] else "not caught up"
    )


def main() -> None:
    parser = output.arguments(__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="of outage")
    parser.add_argument("--rate", type=int, default=1_000, help="transactions a second")
    parser.add_argument("--warm", type=int, default=20, help="seconds of traffic before the outage")
    parser.add_argument("--heap", default="1536m", help="task heap of a TaskManager")
    parser.add_argument("--profile", type=Path, help="folder for what Flight Recorder saw of it")
    args = parser.parse_args()
    os.environ["TILLSTREAM_FLINK"] = json.dumps({"taskmanager.memory.task.heap.size": args.heap})
    on_stack(args, measure, show, taskmanagers=1 + len(JOBS))


if __name__ == "__main__":
    main()
