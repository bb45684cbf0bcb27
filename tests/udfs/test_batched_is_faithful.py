"""The fraud job's stages, called once for many records, give on a real mini cluster in thread mode what
the harness gives, whatever the size of the batches and the number of subtasks."""

from __future__ import annotations

import json
from functools import partial

import pytest
from pyflink.common import Row, Types
from pyflink.datastream import DataStream

from tests.support.collected import collected
from tests.support.engine import engine
from tests.support.fraud_chain import (
    DAY_MS,
    T0,
    TRANSACTIONS,
    Chain,
    as_read,
    label_of,
    sale,
)
from tillstream.conf import load
from tillstream.connectors import batched
from tillstream.connectors.context import JobContext
from tillstream.domain.envelope import seal
from tillstream.jobs import fraud
from tillstream.udfs.engine import BYTES

# About the only sale of a customer, which is not held: the same is told whichever comes first.
ASKED = sale(4_000, T0, customer_id="C0000000666", till=20)
REPLIES = [
    {"transaction_id": ASKED["transaction_id"], "customer_id": "C0000000666", "answer": "no",
     "answered_ms": T0 + 1}
]  # fmt: skip
ROW = Types.ROW_NAMED(["key", "value"], [Types.STRING(), BYTES])


def documents() -> list[tuple[str, dict | bytes]]:
    """(topic, document): each customer keeps to one till, so that subtasks cannot overtake."""
    made: list[tuple[str, dict | bytes]] = [(TRANSACTIONS, ASKED)]
    for n in range(400):
        who = n % 9
        sold = sale(
            n, T0 + n * DAY_MS // 40, customer_id=f"C000000000{who}", till=who + 1,
            cents=30_000 + n * 977 % 20_000 * (12 if n % 37 == 0 else 1),
            card_token=f"tok_{'abcdefghi'[who]}{'x' * 15}" if n % 3 else None,
            payment_method="card" if n % 3 else "cash",
        )  # fmt: skip
        made.append((TRANSACTIONS, sold))
        if who == 3:
            back = {"kind": "refund", "refers_to": sold["transaction_id"]}
            for m in range(4):
                again = {"transaction_id": f"r-{n}-{m}", "event_time_ms": T0 + DAY_MS + n * 10 + m}
                made.append((TRANSACTIONS, sold | back | again))
        if n % 50 == 7:
            made.append(("fraud-labels", label_of(sold, n % 100 == 7)))
        if n % 90 == 0:
            made.append((TRANSACTIONS, b"{rubbish"))
    return made


def expected() -> list[str]:
    chain = Chain(audit_passes=True)
    for topic, document in documents():
        chain.send(document, arrived(document), topic)
    for reply in REPLIES:
        chain.judge.process((reply["customer_id"], sealed(reply)))
    made = [value for values in chain.judge.side.values() for value in values]
    made += chain.store.main + chain.store.side["notices"]
    return plain(chain.judge.main + made + chain.till.side["dead-letters"])


def sealed(reply: dict) -> bytes:
    return seal("kafka:fraud-replies/0/1", T0 + 2, json.dumps(reply).encode())


def arrived(document: dict | bytes) -> int:
    return document["event_time_ms"] + 50 if isinstance(document, dict) else T0


def by_engine(size: int, parallelism: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(batched, "process", partial(batched.process, batch_size=size))
    env = engine(**{"parallelism.default": str(parallelism)})
    rows = []
    for n, (topic, document) in enumerate(documents(), 1):
        raw = as_read(topic, document, arrived(document))
        key = f"23:{document['till']}" if isinstance(document, dict) else "~1"
        rows.append(Row(key, seal(f"kafka:{topic}/0/{n}", arrived(document), raw)))
    records = env.from_collection(rows, ROW)
    none = env.from_collection([Row("", b"")], ROW).filter(lambda row: row[0] == "never")
    replies = env.from_collection([Row(one["customer_id"], sealed(one)) for one in REPLIES], ROW)
    conf = load("local", {"fraud": {"audit": "all"}})
    context = JobContext(env, conf, fraud.JOB)
    inputs = records, replies, DataStream(none._j_data_stream)
    judged, weighed, refused = fraud.build(inputs, context)
    sides = (*fraud.TO_KAFKA, *fraud.OF_JUDGE)
    of_staff = weighed, batched.side(weighed, "notices")
    united = judged.union(*(batched.side(judged, name) for name in sides), *of_staff, refused)
    return plain(collected(united))


def plain(values: list[bytes]) -> list[str]:
    """Sorted, for the order between keys is the engine's affair, and without the clock."""
    return sorted(
        json.dumps(json.loads(value) | {"failed_at_ms": 0}, sort_keys=True) for value in values
    )


@pytest.mark.parametrize(("size", "parallelism"), [(1, 1), (64, 2)])
def test_harness_and_engine_agree(size, parallelism, monkeypatch):
    wanted = expected()
    assert any('"mode": "live"' in line for line in wanted)
    assert any('"hold_id"' in line for line in wanted)
    assert any('"kind": "staff"' in line for line in wanted)
    assert any("fraud-answer-no" in line for line in wanted)
    assert by_engine(size, parallelism, monkeypatch) == wanted
