"""Records written to Kafka with a receipt each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from confluent_kafka import KafkaException, Producer

DELIVERY_S = 10

Record = tuple[bytes, bytes, list[tuple[str, str | bytes | None]]]  # key, value, headers


class Receipt(NamedTuple):
    """``origin``, as jobs name it, of a record that all in-sync replicas have; else ``error``."""

    origin: str | None
    error: str | None


def deliver(producer: Producer, topic: str, records: Sequence[Record]) -> list[Receipt]:
    """A receipt for each record, once all are delivered or given up."""
    receipts = [Receipt(None, "no answer in time")] * len(records)

    def delivered(n: int) -> Callable[[Any, Any], None]:
        def on_delivery(error: Any, message: Any) -> None:
            if error is not None:
                receipts[n] = Receipt(None, error.str())
            else:
                origin = f"kafka:{topic}/{message.partition()}/{message.offset()}"
                receipts[n] = Receipt(origin, None)

        return on_delivery

    for n, (key, value, headers) in enumerate(records):
        try:
            producer.produce(topic, value, key, headers=headers, on_delivery=delivered(n))
        except KafkaException as error:  # larger than the client takes
            receipts[n] = Receipt(None, error.args[0].str())
        producer.poll(0)
    producer.flush(DELIVERY_S + 2)
    return receipts
