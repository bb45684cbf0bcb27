"""The local stack: brings its processes up, watches them, takes them down."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tillstream import conf as settings
from tillstream.jars import ensure_jars, jar_set, one_at_a_time
from tillstream.local import flink_home, ports, processes, resources, table_server
from tillstream.local.layout import REGION, Layout, StackError, environment, free_mib
from tillstream.local.services import Context, Service, is_cluster, services, url

START_TIMEOUT_S = 90.0
DISK_FLOOR_MIB = 128  # below this the stand-ins fail one after another
DEFAULT_TASKMANAGERS = 2
CLUSTER_PORTS = ("zookeeper", "flink-rpc", "flink-rest", "s3")  # which all of it are told of

Progress = Callable[[str], None]


@dataclass(frozen=True)
class ProcessStatus:
    """One process as it is now; ``pid`` 0 when it does not run."""

    name: str
    pid: int
    address: str
    memory_mib: int
    healthy: bool
    problem: str


class Stack:
    """One stack, at ``home`` ($TILLSTREAM_HOME or <repo>/.tillstream)."""

    def __init__(self, home: Path | str | None = None) -> None:
        self.layout = Layout(Path(home or settings.home()).resolve())

    # -- up and down -------------------------------------------------------------------------------

    def up(
        self,
        taskmanagers: int | None = None,
        fresh: bool = False,
        state_backend: str | None = None,
        progress: Progress = lambda line: None,
    ) -> dict[str, Any]:
        """Starts what does not run, waits until all serve, makes what jobs expect.

        None keeps the number of TaskManagers (first 2) and the state backend (first hashmap).
        Returns the content of stack.json. Whatever this call started is ended if it fails.
        """
        self.refuse_containers()
        self.layout.must_be_writable()
        jars = ensure_jars(progress)
        table_server.ensure(progress)
        if problem := self.disk_problem():
            raise StackError(problem)
        with self.lock():
            if fresh:
                self._down()
                shutil.rmtree(self.layout.root / "data", ignore_errors=True)
                shutil.rmtree(self.layout.logs, ignore_errors=True)
                (self.layout.root / "jobs.jsonl").unlink(missing_ok=True)
            before = self.layout.read().get("taskmanagers")
            stack = self._plan(taskmanagers, state_backend)
            context = Context(self.layout, jars, stack["ports"])
            wanted = services(stack["taskmanagers"])
            missing = [service for service in wanted if not self.pid(service.name)]
            if not any(self.pid(s.name) for s in wanted if is_cluster(s.name)):
                # A new cluster, of no jobs: `job restore --all` brings back those of the last one.
                shutil.rmtree(self.layout.data / "zookeeper", ignore_errors=True)
                shutil.rmtree(self.layout.leader, ignore_errors=True)
                rendered = flink_home.render(self.layout, stack["ports"], stack["state_backend"])
                flink_home.build(self.layout, jars, rendered)
            try:
                self._start(context, stack, missing)
                self._wait(context, wanted, progress)
                for made in resources.create_resources(self.conf()):
                    progress(f"created {made}")
            except BaseException:
                begun = [stack["processes"].pop(service.name, None) for service in missing]
                stack["taskmanagers"] = before or stack["taskmanagers"]
                with contextlib.suppress(OSError):
                    self.layout.write(stack)  # first, or the supervisor starts them again
                pids = [record["pid"] for record in begun if record]
                processes.end(pids, self.layout.root, grace_s=3)
                self._end_strays()
                raise
            return stack

    def revive(self, which: Callable[[str], bool] = is_cluster) -> list[str]:
        """Starts what has died of the processes ``which``, those of the Flink cluster; returns the names.
        None while an `up` or `down` is at work. Waits for none to serve. Raises StackError while the
        disk is full."""
        try:
            with self.lock(wait=False):
                stack = self.layout.read()
                dead = [
                    service
                    for service in services(stack.get("taskmanagers", 0))
                    if which(service.name)
                    and service.name in stack["processes"]
                    and not self.pid(service.name)
                ]
                if dead and (problem := self.disk_problem()):
                    raise StackError(problem)
                if dead:
                    self._start(Context(self.layout, jar_set(), stack["ports"]), stack, dead)
                return [service.name for service in dead]
        except BlockingIOError:
            return []

    def down(self, purge: bool = False) -> int:
        """Ends every process of the stack, also ones stack.json has lost; returns how many.

        ``purge`` also deletes its data, logs and stack.json.
        """
        if not self.layout.root.exists():
            return 0
        self.refuse_containers()
        with self.lock():
            ended = self._down()
        if purge:
            shutil.rmtree(self.layout.root, ignore_errors=True)
        return ended

    def _down(self) -> int:
        # TaskManagers before the JobManager, and all before the services they write to.
        ours = processes.all_of(self.layout.root)
        first = [p for p, name in ours.items() if is_cluster(name) and name != "zookeeper"]
        processes.end(first, self.layout.root, grace_s=5)
        processes.end(processes.all_of(self.layout.root), self.layout.root)
        stack = self.layout.read()
        if stack:
            stack["processes"] = {}
            self.layout.write(stack)
        return len(ours)

    # -- one process -------------------------------------------------------------------------------

    def pid(self, name: str) -> int:
        """Pid of a live process of this stack, else 0."""
        record = self.layout.read().get("processes", {}).get(name)
        return record["pid"] if record and self._runs(record["pid"], name) else 0

    # -- looking -----------------------------------------------------------------------------------

    def conf(self, changed: dict[str, Any] | None = None) -> settings.Conf:
        """Settings with this stack's endpoints, whatever $TILLSTREAM_HOME says, and ``changed`` over
        them. Raises ConfError."""
        stack = self.layout.read()
        endpoints = settings.endpoints(stack) if stack else {}
        return settings.load("local", overrides=settings.merge(endpoints, changed or {}))

    def disk_problem(self) -> str:
        """What to do if the disk under the stack's data is full, "" while it is not."""
        free = free_mib(self.layout.data)
        if free >= DISK_FLOOR_MIB:
            return ""
        return (
            f"the disk is full: {free} MiB free under {self.layout.data}. Free space there, then "
            "`tillstream up` starts what has died; jobs go on from their last checkpoint"
        )

    def status(self) -> list[ProcessStatus]:
        """Every process with its health on its own protocol, all asked at once. Raises as
        ``Layout.must_read`` does."""
        stack = self.layout.must_read()
        self.refuse_containers()
        context = Context(self.layout, jar_set(), stack["ports"])
        with ThreadPoolExecutor(12) as pool:
            every = services(stack["taskmanagers"])
            return list(pool.map(lambda service: self._status(context, service), every))

    def _status(self, context: Context, service: Service) -> ProcessStatus:
        pid = self.pid(service.name)
        address = ""
        if port := context.ports.get(service.port):  # older releases had fewer
            http = service.port not in ("kafka", "zookeeper")
            address = url(context, service.port) if http else f"127.0.0.1:{port}"
        problem = "" if pid else "not running: `tillstream up` starts it"
        if pid:
            try:
                problem = "" if service.healthy(context) else "runs, but does not serve"
            except Exception as error:  # whatever a client of theirs raises means: not healthy
                problem = f"runs, but does not serve: {_first_line(error)}"
        memory = processes.memory_mib(pid) if pid else 0
        return ProcessStatus(service.name, pid, address, memory, not problem, problem)

    # -- inside ------------------------------------------------------------------------------------

    def _plan(self, taskmanagers: int | None, state_backend: str | None) -> dict[str, Any]:
        """What is to run, from what was asked, what runs already and the last run."""
        old = self.layout.read()
        if not old and processes.all_of(self.layout.root):
            raise StackError(
                f"{self.layout.file} is lost or damaged and its processes still run: `tillstream down` "
                "ends them, then `tillstream up`"
            )
        count = taskmanagers or old.get("taskmanagers") or DEFAULT_TASKMANAGERS
        running = {
            name: record
            for name, record in old.get("processes", {}).items()
            if self._runs(record["pid"], name)
        }
        backend = state_backend or old.get("state_backend") or "hashmap"
        if backend not in flink_home.STATE_BACKENDS:
            raise StackError(f"no state backend {backend}: it is hashmap or rocksdb")
        if backend != old.get("state_backend", backend) and any(map(is_cluster, running)):
            raise StackError(
                f"the cluster runs with {old['state_backend']}: run `tillstream down`, then "
                f"`tillstream up --state-backend {backend}`"
            )
        if any(map(is_cluster, running)) and "zookeeper" not in old.get("ports", {}):
            raise StackError(
                "the cluster that runs is of an older release: run `tillstream down`, then `tillstream up`"
            )
        surplus = [
            record["pid"]
            for name, record in running.items()
            if name.startswith("taskmanager-") and int(name.rpartition("-")[2]) > count
        ]
        processes.end(surplus, self.layout.root)
        chosen = ports.choose(_ports_in_use(running, old.get("ports", {})), old.get("ports", {}))
        left = {n: r for n, r in running.items() if r["pid"] not in surplus}
        stack = record(chosen, count, backend) | {"processes": left}
        self.layout.write(stack)
        return stack

    def refuse_containers(self) -> None:
        """Raises StackError where each process is in a container of its own, and nobody here sees it."""
        if self.layout.read().get("in_containers"):
            raise StackError(
                f"the stack of {self.layout.home} runs in containers: `docker compose` starts, shows and "
                "ends them (docs/containers.md)"
            )

    def _runs(self, pid: int, name: str) -> bool:
        return processes.is_ours(pid, self.layout.root, name)

    def _start(self, context: Context, stack: dict[str, Any], wanted: list[Service]) -> None:
        self.layout.make()
        env = environment(self.layout) | flink_home.client_environment(self.layout)
        # Kafka's first start formats its folder: let the rest begin before it is through.
        for service in sorted(wanted, key=lambda service: service.name == "kafka"):
            (self.layout.data / service.name).mkdir(exist_ok=True)
            output = self.layout.output(service.name)
            pid = processes.start(
                self.layout.root,
                service.name,
                service.command(context),
                env,
                output,
                self.layout.data / "work",
            )
            stack["processes"][service.name] = {
                "pid": pid,
                "port": context.ports.get(service.port, 0),
                "log": str(self.layout.log(service.name)),
            }
            try:
                self.layout.write(stack)
            except BaseException:  # nobody would know that it runs
                processes.end([pid], self.layout.root, grace_s=3)
                raise

    def _wait(self, context: Context, wanted: list[Service], progress: Progress) -> None:
        began = time.monotonic()
        waiting = list(wanted)
        while waiting:
            for service in list(waiting):
                if not self.pid(service.name):
                    raise StackError(self._failure(service, context, "ended right after its start"))
                with contextlib.suppress(Exception):  # not serving yet, in their client's words
                    if service.healthy(context):
                        waiting.remove(service)
                        progress(f"{service.name} serves ({time.monotonic() - began:.1f} s)")
            if waiting and time.monotonic() - began > START_TIMEOUT_S:
                reason = f"does not serve after {START_TIMEOUT_S:.0f} s"
                raise StackError(self._failure(waiting[0], context, reason))
            time.sleep(0.3)  # a look costs a tenth of a second of CPU a service

    def _failure(self, service: Service, context: Context, reason: str) -> str:
        logs = [self.layout.log(service.name), self.layout.output(service.name)]
        said = [line for log in logs for line in processes.trouble(log)]
        text = "\n".join(said)
        port = context.ports.get(service.port, 0)
        if "No space left" in text:
            fix = f"the disk is full: free space under {self.layout.root}"
        elif "already in use" in text or "BindException" in text:
            fix = f"port {port} was taken meanwhile: run `tillstream up` again, it picks another"
        elif "Cannot allocate memory" in text or "insufficient memory" in text:
            fix = "memory is short: stop other programs, or `tillstream up --taskmanagers 1`"
        else:
            fix = f"see `tillstream logs {service.name}`; `tillstream up --fresh` starts with empty data"
        return "\n".join([*(f"  {line[:300]}" for line in said), f"{service.name} {reason}; {fix}"])

    def _end_strays(self) -> None:
        """Children of processes just ended."""
        recorded = {record["pid"] for record in self.layout.read().get("processes", {}).values()}
        strays = [pid for pid in processes.all_of(self.layout.root) if pid not in recorded]
        processes.end(strays, self.layout.root, grace_s=3)

    def lock(self, wait: bool = True) -> AbstractContextManager[None]:
        """One up or down at a time; the second waits, or raises BlockingIOError."""
        return one_at_a_time(self.layout.home / "stack.lock", wait=wait)


def record(chosen: dict[str, int], taskmanagers: int, state_backend: str) -> dict[str, Any]:
    """stack.json of a stack on these ports, before any of its processes runs."""
    endpoints = {
        name: {"endpoint": f"http://127.0.0.1:{chosen[name]}"}
        for name in ("kinesis", "dynamodb", "s3")
    }
    return {
        "kafka": {"bootstrap": f"127.0.0.1:{chosen['kafka']}"},
        **endpoints,
        "flink": {"rest": f"http://127.0.0.1:{chosen['flink-rest']}"},
        "region": REGION,
        "ports": chosen,
        "taskmanagers": taskmanagers,
        "state_backend": state_backend,
        "processes": {},
    }


def _ports_in_use(running: dict[str, Any], old: dict[str, int]) -> dict[str, int]:
    """Ports that must stay, for a process that runs listens on them or was told of them."""
    own = ["kinesis", "dynamodb", "s3", "kafka"]
    keep = {name: old[name] for name in own if name in running}
    if "kafka" in running:
        keep["kafka-controller"] = old["kafka-controller"]
    if any(map(is_cluster, running)):
        keep |= {name: old[name] for name in CLUSTER_PORTS if name in old}
    return keep


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:160]
