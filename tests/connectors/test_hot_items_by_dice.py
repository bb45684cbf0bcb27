"""Thousands of hot items for a few keys, out of order, to a table that answers as dice say and a job that
fails in the midst of it: each key ends with its newest version, and nothing is given up."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from tests.support.collected import collected
from tests.support.fake_dynamodb import THROTTLED, Answer, Asked, Refusal, fake_dynamodb
from tests.support.hot_items import BYTES, conf_of, each, entry, environment, sink

ANSWERS: dict[Answer, int] = {
    None: 80,
    THROTTLED: 6,
    Refusal(500, "InternalServerError"): 4,
    Refusal(400, ""): 3,  # of a proxy
    Refusal(500, "InternalServerError", written=True): 4,  # the answer is lost
    Refusal(400, "ConditionalCheckFailedException", pause_s=5): 1,  # nobody waits for it
    Refusal(500, "InternalServerError", pause_s=5, written=True): 2,
}


def shuffled(rng: Random, count: int) -> tuple[list[str], dict[str, int]]:
    """Entries in which a version comes up to some places early or late, and the newest of each key."""
    keys = [f"C{n:010d}" for n in range(rng.choice((3, 40, 400)))]
    newest: Counter[str] = Counter()
    made = []
    for at in range(count):
        key = keys[int(len(keys) * rng.random() ** 2)]  # some are hotter
        newest[key] += 1
        made.append((at + rng.choice((0, 0, 0, 5, 50)) * rng.random(), entry(key, newest[key])))
    return [text for _, text in sorted(made)], dict(newest)


@pytest.mark.parametrize("seed", range(4))
def test_each_key_ends_with_its_newest_version(seed: int, tmp_path: Path):
    rng, dice, lock = Random(seed), Random(f"answers {seed}"), threading.Lock()
    entries, newest = shuffled(rng, 2_000)
    fails_at, failed = rng.choice(entries[500:1_500]).encode(), tmp_path / "failed"

    def sick(asked: Asked) -> Answer:
        with lock:
            (answer,) = dice.choices(list(ANSWERS), list(ANSWERS.values()))
            pause_s = dice.random() ** 4 / 50
        time.sleep(pause_s)
        return answer

    def fails_once(value: bytes) -> bytes:
        if value == fails_at and not failed.exists():
            failed.touch()
            raise RuntimeError("once")
        return value

    again = {
        "restart_strategy__type": "fixed-delay",
        "restart_strategy__fixed_delay__attempts": "1",
        "restart_strategy__fixed_delay__delay": "100 ms",
    }
    with fake_dynamodb("customer_id", sick) as fake:
        env = environment(2, **again)
        in_flight, buffered = rng.choice(((1, 8), (4, 8), (16, 500)))
        conf = conf_of(
            fake.endpoint, request_timeout_ms=400, in_flight=in_flight, buffered_items=buffered
        )
        stream = each(env, entries).map(fails_once, BYTES)
        assert collected(sink(env, conf, stream)) == []
    assert failed.exists()
    assert {key: int(item["version"]["N"]) for key, item in fake.items.items()} == newest
    assert all(
        int(item["balance"]["N"]) == 7 * int(item["version"]["N"]) for item in fake.items.values()
    )
