"""A packed job, started as Amazon Managed Service for Apache Flink starts it.

JobManager, TaskManager and driver each in a root of its own that nobody can write to but /tmp, as a user
without a home, without environment variables of ours, on the line's Java, with PyFlink and what it brings as
the only Python packages, the job jar in no lib/ but taken along, and the application's properties where the
service puts them. What is not as there: all three share the machine's network, memory limits are Flink's own
only, and sources and sinks are the local stack's. Needs root, for mounts in a namespace that goes with the
processes.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import requests
import yaml
from packaging.requirements import Requirement

from tests.support.wait import wait_for
from tillstream import conf, jars
from tillstream.clients.flink import TERMINAL, FlinkRest, FlinkRestError
from tillstream.clients.java import java_options, wheel
from tillstream.errors import Unreachable
from tillstream.local import ports
from tillstream.local.layout import CREDENTIAL, REGION
from tillstream.package import service

NOBODY = "65534:65534"
OF_ETC = (
    "passwd",
    "group",
    "hosts",
    "nsswitch.conf",
    "resolv.conf",
    "ld.so.cache",
    "ssl",
    "java-17-openjdk",
)
FLINK, JAVA, APPLICATION, BIN = "/opt/flink", "/opt/java", "/opt/application", "/opt/bin"
SAVEPOINTS = "s3://tillstream/savepoints-of-the-service"
ANOTHER_JOBS_PYTHON = 70  # a TaskManager that ends with it is started again: see OnePemja.java
# What the images of Flink set; nothing of the application's.
ENVIRONMENT = {
    "PATH": f"{BIN}:{FLINK}/bin:{JAVA}/bin:/usr/bin:/bin",
    "JAVA_HOME": JAVA,
    "FLINK_HOME": FLINK,
    "FLINK_LOG_DIR": "/tmp/log",
}

# As the service starts a container anew; told to end, it ends what it has started.
AGAIN = f"""
trap 'kill $child; wait $child; exit' TERM
while :; do
    {FLINK}/bin/taskmanager.sh start-foreground & child=$!
    wait $child
    code=$?
    [ $code = {ANOTHER_JOBS_PYTHON} ] || exit $code
done
"""


def can_be_imitated() -> bool:
    """Whether this user may mount, and the tools are there."""
    return os.geteuid() == 0 and all(map(shutil.which, ("unshare", "chroot", "mount")))


class Service:
    """One application; ``folder``: where its root, logs and files are put. ``java``: a Java home.
    ``on``: runs on the cluster of that one, and has none itself."""

    def __init__(
        self,
        folder: Path,
        package: Path,
        properties: list[dict[str, Any]],
        java: Path,
        on: Service | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.java, self.host = folder, java, on or self
        self.application = folder / "application"
        with ZipFile(package) as held:
            held.extractall(self.application)
        (self.options,) = (
            group["PropertyMap"]
            for group in properties
            if group["PropertyGroupId"] == service.RUN_OPTIONS
        )
        self._etc(properties)
        if on is None:
            rest = ports.any_free(set())
            self.ports = {"rest": rest, "rpc": ports.any_free({rest})}
            self._flink()
            self._python()
        else:
            self.ports = on.ports

    @property
    def rest(self) -> FlinkRest:
        return FlinkRest(f"http://127.0.0.1:{self.ports['rest']}")

    @contextmanager
    def running(self) -> Iterator[Service]:
        """Until the block ends; the job runs in it."""
        with self.cluster():
            self.submit("driver")
            wait_for(self.state, 240, "the job to run", "RUNNING".__eq__, every_s=1)
            yield self

    @contextmanager
    def cluster(self, taskmanagers: int = 1) -> Iterator[Service]:
        """The same, without a job as yet."""
        manager = ["bash", f"{FLINK}/bin/jobmanager.sh", "start-foreground"]
        workers = ["taskmanager", *(f"taskmanager-{n}" for n in range(2, taskmanagers + 1))]
        with ExitStack() as started:
            processes = [
                started.enter_context(self._process("jobmanager", manager)),
                *(started.enter_context(self._process(w, ["bash", "-c", AGAIN])) for w in workers),
            ]
            wait_for(self._slots, 240, "free slots", lambda n: n == taskmanagers, every_s=1)
            yield self
            assert not [one for one in processes if one.poll() is not None], "a process has ended"

    def started_anew(self) -> None:
        """Stops the job and submits it again to the same TaskManager, from the savepoint."""
        location = self.rest.stop_with_savepoint(self.run(), SAVEPOINTS, timeout_s=120)
        wait_for(self._slots, 240, "a free slot", every_s=1)
        self.submit("driver-anew", "--fromSavepoint", location)
        wait_for(self.state, 240, "the job to run", "RUNNING".__eq__, every_s=1)

    def submit(self, name: str, *options: str) -> None:
        """As the service submits the job, with ``options`` of Flink's client; returns once it is submitted.
        AssertionError has the end of the driver's log. ``name``: of its root and log."""
        # The service's properties are called as these options of Flink's client, its own reference for them.
        driver = [
            *("bash", f"{FLINK}/bin/flink", "run", "--detached", *options),
            *("--python", f"{APPLICATION}/{self.options['python']}"),
            *("--jarfile", f"{APPLICATION}/{self.options['jarfile']}"),
            *("--pyFiles", f"{APPLICATION}/{self.options['pyFiles']}"),
        ]
        with self._process(name, driver) as submitting:
            assert submitting.wait(240) == 0, self.log(name)[-4000:]

    def run(self, job: str = "") -> str:
        """Id of the one job that has not ended; of several, the one of that name."""
        left = [one for one in self.rest.jobs() if one["state"] not in TERMINAL]
        (run,) = (one["jid"] for one in left if job in ("", one["name"]))
        return str(run)

    def _slots(self) -> int:
        with suppress(Unreachable, FlinkRestError, OSError):
            return int(self.rest.overview()["slots-available"])
        return 0

    def state(self, job: str = "") -> str:
        """Of the job that has not ended: RUNNING once all its tasks do."""
        with suppress(Unreachable, FlinkRestError, OSError, ValueError):
            run = self.rest.job(self.run(job))
            states = {vertex["status"] for vertex in run["vertices"]}
            return "RUNNING" if states == {"RUNNING"} else f"{run['state']}: {sorted(states)}"
        return "not there yet"

    def python_metrics(self) -> dict[str, str]:
        """What the TaskManagers tell of how their Python runs, by name, of all operators the largest."""
        found: dict[str, str] = {}
        run = self.run()
        for vertex in self.rest.job(run)["vertices"]:
            url = f"{self.rest.url}/jobs/{run}/vertices/{vertex['id']}/metrics"
            names = [one["id"] for one in requests.get(url, timeout=10).json()]
            wanted = [name for name in names if ".python" in name]
            if wanted:
                told = requests.get(url, params={"get": ",".join(wanted)}, timeout=10).json()
                found |= {one["id"].rpartition(".")[2]: one["value"] for one in told}
        return found

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    # -- what is in the root -----------------------------------------------------------------------

    def _etc(self, properties: list[dict[str, Any]]) -> None:
        etc = self.folder / "etc"
        etc.mkdir()
        for name in OF_ETC:
            found = Path("/etc") / name
            if found.is_dir():
                shutil.copytree(found, etc / name, symlinks=True)
            elif found.exists():
                shutil.copyfile(found, etc / name)
        (etc / "flink").mkdir()
        (etc / "flink" / conf.AMSF_PROPERTIES.name).write_text(json.dumps(properties))

    def _flink(self) -> None:
        home = self.folder / "flink"
        for name in ("bin", "lib", "opt", "conf"):
            linked(wheel() / name, home / name)
        linked(jars.jar_set().plugins, home / "plugins")
        settings = {
            "env.java.opts.all": " ".join(
                [
                    *java_options(),
                    f"-Daws.accessKeyId={CREDENTIAL}",  # in the place of the application's role
                    f"-Daws.secretAccessKey={CREDENTIAL}",
                    f"-Daws.secretKey={CREDENTIAL}",
                    f"-Daws.region={REGION}",
                ]
            ),
            "jobmanager.rpc.address": "127.0.0.1",
            "jobmanager.bind-host": "127.0.0.1",
            "jobmanager.rpc.port": self.ports["rpc"],
            "jobmanager.memory.process.size": "1100m",
            "rest.address": "127.0.0.1",
            "rest.bind-address": "127.0.0.1",
            "rest.port": self.ports["rest"],
            "metrics.fetcher.update-interval": 1000,
            "taskmanager.host": "127.0.0.1",
            "taskmanager.bind-host": "127.0.0.1",
            "taskmanager.numberOfTaskSlots": 1,
            "taskmanager.memory.process.size": "2200m",
            "taskmanager.memory.jvm-overhead.min": "512m",
            "taskmanager.memory.jvm-metaspace.size": "384m",
            "state.backend.type": "rocksdb",
            "execution.checkpointing.incremental": True,
            "execution.checkpointing.interval": "5 s",
            "execution.checkpointing.mode": "EXACTLY_ONCE",
            "execution.checkpointing.dir": "s3://tillstream/checkpoints-of-the-service",
            "s3.endpoint.region": REGION,
            "s3.path.style.access": True,
            "s3.directory.marker.retention": "keep",
            "s3.access-key": CREDENTIAL,
            "s3.secret-key": CREDENTIAL,
        }
        (home / "conf" / "config.yaml").unlink()
        (home / "conf" / "config.yaml").write_text(yaml.safe_dump(settings, width=10_000))

    def set_engine(self, **settings: Any) -> None:
        """More of Flink's settings; a double underscore stands for a dot."""
        file = self.folder / "flink" / "conf" / "config.yaml"
        said = yaml.safe_load(file.read_text())
        said |= {name.replace("__", "."): value for name, value in settings.items()}
        file.write_text(yaml.safe_dump(said, width=10_000))

    def _python(self) -> None:
        """apache-flink and all it requires, as site-packages."""
        site = self.folder / "site"
        for found in _required("apache-flink").values():
            for file in found.files or ():
                if ".." not in file.parts and "__pycache__" not in file.parts:
                    _link(Path(str(file.locate())), site / file)

    # -- the two processes -------------------------------------------------------------------------

    @contextmanager
    def _process(self, name: str, command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
        root = self.folder / f"root-of-{name}"
        root.mkdir()
        with (self.folder / f"{name}.log").open("w") as log:
            process = subprocess.Popen(
                ["unshare", "--mount", "--propagation", "private", "sh", "-ec",
                 self._script(root, command)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _script(self, root: Path, command: list[str]) -> str:
        """Mounts the root and goes on as ``command`` in it; the mounts go with the process."""
        prefix = Path(sys.base_prefix)
        version = f"python3.{sys.version_info.minor}"
        places = (
            prefix / "lib" / version / "site-packages",
            Path("/usr/lib/python3/dist-packages"),
        )
        packages = next(place for place in places if place.is_dir())
        binds = {
            "/usr": Path("/usr"),
            "/etc": self.folder / "etc",
            "/dev": Path("/dev"),
            "/proc": Path("/proc"),
            FLINK: self.host.folder / "flink",
            JAVA: self.java,
            APPLICATION: self.application,
            **({} if prefix == Path("/usr") else {str(prefix): prefix}),
            str(packages): self.host.folder / "site",
        }
        lines = [f"mount -t tmpfs -o mode=755 tmpfs {root}", f"mkdir -p {root}/tmp {root}{BIN}"]
        for name in ("bin", "sbin", "lib", "lib64"):
            if (link := Path("/") / name).is_symlink():
                lines.append(f"ln -s {link.readlink()} {root}/{name}")
        # The interpreter inside a TaskManager goes by the python3 that it finds on the PATH.
        python = Path(sys._base_executable)  # type: ignore[attr-defined]
        lines += [f"ln -s {python} {root}{BIN}/{name}" for name in ("python", "python3")]
        for inner, outer in binds.items():
            lines.append(f"mkdir -p {root}{inner}")
            lines.append(f"mount --bind {shlex.quote(str(outer))} {root}{inner}")
            if inner not in ("/dev", "/proc"):
                lines.append(f"mount -o remount,bind,ro {root}{inner}")
        lines += [
            f"mount -t tmpfs -o mode=1777 tmpfs {root}/tmp",
            f"mount -o remount,ro {root}",
        ]
        variables = " ".join(f"{name}={value}" for name, value in ENVIRONMENT.items())
        said = " ".join(map(shlex.quote, command))
        lines.append(f"exec chroot --userspec={NOBODY} {root} /usr/bin/env -i {variables} {said}")
        return "\n".join(lines)


def _required(name: str) -> dict[str, Distribution]:
    """A distribution and all that it requires here."""
    found: dict[str, Distribution] = {}
    waiting = [name]
    while waiting:
        one = waiting.pop()
        if one in found:
            continue
        found[one] = distribution(one)
        for text in found[one].requires or ():
            need = Requirement(text)
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                waiting.append(need.name)
    return found


def linked(source: Path, target: Path) -> None:
    """A folder again, its files as hard links: a link by name would lead out of the root."""
    for file in source.rglob("*"):
        if file.is_file():
            _link(file.resolve(), target / file.relative_to(source))


def _link(file: Path, target: Path) -> None:
    if target.exists():  # of two packages; a copy would write through the link
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(file, target)
    except OSError:  # another file system
        shutil.copyfile(file, target)


def told(properties: dict[str, Any]) -> list[dict[str, Any]]:
    """/etc/flink/application_properties.json of EnvironmentProperties."""
    groups: list[dict[str, Any]] = properties["PropertyGroups"]
    assert groups[0]["PropertyGroupId"] == service.RUN_OPTIONS
    return groups
