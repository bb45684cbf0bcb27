"""What the fraud job's Python takes of a CPU, by stage, without an engine.

``python benchmarks/fraud_python.py`` drives the job's own batched functions with simulated sales, as
benchmarks/in_python.py does, and counts CPU time in them alone: taking a batch apart, codecs, rules,
outputs. What the JVM takes besides comes with benchmarks/fraud_speed.py. The first 30,000 sales warm
the states up and do not count.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.in_python import BATCH, T0, VISITS_A_DAY, fraud_stages, no_collections, through
from tillstream import conf as settings
from tillstream.domain.envelope import seal
from tillstream.domain.fraud import terminal
from tillstream.domain.transaction import parse
from tillstream.sim.simulator import Simulator

WARM_UP = 30_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=50_000, help="sales that count")
    parser.add_argument("--customers", type=int, default=8_000)
    args = parser.parse_args()
    traffic = Simulator(
        "normal", seed=1, count=args.count + WARM_UP, customers=args.customers,
        rate=args.customers * VISITS_A_DAY / 86_400, start_ms=T0,
    )  # fmt: skip
    stages = fraud_stages(settings.load("local"))
    batch = []
    with no_collections():
        for n, sent in enumerate(traffic, 1):
            sale = parse(sent.raw)
            value = seal(f"kafka:tills/0/{n}", sale.event_time_ms + 50, sent.raw)
            batch.append((terminal(sale), value))
            if len(batch) == BATCH:
                through(stages, batch)
                batch = []
                if n - BATCH < WARM_UP <= n:
                    for stage in stages:
                        stage.cpu_s, stage.records = 0.0, 0
    took = {stage.name: stage.cpu_s / stage.records * 1e6 for stage in stages}
    told = ", ".join(f"{name} {us:.1f}" for name, us in took.items())
    print(f"µs of CPU a record: {told}; all {sum(took.values()):.1f}")


if __name__ == "__main__":
    main()
