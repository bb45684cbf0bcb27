"""Does what a plan says, when it says so: faults from the main thread, work on jobs one after the other."""

from __future__ import annotations

import itertools
import signal
import threading
import time
from collections.abc import Callable
from queue import Empty, Queue
from typing import Any

import orjson

from tillstream.chaos.plan import CLUSTER, STAND_INS, Fault, Plan
from tillstream.chaos.rig import Rig
from tillstream.clients import aws as clients
from tillstream.conf import Conf
from tillstream.errors import Problem
from tillstream.fraud import rule_sets
from tillstream.fraud.rules_file import packaged_rules

TRY_S = 300.0  # a restore is tried again: a busy machine takes a minute for a job of many tasks
# Between two tries. It grows: a job on Kinesis that is stopped while its source begins fails for it, begins
# again, and would be stopped in the midst of that, over and over.
PAUSE_S, LONGEST_PAUSE_S = 5.0, 40.0


class Hands:
    """``said`` gets a line for each thing done, with its second. ``failed``: what was not done at all."""

    def __init__(self, rig: Rig, said: Callable[[str], None]) -> None:
        self.rig, self.failed = rig, list[str]()
        self._said = said
        self._began = 0.0
        self._ends: list[tuple[float, Fault]] = []
        self._work: Queue[Fault | None] = Queue()
        self._does: dict[str, Callable[[Fault], str]] = {
            "savepoint": self._savepoint,
            "restore": self._restore,
            "rescale": self._restore,
            "release": self._release,
            "rules": self._rules,
            "split": lambda fault: split(self.rig.conf),
            "merge": lambda fault: merge(self.rig.conf),
        }
        self._worker = threading.Thread(target=self._work_on_jobs, name="jobs", daemon=True)
        rig.worker = self._worker

    def play(self, plan: Plan) -> None:
        """Returns once every fault of ``plan`` has begun and is over, and the plan's time too."""
        self._began = time.monotonic()
        self._worker.start()
        for fault in plan.faults:
            self._wait_until(fault.at_s)
            self._begin(fault)
        self._wait_until(plan.seconds)
        while self._ends:
            self._end_due(self._ends[0][0])
        self._work.put(None)
        while self._worker.is_alive():  # in short waits, so that Ctrl-C is heard
            self._worker.join(0.5)
        self.rig.undo()
        for name in STAND_INS:
            self.rig.start_again(name)

    @property
    def second(self) -> float:
        return time.monotonic() - self._began

    def say(self, line: str) -> None:
        self._said(f"{self.second:6.0f} s  {line}")

    def _wait_until(self, second: float) -> None:
        while self.second < second:
            self._end_due(self.second)
            time.sleep(0.1)

    def _end_due(self, second: float) -> None:
        for due in [one for one in self._ends if one[0] <= second]:
            self._ends.remove(due)
            self._end(due[1])

    # -- one fault ---------------------------------------------------------------------------------

    def _begin(self, fault: Fault) -> None:
        kind, target = fault.kind, fault.target
        if kind in self._does:
            self._work.put(fault)
            return
        self.say(f"{fault}")
        if kind == "kill":
            self.rig.signal(target, signal.SIGKILL)
        elif kind == "freeze":
            self.rig.signal(target, signal.SIGSTOP)
        elif kind == "clock":
            if not self.rig.clock_library:
                self.say(
                    "  left out: libfaketime is not installed (Debian: apt-get install faketime)"
                )
                return
            self.rig.step_clock(fault.amount)
        elif kind == "disk":
            if not self.rig.small_disk:
                self.say("  left out: a disk that can be filled needs the right to mount a tmpfs")
                return
            self.rig.fill_disk()
        else:
            self.rig.proxies[target].set(kind)
        if fault.seconds:
            self._ends.append((self.second + fault.seconds, fault))
            self._ends.sort(key=lambda one: one[0])

    def _end(self, fault: Fault) -> None:
        kind, target = fault.kind, fault.target
        if kind == "kill" and target not in CLUSTER:
            self.rig.start_again(target)
        elif kind == "freeze":
            self.rig.signal(target, signal.SIGCONT)
        elif kind == "clock":
            self.rig.step_clock(0)
        elif kind == "disk":
            self.rig.free_disk()
            for name in STAND_INS:
                self.rig.start_again(name)
        elif target in self.rig.proxies and self.rig.proxies[target].trouble == kind:
            self.rig.proxies[target].set("")
        self.say(f"  over: {kind} {target}")

    # -- work on jobs ------------------------------------------------------------------------------

    def _work_on_jobs(self) -> None:
        while not self.rig.stopping.is_set():
            try:
                fault = self._work.get(timeout=0.5)
            except Empty:
                continue
            if fault is None:
                return
            self.say(f"{fault}")
            try:
                self.say(f"  done: {fault.kind} {fault.target}: {self._does[fault.kind](fault)}")
            except Exception as error:  # of whichever service is away: a person would leave it too
                self.say(f"  not done: {fault.kind} {fault.target}: {_line(error)}")
                if fault.kind in ("restore", "rescale", "release"):
                    self.failed.append(f"{fault} at {fault.at_s} s: {_line(error)}")

    def _savepoint(self, fault: Fault) -> str:
        """Once: a savepoint that is not taken breaks no promise."""
        return self.rig.jobs.savepoint(fault.target).location.rpartition("/")[2]

    def _restore(self, fault: Fault) -> str:
        """Stops the job with a savepoint and starts it from what it left last."""
        self._insist(fault, self._stopped, fault.target)
        return self._insist(fault, self._started, fault.target, fault.amount)

    def _release(self, fault: Fault) -> str:
        """Stops every job with a savepoint, and starts them with the next release in new processes."""
        try:
            for job in self.rig.plan.jobs:
                self._insist(fault, self._stopped, job)
            number = self.rig.next_release()
        finally:
            for job in self.rig.plan.jobs:
                self._insist(fault, self._started, job)
        loaded = self.rig.releases.loaded_by()
        by = [name for name in self.rig.taskmanagers() if self.rig.stack.pid(name) in loaded]
        if not by:
            raise Problem(f"no TaskManager has loaded release {number}")
        return f"number {number}, loaded by {', '.join(by)}"

    def _stopped(self, job: str) -> str:
        if self.rig.jobs.running(job):
            self.rig.jobs.stop(job)
        return job

    def _started(self, job: str, parallelism: int = 0) -> str:
        if run := self.rig.jobs.running(job):  # by an attempt whose answer was lost
            return run.job_id
        return self.rig.submit(job, parallelism or None, start_from="latest")

    def _insist(self, fault: Fault, does: Callable[..., str], *arguments: Any) -> str:
        """As a person would who tries again while services are away."""
        until = time.monotonic() + TRY_S
        for tried in itertools.count():
            try:
                done = does(*arguments)
                return f"{done}, after {tried} failures" if tried else done
            except Exception as error:
                if self.rig.stopping.is_set() or time.monotonic() > until:
                    raise
                self.say(f"  again: {fault.kind} {arguments[0]}: {_line(error)}")
                self.rig.stopping.wait(min(PAUSE_S * 2**tried, LONGEST_PAUSE_S))
        raise AssertionError("not reached")

    def _rules(self, fault: Fault) -> str:
        version = f"chaos-{fault.at_s}"
        raw = orjson.dumps(orjson.loads(packaged_rules().raw) | {"version": version})
        said = rule_sets.push(self.rig.conf, "live", version, raw, "chaos", 30.0)
        return f"{version}, {said.answered} of {said.subtasks} subtasks answered {said.problem}".strip()


def _line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def split(conf: Conf) -> str:
    """The widest open shard into two; which one it was."""
    client, stream = clients.kinesis(conf), conf.source.kinesis.stream
    low, high, shard = max(_open(client, stream), key=lambda one: one[1] - one[0])
    client.split_shard(
        StreamName=stream, ShardToSplit=shard, NewStartingHashKey=str((low + high) // 2)
    )
    return shard


def merge(conf: Conf) -> str:
    """The two narrowest open neighbours into one; which they were. Raises Problem if there is one only."""
    client, stream = clients.kinesis(conf), conf.source.kinesis.stream
    shards = sorted(_open(client, stream))
    pairs = list(itertools.pairwise(shards))
    if not pairs:
        raise Problem("there is one shard only")
    one, other = min(pairs, key=lambda pair: pair[1][1] - pair[0][0])
    client.merge_shards(StreamName=stream, ShardToMerge=one[2], AdjacentShardToMerge=other[2])
    return f"{one[2]} and {other[2]}"


def _open(client: Any, stream: str) -> list[tuple[int, int, str]]:
    """(first hash key, last, id) of the shards that take records."""
    return [
        (
            int(s["HashKeyRange"]["StartingHashKey"]),
            int(s["HashKeyRange"]["EndingHashKey"]),
            s["ShardId"],
        )
        for s in client.list_shards(StreamName=stream)["Shards"]
        if "EndingSequenceNumber" not in s["SequenceNumberRange"]
    ]
