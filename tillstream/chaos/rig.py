"""A stack with proxies before its stand-ins, the jobs of a plan and their traffic."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from tillstream.catalog.apart import apart
from tillstream.chaos import clock, disk
from tillstream.chaos.own_jobs import OwnJobs
from tillstream.chaos.plan import NETWORK, Phase, Plan
from tillstream.chaos.proxy import Proxy
from tillstream.chaos.release import Releases
from tillstream.cli.stopping import stop_on_signal
from tillstream.clients.flink import FlinkRestError
from tillstream.clients.wait import NotInTime, wait_until
from tillstream.conf import Conf, merge
from tillstream.conf.layers import read_json
from tillstream.errors import Problem
from tillstream.local import ports
from tillstream.local.layout import CODE
from tillstream.local.resources import create_resources
from tillstream.local.services import KAFKA, listener
from tillstream.local.stack import Stack

Say = Callable[[str], None]
SHOP = ("--customers", "2000", "--stores", "6", "--products", "40")
DISK_MIB, DISK_MIB_A_MINUTE = 1_024, 100  # a run writes some 80 MiB a minute
MOVED = ("inventory", "shortage")  # jobs that documents about stock are for
TRAFFIC_S = 180.0  # after the last fault, until all is sent
WORKER_S = 240.0  # that a job's submission may take: it must not come after the jobs were cancelled


class Rig:
    """``stack``: of its own if ``own``, which is then started with ``start`` and ends with ``close``."""

    def __init__(self, plan: Plan, stack: Stack, folder: Path, own: bool, say: Say) -> None:
        self.plan, self.stack, self.folder, self.own, self.say = plan, stack, folder, own, say
        self.jobs = OwnJobs(stack, folder)
        self.clock = folder / "clock"
        self.clock_library = clock.library()
        self.releases = Releases(folder)
        self.proxies = {name: Proxy(name, self._port(name)) for name in NETWORK}
        self._kafka_port = 0
        self.small_disk = False  # whether the stack's data are on one
        self._ballast: Path | None = None
        self.spooled = False  # whether some records came later than they were sent
        self._submitted: set[str] = set()
        self.stopping = threading.Event()
        self._traffic = threading.Thread(target=self._send, name="traffic", daemon=True)
        self._notifier = threading.Thread(target=self._notify, name="notifier", daemon=True)
        self.worker: threading.Thread | None = None  # on jobs, if there is one
        name = f"chaos-{plan.seed}-{int(time.time()):x}"
        self.settings = merge(
            apart(name),
            {
                "source": {
                    "kind": plan.source,
                    "kinesis": {"stream": f"till-{name}"},
                    "kafka": {"topic": f"till-{name}"},
                },
                "notify": {
                    "file": str(folder / "notices.jsonl"),
                    "per_second": {"sms": 400, "alert": 400, "order": 400},
                    "lease_s": 20,
                },
                "fraud": {"audit": "all"},
            },
        )

    def _port(self, name: str) -> Callable[[], int]:
        def port() -> int:
            if name == "kafka" and self._kafka_port:
                return self._kafka_port
            return int(self.stack.layout.read()["ports"][name])

        return port

    # -- start and end -----------------------------------------------------------------------------

    def start(self) -> None:
        """Stack, proxies, topics and tables, jobs. Raises Problem."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._refuse()
        for proxy in self.proxies.values():
            proxy.start()
        if self.own:
            self._prepare()
            self.stack.up(self.plan.taskmanagers, state_backend=self.plan.backend)
            self.say("the stack serves")
        self.conf: Conf = self.stack.conf(self.settings)
        create_resources(self.conf)
        for job in self.plan.jobs:
            self.submit(job, 1)
            self.say(f"{job} runs")

    def _refuse(self) -> None:
        if self.own:
            return
        running = {run.name for run in self.jobs.runs() if not run.ended} & set(self.plan.jobs)
        if running:
            raise Problem(
                f"{', '.join(sorted(running))} runs on this stack: `tillstream job stop` it first, or "
                "leave out --here for a stack of its own"
            )

    def _prepare(self) -> None:
        """What the stack's processes are told by their environment."""
        self._kafka_port = ports.any_free(set(ports.DEFAULTS.values()))
        proxied = listener("PROXIED", self._kafka_port, self.proxies["kafka"].port)
        os.environ[KAFKA] = json.dumps(proxied)
        engine = {
            "execution.checkpointing.interval": "2 s",
            "s3.endpoint": f"http://127.0.0.1:{self.proxies['s3'].port}",
        }
        said = read_json(os.environ.get("TILLSTREAM_FLINK") or "{}", "TILLSTREAM_FLINK")
        os.environ["TILLSTREAM_FLINK"] = json.dumps(engine | said)
        # A run is over before the second compiler has paid for itself.
        os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")
        if self.clock_library and any(fault.kind == "clock" for fault in self.plan.faults):
            self.step_clock(0)
            os.environ |= clock.of_file(self.clock_library, self.clock)
        if any(fault.kind == "release" for fault in self.plan.faults):
            self.releases.prepare()
        if any(fault.kind == "disk" for fault in self.plan.faults):
            mib = DISK_MIB + self.plan.seconds // 60 * DISK_MIB_A_MINUTE
            self.small_disk = disk.mount(self.stack.layout.data, mib)

    def fill_disk(self) -> None:
        """Not a byte is left for the stack's data."""
        self._ballast = disk.fill(self.stack.layout.data)

    def free_disk(self) -> None:
        if self._ballast:
            self._ballast.unlink()
            self._ballast = None

    def step_clock(self, seconds: int) -> None:
        """Sets the stack's clock so far ahead of this machine's, or behind it."""
        aside = self.clock.with_suffix(".new")
        aside.write_text(f"{seconds:+d}s\n")
        aside.replace(self.clock)

    def close(self) -> None:
        """Ends what was begun; a stack that was there before is made whole again. Ctrl-C interrupts none
        of it, and each step comes whatever became of the one before."""
        self.stopping.set()
        with stop_on_signal(), contextlib.ExitStack() as steps:  # the last one comes first
            for name in ("LD_PRELOAD", KAFKA, CODE):
                steps.callback(os.environ.pop, name, None)
            for proxy in self.proxies.values():
                if proxy.port:
                    steps.callback(proxy.stop)
            if self.small_disk:
                steps.callback(disk.unmount, self.stack.layout.data)
            if self.clock.exists():
                steps.callback(clock.sweep)
            steps.callback(self.stack.down if self.own else self._leave)
            for thread, wait_s in (
                (self._traffic, 60),
                (self._notifier, 60),
                (self.worker, 60 if self.own else WORKER_S),
            ):
                if thread and thread.is_alive():
                    steps.callback(thread.join, wait_s)
            steps.callback(self.undo)

    def _leave(self) -> None:
        if self._submitted:
            with contextlib.suppress(Problem):
                self.stack.up()
                for job in self._submitted:
                    if self.jobs.running(job):
                        self.jobs.cancel(job)

    def undo(self) -> None:
        """All faults are over: nothing is frozen, cut or of another time. What was killed stays so."""
        for name in self.stack.layout.read().get("processes", {}):
            self.signal(name, signal.SIGCONT)
        for proxy in self.proxies.values():
            proxy.set("")
        self.free_disk()
        if self.clock.exists():
            self.step_clock(0)

    # -- jobs --------------------------------------------------------------------------------------

    def submit(self, job: str, parallelism: int | None, start_from: str | None = None) -> str:
        """As `job submit` and `job restore` do, reading and writing through the proxies; the run's id.
        Raises Problem, also once this rig is being closed."""
        if self.stopping.is_set():
            raise Problem("the run is over")
        at = {name: f"127.0.0.1:{proxy.port}" for name, proxy in self.proxies.items()}
        through: dict[str, Any] = {
            "dynamodb": {"endpoint": f"http://{at['dynamodb']}"},
            "source": {"kinesis": {"endpoint": f"http://{at['kinesis']}"}},
        }
        if self._kafka_port:
            through = merge(through, {"kafka": {"bootstrap": at["kafka"]}})
            through = merge(through, {"source": {"kafka": {"bootstrap": at["kafka"]}}})
        overrides = merge(self.settings, through)
        self._submitted.add(job)
        file = self.releases.job_file(job)
        return self.jobs.submit(job, parallelism, overrides, start_from, file, timeout_s=180)

    def unwell(self) -> dict[str, str]:
        """Jobs of which not every task runs, with what is known."""
        found = {}
        for job in self.plan.jobs:
            try:
                run = self.jobs.running(job)
                tasks = self.jobs.flink.job(run.job_id)["vertices"] if run else []
            except FlinkRestError as error:
                found[job] = error.message
                continue
            states = {vertex["status"] for vertex in tasks} - {"RUNNING"}
            if not tasks:
                found[job] = "it does not run"
            elif states:
                found[job] = f"tasks are {', '.join(sorted(states))}"
        return found

    def dead(self) -> list[str]:
        """Processes of the stack that run no more, whoever should have started them again."""
        return [f"{one.name} does not run" for one in self.stack.status() if not one.pid]

    def failures(self, job: str) -> list[str]:
        """First lines of what made the job's newest run restart."""
        runs = [run for run in self.jobs.runs() if run.name == job]
        traces = self.jobs.exceptions(runs[0].job_id) if runs else []
        return [trace.partition("\n")[0][:200] for trace in traces]

    def wait_until_well(self, timeout_s: float) -> str:
        """Until every task of every job runs and each job takes a checkpoint; "" or what is wrong then."""
        deadline = time.monotonic() + timeout_s
        unwell: dict[str, str] = {}

        def well() -> bool:
            unwell.clear()
            unwell.update(self.unwell())
            return not unwell

        try:
            wait_until(well, timeout_s, "", every_s=1.0)
            for job in self.plan.jobs:
                unwell[job] = "it takes no checkpoint"
                took = functools.partial(self._checkpoint, job)
                wait_until(took, deadline - time.monotonic(), "", every_s=1.0)
                del unwell[job]
        except NotInTime:
            return "; ".join(f"{job}: {what}" for job, what in unwell.items())
        return ""

    def _checkpoint(self, job: str) -> bool:
        with contextlib.suppress(Problem):
            run = self.jobs.running(job)
            if run:
                self.jobs.flink.checkpoint(run.job_id, timeout_s=60)
                return True
        return False

    # -- processes ---------------------------------------------------------------------------------

    def signal(self, name: str, number: int) -> bool:
        """Whether there was such a process of the stack."""
        if pid := self.stack.pid(name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
                return True
        return False

    def start_again(self, name: str) -> None:
        """What was killed, unless it runs already or the disk is full. It may not serve yet then."""
        if self._ballast:
            return
        what = f"{name} cannot be started again"
        wait_until(lambda: self.stack.pid(name) or self.stack.revive(name.__eq__), 60, what)

    def next_release(self) -> int:
        """Another release, which TaskManagers of new processes load; its number."""
        number = self.releases.next()
        for name in self.taskmanagers():
            self.signal(name, signal.SIGKILL)
        return number

    def taskmanagers(self) -> list[str]:
        found = self.stack.layout.read().get("processes", {})
        return [name for name in found if name.startswith("taskmanager")]

    # -- traffic and notices -----------------------------------------------------------------------

    def begin(self) -> None:
        """The traffic, and the notifier where a job calls for notices."""
        self._traffic.start()
        if "loyalty" in self.plan.jobs:
            self._notifier.start()

    def sent(self) -> Path:
        """Waits for the traffic's end, sends what a broker did not take in time; the truth of all phases.
        Raises Problem if it does not end."""
        self._traffic.join(TRAFFIC_S)
        if self._traffic.is_alive():
            raise Problem(f"the traffic goes on {TRAFFIC_S:.0f} s after the last fault")
        folder = self.folder / "truth"
        folder.mkdir(exist_ok=True)
        with (folder / "sent.jsonl").open("wb") as whole:
            for number in range(len(self.plan.phases)):
                phase = self.folder / f"phase-{number}"
                if not (phase / "sent.jsonl").exists():
                    self.say(f"phase {number} sent nothing: see sim-{number}.out")
                    continue
                whole.write((phase / "sent.jsonl").read_bytes())
                spool = phase / "spool.jsonl"
                if spool.exists():
                    self.say(f"records of phase {number} were spooled: they are sent now")
                    again = spool.rename(phase / "again.jsonl")
                    self.run("sim", "--to", self.plan.source, "--from-spool", str(again))
                    self.spooled = True
        return folder

    def _send(self) -> None:
        for number, phase in enumerate(self.plan.phases):
            folder = self.folder / f"phase-{number}"
            arguments = [*self._sim(phase), "--truth", str(folder)]
            with (self.folder / f"sim-{number}.out").open("wb") as out:
                while not self.stopping.is_set():
                    failed = self._until_stop(out, "sim", *arguments)
                    if not failed or (folder / "sent.jsonl").exists():
                        break
                    self.stopping.wait(1)  # the stream was away as it began: nothing is sent yet

    def _sim(self, phase: Phase) -> Iterator[str]:
        yield from ("--to", self.plan.source, "--profile", phase.profile, "--rate", str(phase.rate))
        yield from ("--seconds", str(phase.seconds), "--seed", str(phase.seed), *SHOP)
        shares = phase._asdict()
        for name in ("duplicates", "malformed", "late", "out_of_order", "fuzzed"):
            if shares[name]:
                yield from (f"--{name.replace('_', '-')}", str(shares[name]))
        if set(self.plan.jobs) & set(MOVED):
            yield from ("--movements", "0.1")
        yield from ("--contract", self.plan.contract)

    def _notify(self) -> None:
        """The notifier, started again whenever it has given up on a service that was away."""
        with (self.folder / "notify.out").open("wb") as out:
            while not self.stopping.is_set():
                self._until_stop(out, "notify", "run")
                self.stopping.wait(1)

    def _until_stop(self, out: IO[bytes], *arguments: str) -> int:
        """Runs a command until it ends, or this rig is to; its exit code."""
        process = subprocess.Popen(
            [sys.executable, "-m", "tillstream.cli", *arguments], env=self._environment(),
            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        while process.poll() is None and not self.stopping.wait(0.2):
            pass
        process.terminate()
        try:
            return process.wait(30)
        except subprocess.TimeoutExpired:  # it waits for a service that is away
            process.kill()
            return process.wait()

    def run(self, *arguments: str, timeout_s: float = 600) -> str:
        """What a command says. Raises Problem where it fails, or is not done in time."""
        try:
            done = subprocess.run(
                [sys.executable, "-m", "tillstream.cli", *arguments], env=self._environment(),
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise Problem(
                f"tillstream {arguments[0]} was not done after {timeout_s:.0f} s"
            ) from None
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise Problem(
                f"tillstream {arguments[0]} failed: {said[-1] if said else 'it says nothing'}"
            )
        return done.stdout

    def _environment(self) -> dict[str, str]:
        """Of commands: the stack's addresses without a proxy, this machine's own clock."""
        env = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
        home = str(self.stack.layout.home)
        return env | {"TILLSTREAM_HOME": home, "TILLSTREAM_CONF": json.dumps(self.settings)}
