"""Every job beside what else could do its work, in one run on one machine: what ``tillstream bench`` runs.

Rows: each job as it is; each job in PyFlink's default process mode; the loyalty sum in SQL, which is the
JVM alone; in a bare Python consumer; and in other engines. All read the same transactions, on one worker
each: one TaskManager of one slot, one thread, one process. Intake, SQL, the consumer and the engines read
them as tills send them, the other jobs as the front door writes them, so what a transaction costs in all is
intake's and theirs. Rates are taken in mid-run (benchmarks/rig.py), in rounds, so that repeats of a row lie
minutes apart; latency at a steady rate, of a job alone and, on a second TaskManager, with intake before it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import bare, in_python, output
from benchmarks.fraud_speed import latency as alert_latency
from benchmarks.jobs import loyalty_sql
from benchmarks.jobs.variant import EVENTS
from benchmarks.latency import Told, send_and_note
from benchmarks.peers import run as peers
from benchmarks.rig import BOTH, RAW, STAGE, Counted, Put, Rig, names, rig, side
from tillstream import catalog
from tillstream import conf as settings

SQL_JOB = Path(loyalty_sql.__file__)
# Those that are shown in process mode too, a minute each.
IN_PROCESS_MODE = ("loyalty", "fraud", "inventory")
TOPIC = "bench"
# The same again, for the SQL job alone, which reads one topic within seconds.
MORE = tuple(f"{TOPIC}-more-{n}" for n in range(3))
# The state that stands for a job in the table, and its key.
STATE = {
    "intake": ("intake-mark", "transaction"),
    "loyalty": ("loyalty-account", "customer"),
    "fraud": ("fraud-profile", "customer"),
    "inventory": ("stock", "shelf"),
    "shortage": ("store-watch", "store"),
}
Run = Callable[[], dict[str, Any]]
VISITS = 6.0  # of a customer, in the topic and in the figures of state


class Settings(NamedTuple):
    """What one run measures. Seconds: warm-up, window and limit of a rate; of a latency."""

    jobs: tuple[str, ...] = tuple(STAGE)
    count: int = 600_000
    repeats: int = 2
    peers: tuple[str, ...] = ()
    process_mode: bool = True
    latency: bool = True
    latency_rate: int = 1_000
    latency_s: int = 20
    warm_s: float = 8.0
    window_s: float = 12.0
    disk: Path | None = output.memory()


def measure(chosen: Settings) -> dict[str, Any]:
    """All figures of one run; a peer that does not run has an ``error`` in its row."""
    began = time.monotonic()
    for name in chosen.peers:  # before anything is measured
        output.say(f"installing {peers.PEERS[name].name}")
        peers.python_of(name)
    with rig(chosen.disk, taskmanagers=1) as bench:
        topic = fill(bench, chosen.count, MORE if "loyalty" in chosen.jobs else ())
        rows = rates(bench, chosen, topic)
        if chosen.latency:
            for (name, figure), found in latencies(bench, chosen).items():
                rows.setdefault(name, {"samples": []})[figure] = found
    for job, found in state(chosen).items():
        rows[job]["state"] = found
    return {
        **output.about(),
        "took_s": round(time.monotonic() - began),
        "topic": topic._asdict(),
        "settings": {k: str(v) if isinstance(v, Path) else v for k, v in chosen._asdict().items()},
        "rows": rows,
    }


def fill(bench: Rig, count: int, more: tuple[str, ...] = ()) -> Put:
    counted = Counted(in_python.simulated(count, max(int(count / VISITS), 1), 1))
    made = list(counted)
    for topic in (TOPIC, *more):
        bench.fill(topic, made, BOTH if topic == TOPIC else (RAW,))
    return counted.put


def attempt(bench: Rig, run: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """What ``run`` finds; a failure of one row is told in it, as ``error``: the others still count."""
    try:
        return run(*arguments)
    except Exception as error:
        bench.clear()
        return {"error": f"{type(error).__name__}: {error}"[:400]}


def rates(bench: Rig, chosen: Settings, topic: Put) -> dict[str, dict[str, Any]]:
    """Rounds over all rows; the slow ones (process mode) in the first alone."""
    rows: dict[str, dict[str, Any]] = {}
    for round_ in range(chosen.repeats):
        for name, run in subjects(bench, chosen, topic).items():
            if round_ and name.endswith(PROCESS):
                continue
            row = rows.setdefault(name, {"samples": []})
            found = attempt(bench, run)
            if "error" in found:
                row |= found
                output.say(f"{name}: {row['error']}", markup=False)
                continue
            row["samples"].append(found)
            rate, per_cpu = found["rate"], found["per_cpu_second"]
            output.say(f"{name}: {rate:,.0f} tx/s, {per_cpu:,.0f} a CPU second")
    for row in rows.values():
        if samples := row["samples"]:
            for figure in ("rate", "per_cpu_second"):
                row[figure] = output.spread([sample[figure] for sample in samples])
            row["cpu_us"] = samples[-1].get("cpu_us", {})
    return rows


PROCESS = ", process mode"
SQL, BARE = "loyalty sum, SQL in the JVM", "loyalty sum, bare Python consumer"


def subjects(bench: Rig, chosen: Settings, topic: Put) -> dict[str, Run]:
    """Row -> what measures it once."""
    watching = {"warm_s": chosen.warm_s, "window_s": chosen.window_s, "limit_s": 120.0}
    conf = bench.conf(names(TOPIC))
    bootstrap = conf.source.kafka.bootstrap or ""
    runs: dict[str, Run] = {}

    def job(name: str, mode: str) -> Run:
        total, each = topic.read_by(name)
        return lambda: bench.rate(name, TOPIC, 1, mode=mode, total=total, each=each, **watching)

    for name in chosen.jobs:
        runs[name] = job(name, "batched")
    if chosen.process_mode:
        for name in (job for job in chosen.jobs if job in IN_PROCESS_MODE):
            runs[f"{name}{PROCESS}"] = job(name, "process")
    if "loyalty" in chosen.jobs:
        runs[SQL] = lambda: bench.rate(
            "loyalty-sql", TOPIC, 1, file=SQL_JOB, stage=loyalty_sql.STAGE,
            total=topic.with_customer * (1 + len(MORE)), each=topic.count / topic.with_customer, **watching,
        )  # fmt: skip
        runs[BARE] = lambda: bare.consume(bootstrap, TOPIC, topic.count)
        for name in chosen.peers:
            runs[f"loyalty sum, {peers.PEERS[name].name}"] = lambda name=name: peers.rate(
                name, bootstrap, TOPIC, topic.count, bench.stack.layout.data,
                window_s=chosen.window_s,
            )  # fmt: skip
    return runs


# -- latency ---------------------------------------------------------------------------------------


ALONE, FROM_TILL = "latency", "latency_from_till"


def latencies(bench: Rig, chosen: Settings) -> dict[tuple[str, str], dict[str, Any]]:
    """By row and figure: p50 and p99 from put to what a reader of Kafka sees of it, of the job ALONE from
    what it reads, and FROM_TILL from what tills send, with intake before it."""
    measured = (chosen.latency_rate, chosen.latency_s, 10)
    telling = [job for job in chosen.jobs if job == "fraud" or job in CAUSE]  # at once
    behind = [job for job in telling if job != catalog.DOOR]
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for job, figure in [(job, ALONE) for job in telling] + [(job, FROM_TILL) for job in behind]:
        run = alert_latency if job == "fraud" else event_latency
        if figure == FROM_TILL:
            run = partial(behind_intake, run)
        found[job, figure] = attempt(bench, run, bench, job, *measured)
        output.say(f"{job}, {figure}: {found[job, figure]}", markup=False)
    if "loyalty" in chosen.jobs:
        found[BARE, ALONE] = event_latency(bench, "", *measured)
    return found


def behind_intake(run: Callable[..., dict[str, Any]], bench: Rig, *measured: Any) -> dict[str, Any]:
    bench.stack.up(taskmanagers=2, progress=output.say)  # a slot for each job
    return run(bench, *measured, from_till=True)


CAUSE: dict[str, Callable[[dict[str, Any]], str | None]] = {
    "intake": lambda receipt: receipt["transaction_id"],
    "loyalty": lambda entry: entry["transaction_id"],
    "inventory": lambda entry: entry["entry_id"].rpartition("/")[0],
    "": lambda sale: sale["transaction_id"],
}


def event_latency(
    bench: Rig, job: str, rate: int, seconds: int, warm_s: int, from_till: bool = False
) -> dict[str, Any]:
    """Milliseconds from put until the job's event is read, of a dozen transactions a second; without
    a job: until the transaction itself is read and its JSON parsed."""
    topic = f"late-{job or 'bare'}" + ("-from-till" if from_till else "")
    overrides = names(topic, apart=True)
    conf = bench.conf(overrides)
    jobs = ([catalog.DOOR] if from_till else []) + ([job] if job else [])
    ids = [bench.submit(one, 1, overrides, sinks="events") for one in jobs]
    put = side(job) if job and not from_till else RAW
    told = Told(conf, conf.topic(EVENTS[job][1]) if job else topic, CAUSE[job])
    sender = bench.sender(conf, put)
    for sale in send_and_note(sender, rate, seconds + warm_s, warm_s, put != RAW):
        told.put[sale["transaction_id"]] = time.perf_counter()
    found = told.figures(rate)
    for job_id in ids:
        bench.jobs.flink.cancel(job_id)
    return found


def state(chosen: Settings) -> dict[str, dict[str, Any]]:
    """By job: bytes a key as the codec writes them, of customers with VISITS visits."""
    traffic, conf = in_python.Traffic(20_000, VISITS), settings.load("local")
    found = {}
    for job in chosen.jobs:
        if job in STATE:
            sizes = in_python.state_bytes(traffic, conf, job)
            name, key = STATE[job]
            found[job] = {"key": key, "bytes_a_key": sizes[name]["bytes_a_key"], "all": sizes}
    return found
