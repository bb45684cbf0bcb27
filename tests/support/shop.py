"""A shop of its own on the shared stack: its names, its traffic, its jobs, its proof.

All goes through the command line, as a user would do it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import requests

from tests.support.wait import wait_for
from tillstream import catalog
from tillstream import conf as settings
from tillstream.catalog import topics
from tillstream.catalog.apart import apart
from tillstream.catalog.resources import Topic
from tillstream.clients.flink import TERMINAL, FlinkRest, FlinkRestError
from tillstream.local.resources import create_resources
from tillstream.local.stack import Stack
from tillstream.replay import stream_reach


class Shop:
    """``name`` keeps streams, topics, table and folders apart from those of other tests."""

    def __init__(self, stack: Stack, name: str, folder: Path, source: str, **overrides: Any):
        folder.mkdir(parents=True, exist_ok=True)
        self.stack = stack
        self.truth = folder / "truth"
        self.source = source
        self.overrides = apart(name) | {
            "source": {
                "kind": source,
                "kinesis": {"stream": f"till-{name}"},
                "kafka": {"topic": f"till-{name}"},
            },
            "notify": {"file": str(folder / "notices.jsonl")},
            **overrides,
        }
        self.environment = os.environ | {"TILLSTREAM_HOME": str(stack.layout.home)}
        self.change()
        self.jobs: list[str] = []
        self.started: list[Any] = []  # processes to be killed in the end
        create_resources(self.conf())

    def conf(self) -> settings.Conf:
        os.environ["TILLSTREAM_HOME"] = str(self.stack.layout.home)
        return settings.load("local", self.overrides)

    def change(self, **overrides: Any) -> None:
        """Other settings from here on, merged into those it has."""
        self.overrides = settings.merge(self.overrides, overrides)
        self.environment["TILLSTREAM_CONF"] = json.dumps(self.overrides)

    def run(self, *arguments: str, timeout_s: float = 240, fails: bool = False) -> str:
        """Output of ``tillstream <arguments>``; fails the test unless the exit is as expected."""
        done = subprocess.run(
            [sys.executable, "-m", "tillstream.cli", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )
        said = done.stdout + done.stderr
        assert (done.returncode != 0) == fails, f"tillstream {' '.join(arguments)}:\n{said}"
        return said

    def submit(self, job: str, parallelism: int = 1, alone: bool = False) -> None:
        """The job, and before it the front door whose stream it reads, unless ``alone``."""
        entry = catalog.find(job)
        if entry and entry.transactions and not (entry.raw or alone or self.running(catalog.DOOR)):
            self.submit(catalog.DOOR)
        self.jobs.append(job)  # to be ended, whatever becomes of the command
        self.run("job", "submit", job, "--parallelism", str(parallelism))

    def close(self) -> None:
        """Ends this shop's traffic and jobs, so that the slots are free for the next."""
        for process in self.started:
            process.kill()
        for job in set(self.jobs):
            if run := self.running(job):
                self.rest().cancel(run)

    def running(self, job: str) -> str:
        """Id of its newest run that has not ended, "" if there is none."""
        runs = [one for one in self.rest().jobs() if one["name"] == job]
        left = [one for one in runs if one["state"] not in TERMINAL]
        return max(left, key=lambda one: one["start-time"])["jid"] if left else ""

    def taskmanager_of(self, job: str) -> str:
        """A TaskManager on which it runs and the front door does not, if there is one."""
        hosts = self._taskmanagers(job)
        return min(hosts - self._taskmanagers(catalog.DOOR) or hosts)

    def _taskmanagers(self, job: str) -> set[str]:
        rest, run = self.rest(), self.running(job)
        found = set()
        for vertex in rest.job(run)["vertices"] if run else ():
            url = f"{rest.url}/jobs/{run}/vertices/{vertex['id']}/taskmanagers"
            hosts = requests.get(url, timeout=10).json()["taskmanagers"]
            found |= {host["taskmanager-id"] for host in hosts}
        return found

    def rest(self) -> FlinkRest:
        return FlinkRest(self.stack.layout.read()["flink"]["rest"])

    def feed(self, rate: int, *options: str) -> Feed:
        """Traffic in the background: so many a second until it is stopped, or ``--count`` of them."""
        feed = Feed(self, ["sim", "--to", self.source, "--rate", str(rate), "--seed", "1",
                           "--truth", str(self.truth), *options])  # fmt: skip
        self.started.append(feed)
        return feed

    def written(self, topic: Topic = topics.LOYALTY_EVENTS) -> int:
        """How many events the job has written so far."""
        from confluent_kafka import Consumer, TopicPartition

        name = self.conf().topic(topic)
        consumer = Consumer(
            {"bootstrap.servers": self.conf().kafka.bootstrap or "", "group.id": "test"}
        )
        try:
            partitions = consumer.list_topics(name, 10).topics[name].partitions
            ends = (
                consumer.get_watermark_offsets(TopicPartition(name, p), timeout=10)[1]
                for p in partitions
            )
            return sum(ends)
        finally:
            consumer.close()

    def wait_for_entries(
        self, count: int, timeout_s: float = 180, topic: Topic = topics.LOYALTY_EVENTS
    ) -> None:
        """Until the job has written ``count`` events: it is in mid-traffic."""
        wait_for(
            lambda: self.written(topic), timeout_s, f"{count} events", lambda n: n >= count
        )  # fmt: skip

    def wait_for_checkpoints(self, job: str, more: int = 1, timeout_s: float = 180) -> None:
        """Until ``more`` further checkpoints of ``job`` are complete."""
        job_id = self.running(job)
        assert job_id, f"{job} is not running"
        wait_for_checkpoints(self.rest(), job_id, more, timeout_s)

    def wait_until_back(self, job: str, run: str, timeout_s: float = 240) -> None:
        """Until all of that ``run`` of the job runs under a JobManager that replaced a killed one."""

        def tasks() -> set[str]:
            with suppress(FlinkRestError):
                return {vertex["status"] for vertex in self.rest().job(run)["vertices"]}
            return set()

        what = f"{job} to go on by itself"
        wait_for(tasks, timeout_s, what, lambda found: found == {"RUNNING"})

    def wait_until_read(
        self,
        job: str,
        timeout_s: float = 180,
        up_to: dict[int, int] | None = None,
        names: Iterable[str] = (),
    ) -> None:
        """Until a checkpoint of ``job`` covers the topics of these ``names``, else that of transactions:
        ``up_to`` those offsets by partition, or all that is there by now, and at the front door."""
        entry = catalog.find(job)
        conf = self.conf().of(entry)
        if entry and not (entry.raw or names or up_to) and self.running(catalog.DOOR):
            self.wait_until_read(catalog.DOOR, timeout_s)
        bootstrap = conf.source.kafka.bootstrap
        ends = {
            name: up_to
            or {n: end for n, (_, end) in stream_reach.watermarks(conf, name, bootstrap).items()}
            for name in names or [conf.source.kafka.topic]
        }

        def unread() -> int:
            self.wait_for_checkpoints(job)
            left = 0
            for name, wanted in ends.items():
                done = stream_reach.committed(conf, name, bootstrap, conf.own_name(job))
                left += sum(max(end - done.get(n, 0), 0) for n, end in wanted.items())
            return left

        wait_for(unread, timeout_s, f"{job} to read everything", lambda n: n == 0, every_s=0.2)

    def prove(self, order: str = "sent", wait_s: int = 150, *options: str) -> dict[str, Any]:
        """The independent check must find everything equal; returns its totals."""
        said = self.run(
            "check", "--truth", str(self.truth), "--order", order, "--wait", str(wait_s),
            "--json", *(options or ("--no-archive",)), timeout_s=wait_s + 120,
        )  # fmt: skip
        return json.loads(said[said.index("{") :])


def wait_for_checkpoints(
    rest: FlinkRest, job_id: str, more: int = 1, timeout_s: float = 180
) -> None:
    """Until the job has completed ``more`` further checkpoints, which are asked for and not awaited."""
    goal = rest.checkpoints(job_id)["counts"]["completed"] + more

    def completed() -> int:
        with suppress(FlinkRestError):  # while it restarts, none can be taken
            rest.checkpoint(job_id, timeout_s)
        return rest.checkpoints(job_id)["counts"]["completed"]

    what = f"{goal} checkpoints of {job_id}"
    wait_for(completed, timeout_s, what, lambda n: n >= goal, every_s=1)


@contextmanager
def shops(stack: Stack, folder: Path) -> Iterator[Callable[..., Shop]]:
    """Opens shops by name, source and settings; ends their jobs when the block is left."""
    opened: list[Shop] = []

    def opener(name: str, source: str, **settings: Any) -> Shop:
        opened.append(Shop(stack, name, folder / name, source, **settings))
        return opened[-1]

    try:
        yield opener
    finally:
        for shop in opened:
            shop.close()


@contextmanager
def no_job_left(rest: Callable[[], FlinkRest]) -> Iterator[None]:
    """Ends every job of the stack when the block is left. ``rest``: asked then, for it may have moved."""
    try:
        yield
    finally:
        flink = rest()
        for job in flink.jobs():
            if job["state"] not in TERMINAL:
                flink.cancel(job["jid"])


class Feed:
    """The simulator as a process, which sends until it is told to stop or has sent its count."""

    def __init__(self, shop: Shop, arguments: list[str]):
        command = [sys.executable, "-m", "tillstream.cli", *arguments]
        self._said = shop.truth.with_name("sim.out")
        with self._said.open("w") as out:
            self._process = subprocess.Popen(
                command, env=shop.environment, stdout=out, stderr=subprocess.STDOUT
            )

    def stop(self) -> None:
        """Ends the traffic; what it sent is in the truth."""
        self._process.send_signal(signal.SIGTERM)
        self.done(60)

    def done(self, timeout_s: float = 240) -> None:
        """Waits until all is sent. AssertionError with what it said if it could not."""
        code = self._process.wait(timeout_s)
        assert code == 0, self._said.read_text()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
