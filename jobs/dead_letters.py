"""Where every job's dead letters go: to their topic, and as history to S3."""

from __future__ import annotations

from pyflink.datastream import DataStream

from tillstream.conf import Conf
from tillstream.connectors import kafka, s3
from tillstream.state_schemas.tables import dead_letter


def sink(stream: DataStream, conf: Conf) -> None:
    """``stream``: dead letters as JSON bytes. The sinks' uids are the same in every job."""
    kafka.dead_letter_sink(stream, conf, uid="dead-letters")
    history(stream, conf)


def history(stream: DataStream, conf: Conf, apart: bool = False) -> None:
    """The second half of ``sink``. apart: in a thread of its own, see ``s3.parquet_sink``."""
    s3.parquet_sink(
        stream,
        conf,
        prefix=conf.s3.prefixes["dead_letters"],
        row_type=dead_letter.ROW_TYPE,
        date_field="failed_at_ms",
        region_field=None,
        uid="dead-letter-history",
        apart=apart,
    )
