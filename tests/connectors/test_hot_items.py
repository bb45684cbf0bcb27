"""Hot items with a table that is sick: slow, throttled, failing, hanging, refusing."""

from __future__ import annotations

import base64
import json
import socket
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
from py4j.protocol import Py4JJavaError
from pyflink.datastream import StreamExecutionEnvironment

from tests.domain import test_personal_data
from tests.support.collected import collected
from tests.support.engine import saved
from tests.support.fake_dynamodb import (
    THROTTLED,
    Answer,
    Asked,
    FakeDynamoDb,
    Refusal,
    fake_dynamodb,
)
from tests.support.hot_items import BYTES, conf_of, each, endless, entry, environment, sink
from tests.support.wait import wait_for
from tillstream import jars
from tillstream.connectors import gateway
from tillstream.domain.card_numbers import mask_card_numbers
from tillstream.domain.personal.personal_data import mask_personal_data

KEY = "customer_id"
MARSHALLER = (
    "io/tillstream/shaded/software/amazon/awssdk/services/dynamodb/transform/"
    "PutItemRequestMarshaller.class"
)
OLD_SAVEPOINT = Path(__file__).with_name("hot_items_of_a_sink")
OLD_ITEMS = {f"C{n:010d}" for n in (1, 2, 3)}
PASSING = {
    "throughput": THROTTLED,
    "throttling": Refusal(400, "ThrottlingException"),
    "requests": Refusal(400, "RequestLimitExceeded"),
    "internal": Refusal(500, "InternalServerError"),
    "unavailable": Refusal(503, "ServiceUnavailable"),
    "too late": Refusal(400, "ConditionalCheckFailedException", pause_s=1.5),
    "cut": Refusal(400, ""),
}


def run(fake: FakeDynamoDb, entries: list[str], **settings: Any) -> list[dict[str, Any]]:
    """The dead letters."""
    env = environment()
    stream = sink(env, conf_of(fake.endpoint, **settings), each(env, entries))
    return [json.loads(letter) for letter in collected(stream)]


@contextmanager
def running(env: StreamExecutionEnvironment) -> Iterator[Any]:
    """The job of ``env``, cancelled at the end."""
    client = env.execute_async("hot items")
    try:
        yield client
    finally:
        client.cancel().result()


def test_what_passes_is_waited_for_whatever_its_kind():
    def sick(asked: Asked) -> Answer:
        return PASSING[asked.key] if asked.number <= 3 else None

    with fake_dynamodb(KEY, sick) as fake:
        assert run(fake, [entry(key) for key in PASSING], request_timeout_ms=1_000) == []
    assert set(fake.items) == set(PASSING)


def test_one_key_may_be_throttled_for_longer_than_a_table_that_takes_nothing():
    def hot_partition(asked: Asked) -> Answer:
        if asked.key == "hot" and len(fake.items) < 25:
            return THROTTLED
        time.sleep(0.1)
        return None

    with fake_dynamodb(KEY, hot_partition) as fake:
        run(fake, [entry("hot"), *(entry(n) for n in range(30))], in_flight=2, give_up_after_s=1)
    assert "hot" in fake.items


def test_a_job_whose_table_takes_nothing_at_all_fails_in_the_end_and_says_for_how_long():
    gave_up = pytest.raises(Py4JJavaError, match="nothing could be written for")
    with fake_dynamodb(KEY, lambda asked: THROTTLED) as fake, gave_up:
        run(fake, [entry(1)], give_up_after_s=1)


def test_an_error_in_a_writers_thread_fails_the_job(tmp_path):
    """Such as a class that cannot be loaded: nobody would see that the thread is gone."""
    broken = tmp_path / "broken.jar"
    with zipfile.ZipFile(broken, "w") as jar:
        jar.writestr(MARSHALLER, b"not a class")
    paths = (broken, jars.ensure_jars(print).job)
    env = environment(pipeline__jars=";".join(path.as_uri() for path in paths))
    with fake_dynamodb(KEY) as fake:
        sink(env, conf_of(fake.endpoint), each(env, [entry(1)]))
        with pytest.raises(Py4JJavaError, match="ClassFormatError"):
            env.execute("hot items")


def test_what_no_table_takes_becomes_a_dead_letter_and_the_rest_is_written():
    card = "4111 1111 1111 1111"
    bad = {
        "bad_key": [entry(""), entry("C" * 2049)],
        "bad_number": [
            entry(1, balance="1" * 39),
            entry(2, balance="1e126"),
            entry(3, version=1.5),
        ],
        "item_too_large": [entry(4, transaction_id="x" * 410_000)],
        "missing_field": [entry(5, customer_id=None), entry(6).replace("version", "v")],
        "not_json": ["{"],
        "refused_by_table": [entry("refused", transaction_id=card)],
    }

    def strict(asked: Asked) -> Answer:
        problem = Refusal(400, "ValidationException", f"no good: {card}")
        return problem if asked.key == "refused" else None

    with fake_dynamodb(KEY, strict) as fake:
        letters = run(
            fake, [entry("first"), *(one for kind in bad.values() for one in kind), entry("last")]
        )
    assert set(fake.items) == {"first", "last"}
    reasons = sorted(letter["reason"] for letter in letters)
    assert reasons == sorted(reason for reason, kind in bad.items() for _ in kind)
    assert {(one["job"], one["stage"]) for one in letters} == {("hot-items", "write")}
    assert all(one["origin"] == one["dead_letter_id"] for one in letters)
    assert len({one["origin"] for one in letters}) == len(letters)
    raw = {one["reason"]: base64.b64decode(one["raw_b64"]) for one in letters}
    assert json.loads(raw["refused_by_table"])["transaction_id"] == "**** **** **** 1111"
    assert "4111" not in json.dumps(letters)
    assert raw["not_json"] == b"{"
    assert b"x" * 410_000 in raw["item_too_large"]


def test_a_table_that_refuses_item_after_item_fails_the_job():
    refusal = Refusal(400, "ValidationException", "the key does not match the schema")
    gave_up = pytest.raises(Py4JJavaError, match=r"refused \d+ items since the start")
    with fake_dynamodb(KEY, lambda asked: refusal) as fake, gave_up:
        run(fake, [entry(n) for n in range(150)])


def random_texts(rng: Random, count: int) -> Iterator[bytes]:
    """Card numbers, products and numbers in all kinds of fields and forms, cut and glued together."""
    fields = ("product", "order_id", "card_id", "stores", "at_ms", "open_orders", "card_token")
    heads = [f'"{name}":{begin}' for name in fields for begin in ("", '"', '{"S":"', '"tok_')]
    heads += ['"products":["', '"', "", " ", "x", "0023 ", "1.", "\\u00e9"]
    signs = [" ", "-", ".", "  ", "\u00a0", "\\u00a0", "\\/", "%20", "\u2011", "\n", ",", '","', ""]
    bodies = ["4111111111111111", "378282246310005", "6009150008063", "2895500000006", "1035199127692785",
              "04006381333931", "4222222222222", "6304000000000000", "\\u0034111111111111111"]  # fmt: skip
    for _ in range(count):
        text = ""
        for _ in range(rng.randrange(1, 5)):
            body, sign = rng.choice(bodies), rng.choice(signs)
            size = rng.choice((4, 4, 4, 6, 5, 99))
            body = sign.join(body[at : at + size] for at in range(0, len(body), size))
            text += rng.choice(heads) + body + rng.choice(['"', '",', "]", " 123 ", "", "7"])
        yield text.encode(rng.choice(("utf-8", "utf-8", "utf-16", "utf-16-be")))


def texts_about_people(rng: Random, count: int) -> Iterator[bytes]:
    """Addresses, telephone numbers and digits of other scripts, whole and cut."""
    parts = [
        *test_personal_data.ADDRESSES, *test_personal_data.INTERNATIONAL,
        '"', ' ', "\\n", "\\", "@", "+", "1", ".",
        "\uff14", "4111",
        " 1111", "\uff11111", "\\uff11", "\u0661" * 4, "\U0001d7d2", "\u00e9", "\u2460", "-",
    ]  # fmt: skip
    for _ in range(count):
        text = "".join(
            rng.choice(parts)[rng.choice((0, 0, 1)) :] for _ in range(rng.randrange(1, 9))
        )
        raw = text.encode(rng.choice(("utf-8", "utf-8", "utf-16", "utf-16-be")))
        yield raw[rng.choice((0, 0, 1)) :]


def test_a_card_number_is_masked_as_elsewhere(classes):
    texts = [
        b'{"a":"4111111111111111","product":"6009150008063","event_time_ms":1700000000000}',
        b"4111-1111-1111-1111 5500 0000 0000 0004 3782 822463 10005 378282246310005",
        b"4111111111111112 1700000000000 6304000000000000 6011 0009 9013 942 4 \xff4222222222222",
        b'{"version":"1732861234567","card":"tok_4111111111111111"}',
        b'{"stock_key":"45/6009150008063","shelf":"45/6009150008063","customer_id":"4111111111111111"}',
        b'{"transaction_id":"4111111111111111","products":["04006381333934"],"store":"1035 1991 2769 2785"}',
        b"0004111111111111 1700000000000003 1700000000000000009 4111111111111111",
        b"till 0023 4111 1111 1111 1111 and 4111 1111 1111 1111 123, 4111.1111.1111.1111",
        "4111\u00a01111\u20111111 - 1111 4111\\u00a01111\\u00A01111\\t1111".encode(),
        b'{"product":{"S":"6009150008063"},"at_ms":{"N":"2895500000002"},"store":"4111 1111 1111 1111"}',
        "paid with 4111 1111 1111 1111".encode("utf-16"),
        b'{"products":[' + b'"6009150008063" , ' * 50_000 + b'"x"]}',
        b'{"stores":"' + b"4111 " * 50_000 + b'x"}',
        b"4111 " * 100_000,
        b'{"order_id":"' + b"4" * 1_000_000 + b'"}',
        b"1 " * 500_000,
        b'{"transaction_id":"4111-1111-1111-1111","document_id":"card-4111.1111.1111.1111"}',
        *random_texts(Random(5), 2_000),
        *texts_about_people(Random(6), 3_000),
    ]
    for text in texts:
        assert bytes(classes.CardNumbers.mask(text)) == mask_card_numbers(text)
        assert bytes(classes.PersonalData.mask(text)) == mask_personal_data(text)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def asked_of(port: int, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return json.load(answer)


def test_checkpoints_and_savepoints_come_through_while_the_table_takes_nothing(tmp_path):
    """And the lag is there to be seen."""

    def hangs(asked: Asked) -> Answer:
        fake.over.wait(60)
        return None

    port = free_port()
    env = environment(
        rest__bind_port=str(port),
        execution__checkpointing__dir=tmp_path.as_uri(),
        taskmanager__network__memory__buffer_debloat__enabled="true",
    )
    with fake_dynamodb(KEY, hangs) as fake:
        conf = conf_of(fake.endpoint, buffered_items=5_000)
        sink(env, conf, endless(env)).print()
        with running(env) as client:
            job = f"/jobs/{client.get_job_id()}"

            def figures() -> dict[str, float]:
                found: dict[str, float] = {}
                for vertex in asked_of(port, job)["vertices"]:
                    path = f"{job}/vertices/{vertex['id']}/metrics"
                    names = [m["id"] for m in asked_of(port, path)]
                    wanted = [
                        n for n in names if n.endswith(("DynamoDB.waiting", "oldestWaitingMs"))
                    ]
                    if wanted:
                        rows = asked_of(port, f"{path}?get={','.join(wanted)}")
                        found |= {row["id"].rpartition(".")[2]: float(row["value"]) for row in rows}
                return found

            wait_for(figures, 60, "a full buffer", lambda seen: seen.get("waiting", 0) >= 5_000)
            done = lambda: asked_of(port, f"{job}/checkpoints")["counts"]["completed"]  # noqa: E731
            before = done()
            wait_for(done, 90, "three more checkpoints", lambda count: count >= before + 3)
            saved(client, str(tmp_path / "savepoint"))
            seen = wait_for(figures, 20, "its age", lambda seen: seen.get("oldestWaitingMs", 0) > 0)
            # Bounded: the job is slowed down all the same.
            assert seen["waiting"] < 20_000


def test_what_a_savepoint_of_an_earlier_release_holds_is_written():
    """The sink was a Sink of the engine then: entries 1 to 3 and more waited in its state."""
    env = environment(
        execution__state_recovery__path=OLD_SAVEPOINT.as_uri(),
    )
    with fake_dynamodb(KEY) as fake:
        sink(env, conf_of(fake.endpoint), endless(env, pause_s=0.01)).print()
        with running(env):
            wait_for(lambda: set(fake.items), 60, "old items", lambda seen: seen >= OLD_ITEMS)


def test_a_thread_that_waits_for_a_key_in_flight_uses_no_cpu(classes):
    """An item held for newer versions falls due while a request for its key is under way."""
    old_ms = int(time.time() * 1000) - 60_000

    used: list[int] = []

    def slow(asked: Asked) -> Answer:
        if asked.number == 1:
            before = cpu()
            time.sleep(5)
            used.append(cpu() - before)
        return None

    def cpu() -> int:
        """ns of all threads that write."""
        threads = gateway.java().java.lang.management.ManagementFactory.getThreadMXBean()
        ours = [
            info.getThreadId()
            for info in threads.getThreadInfo(threads.getAllThreadIds())
            if info is not None and info.getThreadName().startswith("hot-item-")
        ]
        return sum(threads.getThreadCpuTime(one) for one in ours)

    env = environment()
    with fake_dynamodb(KEY, slow) as fake:
        entries = [entry(1, version) for version in range(1, 6)]
        paced = each(env, entries, old_ms).map(lambda value: (time.sleep(1.2), value)[1], BYTES)
        settings = {"replay_hold_ms": 10, "in_flight": 4, "request_timeout_ms": 20_000}
        sink(env, conf_of(fake.endpoint, **settings), paced)
        env.execute("hot items")
    assert len(fake.asked) > 1, "nothing came while the first was under way"
    assert used[0] < 100_000_000  # a hundred times what it takes
    assert fake.items["C0000000001"]["version"]["N"] == "5"
