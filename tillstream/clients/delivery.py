"""Records written to Kafka with a receipt each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer

from tillstream.clients.kafka import partitions
from tillstream.clients.retry import Receipt

DELIVERY_S = 10
_FINAL = (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_RECORD)

Record = tuple[bytes, bytes, list[tuple[str, str | bytes | None]]]  # key, value, headers


def open_producer(settings: dict[str, Any]) -> Producer:
    """An idempotent one with the JVM's partitioner: a customer's record lands where its others are."""
    return Producer(settings | {"enable.idempotence": True, "partitioner": "murmur2_random"})


def must_be_there(settings: dict[str, Any], topic: str, group: str) -> None:
    """Raises Unreachable when broker or topic is not there. A producer's own look would create it."""
    looker = Consumer(settings | {"group.id": group, "allow.auto.create.topics": False})
    try:
        partitions(looker, topic, settings["bootstrap.servers"])
    finally:
        looker.close()


class Writer:
    """Many records to one topic. ``failed`` gets each that is given up, with its key and value."""

    def __init__(
        self,
        producer: Producer,
        topic: str,
        failed: Callable[[str, bytes], None] = lambda key, value: None,
    ) -> None:
        self.topic, self.problem = topic, ""
        self._producer, self._failed = producer, failed

    def send(self, key: str, value: bytes, **more: Any) -> None:
        """Waits for room while the broker is slower than we are. ``more``: timestamp, headers."""
        while True:
            try:
                self._producer.produce(
                    self.topic, value, key.encode(), on_delivery=self._delivered, **more
                )
                break
            except BufferError:
                self._producer.poll(0.05)
        self._producer.poll(0)

    def _delivered(self, error: Any, message: Message) -> None:
        if error is not None:
            self.problem = self.problem or error.str()
            self._failed((message.key() or b"").decode(), message.value() or b"")

    def flush(self, wait_s: float) -> str:
        """Waits until all is delivered or given up; why something is not, empty if all is."""
        left = self._producer.flush(wait_s)
        return self.problem or (f"{left} records wait" if left else "")

    def drop(self) -> None:
        """Gives up what waits: the producer is not used again."""
        self._producer.purge()
        self._producer.flush(1)


def deliver(producer: Producer, topic: str, records: Sequence[Record]) -> list[Receipt]:
    """A receipt for each record, once all are delivered or given up."""
    receipts = [Receipt(None, "no answer in time")] * len(records)

    def delivered(n: int) -> Callable[[Any, Any], None]:
        def on_delivery(error: Any, message: Any) -> None:
            if error is not None:
                receipts[n] = _failed(error)
            else:
                origin = f"kafka:{topic}/{message.partition()}/{message.offset()}"
                receipts[n] = Receipt(origin, None)

        return on_delivery

    for n, (key, value, headers) in enumerate(records):
        try:
            producer.produce(topic, value, key, headers=headers, on_delivery=delivered(n))
        except KafkaException as error:  # larger than the client takes
            receipts[n] = _failed(error.args[0])
        producer.poll(0)
    producer.flush(DELIVERY_S + 2)
    return receipts


def _failed(error: KafkaError) -> Receipt:
    return Receipt(None, error.str(), error.code() in _FINAL)
