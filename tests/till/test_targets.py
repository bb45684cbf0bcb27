"""One contract for whatever takes records: the fake of other tests, Kinesis over HTTP, Kafka's producer."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from tests.till.fakes import FakeTarget
from tests.till.kinesis_server import KinesisServer
from tillstream import conf as settings
from tillstream.clients import delivery, kafka
from tillstream.errors import Unreachable
from tillstream.till.targets import KafkaTarget, KinesisTarget, Target, open_target


class Harness:
    """``target`` and a way to make its stream misbehave; ``taken`` is what it has."""

    target: Target
    stream: Any

    def refuse(self, keys: set[str]) -> None: ...

    def go_away(self, away: bool = True) -> None:
        self.stream.away = away

    @property
    def taken(self) -> list[tuple[str, bytes]]:
        return self.stream.taken

    def close(self) -> None: ...


class Fake(Harness):
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stream = self.target = FakeTarget()

    def refuse(self, keys: set[str]) -> None:
        self.stream.outcome = lambda key, raw: "refused" if key in keys else "taken"


class Kinesis(Harness):
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stream = KinesisServer()
        own = {"kind": "kinesis", "kinesis": {"endpoint": self.stream.url}}
        aws = {"credentials": "basic"}
        self.target = open_target(settings.load("local", {"source": own, "aws": aws}))
        assert isinstance(self.target, KinesisTarget)

    def refuse(self, keys: set[str]) -> None:
        code = "ProvisionedThroughputExceededException"
        self.stream.outcome = lambda key: code if key in keys else ""

    def close(self) -> None:
        self.stream.close()


class Broker:
    """As much of a producer as `delivery.deliver` asks."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, bytes]] = []
        self.away, self.refused, self.largest = False, set(), 1_000_000
        self.opened = self.purged = 0

    def producer(self, _: dict[str, Any]) -> Any:
        self.opened += 1
        waiting: list[Any] = []

        def produce(
            topic: str, value: bytes, key: bytes, *, headers: Any, on_delivery: Any
        ) -> None:
            if len(value) > 5_000_000:
                raise KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))
            waiting.append((key.decode(), value, on_delivery))

        def flush(_: float) -> int:
            too_large = any(len(value) > self.largest for _, value, _ in waiting)
            for key, value, told in waiting:
                error = None
                if self.away or key in self.refused:
                    error = KafkaError(KafkaError._MSG_TIMED_OUT)
                elif too_large:
                    error = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
                else:
                    self.taken.append((key, value))
                place = SimpleNamespace(partition=lambda: 0, offset=lambda: len(self.taken))
                told(error, place)
            waiting.clear()
            return 0

        def purge() -> None:
            self.purged += 1

        return SimpleNamespace(produce=produce, flush=flush, purge=purge, poll=lambda _: None)


class Kafka(Harness):
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stream = Broker()
        monkeypatch.setattr(delivery, "open_producer", self.stream.producer)
        monkeypatch.setattr(delivery, "must_be_there", self.looked_for)
        monkeypatch.setattr(kafka, "source_settings", lambda conf: {})
        self.target = open_target(settings.load("local", {"source": {"kind": "kafka"}}))
        assert isinstance(self.target, KafkaTarget)

    def looked_for(self, *_: Any) -> None:
        if self.stream.away:
            raise Unreachable("not there")

    def refuse(self, keys: set[str]) -> None:
        self.stream.refused = keys


@pytest.fixture(params=[Fake, Kinesis, Kafka], ids=lambda kind: kind.__name__.lower())
def harness(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Harness]:
    found = request.param(monkeypatch)
    yield found
    found.target.close()
    found.close()


BATCH = [("C1", b"1"), ("C2", b"\xff\x00"), ("C3", b"3" * 1000)]


def test_what_is_taken_has_a_receipt_with_its_place(harness: Harness) -> None:
    receipts = harness.target.put(BATCH)
    assert [one.error for one in receipts] == [None] * 3
    assert all(one.origin.startswith(f"{harness.target.name}/") for one in receipts)
    assert harness.taken == BATCH


def test_half_a_batch_may_be_taken_and_the_receipts_say_which_half(harness: Harness) -> None:
    harness.refuse({"C2"})
    receipts = harness.target.put(BATCH)
    assert [bool(one.error) for one in receipts] == [False, True, False]
    assert not receipts[1].final
    harness.refuse(set())
    assert harness.target.put(BATCH[1:2])[0].error is None
    assert harness.taken == [BATCH[0], BATCH[2], BATCH[1]]


def test_a_stream_that_is_away_raises_nothing_and_is_used_again_once_it_is_back(harness) -> None:
    harness.go_away()
    for _ in range(2):
        assert all(one.error and not one.final for one in harness.target.put(BATCH))
    harness.go_away(False)
    assert [one.error for one in harness.target.put(BATCH)] == [None] * 3


def test_no_error_repeats_a_key_or_a_record(harness: Harness) -> None:
    batch = [("customer-0821234567", b"4111111111111111"), ("C2", b"")]
    harness.refuse({key for key, _ in batch})
    receipts = harness.target.put(batch)
    harness.go_away()
    for one in receipts + harness.target.put(batch):
        assert "0821234567" not in one.error
        assert "4111" not in one.error


def test_what_can_never_be_taken_is_known_before(harness: Harness) -> None:
    assert harness.target.never("C1", b"x" * 1000) == ""
    assert "large" in harness.target.never("C1", b"x" * 1_048_577)


def test_a_request_that_kinesis_refuses_for_one_record_is_sent_without_it(monkeypatch) -> None:
    kinesis = Kinesis(monkeypatch)
    odd = "customer-0821234567"

    def at(place: str, records: list[tuple[str, bytes]]) -> None:
        message = f"Value '{odd}' failed to satisfy constraint"
        is_in = any(key == odd for key, _ in records)
        kinesis.stream.whole = ("ValidationException", message) if is_in else None

    kinesis.stream.at = at
    batch = [(f"C{n}", b"") for n in range(7)]
    batch.insert(4, (odd, b""))
    receipts = kinesis.target.put(batch)
    assert [one.error for one in receipts] == [None] * 4 + ["ValidationException"] + [None] * 3
    assert kinesis.taken == [one for one in batch if one[0] != odd]
    kinesis.close()


def test_a_stream_that_finds_every_request_invalid_is_not_asked_about_each_record(
    monkeypatch,
) -> None:
    kinesis = Kinesis(monkeypatch)
    kinesis.stream.whole = ("ValidationException", "the stream's name")
    assert all(one.error for one in kinesis.target.put([(f"C{n}", b"") for n in range(500)]))
    assert len(kinesis.stream.requests) < 100
    kinesis.close()


def test_a_key_that_kinesis_takes_of_no_record_is_known_before(monkeypatch) -> None:
    kinesis = Kinesis(monkeypatch)
    assert "key" in kinesis.target.never("", b"1")
    assert "key" in kinesis.target.never("C" * 257, b"1")
    kinesis.close()


def test_a_record_too_large_for_the_broker_fails_alone_and_for_good(monkeypatch) -> None:
    broker = Kafka(monkeypatch)
    broker.stream.largest = 100
    receipts = broker.target.put(BATCH)
    assert [one.final for one in receipts] == [False, False, True]
    assert [one.error for one in receipts[:2]] == [None, None]


def test_a_producer_that_failed_is_emptied_and_not_used_again(monkeypatch) -> None:
    broker = Kafka(monkeypatch)
    broker.refuse({"C1"})
    broker.target.put(BATCH)
    assert (broker.stream.opened, broker.stream.purged) == (1, 1)
    broker.target.put(BATCH[1:])
    broker.target.put(BATCH[1:])
    assert broker.stream.opened == 2
