"""Hot items in DynamoDB: one per key, the newest version wins."""

from __future__ import annotations

from pyflink.common import Types
from pyflink.datastream import DataStream

from tillstream.catalog.resources import Table
from tillstream.connectors.context import JobContext
from tillstream.connectors.gateway import ours

VERSION = "version"  # the attribute that orders the versions of an item
BYTES = Types.PRIMITIVE_ARRAY(Types.BYTE())


def hot_item_sink(
    context: JobContext, stream: DataStream, table: Table, uid: str, apart: bool = False
) -> DataStream:
    """JSON bytes to ``table``. An item is replaced only by a version that is not older; where the
    table merges it is changed where the newer one has a field, and null removes. ``apart``: in a
    thread of its own, so that its wait at a checkpoint holds nobody up. Returns dead letters of what
    no table takes, which ``dead_letters.sink`` writes with the job's others."""
    conf, name = context.conf, context.table(table)
    settings = conf.dynamodb
    sink = ours().HotItemSink(context.job.name, name, conf.region).endpoint(settings.endpoint)
    if conf.aws.credentials == "basic":
        sink.basicCredentials()
    for field, attribute, kind in table.fields:
        sink.attribute(field, attribute, kind)
    if table.merge:
        sink.merge()
    for version, attributes in table.versions.items():
        for attribute in attributes:
            sink.versionOf(attribute, version)
    for columns, is_index in ((table.key, False), (table.index.key if table.index else (), True)):
        for place, (column, _) in enumerate(columns):
            sink.keyed(column, is_index, place == 1)
    sink.key(table.by).version(VERSION).limits(
        settings.in_flight,
        settings.buffered_items,
        settings.give_up_after_s * 1000,
        settings.request_timeout_ms,
    ).held(settings.replay_hold_ms)
    engine = context.env._j_stream_execution_environment
    sink.checkpoints(engine.getCheckpointConfig().getCheckpointInterval())
    title = f"{name} to DynamoDB"
    made = stream._j_data_stream.transform(title, BYTES.get_java_type_info(), sink.operator())
    refused = DataStream(ours().Wiring.chained(made, apart).uid(uid).name(title))
    context.refused.append(refused)
    return refused
