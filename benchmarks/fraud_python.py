"""What the fraud job's Python takes of a CPU, by stage, without an engine.

``python benchmarks/fraud_python.py`` drives the job's own batched functions with simulated sales and a
dict in place of the state, and counts CPU time in them alone: taking a batch apart, codecs, rules,
outputs. What the JVM takes besides comes with benchmarks/fraud_speed.py. The first 30,000 sales warm
the states up and do not count.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from struct import Struct
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import orjson

from tillstream import conf as settings
from tillstream.domain.envelope import seal
from tillstream.fraud.rules_file import packaged_rules
from tillstream.sim.simulator import Simulator
from udfs.batched import HEAD, OUTPUT, STATE, BatchedFunction, _collect_seldom
from udfs.fraud import JudgeSales
from udfs.fraud_counters import CountAtTill, CountByCard

START_MS = 1_764_000_000_000
WARM_UP = 30_000
VISITS_A_DAY = 1 / 8  # of a customer
BATCH = 128
_PAIR, _ONE, _MADE = Struct(">ii"), Struct(">i"), Struct(">bii")

Records = list[tuple[str, bytes]]


class Stage:
    """A batched function over a dict, called as BatchedPython.java calls it."""

    def __init__(self, name: str, function: BatchedFunction) -> None:
        self.name, self.function = name, function
        self.states: dict[str, bytes] = {}
        self.seconds, self.records = 0.0, 0
        function.thread_mode = False
        function.open(self)  # type: ignore[arg-type]

    def get_index_of_this_subtask(self) -> int:
        return 0

    def get_number_of_parallel_subtasks(self) -> int:
        return 1

    def take(self, records: Records) -> Records:
        """One batch; what goes to the next stage, by its key."""
        numbers = {key: n for n, key in enumerate(dict.fromkeys(key for key, _ in records))}
        parts = [HEAD.pack(len(numbers), len(records), 0)]
        for key in numbers:
            name, state = key.encode(), self.states.get(key)
            parts += (_ONE.pack(len(name)), name)
            parts += (_ONE.pack(-1),) if state is None else (_ONE.pack(len(state)), state)
        for key, value in records:
            parts += (_PAIR.pack(numbers[key], len(value)), value)
        batch = b"".join(parts)
        began = time.thread_time()
        made = b"".join(self.function.process_element1(batch, None))
        self.seconds += time.thread_time() - began
        self.records += len(records)
        return self._apply(made, list(numbers))

    def _apply(self, made: bytes, keys: list[str]) -> Records:
        passed, at = [], 0
        while at < len(made):
            kind, number, length = _MADE.unpack_from(made, at)
            at += _MADE.size
            value = made[at : at + length]
            at += length
            if kind == STATE:
                self.states[keys[number]] = value
            elif kind == OUTPUT and not number:
                key, _, rest = value.partition(b"\n")
                passed.append((key.decode(), rest))
        return passed


def stages(conf: settings.Conf) -> list[Stage]:
    """The job's functions as conf has them."""
    fraud = conf.fraud
    ahead_ms, days = fraud.clock_ahead_hours * 3_600_000, fraud.label_delay_days
    judge = JudgeSales(
        packaged_rules().raw, fraud.audit == "all", fraud.explain == "all", fraud.keep_days
    )
    return [
        Stage("till", CountAtTill(conf.kafka.topics["fraud_labels"], days, ahead_ms)),
        Stage("card", CountByCard(days)),
        Stage("judge", judge),
    ]


def enveloped(n: int, sent: Any) -> tuple[str, bytes]:
    """A simulated record as the source hands it over, 50 ms after its sale."""
    try:
        at_ms = int(orjson.loads(sent.raw)["event_time_ms"]) + 50
    except (ValueError, KeyError, TypeError):
        at_ms = START_MS
    return str(sent.key), seal(f"kafka:tills/0/{n}", at_ms, sent.raw)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=50_000, help="sales that count")
    parser.add_argument("--customers", type=int, default=8_000)
    args = parser.parse_args()
    chain = stages(settings.load("local"))
    rate = args.customers * VISITS_A_DAY / 86_400
    traffic = Simulator(
        "normal", seed=1, count=args.count + WARM_UP, customers=args.customers, rate=rate,
        start_ms=START_MS,
    )  # fmt: skip
    _collect_seldom()  # as the job does in thread mode
    batch: Records = []
    for n, sent in enumerate(traffic):
        if n == WARM_UP:
            for stage in chain:
                stage.seconds, stage.records = 0.0, 0
        batch.append(enveloped(n, sent))
        if len(batch) == BATCH:
            for stage in chain:
                batch = stage.take(batch) if batch else batch
            batch = []
    took = {stage.name: stage.seconds / stage.records * 1e6 for stage in chain}
    told = ", ".join(f"{name} {us:.1f}" for name, us in took.items())
    print(f"µs of CPU a record: {told}; all {sum(took.values()):.1f}")


if __name__ == "__main__":
    main()
