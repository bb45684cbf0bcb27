"""Hot items in DynamoDB: one per key, the newest version wins."""

from __future__ import annotations

from pyflink.datastream import DataStream

from tillstream.catalog.resources import Table
from tillstream.connectors.context import JobContext
from tillstream.connectors.gateway import add_sink, ours

VERSION = "version"  # the attribute that orders the versions of an item


def hot_item_sink(
    context: JobContext, stream: DataStream, table: Table, uid: str, apart: bool = False
) -> None:
    """JSON bytes to ``table``. An item is replaced only by a version that is not older; where the
    table merges it is changed where the newer one has a field, and null removes. ``apart``: in a
    thread of its own, so that its wait at a checkpoint holds nobody up."""
    conf, name = context.conf, context.table(table)
    settings = conf.dynamodb
    sink = ours().HotItemSink(name, conf.region).endpoint(settings.endpoint)
    if conf.aws.credentials == "basic":
        sink.basicCredentials()
    for field, attribute, kind in table.fields:
        sink.attribute(field, attribute, kind)
    if table.merge:
        sink.merge()
    sink.key(table.by).version(VERSION).limits(
        settings.in_flight,
        settings.buffered_items,
        settings.attempts,
        settings.request_timeout_ms,
    ).held(settings.replay_hold_ms)
    attached = add_sink(stream, sink, uid, f"{name} to DynamoDB")
    if apart:
        attached.disableChaining()
