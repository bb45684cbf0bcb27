"""Intake: the one reader of the tills' raw stream; every transaction once, checked, in one form to Kafka."""

from __future__ import annotations

from typing import NamedTuple

from pyflink.datastream import DataStream

from tillstream.catalog import tables, topics
from tillstream.catalog.entry import DEAD_LETTERS, Job
from tillstream.connectors import batched, dead_letters, kafka, s3, sources, tracking
from tillstream.connectors.context import JobContext, run
from tillstream.intake.mappings import load
from tillstream.udfs.engine import BYTES
from tillstream.udfs.intake import NOTICES, RAW, VOIDS, VoidsJudged, by_mapping, intake_once
from tillstream.udfs.stage import StageSettings

HOUR_MS = 3_600_000


class Streams(NamedTuple):
    """What the job makes; each element is JSON bytes."""

    transactions: DataStream
    raw: DataStream
    notices: DataStream
    dead_letters: DataStream


def read(context: JobContext) -> DataStream:
    """Rows of (transaction id, enveloped record); not yet keyed."""
    return sources.transaction_rows(context, "transaction_id", timed=True)


def build(records: DataStream, context: JobContext) -> Streams:
    """What is not of our contracts goes by the makers' mappings first."""
    conf = context.conf
    ours, others = sources.by_contract(records)
    mappings = [load(name).spec for name in conf.intake.mappings]
    mapped = batched.each(
        context, sources.keyed(others), by_mapping(conf, mappings), BYTES,
        uid="read-by-mapping", name="other makers' receipts",
    )  # fmt: skip
    by_id = batched.by_line(mapped, "mapped-by-id", "by transaction id")
    once = batched.process(
        context, sources.keyed(ours.union(by_id)), sources.none_of(records, "intake-no-control"),
        intake_once(conf, mappings), state="intake-mark", uid="intake-once", name="each transaction once",
        by_arrival=True, life_ms=conf.intake.dedupe_hours * HOUR_MS,
    )  # fmt: skip
    voids = batched.each(
        context, tracking.first_voids(context, batched.side(once, VOIDS)),
        VoidsJudged(StageSettings.of("intake", conf)), BYTES,
        uid="voids-judged", name="voids that count",
    )  # fmt: skip
    raw = batched.sides(RAW, mapped, once, voids)
    notices = batched.side(once, NOTICES)
    return Streams(once.union(voids), raw, notices, batched.refused(mapped, once, voids))


def write(streams: Streams, context: JobContext) -> None:
    """The canonical stream, what it was made of, notices, dead letters."""
    kafka.json_sink(context, streams.transactions, topics.TRANSACTIONS, uid="transactions")
    s3.parquet_sink(context, streams.raw, tables.RAW_RECORDS, uid="raw-records", apart=True)
    kafka.json_sink(context, streams.notices, topics.NOTICES, uid="notices")
    dead_letters.sink(context, streams.dead_letters)


JOB = Job(
    "intake", read, build, write, raw=True,
    writes=(topics.TRANSACTIONS.prompt, topics.NOTICES, tables.RAW_RECORDS, *DEAD_LETTERS),
)  # fmt: skip

if __name__ == "__main__":
    run(JOB)
