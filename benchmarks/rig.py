"""What benchmarks on the local stack share: a stack of their own, filled topics, a job's rate in mid-run.

A topic that is filled has two sides, as the product has two streams: what tills send (RAW), which the job
`intake` reads, and what the front door makes of it (CHECKED), which all other jobs read.

A rate is that of one vertex between two moments: after the first fifth of the records, or ten seconds
after the first, and until nine tenths are read or the window is over. CPU is taken at the same two
moments (benchmarks/cpu.py).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import psutil

from benchmarks import front_door, output
from benchmarks.cpu import Meter, Used
from benchmarks.output import say
from tillstream import catalog
from tillstream import conf as settings
from tillstream.catalog import topics
from tillstream.catalog.apart import apart as names_apart
from tillstream.clients.flink import TERMINAL, FlinkRestError
from tillstream.clients.wait import wait_until
from tillstream.cluster.local import LocalCluster
from tillstream.local.resources import create_resources
from tillstream.local.stack import Stack
from tillstream.replay import stream_reach
from tillstream.sim.senders import KafkaSender
from tillstream.sim.simulator import Sent

JOBS = Path(__file__).parent / "jobs"
VARIANT = JOBS / "variant.py"
PAUSE_S = 0.5
STALE_S = 2.0  # after so long Flink's REST knows no figure of now
FETCH_S = 1.2  # until it does: metrics.fetcher.update-interval and the way there
# What a rate is taken of, by job: the start of the name of its last keyed stage.
STAGE = {
    "intake": "each transaction once",
    "loyalty": "points ledger by customer",
    "archive": "archive once",
    "fraud": "judge by subject",
    "inventory": "stock by store and product",
    "shortage": "shelves by store",
}
BOTH = RAW, CHECKED = "raw", "checked"


def side(job: str) -> str:
    """What ``job`` reads of a topic that was filled."""
    return RAW if job == catalog.DOOR else CHECKED


class Put(NamedTuple):
    """What lies in a topic: transactions and the lines of all their baskets; of how many a customer is
    known, and how many customers."""

    count: int
    lines: int
    with_customer: int = 0
    customers: int = 0

    def read_by(self, job: str) -> tuple[int, float]:
        """Records that STAGE's vertex of ``job`` will read, and transactions to each of them."""
        return (self.lines, self.count / self.lines) if job == "inventory" else (self.count, 1.0)


class Counted:
    """(key, record) of what a simulator sends; ``put``: what it was, once all is taken."""

    def __init__(self, traffic: Iterable[Sent]) -> None:
        self._traffic = traffic
        self.put = Put(0, 0)

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        customers: set[str] = set()
        count = lines = known = 0
        for sent in self._traffic:
            count += 1
            record = sent.record or {}
            lines += len(record.get("lines", ()))
            if customer := record.get("customer_id"):
                known += 1
                customers.add(customer)
            yield sent.key, sent.raw
        self.put = Put(count, lines, known, len(customers))


def names(topic: str, apart: bool = False) -> dict[str, Any]:
    """Overrides of conf for a measurement: tills write to ``topic``, the front door to
    ``<topic>-checked``. ``apart``: with outputs of its own."""
    streams = {
        "source": {"kind": "kafka", "kafka": {"topic": topic}},
        "kafka": {"topics": {topics.TRANSACTIONS.id: f"{topic}-checked"}},
    }
    return settings.merge(names_apart(topic) if apart else {}, streams)


def topic_of(conf: settings.Conf, side: str) -> str:
    return conf.source.kafka.topic if side == RAW else conf.topic(topics.TRANSACTIONS)


@contextlib.contextmanager
def rig(
    disk: Path | None = None, taskmanagers: int = 2, state_backend: str | None = None
) -> Iterator[Rig]:
    """A stack in a new folder under ``disk``, taken down with all its data in any case."""
    handled = _on_sigterm(lambda *_: sys.exit(143))
    with (
        tempfile.TemporaryDirectory(prefix="tillstream-bench-", dir=disk) as home,
        patch.dict(os.environ, TILLSTREAM_HOME=home),
    ):
        stack = Stack(home)
        try:
            stack.up(taskmanagers=taskmanagers, state_backend=state_backend, progress=say)
            yield Rig(stack)
        finally:
            _on_sigterm(signal.SIG_IGN)  # a second one would leave the stack running
            stack.down(purge=True)
            _on_sigterm(handled)


def on_stack(
    args: Namespace,
    measure: Callable[..., dict[str, Any]],
    show: Callable[[Any], None],
    **of_stack: Any,
) -> dict[str, Any]:
    """What ``measure`` finds on a stack of its own (``of_stack``: for `rig`), shown and written."""
    with rig(args.disk, **of_stack) as bench:
        figures = measure(bench, args)
    show(figures)
    output.write(args.json, figures)
    return figures


def _on_sigterm(handler: Any) -> Any:
    """The handler before; outside the main thread, as in a test, there is nothing to set."""
    with contextlib.suppress(ValueError):
        return signal.signal(signal.SIGTERM, handler)
    return signal.SIG_DFL


class Rig:
    """One stack, and what is done with it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.jobs = LocalCluster(stack)
        self._asked = -STALE_S

    def conf(self, overrides: dict[str, Any]) -> settings.Conf:
        """The settings with ``overrides``, all they name being there."""
        conf = settings.load("local", overrides)
        if create_resources(conf):
            time.sleep(2)  # until every broker's client may know the topics
        return conf

    def sender(self, conf: settings.Conf, side: str = RAW) -> KafkaSender:
        spool = self.stack.layout.data / f"spool-{time.time_ns()}"
        return KafkaSender(conf, spool, topic_of(conf, side))

    def fill(
        self, topic: str, records: Iterable[tuple[str, bytes]], sides: Sequence[str] = BOTH,
        apart: bool = False,
    ) -> int:  # fmt: skip
        """Puts (key, record) of tills on the ``sides`` of ``topic``; returns how many."""
        conf, count = self.conf(names(topic, apart)), 0
        senders = {side: self.sender(conf, side) for side in sides}
        began = time.perf_counter()
        for key, raw in records:
            if RAW in senders:
                senders[RAW].send(key, raw)
            if CHECKED in senders:
                senders[CHECKED].send(*front_door.checked(raw))
            count += 1
        if lost := sum(sender.close() for sender in senders.values()):
            raise RuntimeError(f"{lost:,} of {count:,} transactions did not reach {topic}")
        rate = count / (time.perf_counter() - began)
        say(f"{topic}, {' and '.join(sides)}: {count:,} transactions put at {rate:,.0f} a second")
        return count

    def fill_sent(
        self, topic: str, traffic: Iterable[Sent], sides: Sequence[str] = BOTH, apart: bool = False
    ) -> Put:
        """``fill`` with what a simulator sends."""
        records = Counted(traffic)
        self.fill(topic, records, sides, apart)
        return records.put

    def total(self, conf: settings.Conf, side: str) -> int:
        """Records on that side of the topic that ``conf`` names."""
        ends = stream_reach.watermarks(conf, topic_of(conf, side), conf.kafka.bootstrap)
        return sum(next_offset for _, next_offset in ends.values())

    # -- processes ---------------------------------------------------------------------------------

    def processes(self, start: str) -> list[psutil.Process]:
        """Those of the stack whose names begin so, e.g. ``taskmanager`` or ``kafka``."""
        running = self.stack.layout.read()["processes"]
        return [psutil.Process(p["pid"]) for n, p in running.items() if n.startswith(start)]

    def meter(self, clocks: Path | None = None) -> Meter:
        return Meter(self.processes("taskmanager"), self.processes("kafka"), clocks)

    # -- jobs --------------------------------------------------------------------------------------

    def submit(
        self,
        job: str,
        parallelism: int,
        overrides: dict[str, Any],
        *,
        mode: str = "batched",
        sinks: str = "none",
        clocks: Path | None = None,
        sample: bool = False,
        savepoint: str | None = None,
        file: Path = VARIANT,
        timeout_s: float = 150,
        beside: bool = False,
    ) -> str:
        """A job as benchmarks run it (benchmarks/jobs/variant.py says what the words mean); ``beside``:
        though the same runs already."""
        chosen = {"job": job, "mode": mode, "sinks": sinks, "sample": sample}
        if clocks is not None:
            chosen["clocks"] = str(clocks)
        os.environ["TILLSTREAM_BENCH"] = json.dumps(chosen)
        changed = overrides | {"job": {"require_thread_mode": mode != "process"}}
        name = f"{job}-variant" + ("-beside" if beside else "")
        return self.jobs.submit(name, parallelism, changed, savepoint, file, timeout_s=timeout_s)

    def clear(self) -> None:
        """Cancels whatever still runs, as after a submission that failed half-way: it holds slots."""
        for job in self.jobs.flink.jobs():
            if job["state"] not in TERMINAL:
                with contextlib.suppress(FlinkRestError):
                    self.jobs.flink.cancel(job["jid"])

    def clocks(self) -> Path:
        """A new folder for what a job's Python measures of itself."""
        return Path(tempfile.mkdtemp(prefix="clocks-", dir=self.stack.layout.data))

    def rate(
        self,
        job: str,
        topic: str,
        parallelism: int,
        *,
        mode: str = "batched",
        sinks: str = "none",
        total: int | None = None,
        stage: str | None = None,
        file: Path = VARIANT,
        apart: bool = False,
        copies: int = 1,
        after: Callable[[str], dict[str, Any]] = lambda job_id: {},
        **watching: Any,
    ) -> dict[str, Any]:
        """Submits the job on a filled topic, watches it in mid-run (``watch``), cancels it.

        ``total``: records that the watched stage will have read, by default all on the job's side.
        ``copies``: so many of the job read it, each for itself, and count together. ``after``: figures
        to add that are taken once it was watched.
        """
        conf = self.conf(names(topic, apart))
        clocks = self.clocks() if mode == "batched" and file == VARIANT else None
        total = copies * (self.total(conf, side(job)) if total is None else total)
        ids: list[str] = []
        try:
            for n in range(copies):
                ids.append(
                    self.submit(
                        job, parallelism, names(topic, apart), mode=mode, sinks=sinks,
                        clocks=clocks, file=file, beside=n > 0,
                    )
                )  # fmt: skip
            meter = self.meter(clocks)
            row = self.watch(ids, STAGE[job] if stage is None else stage, total, meter, **watching)
            return row | after(ids[0])
        finally:
            for job_id in ids:
                self.jobs.flink.cancel(job_id)

    def watch(
        self,
        ids: Sequence[str],
        stage: str,
        total: int,
        meter: Meter,
        *,
        each: float = 1.0,
        warm: float = 0.2,
        warm_s: float = 10.0,
        window_s: float = 1e9,
        limit_s: float = 240.0,
        at_each: Callable[[], object] = lambda: None,
    ) -> dict[str, Any]:
        """Transactions a second at the ``stage`` of these jobs, ``each`` to a record, once warm (a share of
        ``total`` or seconds after the first), for ``window_s`` at most and until nine tenths are read;
        ``at_each`` is called at each look that counts."""
        seen: list[tuple[float, int, Used]] = []
        first = 0.0
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            read = [self.done(job_id, stage) for job_id in ids]
            done, now = sum(read), time.perf_counter()
            if min(read):
                first = first or now
                if len(seen) > 1 and (done > total * 0.9 or now - seen[0][0] > window_s):
                    break
                if done > total * warm or now - first > warm_s:
                    seen.append((now, done, meter.read()))
                    at_each()
            time.sleep(PAUSE_S)
        if len(seen) < 2:
            raise RuntimeError(f"{stage}: nothing to measure in {limit_s:.0f} s; more --count?")
        return mid_run(seen, each)

    def done(self, job_id: str, stage: str) -> int:
        """Records that ``stage`` has read, a second ago or so; "" is the last vertex.

        Flink answers with the figures it has and only then asks the TaskManagers for new ones, so after
        a pause it tells of the moment of the last question: it is asked again.
        """
        if time.monotonic() - self._asked > STALE_S:
            self.jobs.flink.job(job_id)
            time.sleep(FETCH_S)
        self._asked = time.monotonic()
        vertices = self.jobs.flink.job(job_id)["vertices"]
        found = [v for v in vertices if v["name"].startswith(stage)] if stage else vertices[-1:]
        if not found:
            known = ", ".join(v["name"][:40] for v in vertices)
            raise RuntimeError(f"no stage {stage!r} in the job: {known}")
        return int(found[0]["metrics"]["read-records"])

    def wait_read(self, job_id: str, stage: str, total: int, limit_s: float = 1200) -> float:
        """Seconds until ``stage`` has read ``total`` records."""
        began = time.monotonic()
        wait_until(
            lambda: self.done(job_id, stage) >= total, limit_s,
            lambda: f"only {self.done(job_id, stage):,} of {total:,} records are read", PAUSE_S,
        )  # fmt: skip
        return time.monotonic() - began


def mid_run(seen: list[tuple[float, int, Used]], each: float) -> dict[str, Any]:
    """Rates between the first and the last of (clock, records, CPU used)."""
    (t0, n0, c0), (t1, n1, c1) = seen[0], seen[-1]
    count, used = (n1 - n0) * each, c1 - c0
    if not count:
        raise RuntimeError("all was read between two looks: more --count?")
    steps = [(b[1] - a[1]) * each / (b[0] - a[0]) for a, b in pairwise(seen)]
    return {
        "rate": count / (t1 - t0),
        "per_cpu_second": count / used.total if used.total else 0.0,
        "records": count,
        "seconds": t1 - t0,
        "rate_sd": statistics.pstdev(steps) if len(steps) > 1 else 0.0,
        "cpu_us": {name: round(s / count * 1e6, 2) for name, s in used.split().items()},
        "threads_us": {name: round(s / count * 1e6, 2) for name, s in used.busiest()},
    }


@contextlib.contextmanager
def held(processes: list[psutil.Process], cores: float) -> Iterator[bool]:
    """Each of ``processes`` gets at most so much of the machine, 0 for all of it. False where that cannot
    be: it takes cgroups v1.

    On a machine of two cores one TaskManager takes more than one of them, so two cannot show what
    they would do on machines of their own; two that are held to half a core each can.
    """
    folders = [Path(f"/sys/fs/cgroup/cpu/tillstream-bench-{p.pid}") for p in processes]
    is_held = cores > 0
    try:
        try:
            for folder, process in zip(folders, processes, strict=True) if is_held else ():
                folder.mkdir()
                (folder / "cpu.cfs_period_us").write_text("20000")
                (folder / "cpu.cfs_quota_us").write_text(str(int(cores * 20_000)))
                (folder / "cgroup.procs").write_text(str(process.pid))
        except OSError as error:
            say(f"TaskManagers cannot be held to a share of the machine here: {error}")
            is_held = False
        yield is_held
    finally:
        for folder, process in zip(folders, processes, strict=True):
            with contextlib.suppress(OSError):
                Path("/sys/fs/cgroup/cpu/cgroup.procs").write_text(str(process.pid))
                folder.rmdir()
