"""What Amazon Managed Service for Apache Flink asks of an application's zip. Sources: docs/deploy.md"""

from __future__ import annotations

from tillstream import jars
from tillstream.conf.layers import GROUP

MOST_BYTES = 512 * 2**20  # of an application's code
RUN_OPTIONS = "kinesis.analytics.flink.run.options"

# In the zip. A folder of pyFiles is on sys.path of the driver and of the TaskManagers alike, as a folder,
# so that native code can be loaded from it; the name of the folder is that of AWS's own example.
MAIN = "main.py"
JAR = f"lib/{jars.PARTS['job']}"
PYTHON = "dep"
MANIFEST = "manifest.json"


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
