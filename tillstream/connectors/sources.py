"""Transactions from where ``conf.source`` of the job says, the tills' stream or the front door's; other
topics from Kafka."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pyflink.common import Types
from pyflink.datastream import DataStream, KeyedStream

from tillstream.catalog.entry import Undeclared
from tillstream.catalog.resources import Topic
from tillstream.conf import Conf, ConfError
from tillstream.connectors import kinesis
from tillstream.connectors.context import JobContext
from tillstream.connectors.gateway import java, ours, properties

NAME = "till transactions"
IDLE_MS = 30_000  # a partition without a record for so long holds no watermark up


def transactions(
    context: JobContext, key_field: str, timed: bool = False, holes: bool = False
) -> KeyedStream:
    """Enveloped records (see ``domain.envelope``) keyed by the JSON field ``key_field``.

    A record without that field is keyed by ``~<n>``, n from a hash of its bytes. Fields joined by
    ``+`` are one key, joined by ``:``. timed: with watermarks of arrival, of the partition or shard
    that is furthest behind. holes: offsets of Kafka without a record come as well, as empty envelopes
    whose origin ends with ``<first>-<last>``.
    """
    return keyed(transaction_rows(context, key_field, timed, holes))


def transaction_rows(
    context: JobContext, key_field: str | None, timed: bool = False, holes: bool = False
) -> DataStream:
    """The same as rows of (key, enveloped record), not yet keyed; without ``key_field`` no key is
    looked for. Raises Undeclared where the job's entry does not say that it reads them."""
    conf = context.conf
    if not context.job.transactions:
        raise Undeclared(f"jobs/{context.job.name}.py: its entry says transactions=False")
    if conf.source.kind == "kinesis":
        source = _stream(context, kinesis.source(context, key_field), NAME, timed)
        return _ending(source.uid(kinesis.uid(conf.source.uid)).name(NAME), timed)
    settings = conf.source.kafka
    envelope = ours().KafkaEnvelope(key_field)
    if conf.source.until_ms is not None:
        envelope.until(conf.source.until_ms)
    if settings.from_archive:
        envelope.fromArchive()
    if holes:
        envelope.tellHoles()
    consumer = _consumer(context, conf.source_properties)
    source = _kafka(
        context, settings.bootstrap, settings.topic, _start(conf), envelope, NAME, consumer, timed
    )
    return _ending(source.uid(conf.source.uid).name(NAME), timed)


def _ending(j_rows: Any, timed: bool) -> DataStream:
    """The rows; timed: a drain ends their time although they were idle."""
    return DataStream(ours().EndOfTime.behind(j_rows).uid("end-of-time") if timed else j_rows)


def stock_lines(
    context: JobContext, bundles: Mapping[str, Iterable[tuple[str, int, str]]]
) -> DataStream:
    """Transactions as rows of (store/product, line), a row for each line that moves stock; what is no
    transaction comes as it is, keyed by a hash. See StockLines.java; not yet keyed. ``bundles``: by the code
    that they are sold under, (product, units, unit) of each part."""
    rows = transaction_rows(context, None)._j_data_stream
    lines = rows.flatMap(taking_apart(bundles))
    return DataStream(lines.uid("stock-lines").name("lines of the basket"))


def taking_apart(bundles: Mapping[str, Iterable[tuple[str, int, str]]]) -> Any:
    """StockLines.java with these bundles."""
    reader = ours().StockLines()
    for bundle, parts in bundles.items():
        for part in parts:
            reader.part(bundle, *part)
    return reader


class Accounts(NamedTuple):
    """Rows of (account, record): of ``all`` records, but for words of fraud, which are with ``transactions``,
    for `claims_of_owners` knows their accounts. members: JSON bytes, who
    is in which household now."""

    all: DataStream
    transactions: DataStream
    members: DataStream


def accounts(
    context: JobContext, rows: DataStream, topics: Sequence[Topic], remember_ms: int, wait_ms: int
) -> Accounts:  # fmt: skip
    """Whose account each record belongs to, the customer's or a household's. See Households.java; what it
    makes of records `udfs.passing.loyalty` reads. rows: (customer, enveloped record), of transactions
    and of ``topics``: of household events, adjustments, holds, transfers and requests. wait_ms: how long a
    record waits on its way out."""
    context.state("household-members")
    context.state("household-adjusted")
    conf, households = context.conf, ours().Households
    made = households.accounts(
        rows._j_data_stream, _strings(*map(conf.topic, topics)), remember_ms, conf.source.clock_ahead_ms
    )  # fmt: skip
    made.uid("household-accounts").setBufferTimeout(wait_ms)
    members = DataStream(households.members(made))
    return Accounts(DataStream(made), DataStream(households.transactions(made)), members)


def claims_of_owners(context: JobContext, transactions: DataStream, remember_ms: int) -> DataStream:
    """Rows of (owner, claim): what transactions, as `accounts` gives them, take back of receipts of another
    account, or without one of the till's; and of (owner, word), what fraud says of their receipts. See
    ReceiptOwners.java; `udfs.passing.loyalty` reads them."""
    context.state("receipt-owner")
    context.state("receipt-claims")
    context.state("receipt-words")
    context.state("receipt-held")
    return DataStream(ours().ReceiptOwners.claims(transactions._j_data_stream, remember_ms))


def by_contract(rows: DataStream) -> tuple[DataStream, DataStream]:
    """Of rows of (transaction id, enveloped record) those that may be of our contracts, and the others."""
    records = rows._j_data_stream
    known = records.filter(ours().OurContracts(True)).uid("of-our-contracts")
    others = records.filter(ours().OurContracts(False)).uid("of-other-makers")
    return DataStream(known.name("of our contracts")), DataStream(others.name("of other makers"))


def none_of(rows: DataStream, uid: str, name: str = "nothing") -> DataStream:
    """A stream like ``rows`` with nothing in it, for a second input that is not needed."""
    return DataStream(rows._j_data_stream.filter(ours().DropAll()).uid(uid).name(name))


def topic(context: JobContext, topic: Topic, uid: str) -> KeyedStream:
    """Enveloped records of ``topic``, from its beginning, keyed by the topic's key."""
    return keyed(topic_rows(context, topic, uid))


def topic_rows(
    context: JobContext, topic: Topic, uid: str, key_field: str | None = None, timed: bool = False
) -> DataStream:
    """The same as rows of (key, enveloped record), not yet keyed; ``key_field`` instead of the
    topic's key. timed: as of `transactions`."""
    conf, name = context.conf, context.reads(topic)
    consumer = _consumer(context, conf.kafka.properties)
    envelope = ours().KafkaEnvelope(key_field or topic.key)
    earliest = ours().StartOffsets.of(_offsets().earliest())
    source = _kafka(context, conf.kafka.bootstrap, name, earliest, envelope, name, consumer, timed)
    return DataStream(source.uid(uid).name(name))


def by_field(stream: DataStream, field: str, uid: str) -> KeyedStream:
    """A stream of JSON bytes keyed again by one of their string fields, in the JVM."""
    rows = stream._j_data_stream.map(ours().ByField(field)).uid(uid).name(f"by {field}")
    return keyed(DataStream(rows))


def keyed(rows: DataStream) -> KeyedStream:
    """``rows`` of (key STRING, value BYTES), keyed in the JVM.

    PyFlink's own key_by would run a Python operator to make just such rows; the two agree, which
    tests/udfs/test_harness_is_faithful.py holds.
    """
    key_type = Types.ROW([Types.STRING()]).get_java_type_info()
    j_keyed = rows._j_data_stream.keyBy(java().KeyByKeySelector(), key_type)
    return KeyedStream(j_keyed, Types.PRIMITIVE_ARRAY(Types.BYTE()), rows)


def _consumer(context: JobContext, properties: Mapping[str, str]) -> dict[str, str]:
    """Of what anybody has written in a transaction only what is committed, whatever ``properties``."""
    return {"group.id": context.own_name(), **properties, "isolation.level": "read_committed"}


def _kafka(
    context: JobContext,
    bootstrap: str | None,
    topic: str,
    start: Any,
    envelope: Any,
    name: str,
    consumer: dict[str, str],
    timed: bool = False,
) -> Any:
    if not bootstrap:
        where = "source.kafka.bootstrap" if context.job.raw else "kafka.bootstrap"
        raise ConfError(f"{where} is not set: name the brokers, host:port,...")
    jvm = java()
    # A restored job goes on where it was, or fails; one without positions begins where ``start`` says.
    source = (
        jvm.org.apache.flink.connector.kafka.source.KafkaSource.builder()
        .setBootstrapServers(bootstrap)
        .setTopics(_strings(topic))
        .setStartingOffsets(start)
        .setDeserializer(envelope)
        .setProperties(
            properties(
                {
                    "partition.discovery.interval.ms": "30000",
                    "commit.offsets.on.checkpoint": "true",
                    "request.timeout.ms": "30000",
                    "default.api.timeout.ms": "30000",
                    **consumer,
                }
            )
        )
        .build()
    )
    accepted = context.conf.source.kafka.accepted_loss
    if moves := {at: move for at, move in accepted.items() if at.rpartition("/")[0] == topic}:
        source = ours().MovedPositions(source, moved(moves))
    return _stream(context, source, name, timed)


def _stream(context: JobContext, source: Any, name: str, timed: bool) -> Any:
    nothing = java().org.apache.flink.api.common.eventtime.WatermarkStrategy.noWatermarks()
    watermarks = ours().ArrivalTimes.watermarks(IDLE_MS) if timed else nothing
    env = context.env._j_stream_execution_environment
    return env.fromSource(source, watermarks, name)


def moved(moves: dict[str, list[int]]) -> Any:
    """topic/partition -> [position, where to go on], as MovedPositions wants it."""
    out = java().java.util.HashMap()
    for place, move in moves.items():
        pair = java().java.util.ArrayList()
        for offset in move:
            pair.add(offset)
        out.put(place, pair)
    return out


def _offsets() -> Any:
    kafka = java().org.apache.flink.connector.kafka
    return kafka.source.enumerator.initializer.OffsetsInitializer


def _start(conf: Conf) -> Any:
    """By partition, by time, or by word, whichever is set first in this order."""
    settings = conf.source.kafka
    if settings.offsets:
        places = java().java.util.HashMap()
        for partition, offset in settings.offsets.items():
            places.put(partition, str(offset))
        return ours().StartOffsets.of(settings.topic, places)
    if conf.source.start_ms is not None:
        return ours().StartOffsets.of(_offsets().timestamp(conf.source.start_ms))
    earliest = settings.start == "earliest"
    return ours().StartOffsets.of(_offsets().earliest() if earliest else _offsets().latest())


def _strings(*values: str) -> Any:
    from pyflink.util.java_utils import to_jarray

    return to_jarray(java().String, list(values))
