"""Latency of a job up to saturation, and what an overload of twice its capacity does to it.

``python benchmarks/overload.py`` starts a stack of its own with one TaskManager, held to a share of a
core so that one machine can send more than the job takes (--cores 0: not held), and

1. takes the job's capacity from a filled topic, with its Kafka events on (of intake: what it writes);
2. sends at steady shares of it, for --step-seconds each, the first third not counted: p50 and p99 from
   put to event, how busy and how backpressured the tasks are, what waits at the end;
3. sends at half of it, then at twice for --overload-seconds, then at half again: how far behind it falls,
   and how long until it is as before. Then it counts: every sale must have come back as an event.

Latency is of every event: the sale carries the time it was sent at. It is that of the job alone: intake is
sent what tills send, the others what the front door writes. Some seven minutes. Results: tables, JSON with
--json FILE, a picture with --picture FILE.svg.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


from benchmarks import output
from benchmarks.jobs.variant import EVENTS
from benchmarks.latency import Reading
from benchmarks.pacer import Pacer, number
from benchmarks.rig import CHECKED, STAGE, Rig, held, names, on_stack, side, topic_of
from tillstream import conf as settings
from tillstream.sim.simulator import Simulator

SHARES = (0.1, 0.25, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25)
# So many that an account does not grow in minutes as it does in years.
BASKETS, CUSTOMERS = 500_000, 400_000
# The fields of a job's events that end in the sale's number, and that have the time it was sent at.
FIELDS = {
    "intake": ("transaction_id", "ended_ms"),
    "loyalty": ("transaction_id", "event_time_ms"),
    "inventory": ("entry_id", "event_time_ms"),
}
PATIENCE_S = 240.0
Second = int


class Events(Reading):
    """Latencies by the second that events came in, and which sales came back."""

    clock = staticmethod(time.time)  # as the sales have it
    WAIT_S = 0.02

    def __init__(self, conf: settings.Conf, job: str) -> None:
        self._id, self._time = FIELDS[job]
        self.late: dict[Second, list[int]] = defaultdict(list)
        self.seen = bytearray()
        self.told = self.events = 0
        super().__init__(conf, conf.topic(EVENTS[job][1]))

    def take(self, event: dict[str, Any], now: float) -> None:
        self.events += 1
        self.late[int(now)].append(int(now * 1000) - event[self._time])
        sale = number(event[self._id].partition("/")[0])
        if sale >= len(self.seen):
            self.seen.extend(bytes(sale + 100_000 - len(self.seen)))
        self.told += not self.seen[sale]
        self.seen[sale] = 1


def between(events: Events, start: float, end: float) -> list[int]:
    """Latencies of what came in whole seconds between two moments."""
    return [ms for s in range(int(start) + 1, int(end)) for ms in events.late.get(s, ())]


class Run:
    """The job on a topic of its own, a sender, a reader."""

    def __init__(self, bench: Rig, job: str, topic: str, plan: list[tuple[float, float]]) -> None:
        overrides = names(topic, apart=True)
        conf = bench.conf(overrides)
        self.flink = bench.jobs.flink
        put, bootstrap = side(job), conf.kafka.bootstrap or ""
        self.pacer = Pacer(bootstrap, topic_of(conf, put), plan, BASKETS, CUSTOMERS, put == CHECKED)
        self.job_id = bench.submit(job, 1, overrides, sinks="events")
        self.events = Events(conf, job)
        vertices = self.flink.job(self.job_id)["vertices"]
        self.source = next(v["id"] for v in vertices if v["name"].startswith("Source: till"))
        self.stage = next(v["id"] for v in vertices if v["name"].startswith(STAGE[job]))

    @property
    def waiting(self) -> int:
        """Sales that were sent and have not come back."""
        return self.pacer.sent.value - self.events.told

    def pressure(self) -> dict[str, float]:
        """Percent of the last moments that the stage was busy and the source held back by it."""
        wanted = ["busyTimeMsPerSecond", "backPressuredTimeMsPerSecond"]
        stage, source = (
            {row["id"]: row["sum"] for row in self.flink.metric_rows(self.job_id, vertex, wanted)}
            for vertex in (self.stage, self.source)
        )
        return {
            "busy_percent": stage.get(wanted[0], 0.0) / 10,
            "backpressured_percent": source.get(wanted[1], 0.0) / 10,
        }

    def end(self) -> dict[str, int]:
        """Stops sending, waits for all to come back, says what did not."""
        sent = self.pacer.stop()
        deadline = time.monotonic() + PATIENCE_S
        while self.events.told < sent and time.monotonic() < deadline:
            time.sleep(0.2)
        self.events.close()
        self.flink.cancel(self.job_id)
        return {"sent": sent, "told": self.events.told, "lost": sent - self.events.told,
                "events": self.events.events}  # fmt: skip


def curve(bench: Rig, job: str, capacity: float, step_s: float) -> list[dict[str, Any]]:
    """A row for each share of the capacity."""
    run = Run(bench, job, "curve", [(capacity * share, step_s) for share in SHARES])
    rows = []
    run.pacer.go()
    for share in SHARES:
        began = time.time()
        time.sleep(step_s / 3)
        counted, before, pressed = time.time(), run.events.told, []
        while time.time() - began < step_s - 1:
            time.sleep(1)
            pressed.append(run.pressure())
        now = time.time()
        row = {
            "share": share,
            "sent_per_second": capacity * share,
            "told_per_second": (run.events.told - before) / (now - counted),
            **output.percentiles("", between(run.events, counted, now)),
            **{k: statistics.mean(p[k] for p in pressed) for k in pressed[0]},
            "waiting": run.waiting,
        }
        rows.append(row)
        output.say(f"{share:.0%} of capacity: {row}", markup=False)
        time.sleep(max(began + step_s - time.time(), 0))
    output.say(f"curve: {run.end()}")
    return rows


def overload(bench: Rig, job: str, capacity: float, seconds: float) -> dict[str, Any]:
    """Half, twice, half of the capacity; how long it took to be as before."""
    calm_s = 25.0
    plan = [(capacity / 2, calm_s), (capacity * 2, seconds), (capacity / 2, 0.0)]
    run = Run(bench, job, "overload", plan)
    run.pacer.go()
    began = time.time()
    line: list[dict[str, Any]] = []
    recovered = 0.0
    steady: dict[str, float] = {}
    over = began + calm_s + seconds
    while time.time() < over + PATIENCE_S:
        time.sleep(1)
        now = time.time()
        # What came in the second before the last is complete.
        last = output.percentiles("", run.events.late.get(int(now) - 1, []))
        line.append({"s": round(now - began, 1), **last, "waiting": run.waiting, **run.pressure()})
        if not steady and now > began + calm_s - 2:
            steady = output.percentiles("", between(run.events, began + 10, now))
        if now > over and not recovered and as_before(line[-1], steady, capacity / 2):
            recovered = now - over
            output.say(f"recovered {recovered:.0f} s after the overload")
        if recovered and now > over + recovered + 10:
            break
    return {
        "steady": steady,
        "overload_s": seconds,
        "most_waiting": max(row["waiting"] for row in line),
        "worst_p99_ms": max(row.get("p99_ms", 0.0) for row in line),
        "recovered_after_s": recovered or None,
        **run.end(),
        "line": line,
    }


def as_before(row: dict[str, Any], steady: dict[str, float], rate: float) -> bool:
    """Less than a second's sales wait, and p99 is no more than twice what it was (or 500 ms)."""
    most = max(2 * steady.get("p99_ms", 0.0), 500.0)
    return row["waiting"] < rate and row.get("p99_ms", most + 1) <= most


def measure(bench: Rig, args: argparse.Namespace) -> dict[str, Any]:
    traffic = Simulator(  # the last is of now
        "normal", 1, count=args.count, customers=CUSTOMERS, rate=1_000,
        start_ms=int(time.time() * 1000) - args.count,
    )  # fmt: skip
    put = bench.fill_sent("capacity", traffic, (side(args.job),), apart=True)
    total, each = put.read_by(args.job)
    figures: dict[str, Any] = {**output.about(), "job": args.job}

    def rate() -> float:
        row = bench.rate(
            args.job, "capacity", 1, sinks="events", apart=True, total=total, each=each, window_s=30
        )
        return row["rate"]

    # And all is compiled before it is held.
    output.say(f"with the whole machine: {rate():,.0f} tx/s")
    with held(bench.processes("taskmanager"), args.cores) as is_held:
        figures["cores"] = args.cores if is_held else 0
        figures["capacity"] = args.capacity or rate()
        output.say(f"capacity: {figures['capacity']:,.0f} tx/s")
        if args.only != "overload":
            figures["curve"] = curve(bench, args.job, figures["capacity"], args.step_seconds)
        if args.only != "curve":
            figures["overload"] = overload(
                bench, args.job, figures["capacity"], args.overload_seconds
            )
    return figures


def show(figures: dict[str, Any]) -> None:
    share = f"held to {figures['cores']:g} of a core" if figures["cores"] else "not held"
    title = f"{figures['job']}, {figures['capacity']:,.0f} tx/s, one TaskManager {share}"
    columns = ("of capacity", "sent/s", "told/s", "p50 ms", "p99 ms", "max ms", "busy",
               "backpressured", "waiting at the end")  # fmt: skip
    rows = [
        (
            f"{row['share']:.0%}", f"{row['sent_per_second']:,.0f}",
            f"{row['told_per_second']:,.0f}",
            *(f"{row[k]:,.0f}" if k in row else "" for k in ("p50_ms", "p99_ms", "max_ms")),
            f"{row['busy_percent']:.0f} %", f"{row['backpressured_percent']:.0f} %",
            f"{row['waiting']:,}",
        )
        for row in figures.get("curve", [])
    ]  # fmt: skip
    output.table(f"{title}, {figures['machine']}", columns, rows)
    if found := figures.get("overload"):
        after = found["recovered_after_s"]
        output.tell(
            f"twice the capacity for {found['overload_s']:g} s: {found['most_waiting']:,} waited at "
            f"most, p99 rose to {found['worst_p99_ms'] / 1000:.1f} s; as before "
            + (f"{after:.0f} s after it" if after else f"not within {PATIENCE_S:.0f} s")
            + f"; {found['sent']:,} sent, {found['lost']:,} lost"
        )


def svg(rows: list[dict[str, Any]]) -> str:
    """p50 and p99 over the rate; the scale of milliseconds is logarithmic."""
    from math import log10

    width, height, left, top = 640, 360, 60, 20
    rows = [row for row in rows if "p99_ms" in row]
    most_rate = max(row["sent_per_second"] for row in rows)
    decades = max(1.0, log10(max(row["p99_ms"] for row in rows)))

    def place(row: dict[str, Any], name: str) -> str:
        x = left + row["sent_per_second"] / most_rate * (width - left - 20)
        y = height - 40 - log10(max(row[name], 1)) / decades * (height - 40 - top)
        return f"{x:.1f},{y:.1f}"

    parts = []
    for power in range(int(decades) + 1):
        y = height - 40 - power / decades * (height - 40 - top)
        parts.append(f'<path d="M{left} {y:.1f}H{width - 20}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{10**power}</text>')
    for name, colour in (("p50_ms", "#1f77b4"), ("p99_ms", "#d62728")):
        points = " ".join(place(row, name) for row in rows)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}"/>')
        x, y = place(rows[-1], name).split(",")
        parts.append(
            f'<text x="{float(x) - 30}" y="{float(y) - 6}" fill="{colour}">{name[:3]}</text>'
        )
    for row in rows:
        x = place(row, "p50_ms").split(",")[0]
        text = f"{row['sent_per_second']:,.0f}"
        parts.append(f'<text x="{x}" y="{height - 22}" text-anchor="middle">{text}</text>')
    parts.append(f'<text x="{left}" y="{height - 6}">transactions a second; ms to the event</text>')
    return output.svg(width, height, 11, parts)


def main() -> int:
    parser = output.arguments(__doc__)
    parser.add_argument("--job", choices=list(FIELDS), default="loyalty")
    parser.add_argument("--cores", type=float, default=0.3, help="of the TaskManager; 0: not held")
    parser.add_argument("--capacity", type=float, help="tx/s, instead of what is measured")
    parser.add_argument("--count", type=int, default=250_000, help="transactions, for the capacity")
    parser.add_argument("--step-seconds", type=float, default=15)
    parser.add_argument("--overload-seconds", type=float, default=60)
    parser.add_argument("--only", choices=["curve", "overload"])
    parser.add_argument("--picture", type=Path, help="FILE.svg of the curve")
    args = parser.parse_args()
    figures = on_stack(args, measure, show, taskmanagers=1)
    if args.picture and figures.get("curve"):
        args.picture.write_text(svg(figures["curve"]))
    return 1 if figures.get("overload", {}).get("lost") else 0


if __name__ == "__main__":
    sys.exit(main())
