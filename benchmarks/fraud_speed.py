"""Speed of the fraud job with all its signals, in one run on one machine.

``python benchmarks/fraud_speed.py`` starts a stack of its own and measures

- throughput from Kafka on one TaskManager of one slot and on two, the default rules, every output made
  and dropped in the JVM; tx a second, and tx for each second of CPU that the TaskManagers take;
- the time from the moment a suspicious sale is put to Kafka until its alert can be read from the topic
  of notices, at a steady rate, the whole job with all its sinks on one TaskManager: of the job alone, put as
  the front door writes it, and from the till, put as a till sends it, with the job `intake` on the other
  TaskManager; meanwhile, from the push of a rule set until every subtask judges by it; afterwards, what
  ``tillstream explain`` takes;
- bytes of state a customer, a card and a till, from the codecs.

Rates are taken in mid-run, warm-up and drain excluded. Results: a table, and JSON with --json FILE.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import orjson

from benchmarks import front_door, in_python, output
from benchmarks.in_python import simulated
from benchmarks.latency import Told, paced
from benchmarks.rig import CHECKED, RAW, Rig, names, rig
from tillstream import catalog
from tillstream import conf as settings
from tillstream.catalog import topics
from tillstream.domain.envelope import Envelope
from tillstream.domain.fraud.sale import read
from tillstream.fraud import rule_sets
from tillstream.fraud.pure_job import PureJob
from tillstream.fraud.rules_file import packaged_rules
from tillstream.reference import packaged_clocks, packaged_rates
from tillstream.sim.simulator import Simulator

Sent = tuple[str, bytes, str | None]  # key, record, id if it was planted

BY_STORE = ("inventory", "shortage")
PUSHES = 5  # of a rule set while sales are judged, and explanations asked for
STORES = 100  # so that some hundred thousand transactions are days, not hours


def of_job(job: str, count: int, customers: int, seed: int, stores: int = STORES) -> Simulator:
    """Traffic for a measurement of ``job``: by customers, but where stores are the keys by so many of
    them. Or a store's days, which cost what they cost once a day, would pass faster the fewer customers
    there are."""
    return simulated(count, customers, seed, stores if job in BY_STORE else None)


def latency(
    bench: Rig, job: str, rate: int, seconds: int, warm_s: int, from_till: bool = False
) -> dict[str, Any]:
    """Milliseconds from put to alert, at ``rate``, some ten suspicious sales a second. ``from_till``: with
    intake before the job, which takes a second slot."""
    overrides = names(f"late-{job}" + ("-from-till" if from_till else ""), apart=True)
    conf = bench.conf(overrides)
    jobs = (catalog.DOOR, job) if from_till else (job,)
    ids = [bench.jobs.submit(one, 1, overrides) for one in jobs]
    alerts = Told(conf, conf.topic(topics.NOTICES), alerted)
    sender = bench.sender(conf, RAW if from_till else CHECKED)
    total = rate * (seconds + warm_s)
    sends = list(planted_sales(simulated(total, 4 * total, 2), rate))
    checked = [(*front_door.checked(raw), planted) for _, raw, planted in sends]
    expected = held_or_reviewed(checked)
    push_at = {rate * warm_s + total * n // (PUSHES * 4): n for n in range(PUSHES)}
    with ThreadPoolExecutor(1) as pool:
        pushes = []
        for n, (key, raw, planted) in enumerate(paced(sends if from_till else checked, rate)):
            if planted in expected and n > rate * warm_s:
                alerts.put[planted] = time.perf_counter()
            if n in push_at:
                pushes.append(pool.submit(pushed, conf, f"bench-{push_at[n]}"))
            sender.send(key, raw)
        sender.close()
        in_force = [push.result() for push in pushes]
    found = alerts.figures(rate)
    explained = [explain_s(bench, overrides, sale) for sale in list(alerts.seen)[:PUSHES]]
    for job_id in ids:
        bench.jobs.flink.cancel(job_id)
    return {**found, "rules_in_force_s": in_force, "explain_s": explained}


def pushed(conf: settings.Conf, version: str) -> float:
    """Seconds until every subtask has said that it judges by the packaged rules under that name."""
    raw = orjson.dumps(orjson.loads(packaged_rules().raw) | {"version": version})
    said = rule_sets.push(conf, "live", version, raw, "bench", 30)
    assert said.live, said
    return said.seconds


def explain_s(bench: Rig, overrides: dict[str, Any], transaction: str) -> float:
    """Seconds of the whole command, Python's start included."""
    home = str(bench.stack.layout.home)
    env = {**os.environ, "TILLSTREAM_HOME": home, "TILLSTREAM_CONF": json.dumps(overrides)}
    began = time.perf_counter()
    command = [sys.executable, "-m", "tillstream.cli", "explain", transaction]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    took = time.perf_counter() - began
    assert done.returncode == 0, done.stdout + done.stderr
    return took


def planted_sales(traffic: Simulator, rate: int) -> Iterator[Sent]:
    """The traffic with some ten suspicious sales a second in it."""
    for n, sent in enumerate(traffic):
        raw, planted = sent.raw, None
        if n % max(rate // 10, 1) == 0:
            raw, planted = suspicious(sent.raw, n)
        yield sent.key, raw, planted


def held_or_reviewed(sends: list[Sent]) -> set[str | None]:
    """Ids of the planted sales that the pure rules do not let pass.

    They let pass, for one, a stranger's first sale in a country whose currency has no usual amounts.
    """
    job, found = PureJob(packaged_rules(packaged_clocks(), packaged_rates()).rules), set()
    for _, raw, planted in sends:
        sale = read(Envelope("", 2**42, raw))
        decision = job.sale(sale, sale.arrived_ms)
        if planted and decision is not None and decision.outcome != "pass":
            found.add(planted)
    return found


def alerted(notice: dict[str, Any]) -> str | None:
    """The transaction an alert is about."""
    return notice["cause"] if notice["kind"] == "alert" else None


def suspicious(raw: bytes, n: int) -> tuple[bytes, str | None]:
    """The same sale as one that the default rules hold: many gift cards, for much money."""
    document = orjson.loads(raw)
    if document["kind"] != "sale":
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


def state_bytes(count: int, visits: float) -> dict[str, float]:
    """Mean bytes by state after ``count`` transactions, and of a till whose windows are full."""
    found = in_python.state_bytes(in_python.Traffic(count, visits), settings.load("local"), "fraud")
    return {
        **{name: of_all["bytes_a_key"] for name, of_all in found.items()},
        "busy till": float(in_python.busy_till_bytes()),
    }


def main() -> None:
    parser = output.arguments(__doc__, disk=False)
    parser.add_argument("--count", type=int, default=600_000, help="transactions in the topic")
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--rate", type=int, default=1_000, help="of the latency measurement")
    parser.add_argument("--latency-seconds", type=int, default=40)
    parser.add_argument("--warm-seconds", type=int, default=20)
    parser.add_argument("--only", choices=["throughput", "latency", "state"])
    args = parser.parse_args()
    figures: dict[str, Any] = {**output.about(), "count": args.count}
    if args.only in (None, "state"):
        figures["state_bytes"] = state_bytes(100_000, 20.0)
    if args.only != "state":
        with rig() as bench:
            measure(bench, args, figures)
    show(figures)
    output.write(args.json, figures)


def measure(bench: Rig, args: argparse.Namespace, figures: dict[str, Any]) -> None:
    if args.only in (None, "throughput"):
        traffic = simulated(args.count, args.customers, 1)
        bench.fill("fraud-bench", ((sent.key, sent.raw) for sent in traffic), (CHECKED,))
        for parallelism in (1, 2):
            row = bench.rate(
                "fraud", "fraud-bench", parallelism, warm=0.25, warm_s=1e9, limit_s=120
            )
            figures[f"{parallelism} TaskManager"] = row
            rate, per_cpu = row["rate"], row["per_cpu_second"]
            output.say(f"{parallelism}: {rate:,.0f} tx/s, {per_cpu:,.0f} a CPU second")
    if args.only in (None, "latency"):
        measured = (args.rate, args.latency_seconds, args.warm_seconds)
        figures["latency"] = latency(bench, "fraud", *measured)
        figures["latency_from_till"] = latency(bench, "fraud", *measured, from_till=True)


def show(figures: dict[str, Any]) -> None:
    rows = {name: row for name, row in figures.items() if name.endswith(" TaskManager")}
    output.rates(f"fraud, {figures['machine']}", rows)
    for figure, what in (("latency", "the job alone"), ("latency_from_till", "from the till")):
        if found := figures.get(figure):
            output.tell(
                f"{what}, put to alert at {found['rate']:,} tx/s: p50 {found['p50_ms']:.0f} ms, p99 "
                f"{found['p99_ms']:.0f} ms, max {found['max_ms']:.0f} ms, {found['samples']} samples, "
                f"{found['lost']} lost; a pushed rule set in force after "
                f"{max(found['rules_in_force_s']):.2f} s, explain {max(found['explain_s']):.2f} s at most"
            )
    if sizes := figures.get("state_bytes"):
        output.tell("bytes of state: " + ", ".join(f"{k} {v:.0f}" for k, v in sizes.items()))


if __name__ == "__main__":
    main()
