"""The way from Python to the classes of the job jar."""

from __future__ import annotations

from typing import Any

from pyflink.datastream import DataStream
from pyflink.java_gateway import get_gateway


class JarMissing(RuntimeError):
    """The job jar is not on the class path of the client."""


def java() -> Any:
    """The JVM's packages, e.g. ``java().io.tillstream.flink.KafkaEnvelope``."""
    return get_gateway().jvm


def ours() -> Any:
    """Package io.tillstream.flink of the job jar.

    Raises JarMissing if the jar is not there.
    """
    package = java().io.tillstream.flink
    # py4j takes a class it cannot find for a package.
    if type(package.KafkaEnvelope).__name__ != "JavaClass":
        raise JarMissing(
            "the job jar is not on the class path: a cluster of `tillstream up` has it in lib/; elsewhere "
            "build it with `python -m tillstream.jars` and pass it as --jarfile"
        )
    return package


def properties(settings: dict[str, str]) -> Any:
    """A java.util.Properties of ``settings``."""
    out = java().java.util.Properties()
    for name, value in settings.items():
        out.setProperty(name, str(value))
    return out


def add_sink(stream: DataStream, sink: Any, uid: str, name: str) -> Any:
    """Attach a Java Sink; every sink has a uid, for a changed uid loses its state."""
    return stream._j_data_stream.sinkTo(sink).uid(uid).name(name)
