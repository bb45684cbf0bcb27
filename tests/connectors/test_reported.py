"""What alarms go by is reported where Amazon's service passes it on, under the names that alarms have."""

from __future__ import annotations

import time

import orjson
import pytest

from tests.connectors.test_formats import LETTER, java_context
from tillstream.connectors import gateway
from tillstream.infra import metrics


class Metrics:
    """Keeps what is registered, by group and name."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, str], object] = {}
        self._group = ""

    def addGroup(self, name):
        self._group = name
        return self

    def gauge(self, name, gauge):
        self.found[self._group, name] = gauge
        return gauge

    def meter(self, name, meter):
        self.found[self._group, name] = meter
        return meter

    class Java:
        implements = ("org.apache.flink.metrics.groups.OperatorMetricGroup",)


class Context:
    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics

    def getMetricGroup(self):
        return self.metrics


class SerializerContext(Context):
    class Java:
        implements = (
            "org.apache.flink.api.common.serialization.SerializationSchema$InitializationContext",
        )


class FunctionContext(Context):
    class Java:
        implements = ("org.apache.flink.api.common.functions.RuntimeContext",)


@pytest.fixture
def reported() -> Metrics:
    return Metrics()


def test_dead_letters_are_counted_where_they_are_written(classes, reported):
    records = classes.DeadLetterRecords("dead")
    records.open(SerializerContext(reported), None)
    records.serialize(orjson.dumps(LETTER), java_context(), None)
    assert reported.found["kinesisanalytics", metrics.DEAD_LETTERS].getCount() == 1


def test_the_age_of_the_last_checkpoint_is_reported_and_begins_again_with_each(classes, reported):
    rows = classes.JsonToRow(classes.ParquetFiles.rowType("ROW<a INT>"))
    rows.setRuntimeContext(FunctionContext(reported))
    rows.open(gateway.java().org.apache.flink.api.common.functions.DefaultOpenContext.INSTANCE)
    age = reported.found["kinesisanalytics", metrics.CHECKPOINT_AGE]
    time.sleep(1.1)
    assert age.getValue() >= 1
    rows.notifyCheckpointComplete(7)
    assert age.getValue() == 0
