"""What Amazon Managed Service for Apache Flink asks of an application's zip. Sources: docs/deploy.md"""

from __future__ import annotations

import re
from typing import NamedTuple

from tillstream import jars
from tillstream.conf.layers import GROUP
from tillstream.errors import Problem

MOST_BYTES = 512 * 2**20  # of an application's code
RUN_OPTIONS = "kinesis.analytics.flink.run.options"

# In the zip. A folder of pyFiles is on sys.path of the driver and of the TaskManagers alike, as a folder,
# so that native code can be loaded from it; the name of the folder is that of AWS's own example.
MAIN = "main.py"
JAR = f"lib/{jars.PARTS['job']}"
PYTHON = "dep"
MANIFEST = "manifest.json"


class Line(NamedTuple):
    """A line of Flink as the service runs it. python: as in 3.11."""

    runtime: str
    python: str
    java: int


LINES = {
    "1.20": Line("FLINK-1_20", "3.11", 11),
    "2.2": Line("FLINK-2_2", "3.12", 17),
    "2.3": Line("FLINK-2_3", "3.12", 17),
}


def flink_version() -> str:
    """What the job jar is built for, as conf/pom.xml says. Raises Problem."""
    found = re.search(r"<flink\.version>([^<]+)</flink\.version>", jars.POM.read_text())
    if found is None:
        raise Problem(f"{jars.POM} has no flink.version: take it from the release again")
    return found[1]


def line_of(flink: str) -> tuple[str, Line]:
    """The line of a version of Flink. Raises Problem where the service does not run it."""
    name = ".".join(flink.split(".")[:2])
    if name not in LINES:
        raise Problem(
            f"the job jar is for Flink {flink}, and the service runs {', '.join(LINES)}: set flink.version "
            "in conf/pom.xml to one of those"
        )
    return name, LINES[name]


def main_file(job: str) -> bytes:
    """The file that the service starts: it runs one job."""
    return (
        f'"""Runs the job {job}; written by `tillstream package`."""\n\n'
        "from tillstream.connectors.context import run\n"
        f"from tillstream.jobs.{job} import JOB\n\n"
        'if __name__ == "__main__":\n'
        "    run(JOB)\n"
    ).encode()


def properties(settings: dict[str, str]) -> dict[str, list[dict[str, object]]]:
    """EnvironmentProperties of CreateApplication: what the service starts, and ``settings`` of ours, which
    the job reads from /etc/flink/application_properties.json."""
    options = {"python": MAIN, "jarfile": JAR, "pyFiles": f"{PYTHON}/"}
    return {
        "PropertyGroups": [
            {"PropertyGroupId": RUN_OPTIONS, "PropertyMap": options},
            {"PropertyGroupId": GROUP, "PropertyMap": settings},
        ]
    }
