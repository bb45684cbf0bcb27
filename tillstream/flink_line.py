"""The lines of Flink that Tillstream runs on. An environment has one of them: that of its PyFlink."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from tillstream.errors import Problem


class FlinkLine(NamedTuple):
    """name: as in 1.20. flink: the version of PyFlink that `bin/setup` takes. runtime, python (as in 3.11),
    java: what Amazon Managed Service for Apache Flink calls the line, and runs it with."""

    name: str
    flink: str
    runtime: str
    python: str
    java: int


FIRST = FlinkLine("1.20", "1.20.5", "FLINK-1_20", "3.11", 11)
LINES = {
    line.name: line
    for line in (
        FIRST,
        FlinkLine("2.2", "2.2.1", "FLINK-2_2", "3.12", 17),
        FlinkLine("2.3", "2.3.0", "FLINK-2_3", "3.12", 17),
    )
}


def of_version(flink: str) -> FlinkLine:
    """The line of a version of Flink, such as 2.2.1. Raises Problem where we do not run on it."""
    line = LINES.get(".".join(flink.split(".")[:2]))
    if line is None:
        raise Problem(
            f"PyFlink {flink} is installed, and Tillstream runs on {', '.join(LINES)}: "
            f"install apache-flink=={FIRST.flink}, or run bin/setup"
        )
    return line


@cache
def installed() -> FlinkLine:
    """The line of the PyFlink that is installed here. Raises Problem."""
    try:
        return of_version(version("apache-flink"))
    except PackageNotFoundError:
        raise Problem("PyFlink is not installed: run bin/setup") from None
