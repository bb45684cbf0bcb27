"""A cluster's home around the Flink inside the PyFlink wheel: links, plugins, configuration."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import yaml

from tillstream import conf
from tillstream.clients.java import java_options, java_with_log, wheel
from tillstream.clients.storage import file_uri
from tillstream.conf.layers import read_json
from tillstream.jars import JarSet
from tillstream.local.layout import CREDENTIAL, HERE, REGION, Layout, StackError

STATE_BACKENDS = ("hashmap", "rocksdb")
JOB_VERSION = "job-jar-version"


def render(layout: Layout, ports: dict[str, int], state_backend: str) -> dict[str, Any]:
    """conf/flink/config.yaml, the overlay of the state backend, this stack's own addresses, and the
    engine settings of $TILLSTREAM_FLINK, a JSON object such as
    ``{"taskmanager.memory.task.heap.size": "1536m"}``. Raises ConfError if it is none."""
    folder = conf.RESOURCES / "conf" / "flink"
    settings: dict[str, Any] = yaml.safe_load((folder / "config.yaml").read_text())
    overlay = folder / f"{state_backend}.yaml"
    if overlay.exists():
        settings |= yaml.safe_load(overlay.read_text())
    python = str(Path(sys.prefix) / "bin" / "python")
    settings |= {
        "env.java.opts.all": " ".join(java_options()),
        "jobmanager.rpc.address": "127.0.0.1",
        "jobmanager.bind-host": "127.0.0.1",
        "jobmanager.rpc.port": ports["flink-rpc"],
        "high-availability.jobmanager.port": ports["flink-rpc"],
        "high-availability.zookeeper.quorum": f"127.0.0.1:{ports['zookeeper']}",
        "high-availability.storageDir": file_uri(layout.leader),
        "rest.address": "127.0.0.1",
        "rest.bind-address": "127.0.0.1",
        "rest.port": ports["flink-rest"],
        "taskmanager.host": "127.0.0.1",
        "taskmanager.bind-host": "127.0.0.1",
        "io.tmp.dirs": str(layout.data / "tmp"),
        "execution.checkpointing.dir": file_uri(layout.checkpoints),
        "execution.checkpointing.savepoint-dir": file_uri(layout.savepoints),
        "python.executable": python,
        "python.client.executable": python,
        "s3.endpoint": f"http://127.0.0.1:{ports['s3']}",
        "s3.endpoint.region": REGION,
        "s3.path.style.access": "true",
        # Deleting folder markers fails on the stand-in and each commit then retries for minutes.
        "s3.directory.marker.retention": "keep",
        "s3.access-key": CREDENTIAL,
        "s3.secret-key": CREDENTIAL,
    }
    return settings | read_json(os.environ.get("TILLSTREAM_FLINK") or "{}", "TILLSTREAM_FLINK")


def build(layout: Layout, jars: JarSet, settings: dict[str, Any]) -> None:
    """Recreates stack/flink; nothing in it is state."""
    shutil.rmtree(layout.flink, ignore_errors=True)
    lib = layout.flink / "lib"
    opt = layout.flink / "opt"
    for folder in (lib, opt, layout.flink / "conf", layout.flink / "plugins"):
        folder.mkdir(parents=True)
    (layout.flink / "bin").symlink_to(wheel() / "bin")
    # flink-python in lib/: its native library is loaded once, by the cluster's class loader.
    python_jars = list((wheel() / "opt").glob("flink-python-*.jar"))
    if not python_jars:
        raise StackError("apache-flink is not installed whole: run bin/setup")
    # The job jar too: taken along by each submission, a cluster loads its classes again each time, which
    # leaves the old ones behind in the metaspace and what was compiled of them of no use.
    for jar in [*(wheel() / "lib").glob("*.jar"), *python_jars, jars.job]:
        (lib / jar.name).symlink_to(jar)
    (layout.flink / JOB_VERSION).write_text(jars.job_version)
    # ... and in opt/, where the client looks for it; it does not follow a linked folder.
    for jar in python_jars:
        (opt / jar.name).symlink_to(jar)
    for plugin in jars.plugins.iterdir():
        (layout.flink / "plugins" / plugin.name).symlink_to(plugin)
    (layout.flink / "conf" / "config.yaml").write_text(yaml.safe_dump(settings, width=10_000))
    for name in ("log4j-console.properties", "log4j-cli.properties", "log4j.properties"):
        shutil.copy(HERE / "log4j2.properties", layout.flink / "conf" / name)


def runs_job_jar(layout: Layout, jars: JarSet) -> bool:
    """Whether the cluster was made with the job jar as it is now built."""
    made_with = layout.flink / JOB_VERSION
    return made_with.exists() and made_with.read_text() == jars.job_version


def client_environment(layout: Layout) -> dict[str, str]:
    """Tells Flink's classes and PyFlink where this cluster's home is."""
    home = layout.flink
    return {
        "FLINK_HOME": str(home),
        "FLINK_CONF_DIR": str(home / "conf"),
        "FLINK_LIB_DIR": str(home / "lib"),
        # The wheel's own: the client looks there for flink-python, and not through links.
        "FLINK_OPT_DIR": str(wheel() / "opt"),
        "FLINK_PLUGINS_DIR": str(home / "plugins"),
        "FLINK_LOG_DIR": str(layout.logs),
        "_FLINK_HOME_DETERMINED": "true",
    }


def settings_of(layout: Layout) -> dict[str, Any]:
    """The configuration the cluster was built with."""
    return yaml.safe_load((layout.flink / "conf" / "config.yaml").read_text())


def java_command(layout: Layout, log_name: str, options: list[str], main: str) -> list[str]:
    """A Flink process as its start scripts would run it, without their three extra JVMs."""
    found = sorted((layout.flink / "lib").glob("*.jar"))
    # Last, as the scripts put it: the other jars may override its classes.
    found.sort(key=lambda jar: jar.name.startswith("flink-dist"))
    classpath = ":".join(map(str, found))
    log4j = layout.flink / "conf" / "log4j-console.properties"
    home = settings_of(layout).get("env.java.home")
    return [
        *java_with_log(layout.log(log_name), log4j, [*options, *java_options()], home),
        *("-classpath", classpath, main),
    ]


def _server(
    layout: Layout, name: str, main: str, heap: str, direct: str, metaspace: str, *more: str
) -> list[str]:
    """A JobManager or TaskManager, up to the arguments of its own."""
    options = [
        *(f"-Xmx{heap}", f"-Xms{heap}", "-XX:+UseG1GC"),
        *(f"-XX:MaxDirectMemorySize={direct}", f"-XX:MaxMetaspaceSize={metaspace}", *more),
    ]
    command = java_command(layout, name, options, f"org.apache.flink.runtime.{main}")
    return [*command, "--configDir", str(layout.flink / "conf")]


def jobmanager(layout: Layout) -> list[str]:
    """Command of the JobManager."""
    settings = settings_of(layout)
    sizes = (
        settings[f"jobmanager.memory.{part}.size"] for part in ("heap", "off-heap", "jvm-metaspace")
    )
    main = "entrypoint.StandaloneSessionClusterEntrypoint"
    quick = "-XX:TieredStopAtLevel=1"  # it loads much and computes little
    return [*_server(layout, "jobmanager", main, *sizes, quick), "--executionMode", "cluster"]


def taskmanager(layout: Layout, name: str) -> list[str]:
    """Command of one TaskManager; ``name`` is also its id in the cluster."""
    settings = settings_of(layout)

    def mib(*parts: str) -> str:
        return f"{sum(megabytes(settings[f'taskmanager.memory.{part}']) for part in parts)}m"

    heap = mib("framework.heap.size", "task.heap.size")
    direct = mib("framework.off-heap.size", "task.off-heap.size", "network.max")
    metaspace = mib("jvm-metaspace.size")
    return [
        *_server(layout, name, "taskexecutor.TaskManagerRunner", heap, direct, metaspace),
        f"-Dtaskmanager.resource-id={name}",
        f"-Dtaskmanager.log.path={layout.log(name)}",
    ]


def client(layout: Layout, *arguments: str) -> list[str]:
    """Command of Flink's own client, as bin/flink would run it."""
    options = ["-Xmx384m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
    main = "org.apache.flink.client.cli.CliFrontend"
    return [*java_command(layout, "client", options, main), *arguments]


def megabytes(size: str) -> int:
    """MiB of a Flink memory size such as 512m or 1g."""
    match = re.fullmatch(r"(\d+)\s*(m|mb|g|gb)", str(size).strip().lower())
    if match is None:
        raise StackError(f"conf/flink: memory size {size!r} is not like 512m or 1g")
    return int(match[1]) * (1024 if match[2].startswith("g") else 1)
