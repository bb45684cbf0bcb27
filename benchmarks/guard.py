"""Holds the speed of what runs in Python: ratios inside one run, compared with the recorded ones.

``python benchmarks/guard.py`` runs the jobs' functions without an engine (benchmarks/in_python.py) and a
bare loop of orjson and a dict over the same transactions, in turns, and takes the best of several rounds
of each. A job's ratio is the loop's cost over the job's, so a faster or slower machine changes both, though
not quite alike: a job with much code suffers more from small caches than the loop. So ratios are recorded by
model of CPU, and one that is not there is held to the least of all. A ratio more than 30 % under the recorded
one fails; before that everything is measured again, twice, for noise only ever makes a round slower. What
the JVM does is not seen here: ``tillstream bench`` does that.

``--record`` puts this CPU's ratios into benchmarks/results/guard.json in place of what was there of it: after
a wanted change, with the reason; the others are to be recorded on their machines.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import bare, in_python
from benchmarks.in_python import Traffic
from benchmarks.rig import about, cpu_model, write
from tillstream import conf as settings

RECORDED = Path(__file__).parent / "results" / "guard.json"
FALL = 0.30
TRIES = 3


def measure(traffic: Traffic, conf: settings.Conf, rounds: int) -> dict[str, dict[str, float]]:
    """By job: microseconds of CPU a transaction, best of ``rounds``, and the ratio to the loop."""
    best = dict.fromkeys(["bare", *in_python.JOBS], float("inf"))
    with in_python.no_collections():
        for _ in range(rounds):
            for name, run in in_python.JOBS.items():
                best["bare"] = min(best["bare"], bare_us(traffic))
                best[name] = min(best[name], in_python.cost_us(run(traffic, conf), traffic))
    return {
        name: {"us": round(us, 2), "ratio": round(best["bare"] / us, 4)}
        for name, us in best.items()
    }


def bare_us(traffic: Traffic) -> float:
    """Microseconds of CPU a transaction that the loop takes."""
    sums: dict[str, int] = {}
    began = time.thread_time()
    bare.add(sums, traffic.raw)
    return (time.thread_time() - began) / traffic.count * 1e6


def fallen(now: dict[str, Any], recorded: dict[str, Any]) -> list[str]:
    """A line for each job whose ratio has fallen by more than FALL."""
    lines = []
    for name, before in recorded.items():
        ratio = now.get(name, {"ratio": 0.0})["ratio"]
        if ratio < before["ratio"] * (1 - FALL):
            part = ratio / before["ratio"] - 1
            lines.append(f"{name}: {part:+.0%} against {before['ratio']:.3f} of the bare loop")
    return lines


def recorded_of(records: dict[str, Any], cpu: str) -> dict[str, Any]:
    """By job: what was recorded on such a CPU, or the least that was on any."""
    if cpu in records:
        return dict(records[cpu]["jobs"])
    every = [record["jobs"] for record in records.values()]
    return {
        name: min((jobs[name] for jobs in every if name in jobs), key=lambda found: found["ratio"])
        for name in dict.fromkeys(name for jobs in every for name in jobs)
    }


def better(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """The faster of two measurements, job by job."""
    return {n: max(one[n], other[n], key=lambda found: found["ratio"]) for n in one}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=4_000, help="transactions a round")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--record", action="store_true", help="write the recorded ratios anew")
    args = parser.parse_args()
    traffic, conf = Traffic(args.count), settings.load("local")
    cpu, records = cpu_model(), json.loads(RECORDED.read_text())
    recorded = {} if args.record else recorded_of(records, cpu)
    now = measure(traffic, conf, args.rounds)
    for _ in range(TRIES - 1):
        if args.record or fallen(now, recorded):
            now = better(now, measure(traffic, conf, args.rounds))
    if args.record:
        records[cpu] = {**about(), "count": args.count, "jobs": now}
        write(RECORDED, records)
    for name, found in now.items():
        was = f", recorded {recorded[name]['ratio']:.3f}" if name in recorded else ""
        print(f"guard: {name} {found['us']:.1f} us, {found['ratio']:.3f} of the bare loop{was}")
    lines = fallen(now, recorded)
    for line in lines:
        print(f"guard: SLOWER {line}; find out why, or `python benchmarks/guard.py --record`")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
