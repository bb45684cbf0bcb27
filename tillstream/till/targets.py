"""Where records go: one small protocol, and Kinesis and Kafka behind it.

Errors name a kind and never what was sent: AWS repeats keys in its messages, and a key may be a customer's.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from tillstream.clients.retry import Keyed, Receipt
from tillstream.errors import Unreachable
from tillstream.till.keys import KEY_CHARACTERS

if TYPE_CHECKING:  # a forwarder to one of them does not load the other's client
    from tillstream.clients.delivery import Record
    from tillstream.conf import Conf

BATCH_BYTES = 4_500_000
HALVED = 40  # requests in search of what fails a batch: enough to find two of 500


class Target(Protocol):
    """``name``: as origins of what goes through it begin, e.g. ``kinesis:till-transactions``."""

    name: str

    def never(self, key: str, raw: bytes) -> str:
        """Why this record can never be taken; empty where it may be."""
        ...

    def put(self, batch: Sequence[Keyed]) -> list[Receipt]:
        """One attempt: a receipt for each record, in the order given. The batch holds each key once, has 500
        records and, if they are more than one, 4.5 MB at most. Called from one thread per lane. Raises
        nothing for what a stream may do; what has no answer counts as failed."""
        ...

    def close(self) -> None: ...


def open_target(conf: Conf) -> Target:
    """Of conf.source.kind. Needs no network: a store forwards whatever the state of its line is."""
    return KinesisTarget(conf) if conf.source.kind == "kinesis" else KafkaTarget(conf)


class KinesisTarget:
    """PutRecords. Needs ``kinesis:PutRecords`` on the stream alone."""

    def __init__(self, conf: Conf, client: Any = None) -> None:
        from tillstream.clients import aws, kinesis

        self._own = client is None
        self._client = client or aws.client(
            "kinesis", conf.source.kinesis.endpoint, conf.region, conf.aws.credentials == "basic",
            pool=conf.till.lanes, attempts=1, read_timeout_s=max(conf.till.answer_ms // 1000, 1),
        )  # fmt: skip
        self._kinesis, self._stream = kinesis, conf.source.kinesis.stream
        self.name = f"kinesis:{self._stream}"

    def never(self, key: str, raw: bytes) -> str:
        if not 0 < len(key) <= KEY_CHARACTERS:
            return f"its key has not 1 to {KEY_CHARACTERS} characters"
        if self._kinesis.size(key, raw) > self._kinesis.RECORD_BYTES:
            return str(self._kinesis.TOO_LARGE)
        return ""

    def put(self, batch: Sequence[Keyed]) -> list[Receipt]:
        receipts: dict[int, Receipt] = {}
        parts, requests = [range(len(batch))], 0
        while parts:
            part = parts.pop()
            asked = [batch[n] for n in part]
            found = self._kinesis.put_records(self._client, self._stream, asked, kinds=True)
            requests += 1
            # One record that it does not take as it is fails all: the others go without it.
            if len(part) > 1 and found[0].error in self._kinesis.NOT_VALID and requests < HALVED:
                half = len(part) // 2
                parts += [part[half:], part[:half]]
            else:
                receipts |= zip(part, found, strict=True)
        return [receipts[n] for n in range(len(batch))]

    def close(self) -> None:
        if self._own:
            self._client.close()


class KafkaTarget:
    """An idempotent producer, waited for. After a failure it is given up with whatever it holds, so that what
    was believed lost does not come later, behind younger records."""

    def __init__(self, conf: Conf) -> None:
        from tillstream.clients import delivery, kafka

        self._delivery = delivery
        self._settings = kafka.source_settings(conf) | {
            "delivery.timeout.ms": conf.till.answer_ms,
            "linger.ms": 5,
            "compression.type": "lz4",
        }
        self._limit = int(self._settings.get("message.max.bytes", 1_000_000))
        self._topic, self._group = conf.source.kafka.topic, conf.own_name("till")
        self._producers: dict[int, Any] = {}
        self.name = f"kafka:{self._topic}"

    def never(self, key: str, raw: bytes) -> str:
        if len(key.encode()) + len(raw) > self._limit:
            return f"larger than Kafka's message.max.bytes ({self._limit:,})"
        return ""

    def put(self, batch: Sequence[Keyed]) -> list[Receipt]:
        lane = threading.get_ident()
        if lane not in self._producers:
            try:
                self._delivery.must_be_there(self._settings, self._topic, self._group)
            except Unreachable:
                return [Receipt(None, "Kafka or its topic is not there")] * len(batch)
            self._producers[lane] = self._delivery.open_producer(self._settings)
        producer = self._producers[lane]
        records: list[Record] = [(key.encode(), raw, []) for key, raw in batch]
        receipts: list[Receipt] = self._delivery.deliver(producer, self._topic, records)
        if len(batch) > 1 and any(one.final for one in receipts):
            # A broker fails all that came in one request with a record that it does not take.
            return [
                self.put([record])[0] if receipt.final else receipt
                for record, receipt in zip(batch, receipts, strict=True)
            ]
        if any(one.error for one in receipts):
            del self._producers[lane]
            producer.purge()
            producer.flush(1)
        return receipts

    def close(self) -> None:
        for producer in self._producers.values():
            producer.purge()
            producer.flush(1)
