"""Speed and latency of the loyalty job, beside a bare Python consumer, in one run on one machine.

``python benchmarks/loyalty.py`` starts a stack of its own, fills a Kafka topic, and measures

- a bare consumer: confluent-kafka, orjson, one dict of sums; one thread, no state to restore;
- the job on one TaskManager and on two, both also held to a share of a core, for on two cores the two
  would only share what one has; the same rules and state with one call of Python a record, in
  thread mode and in PyFlink's default process mode: ledger entries are made and dropped in the JVM, so
  that no emulator is measured;
- the job with all its real sinks, where the stand-in for DynamoDB sets the pace;
- latency at steady rates: from the moment a transaction is put to Kafka until a reader sees its event
  on Kafka, and until one sees it in the hot item, by polling the item; of the job alone, put as the front
  door writes it, and from the till, put as a till sends it, with the job `intake` on the other TaskManager.
  What the stand-in for DynamoDB takes is measured too, for it sets the pace of the second.

The bare consumer reads what tills send, the job what the front door makes of it.

Rates are taken in mid-run (benchmarks/rig.py). The stack's data lies in memory (/dev/shm) unless
--disk says otherwise. Results: a table, and JSON with --json FILE.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import bare, output
from benchmarks.latency import HotItems, Told, send_and_note, stand_in
from benchmarks.rig import BOTH, CHECKED, RAW, Rig, held, names, on_stack
from tillstream import catalog
from tillstream.catalog import topics
from tillstream.sim.simulator import Simulator

ONE = "the job, 1 TaskManager"
WARM_S = 30  # JVMs, the stand-in's above all, take a third of a minute to compile what is hot
WAYS = ["one", "two", "apart"]
SHARE = 0.3  # of a core: two held to it leave the broker and their caches room on two cores


def latency(bench: Rig, rate: int, seconds: int, from_till: bool) -> dict[str, Any]:
    """Milliseconds from put to hot item at a steady ``rate``, a dozen transactions a second."""
    overrides = names(f"bench-latency-{rate}" + ("-from-till" if from_till else ""), apart=True)
    conf = bench.conf(overrides)
    jobs = (catalog.DOOR, "loyalty") if from_till else ("loyalty",)
    ids = [bench.jobs.submit(job, 1, overrides) for job in jobs]
    sender = bench.sender(conf, RAW if from_till else CHECKED)
    events = Told(conf, conf.topic(topics.LOYALTY_EVENTS), lambda d: d["transaction_id"])
    items = HotItems(conf)
    for sale in send_and_note(sender, rate, seconds, WARM_S, not from_till):
        events.put[sale["transaction_id"]] = time.perf_counter()
        items.watch(sale["customer_id"], sale["transaction_id"])
    hot = items.results()
    found = {
        "rate": rate,
        "from_till": from_till,
        "samples": len(events.put),
        **output.percentiles("event_", events.results()),
        **output.percentiles("hot_item_", hot),
        "hot_item_not_within_20_s": items.lost,
    }
    for job_id in ids:
        bench.jobs.flink.cancel(job_id)
    return found


def fill(bench: Rig, args: argparse.Namespace) -> None:
    for topic, count, sides in (
        ("bench", args.count, BOTH), ("bench-all", args.all_sinks_count, (CHECKED,)),
    ):  # fmt: skip
        traffic = Simulator(  # the last is of now
            "normal", 1, count=count, customers=args.customers, rate=1_000,
            start_ms=int(time.time() * 1000) - count,
        )  # fmt: skip
        bench.fill(topic, ((sent.key, sent.raw) for sent in traffic), sides)


def rates(bench: Rig, args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    bootstrap = bench.conf(names("bench")).kafka.bootstrap or ""
    rows: dict[str, Any] = {}
    rows["bare Python consumer"] = bare.consume(bootstrap, "bench", args.count)
    rows[ONE] = bench.rate("loyalty", "bench", 1)
    rows["the job, 2 TaskManagers"] = bench.rate("loyalty", "bench", 2)
    rows["one call a record, thread mode"] = bench.rate("loyalty", "bench", 1, mode="thread")
    rows["one call a record, process mode"] = bench.rate(
        "loyalty", "bench", 1, mode="process", limit_s=70
    )
    rows["the job, all sinks, 1 TaskManager"] = bench.rate(
        "loyalty", "bench-all", 1, sinks="all", apart=True
    )
    for name, row in rows.items():
        output.say(f"{name}: {row['rate']:,.0f} tx/s")
    return rows


def scaling(bench: Rig, rounds: int) -> dict[str, Any] | None:
    """One TaskManager, two, and two with a job of their own each, all held to a share of a core, in
    turns: now one first, now the others. The last is what two could do here if nothing crossed.

    A shared machine's speed moves within minutes by more than what is looked for, so what counts is
    the median of the rounds' ratios. Returns the rounds' rates, CPU a transaction, and ratios; None where
    TaskManagers cannot be held.
    """
    for count in (2, 2, 1):
        bench.rate("loyalty", "bench", count)  # until all JVMs have compiled what is hot
    found = []
    with held(bench.processes("taskmanager"), SHARE) as is_held:
        if not is_held:
            return None
        for n in range(rounds):
            rows = {what: measured(bench, what) for what in (WAYS if n % 2 else WAYS[::-1])}
            found.append(
                {what: {k: row[k] for k in ("rate", "cpu_us")} for what, row in rows.items()}
            )
            one = rows["one"]["rate"]
            output.say(
                f"two: {rows['two']['rate'] / one:.2f} times one; apart: {rows['apart']['rate'] / one:.2f}"
            )
    ratios = {
        name: output.spread([rows[what]["rate"] / rows[to]["rate"] for rows in found])
        for name, what, to in (
            ("two_to_one", "two", "one"), ("apart_to_one", "apart", "one"),
            ("two_to_apart", "two", "apart"),
        )
    }  # fmt: skip
    return {"share_of_a_core": SHARE, "rounds": found, **ratios}


def measured(bench: Rig, what: str) -> dict[str, Any]:
    return bench.rate(
        "loyalty", "bench", 2 if what == "two" else 1, copies=2 if what == "apart" else 1,
        warm_s=15, window_s=15, limit_s=150,
    )  # fmt: skip


def measure(bench: Rig, args: argparse.Namespace) -> dict[str, Any]:
    figures: dict[str, Any] = {**output.about(), "count": args.count, "disk": str(args.disk)}
    if args.only != "latency":
        fill(bench, args)
    if args.only in (None, "rates"):
        figures["rows"] = rates(bench, args)
    if args.only in (None, "scaling"):
        figures["scaling"] = scaling(bench, args.rounds)
    if args.only in (None, "latency"):
        figures["stand_in_puts_per_s"] = stand_in(bench.conf(names("stand-in", apart=True)))
        figures["latency"] = [
            latency(bench, rate, args.latency_seconds, from_till)
            for rate in (1_000, 300)
            for from_till in (False, True)
        ]
    return figures


def show(figures: dict[str, Any]) -> None:
    if rows := figures.get("rows"):
        title = f"loyalty, {figures['count']:,} transactions, {figures['machine']}"
        output.rates(
            title, rows, "of the job on one TaskManager",
            lambda row: f"{row['rate'] / rows[ONE]['rate']:.2f}x",
        )  # fmt: skip
    if found := figures.get("scaling"):
        output.tell(
            f"held to {found['share_of_a_core']} of a core each, {len(found['rounds'])} rounds:"
        )
        for name, what in (
            ("two_to_one", "two TaskManagers to one"),
            ("apart_to_one", "two with a job of their own each to one"),
            ("two_to_apart", "two TaskManagers to two with a job of their own each"),
        ):
            part = found[name]
            output.tell(f"  {what}: {part['median']:.2f} ({part['min']:.2f} to {part['max']:.2f})")
    for row in figures.get("latency", []):
        parts = [
            f"{name} p50 {row[f'{key}_p50_ms']:,.0f} ms, p99 {row[f'{key}_p99_ms']:,.0f} ms"
            for key, name in (("event", "to event"), ("hot_item", "to hot item"))
            if f"{key}_p50_ms" in row
        ]
        late = row["hot_item_not_within_20_s"]
        what = "from the till" if row["from_till"] else "the job alone"
        output.tell(
            f"{row['rate']:,} tx/s, {what}: {'; '.join(parts)}; {late} items not within 20 s"
        )
    if puts := figures.get("stand_in_puts_per_s"):
        output.tell(f"the stand-in for DynamoDB takes {puts:,.0f} conditional puts a second")


def main() -> None:
    parser = output.arguments(__doc__)
    parser.add_argument("--count", type=int, default=1_000_000, help="transactions in the topic")
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--all-sinks-count", type=int, default=100_000)
    parser.add_argument("--latency-seconds", type=int, default=100)
    parser.add_argument(
        "--only", choices=["rates", "scaling", "latency"], help="leave the others out"
    )
    parser.add_argument("--rounds", type=int, default=5, help="of TaskManagers held to a share")
    args = parser.parse_args()
    on_stack(args, measure, show)


if __name__ == "__main__":
    main()
